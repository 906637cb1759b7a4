"""A child process as its parent sees it: started anew or forked, with a pipe, noticed when it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import IO, Any, Protocol

from dj_jobs.events import Event
from dj_jobs.job import Outcome
from dj_workers.pools.child import Post, Start, main_of_fork
from dj_workers.pools.messages import loaded_start

# The parent's path goes over the pipe, first of all, so that nothing is imported from elsewhere.
_BOOT = (
    "import sys, multiprocessing.connection as c; pipe = c.Connection(int(sys.argv[1])); "
    "sys.path[:] = pipe.recv(); from dj_workers.pools.child import main; main(pipe, int(sys.argv[2]))"
)


_LARGEST_EVENT = 1 << 20
GRACE_S = 1.0  # for a job to end by the interruption from within


class _Process(Protocol):
    def code(self) -> int | None: ...


@dataclass
class _Spawned:
    popen: subprocess.Popen[bytes]

    def code(self) -> int | None:
        return self.popen.poll()


@dataclass
class _Forked:
    process: Any  # multiprocessing.Process of the fork context

    def code(self) -> int | None:
        code: int | None = self.process.exitcode
        return code


@dataclass(eq=False)
class Child:
    """One child. It is never daemonic: a `make` may start processes of its own.

    Attributes
    ----------
    exit_fd : int or None
        Becomes readable when the process ends; None where the system has no such thing.
    is_stopping : bool
        It was told to stop.
    is_retiring : bool
        Another one takes its place when it has ended.
    n_done : int
        Calls of `make` that it reported.
    is_idle : bool
        It waits for an order.
    stop_by : float or None
        When it is ended by force, by the monotonic clock.
    running : Event or None
        The start of its job, where it has told of it, or it was looked up.
    running_since : float
        When it told so, by the monotonic clock; at the latest.
    running_file : file
        In which it notes its job.
    heard : float
        When it said something last, by the monotonic clock.
    due_by : float or None
        When that job must be over, by the monotonic clock.
    end : Outcome or None
        What became of that job, where that is known before the process is killed for it.
    taken : Outcome or None
        What became of that job where it is not ours any more.
    """

    pid: int
    pipe: Pipe
    process: _Process
    exit_fd: int | None
    running_file: IO[bytes]
    heard: float = field(default_factory=time.monotonic)
    has_started: bool = False
    is_stopping: bool = False
    is_retiring: bool = False
    n_done: int = 0
    is_idle: bool = False
    stop_by: float | None = None
    grant: Any = field(default=None)
    running: Event | None = None
    running_since: float = 0.0
    due_by: float | None = None
    n_spared: int = 0
    end: Outcome | None = None
    taken: Outcome | None = None

    def runs(self, started: Event | None) -> None:
        """Take note of the job that it runs; None where it has ended."""
        self.running = started
        self.running_since = time.monotonic()
        self.n_spared, self.end, self.taken = 0, None, None
        timeout_s = started.timeout_s if started is not None else None
        self.due_by = None if timeout_s is None else time.monotonic() + timeout_s + GRACE_S

    def look_up(self) -> None:
        """See which job it runs, where it has said nothing for a while."""
        data = os.pread(self.running_file.fileno(), _LARGEST_EVENT, 0)
        try:
            found = loaded_start(data) if data else None
        except Exception:  # noqa: BLE001  it is writing just now, so that it is not silent; the next look tells
            return
        if found != self.running:
            self.runs(found)
            self.running_since = self.heard

    @property
    def is_overdue(self) -> bool:
        """Whether its job should have been interrupted a while ago, and was not: it is in native code."""
        return self.due_by is not None and time.monotonic() > self.due_by

    def send(self, message: Any) -> None:
        """Send an order; to one that has just died, in vain."""
        try:
            self.pipe.send(message)
        except OSError:
            return  # its end is noticed by itself

    def code(self) -> int | None:
        """Return the exit code of a process that has ended, minus the signal's number where one ended it."""
        return self.process.code()

    def kill(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.code() is None:
            os.kill(self.pid, number)

    def close(self) -> None:
        """Let go of a process that has ended."""
        self.pipe.close()
        self.running_file.close()
        if self.exit_fd is not None:
            os.close(self.exit_fd)


def spawn(start: Start, label: str) -> Child:
    """Start a new interpreter; `label` is for people who list processes."""
    ours, theirs = multiprocessing.Pipe()
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    running = _unnamed_file()
    fds = [theirs.fileno(), running.fileno()]
    try:
        popen = subprocess.Popen(
            [sys.executable, *flags, "-P", "-c", _BOOT, *map(str, fds), label],
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            process_group=0,  # what is typed at the terminal comes to the parent alone
        )
    finally:
        theirs.close()
    child = Child(popen.pid, ours, _Spawned(popen), _exit_fd(popen.pid), running)
    child.send([path or os.getcwd() for path in sys.path])
    child.send(start)
    return child


def fork(
    function: Callable[[Post, Any], None],
    argument: Any,
    siblings: list[Child],
    shutdown_timeout_s: float | None,
) -> Child:
    """Start a copy of this process."""
    ours, theirs = multiprocessing.Pipe()
    running = _unnamed_file()

    def run() -> None:
        for pipe in (ours, *(s.pipe for s in siblings)):
            pipe.close()  # else nobody would notice the parent's end
        main_of_fork(theirs, running.fileno(), function, argument, shutdown_timeout_s)

    process = multiprocessing.get_context("fork").Process(target=run, daemon=False)
    process.start()
    theirs.close()
    assert process.pid is not None
    return Child(process.pid, ours, _Forked(process), _exit_fd(process.pid), running)


def _unnamed_file() -> IO[bytes]:
    return tempfile.TemporaryFile(buffering=0)


def _exit_fd(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an old kernel, or a sandbox that forbids it
        return None
