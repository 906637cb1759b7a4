"""Waiting until an answer arrives, in steps of Python, so that what interrupts the thread is heard."""

from __future__ import annotations

import os
import select
import time

STEP_MS = 100  # what another thread raises in this one comes between two steps
_MOMENT_S = 100e-6  # of waiting awake
_SOON_S = 200e-6  # that an answer takes which may come in a moment, where the thread sleeps meanwhile


class Arrival:
    """Waits for what one socket brings.

    To sleep and be woken takes longer than a server needs for a short answer, and as much of the processor as
    to stay awake meanwhile. So after an answer that came soon, the next is awaited awake for a moment; not on
    a single core, which the server may need for it.

    Attributes
    ----------
    is_waiting : bool
        It waits now, or an interruption ended that, after which nobody reads on.
    """

    __slots__ = ("_comes_soon", "_poll", "_soon_s", "is_waiting")

    def __init__(self, descriptor: int) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        self._poll = poll.poll
        self._soon_s = _SOON_S if _n_cores() > 1 else 0.0
        self._comes_soon = False
        self.is_waiting = False

    def wait(self) -> None:
        """Return when there is something to read, or the socket is at its end, which reading tells."""
        self.is_waiting = True
        poll = self._poll
        start = time.perf_counter()
        if self._comes_soon:
            while not poll(0):
                if time.perf_counter() - start > _MOMENT_S:
                    break
            else:
                self.is_waiting = False
                return
        while not poll(STEP_MS):
            pass
        self._comes_soon = time.perf_counter() - start < self._soon_s
        self.is_waiting = False


def _n_cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
