"""Signals that are not missed: another thread has the main thread run their handlers.

Python runs handlers in the main thread, between two of its steps. A signal that comes after the last step
before a system call, or that the kernel gives to another thread, does not end that call: the handler would
run when the call is over, and a `make` may wait in it for hours.
"""

from __future__ import annotations

import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable
from types import FrameType
from typing import Any

_KNOCK = signal.SIGURG  # ignored where nobody handles it, and nobody does
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 5.0  # native code may not come back to Python for long
_LONGEST_WAIT_S = 24 * 3600.0  # the system takes no infinity


def wait_for(filenos: Iterable[int], timeout_s: float) -> bool:
    """Wait, a day at most, until one of some descriptors is readable; return whether one is."""
    poll = select.poll()  # unlike select it takes those above 1023, too
    for fd in filenos:
        poll.register(fd, select.POLLIN)
    return bool(poll.poll(math.ceil(max(0.0, min(timeout_s, _LONGEST_WAIT_S)) * 1000)))


class Knocker:
    """Knocks at the main thread after each signal, and when a time is over, until it has heard.

    Parameters
    ----------
    numbers : collection of int
        The signals.
    came : callable
        Called for any signal, in the thread that knocks.
    heard : callable
        Called in the main thread once the handlers of the signals were; it may raise.
    """

    def __init__(
        self, numbers: Collection[int], came: Callable[[], object], heard: Callable[[], object]
    ) -> None:
        self._numbers = frozenset(numbers)
        self._came = came
        self._heard = heard
        self._pid = os.getpid()
        self._main_thread = threading.get_ident()
        self._has_heard = False
        self._alarm_at: float | None = None
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="datajoint-signals", daemon=True)
        self._read_fd = self._write_fd = -1
        self._before: Any = None
        self._wakeup_fd_before = -1

    def start(self) -> None:
        """Begin, in the main thread."""
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._before = signal.signal(_KNOCK, self._on_knock)
        # the signal itself writes to it, whatever the main thread does
        self._wakeup_fd_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        self._thread.start()

    def close(self) -> None:
        """Knock no more; in the main thread."""
        signal.set_wakeup_fd(self._wakeup_fd_before)
        self._is_closing.set()
        self._wake()
        self._thread.join()
        signal.signal(_KNOCK, signal.SIG_DFL if self._before is None else self._before)
        os.close(self._read_fd)
        os.close(self._write_fd)

    def alarm(self, after_s: float) -> None:
        """Knock after so long, too; for a handler."""
        self._alarm_at = time.monotonic() + after_s
        self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._write_fd, b"\0")
        except BlockingIOError:
            return  # full: it wakes anyway

    def _on_knock(self, number: int, _: FrameType | None) -> None:
        if os.getpid() == self._pid:  # else a process that a make has forked
            self._has_heard = True
            self._heard()

    # -- in the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._is_closing.is_set():
            at = self._alarm_at
            if wait_for([self._read_fd], math.inf if at is None else at - time.monotonic()):
                numbers = os.read(self._read_fd, 1024)
                self._came()
                if self._numbers.intersection(numbers):
                    self._knock()
            elif at is not None and time.monotonic() >= at:
                self._alarm_at = None
                self._knock()

    def _knock(self) -> None:
        self._has_heard = False
        pause_s = _FIRST_PAUSE_S
        while not self._has_heard and not self._is_closing.is_set():
            signal.pthread_kill(self._main_thread, _KNOCK)
            self._is_closing.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
