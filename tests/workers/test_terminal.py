"""A worker whose terminal closes ends as after SIGTERM; under nohup it goes on."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from dj_workers.cli.exit_codes import ExitCode
from tests.support.patience import PATIENCE_S
from tests.workers.celery_lab import until
from tests.workers.conftest import Lab, expected

pytestmark = pytest.mark.parametrize("server", ["postgresql"], indirect=True)
processes = pytest.mark.parametrize("processes", ["1", "2"])

# has the terminal of its stdin as its own, as a login shell does, and becomes a command; the tests themselves
# may run under nohup
OWNER = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """Commands in a terminal, each in one of its own."""

    def __init__(self) -> None:
        self._masters: list[int] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", OWNER, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._masters.append(master)
        self._processes.append(process)
        return process

    def close(self) -> None:
        """Close the terminals, as who closes their windows."""
        while self._masters:
            os.close(self._masters.pop())

    def kill(self) -> None:
        self.close()
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    found = Terminal()
    yield found
    found.kill()


def _run(lab: Lab, processes: str) -> list[str]:
    module = ["-m", "dj_workers.cli.main", "run", lab.name, "--tables", "Square", "--processes", processes]
    return [sys.executable, *module, "--poll-interval", "0.2"]


@processes
def test_the_running_job_ends_after_its_terminal_has_closed_and_the_worker_with_it(
    lab: Lab, terminal: Terminal, processes: str
) -> None:
    lab.add(1, wait=[0])
    lab.make_pipes()
    worker = terminal.start(*_run(lab, processes))
    lab.wait_until_started()
    terminal.close()
    lab.let_go()
    assert worker.wait(PATIENCE_S) == ExitCode.DONE
    assert lab.squares() == expected(1)
    assert lab.Square.jobs.progress()["total"] == 0


@processes
def test_under_nohup_it_goes_on(
    lab: Lab, terminal: Terminal, processes: str, skip_without: Callable[..., None]
) -> None:
    nohup = shutil.which("nohup")
    skip_without("nohup", nohup is not None, "not on the PATH")
    assert nohup is not None
    lab.add(1, wait=[0])
    lab.make_pipes()
    script = f'cd "{lab.folder}" && exec "$@" > log 2>&1'
    worker = terminal.start("sh", "-c", script, "sh", nohup, *_run(lab, processes))
    lab.wait_until_started()
    terminal.close()
    lab.let_go()
    until(lambda: lab.squares() == expected(1), "end of the running job")
    lab.module.Number.insert1({"number": 1, "what": "square"})
    until(lambda: lab.squares() == expected(2), "row of a later job")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_S) == ExitCode.DONE
