"""A log that cannot be written, because the disk is full, stops no work; output that cannot is an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from dj_workers.cli.exit_codes import ExitCode
from tests.support.patience import PATIENCE_S
from tests.workers.conftest import Lab, expected

pytestmark = [
    pytest.mark.parametrize("server", ["postgresql"], indirect=True),
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full"),
]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_work_goes_on_without_its_log_and_says_so(lab: Lab, processes: str) -> None:
    lab.add(6, fail=[2])
    run = ["run", lab.name, "--tables", "Square", "--once", "--processes", processes]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "dj_workers.cli.main", "--log-level", "debug", *run],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert lab.squares() == expected(6, without={2})
    assert ended.returncode == 1  # a job has failed, as without a full disk
    assert "the log cannot be written: No space left on device" in ended.stdout
    assert ended.stdout.count("send it elsewhere") <= int(processes) + 1, "once a process"


def _printing(out: IO[Any] | int, *arguments: str, at_once: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dj_workers.cli.main", *arguments],
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1" if at_once else ""},
        timeout=PATIENCE_S,
        check=False,
    )


COMMANDS = [
    ["status", "LAB"],
    ["status", "LAB", "--json"],
    ["errors", "LAB"],
    ["workers", "LAB"],
    ["exporter", "LAB", "--once"],
    ["slurm", "LAB"],
    ["run", "--help"],
    ["--help"],
    ["--version"],
]


@pytest.mark.parametrize("at_once", [False, True], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_output_without_a_place_is_an_error_in_a_line_and_without_a_reader_is_quiet(
    lab: Lab, command: list[str], at_once: bool
) -> None:
    lab.add(1)
    arguments = [lab.name if word == "LAB" else word for word in command]
    with open("/dev/full", "w") as full:
        ended = _printing(full, *arguments, at_once=at_once)
    assert ended.returncode == ExitCode.NO_OUTPUT
    assert ended.stderr.splitlines()[-1] == (
        "dj-worker: the output cannot be written: No space left on device. Free space where stdout goes to, "
        "or send it elsewhere."
    )
    assert "Traceback" not in ended.stderr
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = _printing(writing, *arguments, at_once=at_once)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (ExitCode.NO_OUTPUT, "")


@pytest.mark.parametrize(("failing", "code"), [([], ExitCode.DONE), ([1], ExitCode.FAILED_JOBS)])
def test_what_a_pipeline_prints_does_not_change_the_exit_code_of_its_work(
    lab: Lab, failing: list[int], code: ExitCode
) -> None:
    lab.add(2, fail=failing)
    with open(lab.folder / f"{lab.name}.py", "a") as module:
        module.write("print('this pipeline greets whoever imports it')\n")
    with open("/dev/full", "w") as full:
        ended = _printing(full, "run", lab.name, "--tables", "Square", "--once")
    assert ended.returncode == code, ended.stderr
    assert "the output cannot be written" in ended.stderr
    assert "Exception ignored" not in ended.stderr
