"""Each option of `dj-worker run`: on the command line, in the environment and in `dj-worker.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from dj_workers.cli import file, run_options
from dj_workers.cli.exit_codes import ExitCode
from dj_workers.cli.main import main

# What is written in the file, in the environment and on the command line, and what each of them means.
_OPTIONS: dict[str, tuple[tuple[str, str, list[str]], tuple[Any, Any, Any]]] = {
    "modules": (('["a", "b"]', "c d", ["e", "f"]), (("a", "b"), ("c", "d"), ("e", "f"))),
    "tables": (
        ('["A", "B"]', "C,D", ["--tables", "E", "--tables", "F,G"]),
        (["A", "B"], ["C", "D"], ["E", "F", "G"]),
    ),
    "exclude": (('"A,B"', "C D", ["--exclude", "E"]), (["A", "B"], ["C", "D"], ["E"])),
    "queue": (('"cpu"', "gpu,fpga", ["--queue", "tpu"]), (["cpu"], ["gpu", "fpga"], ["tpu"])),
    "restrict": (
        ('["a < 1", "b = 2"]', "c > 3 and d", ["--restrict", "e = 'x, y'"]),
        (("a < 1", "b = 2"), ("c > 3 and d",), ("e = 'x, y'",)),
    ),
    "priority": (("1", "2", ["--priority", "3"]), (1, 2, 3)),
    "name": (('"a"', "b", ["--name", "c"]), ("a", "b", "c")),
    "processes": (("2", "3", ["--processes", "4"]), (2, 3, 4)),
    "max-tasks-per-child": (("2", "3", ["--max-tasks-per-child", "4"]), (2, 3, 4)),
    "max-memory-mb": (("2", "3.5", ["--max-memory-mb", "4"]), (2.0, 3.5, 4.0)),
    "once": (("true", "false", ["--once"]), (True, False, True)),
    "drain": (("true", "0", ["--drain"]), (True, False, True)),
    "run-duration": (("2", "3", ["--run-duration", "4"]), (2.0, 3.0, 4.0)),
    "idle-exit": (("2", "3", ["--idle-exit", "0"]), (2.0, 3.0, 0.0)),
    "max-idle-cycles": (("2", "3", ["--max-idle-cycles", "4"]), (2, 3, 4)),
    "max-calls": (("2", "3", ["--max-calls", "4"]), (2, 3, 4)),
    "poll-interval": (("2", "3", ["--poll-interval", "4.5"]), (2.0, 3.0, 4.5)),
    "sleep-duration": (("2", "3", ["--sleep-duration", "4"]), (2.0, 3.0, 4.0)),
    "shutdown-timeout": (("2", "3", ["--shutdown-timeout", "4"]), (2.0, 3.0, 4.0)),
    "otel": (("true", "no", ["--otel"]), (True, False, True)),
    "metrics-port": (("9001", "9002", ["--metrics-port", "0"]), (9001, 9002, 0)),
    "metrics-host": (('"a"', "b", ["--metrics-host", "c"]), ("a", "b", "c")),
    "stuck-after": (("2", "3", ["--stuck-after", "4"]), (2.0, 3.0, 4.0)),
    "job-stuck-after": (("2", "3", ["--job-stuck-after", "4"]), (2.0, 3.0, 4.0)),
}


@run_options.with_environment
@click.command()
@run_options.all_options
@click.pass_obj
def _ask(seen: dict[str, Any], /, **given: Any) -> None:
    """Take what `dj-worker run` takes, and do nothing."""
    seen.update(given)


def _given(*arguments: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    shown = CliRunner().invoke(_ask, arguments, obj=seen)
    assert shown.exit_code == 0, shown.output
    return seen


def _parameters() -> dict[str, click.Parameter]:
    return {file.written_name(p): p for p in _ask.params if p.expose_value}


def test_every_option_is_known_here() -> None:
    assert _OPTIONS.keys() == _parameters().keys()


@pytest.mark.parametrize("option", _OPTIONS)
def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (in_file, in_environment, arguments), (of_file, of_environment, of_arguments) = _OPTIONS[option]
    name = _parameters()[option].name
    monkeypatch.chdir(tmp_path)
    default = _given()
    for spelling in (option, option.replace("-", "_")):
        (tmp_path / "dj-worker.toml").write_text(f"{spelling} = {in_file}\n")
        assert _given() == {**default, name: of_file}
    monkeypatch.setenv(f"DJ_WORKER_{option.upper().replace('-', '_')}", in_environment)
    assert _given() == {**default, name: of_environment}
    assert _given(*arguments) == {**default, name: of_arguments}


def test_the_file_is_that_of_the_folder_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(["dj-worker.toml", "of_environment.toml", "of_arguments.toml"], 1):
        (tmp_path / name).write_text(f"processes = {number}\n")
    assert _given()["processes"] == 1
    monkeypatch.setenv("DJ_WORKER_CONFIG", "of_environment.toml")
    assert _given()["processes"] == 2
    assert _given("--config", "of_arguments.toml")["processes"] == 3
    assert _given("--processes", "4", "--config", "of_arguments.toml")["processes"] == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("proceses = 2", "do you mean processes?"),
        ("queues = 'gpu'", "do you mean queue?"),
        ("processes = [2]", "takes one value"),
        ("processes =", "not valid TOML"),
        ("[run]\nprocesses = 2", "no option 'run'"),
        ("processes = 'many'", "Invalid value for '--processes'"),
        ("processes = 2.5", "processes is a whole number, not 2.5"),
        ("max-calls = true", "max-calls is a whole number, not true"),
        ("run-duration = false", "run-duration is a number, not false"),
        ("name = true", "name is a text, not true"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_with_a_mistake_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "dj-worker.toml"
    if text is not None:
        path.write_text(text)
    shown = CliRunner().invoke(main, ["run", "nothing", "--config", str(path)])
    assert shown.exit_code == ExitCode.USAGE
    assert message in shown.output


def test_a_variable_that_is_nearly_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROCESES", "PROCESSES", "SHUTDOWN_TIMEOUTS", "PORT", "SERVICE_HOST", "PORT_9400_TCP_PORT"):
        monkeypatch.setenv(f"DJ_WORKER_{name}", "3")
    assert file.mistaken_variables(_ask) == {
        "DJ_WORKER_PROCESES": "DJ_WORKER_PROCESSES",
        "DJ_WORKER_SHUTDOWN_TIMEOUTS": "DJ_WORKER_SHUTDOWN_TIMEOUT",
    }
