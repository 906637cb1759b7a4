"""SIGINT and SIGTERM as requests: the first to stop after the running jobs, the second to stop at once.

SIGHUP, which comes when a terminal closes, is a request to stop too, but never the second.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any

from dj_workers.knock import Knocker, wait_for
from dj_workers.logs import line_of

AT_ONCE = signal.SIGUSR2
"""What has a process of a pool give its job back at once, whatever came before."""

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FAREWELL_S = 10.0  # in which an interrupted job is released, and is not interrupted again
_NOTICE = "stopping after the running jobs, which have {:g} s; once more releases them and stops at once\n"
_TIME_IS_OVER = "time is over for the running jobs; they are released\n"


class StoppedAtOnceError(BaseException):
    """Raised in the middle of a job by the second signal, or when time is over; the engine then releases it.

    Like KeyboardInterrupt no subclass of Exception, so that a `make` does not swallow it.
    """


def end_by_default(number: int) -> None:
    """Let a signal do what it does to a program without handlers: for a fork that inherited ours."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _say(text: str) -> None:
    """Write to stderr from a handler: not by logging, in the middle of which we may be."""
    with suppress(OSError):  # Ctrl-C may have ended what stderr went to; no job is to fail for that
        os.write(2, line_of(text).encode(errors="replace"))


def tell_on_request(text: Callable[[], str]) -> Any:
    """Have SIGUSR1 print a text to stderr from now on; return what it did before."""
    pid = os.getpid()

    def tell(number: int, _: FrameType | None) -> None:
        if os.getpid() != pid:
            end_by_default(number)  # a process that a make has forked
            return
        _say(text())

    return signal.signal(signal.SIGUSR1, tell)


