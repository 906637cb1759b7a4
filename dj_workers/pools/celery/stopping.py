"""How a Celery worker stops: no more claims at once, what ends in time ends, the rest is released.

The main process tells its pool by a byte of shared memory, which needs no lock and outlives nobody. After
`jobs.shutdown_timeout` it sends SIGTERM to the processes that still compute; there it becomes an exception
that has the engine release the job, and the message is at an end as well.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from dj_workers.shutdown import StoppedAtOnceError, end_by_default

log = logging.getLogger("datajoint.workers")

_AGAIN_S = 2.0  # until a process that has missed the signal gets another


class StopFlag:
    """Set once, for this process and all that it has forked or will fork."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._shared[0] = 1

    def __bool__(self) -> bool:
        return self._shared[0] != 0


@contextmanager
def released_by_sigterm() -> Iterator[None]:
    """Have SIGTERM raise `StoppedAtOnceError` in the block, where this process is one of a pool.

    In the main process, and in threads, signals stay Celery's.
    """
    if not _is_pool_process() or threading.current_thread() is not threading.main_thread():
        yield
        return
    pid = os.getpid()

    def on_terminate(number: int, _: FrameType | None) -> None:
        if os.getpid() != pid:  # a process that a make has forked
            end_by_default(number)
            return
        signal.signal(number, signal.SIG_IGN)
        raise StoppedAtOnceError

    before = signal.signal(signal.SIGTERM, on_terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_pool_process() -> bool:
    from billiard.process import current_process

    return bool(current_process().name != "MainProcess")


def stop_at_once_after(timeout_s: float, running_pids: Callable[[], list[int]]) -> None:
    """Interrupt what still runs after so long, again and again until nothing does."""

    def wait_and_interrupt() -> None:
        time.sleep(timeout_s)
        while pids := running_pids():
            log.warning("%d jobs have not ended within %g s; they are released", len(pids), timeout_s)
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGTERM)
                except ProcessLookupError:
                    continue
            time.sleep(_AGAIN_S)

    threading.Thread(target=wait_and_interrupt, name="datajoint-shutdown", daemon=True).start()


def pids_of_running_tasks() -> list[int]:
    """The processes of this worker's pool that compute now."""
    from celery.worker import state

    requests: list[Any] = list(state.active_requests)
    return sorted({r.worker_pid for r in requests if r.worker_pid and r.worker_pid != os.getpid()})
