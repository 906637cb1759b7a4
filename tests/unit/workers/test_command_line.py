"""`dj-worker` without a database: its help, and what it imports."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from dj_workers.cli.exit_codes import ExitCode
from dj_workers.cli.file import default_modules
from dj_workers.cli.main import main
from dj_workers.cli.options import columns


def test_help_names_every_command_and_exit_code() -> None:
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    for command in ("run", "status", "errors", "retry", "ignore", "unignore", "demo"):
        assert f"\n  {command} " in shown.output
    for code in ExitCode:
        assert code.meaning in shown.output


def test_help_imports_neither_the_demo_nor_the_facade() -> None:
    program = (
        "import sys; sys.argv = ['dj-worker', '--help']; sys.exit = lambda *_: None\n"
        "from dj_workers.cli.main import main\n"
        "main(standalone_mode=False)\n"
        "print(sorted(m for m in sys.modules if m.startswith(('dj_workers.demo', 'datajoint', 'dj_jobs'))))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_with_json_a_wrong_argument_is_an_object_too() -> None:
    wrong = [["run", "--bogus"], ["bogus"], ["run", "lab", "--processes", "two"], ["run"]]
    program = (
        "import sys\nfrom dj_workers.cli.main import main\n"
        f"for arguments in {wrong}:\n"
        "    try:\n        main(['--log-format', 'json', *arguments])\n"
        "    except SystemExit as e:\n        print(e.code)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["2"] * len(wrong)
    said = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["level"] for line in said] == ["error"] * len(wrong)
    assert "--bogus" in said[0]["message"]
    assert "Name a MODULE" in said[3]["message"]


def test_modules_that_are_no_list_are_names_as_for_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dj-worker.toml").write_text("modules = 3")
    monkeypatch.chdir(tmp_path)
    assert default_modules() == ["3"]


def test_a_probe_of_what_is_no_worker_is_told_of() -> None:
    def answered(body: bytes) -> str:
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=answer, args=(server, body))
            thread.start()
            arguments = ["probe", "--metrics-port", str(server.getsockname()[1]), "--timeout", "60"]
            shown = CliRunner().invoke(main, arguments)
            thread.join()
        assert isinstance(shown.exception, SystemExit), shown.exception
        assert shown.exit_code == 1
        return shown.output

    def answer(server: socket.socket, body: bytes) -> None:
        client, _ = server.accept()
        with client:
            client.recv(4096)
            client.sendall(body)

    for body in (b"-ERR unknown command\r\n", b"HTTP/1.0 200 OK\r\n\r\nhello", b"HTTP/1.0 200 OK\r\n\r\n[]"):
        assert "something else than dj-worker" in answered(body)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "lab", "--idle-exit"],
        ["run", "lab", "--shutdown-timeout"],
        ["run", "lab", "--max-memory-mb"],
        ["exporter", "lab", "--interval"],
        ["dispatch", "lab", "--interval"],
        ["probe", "--timeout"],
    ],
    ids=" ".join,
)
def test_what_is_no_number_that_can_be_meant_is_refused(arguments: list[str], value: str) -> None:
    shown = CliRunner().invoke(main, [*arguments, value])
    assert shown.exit_code == ExitCode.USAGE, shown.output
    assert f"Invalid value for '{arguments[-1]}'" in shown.output


LONG = "x" * 300


@pytest.mark.parametrize("command", [["run", "lab"], ["slurm", "lab", "--"]], ids=["run", "slurm"])
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--name", "", "the name of a worker has 1 to 200 characters"),
        ("--name", "a\nb", "the name of a worker has 1 to 200 characters"),
        ("--name", LONG, "the name of a worker has 1 to 200 characters"),
        ("--tables", "", "names nothing"),
        ("--tables", " , ", "names nothing"),
        ("--exclude", "", "names nothing"),
        ("--queue", "", "names nothing"),
        ("--restrict", " ", "it is empty"),
        ("--priority", "-1", "not in the range x>=0"),
        ("--metrics-host", "", "it is empty"),
        ("--metrics-host", LONG, "is no name of a host"),
    ],
)
def test_a_wrong_value_is_refused_as_a_wrong_argument(
    command: list[str], option: str, value: str, message: str
) -> None:
    shown = CliRunner().invoke(main, [*command, option, value])
    assert shown.exit_code == ExitCode.USAGE, shown.output
    assert message in " ".join(shown.output.replace("│", "").split()), shown.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", ""], "it is empty"),
        (["run", "lab", " "], "it is empty"),
        (["status", ""], "it is empty"),
        (["exporter", ""], "it is empty"),
        (["dispatch", ""], "it is empty"),
        (["slurm", ""], "it is empty"),
        (["dispatch", "lab", "--tables", ""], "names nothing"),
        (["celery", "--tables", "", "worker"], "names nothing"),
        (["celery", "--module", "", "worker"], "it is empty"),
        (["errors", "lab", "--limit", str(2**70)], "not in the range"),
        (["require", "lab", "Table", ">=banana"], "is no condition for a version"),
        (["require", "lab", "Table", LONG], "at most 255 characters"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_what_is_empty_or_out_of_range_is_refused_before_anything_is_imported(
    arguments: list[str], message: str
) -> None:
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == ExitCode.USAGE, shown.output
    assert message in " ".join(shown.output.split()), shown.output


def test_a_script_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    output = tmp_path / "none" / "x.sh"
    shown = CliRunner().invoke(main, ["slurm", "lab", "--output", str(output)])
    assert (shown.exit_code, "cannot be written: No such file" in shown.output) == (ExitCode.USAGE, True)


def test_a_folder_that_is_gone_is_told_of(tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom dj_workers.cli.main import main\n"
        "os.rmdir(os.getcwd())\nmain(['status', 'lab'])\n"
    )
    folder = tmp_path / "gone"
    folder.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ended.stderr == "dj-worker: the current folder is not there any more; go to another.\n"
    assert ended.returncode == ExitCode.USAGE


def test_version_is_printed() -> None:
    shown = CliRunner().invoke(main, ["--version"])
    assert (shown.exit_code, shown.output.startswith("dj-worker ")) == (0, True)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns(["a", "n"], [["long name", "1"], ["b", "20"]], right=(1,)) == (
        "a           n\nlong name   1\nb          20"
    )