@contextmanager
def told_on_request(text: Callable[[], str]) -> Iterator[None]:
    """Have SIGUSR1 print a text for as long; in the main thread, where Python lets signals in."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = tell_on_request(text)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL if before is None else before)


class AroundWork(AbstractContextManager["AroundWork"]):
    """Signals to stop and SIGUSR1 of a command while there is no work yet, and when it is over.

    Before the work the former raise `StoppedAtOnceError`, for instance in the import of a pipeline. After
    it they change nothing any more, to the last step of the interpreter: the exit code is what became of the
    work.

    Parameters
    ----------
    has_begun : callable
        Whether there was work; it has handlers of its own, at whose end these are put back.
    text : callable
        What SIGUSR1 prints.
    """

    def __init__(self, has_begun: Callable[[], bool], text: Callable[[], str]) -> None:
        self._has_begun = has_begun
        self._text = text
        self._pid = os.getpid()
        self._was_asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> AroundWork:
        for number in _STOPS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._handle)
        self._before[signal.SIGUSR1] = tell_on_request(self._text)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ends_program = kind is not None and issubclass(kind, (SystemExit, StoppedAtOnceError))
        for number, handler in self._before.items():
            after = signal.SIG_DFL if handler is None else handler
            signal.signal(number, signal.SIG_IGN if ends_program else after)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._pid:
            end_by_default(number)
        elif not self._has_begun():
            self._was_asked = True
            raise StoppedAtOnceError

    def check(self) -> None:
        """Raise where a signal came and code of the user kept its exception to itself."""
        if self._was_asked:
            raise StoppedAtOnceError


class StopRequests(AbstractContextManager["StopRequests"]):
    """Counts the requests while it is entered; the handlers of before are put back at the end.

    Outside of the main thread, where Python allows no handlers, only `request` counts.

    Parameters
    ----------
    interrupts : bool
        Whether the second signal raises `StoppedAtOnceError` in the main thread, and the end of the time too,
        whatever Python function or system call it is in.
    shutdown_timeout_s : float, optional
        How long running jobs have after the first signal; None for what runs no jobs.

    Attributes
    ----------
    first : Signals or None
        The first signal.
    is_urgent : bool
        A second signal came.
    """

    def __init__(self, *, interrupts: bool = False, shutdown_timeout_s: float | None = None) -> None:
        self.n = 0
        self.is_urgent = False
        self._pid = os.getpid()
        self._lock = threading.Lock()  # never taken by a handler
        self.first: signal.Signals | None = None
        self._is_asked = False  # by another signal than SIGHUP
        self._interrupts = interrupts
        self._interrupted_at = -math.inf
        self._over_at = math.inf
        self._knocker: Knocker | None = None
        self.shutdown_timeout_s = shutdown_timeout_s
        self._notice = "stopping\n" if shutdown_timeout_s is None else _NOTICE.format(shutdown_timeout_s)
        self._before: dict[signal.Signals, Any] = {}
        self._read_fd = self._write_fd = -1
        self._wakeup_fd_before: int | None = None

    def __enter__(self) -> StopRequests:
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._write_fd, False)
        os.set_blocking(self._read_fd, False)
        if threading.current_thread() is threading.main_thread():
            for number in _STOPS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                    self._before[number] = signal.signal(number, self._handle)
            if self._interrupts:
                self._knocker = Knocker(self._before, self._wake, self._end_if_time_is_over)
                self._knocker.start()
            else:
                # the signal itself writes to it; a handler may come after the sleep that it is to end
                self._wakeup_fd_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interrupts = False
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()
        if self._wakeup_fd_before is not None:
            signal.set_wakeup_fd(self._wakeup_fd_before)
        if self._knocker is not None:
            self._knocker.close()
        with self._lock:
            os.close(self._read_fd)
            os.close(self._write_fd)
            self._read_fd = self._write_fd = -1

    def _handle(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._pid:
            end_by_default(number)
            return
        self.n += 1
        # a terminal that closes may send it twice, and who ends a session sends it together with SIGTERM
        if number != signal.SIGHUP:
            self.is_urgent = self._is_asked
            self._is_asked = True
        if self.first is None:
            self.first = signal.Signals(number)
            _say(self._notice)
            if self._knocker is not None and self.shutdown_timeout_s is not None:
                self._over_at = time.monotonic() + self.shutdown_timeout_s
                self._knocker.alarm(self.shutdown_timeout_s)
        if self.is_urgent and number != signal.SIGHUP:
            self._interrupt()

    def _end_if_time_is_over(self) -> None:
        if time.monotonic() >= self._over_at:
            self._over_at = math.inf
            _say(_TIME_IS_OVER)
            self._interrupt()

    def _interrupt(self) -> None:
        now = time.monotonic()
        if self._interrupts and now - self._interrupted_at >= _FAREWELL_S:
            self._interrupted_at = now
            raise StoppedAtOnceError

    def request(self) -> None:
        """Ask to stop, as a signal would."""
        with self._lock:
            self.n += 1
            if self._write_fd < 0:
                return  # it is over already
            self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._write_fd, b".")
        except BlockingIOError:
            return  # full of earlier requests: whoever waits wakes up anyway

    def __bool__(self) -> bool:
        return self.n > 0

    def fileno(self) -> int:
        """The descriptor that becomes readable with each request."""
        return self._read_fd

    def take(self) -> None:
        """Make the descriptor unreadable until the next request."""
        try:
            while os.read(self._read_fd, 1024):
                continue
        except BlockingIOError:
            return

    def wait(self, timeout_s: float, filenos: Sequence[int] = ()) -> bool:
        """Sleep, but no longer than until a request; return whether there was one at any time.

        Parameters
        ----------
        filenos : sequence of int
            Further descriptors that end the sleep.
        """
        if not self.n:
            wait_for([self._read_fd, *filenos], timeout_s)
            self.take()
        return self.n > 0

    def repeat(self) -> None:
        """Do what the first signal would have done without us; call it after the end of the context."""
        if self.first is signal.SIGINT:
            raise KeyboardInterrupt
        if self.first is not None:
            os.kill(os.getpid(), self.first)
