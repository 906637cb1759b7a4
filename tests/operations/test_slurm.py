"""The batch script for SLURM drains before the time limit and is queued again; SLURM itself is not here."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from dj_workers.cli.exit_codes import UsageMistakeError
from dj_workers.cli.main import main
from dj_workers.cli.slurm import seconds_of
from tests.support.patience import PATIENCE_S

# Read by bash before the script, as if that were so slow that the worker has ended when it goes on.
SLOW = """
kill() {
  builtin kill "$@" || return
  while [ "$1" = -TERM ] && builtin kill -0 "$2" 2>/dev/null; do sleep 0.01; done
}
"""

# Stands for `dj-worker run`: notes its arguments, and drains for a moment when told to.
WORKER = """#!/bin/bash
trap 'echo drains; sleep 0.2; exit "${CODE:-0}"' TERM
echo "$DJ_JOBS_SHUTDOWN_TIMEOUT $*"
while true; do sleep 0.05; done
"""


def script_of(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["slurm", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return one with the programs that a node has."""
    programs = {"dj-worker": WORKER, "scontrol": f'#!/bin/bash\necho "$*" >> {tmp_path}/queued\n'}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return {
        **os.environ,
        "PATH": path,
        "SLURM_JOB_ID": "77",
        "SLURM_ARRAY_JOB_ID": "70",
        "SLURM_ARRAY_TASK_ID": "3",
    }


@pytest.mark.parametrize("slow", ["", SLOW], ids=["at once", "slow"])
@pytest.mark.parametrize(
    ("number", "code", "requeued"),
    [
        (signal.SIGUSR1, "0", "requeue 70_3\n"),
        (signal.SIGUSR1, "1", "requeue 70_3\n"),
        (signal.SIGTERM, "0", ""),
    ],
    ids=["time limit", "time limit, failed jobs", "scancel"],
)
def test_a_task_drains_and_is_queued_again_only_at_its_time_limit(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals, code: str, requeued: str, slow: str
) -> None:
    (tmp_path / "before").write_text(slow)
    (tmp_path / "job.sh").write_text(script_of("my_lab.pipeline", "--", "--tables", "A,B"))
    log = tmp_path / "log"
    with open(log, "w") as out:
        more = {"CODE": code, "BASH_ENV": str(tmp_path / "before")}
        task = subprocess.Popen(
            ["bash", str(tmp_path / "job.sh")], env={**environment, **more}, stdout=out, stderr=out
        )
        deadline = time.monotonic() + PATIENCE_S
        while not log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        task.send_signal(number)
        assert task.wait(PATIENCE_S) == int(code)
    expected = "90 run my_lab.pipeline --processes 1 --idle-exit 300 --tables A,B"
    assert log.read_text().splitlines() == [expected, "drains"]
    noted = tmp_path / "queued"
    assert (noted.read_text() if noted.exists() else "") == requeued


def test_the_directives_say_what_was_asked_for(tmp_path: Path) -> None:
    script = script_of(
        "p.py", "--workers", "20", "--time", "1-02:00:00", "--mem", "8G", "--gpus", "a100:1", "--cpus", "4"
    )
    directives = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2]
        for line in script.splitlines()
        if line.startswith("#SBATCH")
    )
    assert directives == {
        "job-name": "dj-p", "array": "1-20", "time": "1-02:00:00", "cpus-per-task": "4", "mem": "8G",
        "gpus": "a100:1", "signal": "B:USR1@120", "output": "%x-%A_%a.log", "open-mode": "append",
        "requeue": "",
    }  # fmt: skip
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        ("30", 1800),
        ("10:30", 630),
        ("02:00:00", 7200),
        ("1-0", 86400),
        ("1-02:30", 95400),
        ("2-00:00:05", 172805),
    ],
)
def test_time_limits_are_read_as_slurm_does(limit: str, seconds: int) -> None:
    assert seconds_of(limit) == seconds


def test_what_cannot_be_is_refused() -> None:
    for arguments, message in (
        (["m", "--time", "00:01:00"], "leaves no time to work"),
        (["m", "--time", "tomorrow"], "is no time limit"),
        (["m", "--partition", "a b; rm -rf"], "is no value for --partition"),
        (["m", "--drain-before", "70000", "--time", "2-0"], "not in the range 31<=x<=65535"),
        (["schema:m"], "not the code that computes them"),
        (["m", "--", "--proceses", "3"], "No such option"),
        (["m", "--", "--once", "--max-idle-cycles", "2"], "Give one of them"),
        (["m", "--", "--shutdown-timeout", "91"], "--drain-before 120 leaves 90 s"),
    ):
        result = CliRunner().invoke(main, ["slurm", *arguments])
        assert (result.exit_code, message in result.output) == (2, True), result.output
    with pytest.raises(UsageMistakeError):
        seconds_of("soon")


def test_a_task_that_ends_when_nothing_is_left_waits_for_nothing_more(tmp_path: Path) -> None:
    command = "dj-worker run m --processes 2 --once --shutdown-timeout 90 &"
    assert command in script_of("m", "--cpus", "2", "--", "--once", "--shutdown-timeout", "90")


def test_a_task_is_named_after_any_file(tmp_path: Path) -> None:
    script = script_of("my lab/pipe (new).py")
    assert "#SBATCH --job-name=dj-pipe-new\n" in script
    assert "\ndj-worker run 'my lab/pipe (new).py' --processes 1 " in script
