"""The inside of a child process: be told what to do by a pipe, until told to stop or the parent is gone.

SIGTERM comes from outside, as from what ends all processes of a service: the running job has as long as the
parent gives its own. The word of the parent for "at once" is SIGUSR2: it may come after a SIGTERM or without.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

from dj_jobs.events import Event, Events, Kind
from dj_jobs.job import Outcome
from dj_workers.logs import set_up_child
from dj_workers.pools.messages import (
    Bye,
    Failed,
    Idle,
    Note,
    Notes,
    PortableError,
    Report,
    Stop,
    dumped_start,
)
from dj_workers.pools.orphan import end_with_parent
from dj_workers.shutdown import AT_ONCE, StoppedAtOnceError, end_by_default

GAVE_BACK = 128 + signal.SIGTERM
"""The exit code of a child that has given its running job back."""

_NO_JOB = pickle.dumps(None)
_LONG_S = 0.1  # without a word; jobs that are shorter tell all in their reports


@dataclass(frozen=True)
class Start:
    """What a new interpreter needs before it can import anything of the parent's.

    Attributes
    ----------
    main_path : str or None
        The script to run as the main module.
    task : bytes
        A pickled pair: a function that takes a `Post` and the second element.
    shutdown_timeout_s : float or None
        How long the running job has after SIGTERM; None for as long as it takes.
    """

    argv: list[str]
    main_path: str | None
    task: bytes
    shutdown_timeout_s: float | None


class Orders:
    """The orders of the parent, and whether it wants us to stop; its death counts as that wish, and SIGTERM.

    Attributes
    ----------
    shutdown_timeout_s : float or None
        How long the running job has after SIGTERM.
    """

    def __init__(self, pipe: Pipe, flush: Callable[[], None]) -> None:
        self._pipe = pipe
        self._flush = flush
        self._has_to_stop = False
        self._wake_fd, self._waking_fd = os.pipe()  # a signal does not end a read
        self.shutdown_timeout_s: float | None = None

    def leave(self) -> None:
        """End after the running job; for a handler of signals."""
        self._has_to_stop = True
        os.write(self._waking_fd, b".")

    def should_stop(self) -> bool:
        """Whether to end after the running job."""
        if not self._has_to_stop and self._pipe.poll():
            self._has_to_stop = self._next() is None
        return self._has_to_stop

    def __iter__(self) -> Iterator[Any]:
        """Yield the next order, once the last is done."""
        while not self._has_to_stop:
            self._flush()
            self._pipe.send(Idle())
            order = self._next()
            if order is None:
                self._has_to_stop = True
                return
            yield order

    def _next(self) -> Any:
        if self._wake_fd in wait([self._pipe, self._wake_fd]):
            return None
        try:
            order = self._pipe.recv()
        except (EOFError, OSError):
            return None  # the parent is gone
        return None if isinstance(order, Stop) else order


class Post:
    """The child's end of the pipe.

    Parameters
    ----------
    running_fd : int
        A file that holds which job is running, as `dumped_start` writes it, or None: the parent reads it
        where it has not heard of this process for long. Short jobs begin without a word over the pipe.
    """

    def __init__(self, pipe: Pipe, running_fd: int) -> None:
        self._pipe = pipe
        self._running_fd = running_fd
        self.orders = Orders(pipe, self.flush)
        self._notes: list[Note] = []
        self._last_sent = -math.inf
        self._has_claimed = False
        self._is_sending = False
        self._lock = threading.Lock()  # the thread that renews leases sends too
        self.events = Events(self._note)

    def _note(self, event: Event) -> None:
        """Keep an event for the next report; but send at once what this process holds, and what takes long.

        So the parent knows of it also when this process dies before its next report.
        """
        self._notes.append(Note.of(event))
        if event.kind is Kind.STARTED:
            os.pwrite(self._running_fd, dumped_start(event), 0)
        elif event.key is not None:
            os.pwrite(self._running_fd, _NO_JOB, 0)
        is_first, self._has_claimed = self._has_claimed, event.kind is Kind.CLAIMED
        if event.kind is Kind.STARTED:  # of the first job right after the claim of all
            is_late = time.monotonic() - self._last_sent > _LONG_S
            is_urgent = is_first or is_late or event.timeout_s is not None
        else:
            is_urgent = event.kind is Kind.RESCUED
        if is_urgent:
            self.flush()

    def flush(self) -> None:
        """Send the events that wait for a report."""
        if self._notes:
            self.send(Notes(list(self._notes)))
            self._notes.clear()

    def send(self, message: Any) -> None:
        """Send what is no outcome."""
        with self._lock:
            self._last_sent = time.monotonic()
            self._is_sending = True
            self._pipe.send(message)
            self._is_sending = False

    def tell_the_rest(self) -> None:
        """Send the events that wait, after an interruption at any instruction."""
        if not self._is_sending:  # else a message has been cut, and the parent could not read on
            with suppress(OSError):
                self.flush()

    def end_with_parent(self, within_s: float) -> None:
        """End this process so long after the death of its parent at the latest, its job released."""
        end_with_parent(self._pipe.fileno(), within_s)

    def report(self, table: str, outcome: Outcome) -> None:
        """Send an outcome, with the events since the last one."""
        self.send(Report.of(table, outcome, self._notes))
        self._notes.clear()


def main(pipe: Pipe, running_fd: int) -> None:
    """Run in a new interpreter, whose `sys.path` is the parent's already."""
    # The parent forwards what comes from the terminal; a make's own programs get the signals as usual.
    post = Post(pipe, running_fd)
    _handle_signals(post.orders)
    set_up_child()
    start: Start = pipe.recv()
    post.orders.shutdown_timeout_s = start.shutdown_timeout_s
    sys.argv = start.argv
    sys.exit(_run(pipe, post, lambda: _load(start)))


