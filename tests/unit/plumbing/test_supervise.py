"""A server ends with the run that wanted it, also when that run is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.launch import locked
from tests.support.servers import RunFolder
from tests.support.supervise import __file__ as supervise_file

HOLDER = """
import fcntl, sys
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_SH)
print("held", flush=True)
sys.stdin.read()
"""
SERVER = """
import signal
print("serving", flush=True)
signal.pause()
"""


def _python(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _says(process: subprocess.Popen[str], word: str) -> bool:
    assert process.stdout is not None
    return process.stdout.readline().strip() == word


def _supervised(run: Path, *command: str) -> subprocess.Popen[str]:
    folder = run / "server"
    folder.mkdir()
    return _python(
        supervise_file,
        str(run / "alive"),
        str(run / "server.running"),
        str(folder),
        "",
        sys.executable,
        *command,
    )


@pytest.mark.kill
def test_server_ends_and_its_folder_goes_when_the_run_is_killed(tmp_path: Path) -> None:
    with _python("-c", HOLDER, str(tmp_path / "alive")) as holder:
        assert _says(holder, "held")
        with _supervised(tmp_path, "-c", SERVER) as supervisor:
            assert _says(supervisor, "serving")
            holder.kill()
            with locked(tmp_path / "server.running"):
                assert not (tmp_path / "server").exists()


def test_closing_the_run_waits_for_its_servers() -> None:
    run = RunFolder.make()
    with _supervised(run.path, "-c", SERVER) as supervisor:
        assert _says(supervisor, "serving")
        run.close()
        assert not run.path.exists()


def test_status_of_a_server_that_ends_by_itself_is_passed_on() -> None:
    run = RunFolder.make()
    with _supervised(run.path, "-c", "raise SystemExit(7)") as supervisor:
        assert supervisor.wait() == 7
    run.close()
