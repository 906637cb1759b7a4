"""A worker of Celery as tests start, kill and end it; its log tells what it does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping

import pytest

from tests.support.patience import PATIENCE_S


class CeleryProcess:
    """``dj-worker celery ...`` in a process group of its own."""

    def __init__(
        self, arguments: list[str], environment: Mapping[str, str], program: str = "dj_workers.cli.main"
    ) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
            env={**os.environ, "C_FORCE_ROOT": "1", **environment},
        )
        self.lines: list[str] = []
        self._has_changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def start(
        cls, module: str, *options: str, processes: int = 2, tables: str = "", **environment: str
    ) -> CeleryProcess:
        """Start a worker and wait until it takes messages."""
        concurrency = () if "--autoscale" in options else ("--concurrency", str(processes))
        quick = ("--without-mingle", "--without-gossip")
        chosen = ("--tables", tables) if tables else ()
        command = ["celery", "--module", module, *chosen, "worker", "--loglevel", "INFO"]
        worker = cls([*command, *quick, *concurrency, *options], environment)
        worker.wait_for("ready.")
        return worker

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            with self._has_changed:
                self.lines.append(line)
                self._has_changed.notify_all()
        with self._has_changed:
            self._has_changed.notify_all()

    def wait_for(self, text: str, n: int = 1) -> None:
        """Wait until `n` lines of the log have a text."""
        self.wait_until(lambda lines: sum(text in line for line in lines) >= n, f"{n} x {text!r}")

    def wait_until(self, holds: Callable[[list[str]], bool], what: str) -> None:
        """Wait until the log shows something, or fail with the end of the log."""

        def is_over() -> bool:
            return holds(self.lines) or not self._reader.is_alive()

        with self._has_changed:
            self._has_changed.wait_for(is_over, PATIENCE_S)
            if not holds(self.lines):
                pytest.fail(f"no {what}:\n{''.join(self.lines[-40:])}")

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def kill(self) -> None:
        """End it by SIGKILL, all of it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(PATIENCE_S)
        self._reader.join(10)

    def end(self) -> int:
        """End it by SIGTERM."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; one that does not end is killed, and fails the test."""
        try:
            code = self.popen.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the worker did not end:\n{''.join(self.lines[-40:])}")
        self._reader.join(PATIENCE_S)
        return code