def main_of_fork(
    pipe: Pipe,
    running_fd: int,
    function: Callable[[Post, Any], None],
    argument: Any,
    shutdown_timeout_s: float | None,
) -> None:
    """Run in a fork, which has all that the parent has."""
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)  # the parent's
    post = Post(pipe, running_fd)
    post.orders.shutdown_timeout_s = shutdown_timeout_s
    _handle_signals(post.orders)
    code = _run(pipe, post, lambda: (function, argument))
    if code:
        sys.exit(code)


def _load(start: Start) -> tuple[Callable[[Post, Any], None], Any]:
    from dj_workers.pools.origin import import_main

    if start.main_path is not None:
        import_main(start.main_path)
    function, argument = pickle.loads(start.task)
    return function, argument


def _run(pipe: Pipe, post: Post, load: Callable[[], tuple[Callable[[Post, Any], None], Any]]) -> int:
    try:
        function, argument = load()
        function(post, argument)
        post.flush()
        pipe.send(Bye())
        return 0
    except (BrokenPipeError, ConnectionResetError):
        return 1  # the parent is gone, and with it whoever would read of it
    except StoppedAtOnceError:
        post.tell_the_rest()
        return GAVE_BACK
    except BaseException as e:  # noqa: BLE001  the top of a process; a script may exit, a module not import
        try:
            pipe.send(Failed(PortableError.of(e), "".join(traceback.format_exception(e))))
        except OSError:
            traceback.print_exc()
        return 1


def _handle_signals(orders: Orders) -> None:
    pid = os.getpid()

    def on_terminate(number: int, _: FrameType | None) -> None:
        if os.getpid() != pid:  # a process that a make has forked: as if we had never been there
            end_by_default(number)
            return
        signal.signal(number, at_once if number == signal.SIGTERM else _leave_to_parent)
        orders.leave()
        if orders.shutdown_timeout_s is not None:
            signal.signal(signal.SIGALRM, at_once)
            signal.setitimer(signal.ITIMER_REAL, orders.shutdown_timeout_s)

    def at_once(number: int, _: FrameType | None) -> None:
        if os.getpid() != pid:
            end_by_default(number)
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        for ended in (AT_ONCE, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ended, signal.SIG_IGN)
        raise StoppedAtOnceError

    signal.signal(signal.SIGTERM, on_terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, on_terminate)  # the terminal of all has closed
    signal.signal(AT_ONCE, at_once)
    signal.signal(signal.SIGINT, _leave_to_parent)
    signal.signal(signal.SIGUSR1, _leave_to_parent)


def _leave_to_parent(number: int, frame: FrameType | None) -> None:
    """Do nothing; unlike SIG_IGN, this is not inherited by the programs that a make starts."""


# -- values that refer to the table's connection ---------------------------------------------------


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, connection: Any) -> None:
        super().__init__(file)
        self._connection = connection

    def persistent_id(self, obj: Any) -> str | None:
        return "connection" if obj is self._connection else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, connection: Any) -> None:
        super().__init__(file)
        self._connection = connection

    def persistent_load(self, pid: Any) -> Any:
        assert pid == "connection"
        return self._connection


def dump_without(connection: Any, value: Any) -> bytes:
    """Pickle a value whose parts may refer to a connection, which stays here."""
    file = io.BytesIO()
    _Pickler(file, connection).dump(value)
    return file.getvalue()


def load_with(connection: Any, data: bytes) -> Any:
    """Unpickle a value, with another connection in the place of the one that stayed."""
    return _Unpickler(io.BytesIO(data), connection).load()
