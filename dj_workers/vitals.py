"""What the processes of a worker are doing: idle, between jobs, or in one; and which of them is stuck.

The worker's loop writes it, probes and metrics read it from other threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from dj_jobs.events import Kind

LOOP_S = 10.0  # in which a parent of processes shows that it is alive
_LOOP_IS_STUCK_S = 60.0
ENDS = frozenset(Kind) - {Kind.CLAIMED, Kind.STARTED, Kind.RESCUED}
"""Events that end a job, as far as this worker is concerned."""


@dataclass
class _Process:
    since: float
    is_idle: bool = False
    n_claimed: int = 0


class Vitals:
    """The state of each process, by its number.

    Parameters
    ----------
    stuck_after_s : float
        A process that neither idles nor has a job is stuck after so long: a statement that hangs, say.
    job_stuck_after_s : float or None
        A job that takes longer is stuck; None for jobs of any length.
    exists : callable, optional
        Whether a process is there: for pools that do not tell of the end of a process.
    """

    def __init__(
        self,
        stuck_after_s: float = 900.0,
        job_stuck_after_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        exists: Callable[[int], bool] | None = None,
    ) -> None:
        self._exists = exists
        self._stuck_after_s = stuck_after_s
        self._job_stuck_after_s = job_stuck_after_s
        self._clock = clock
        self._lock = threading.Lock()
        self._processes: dict[int, _Process] = {}
        self._last_beat: float | None = None  # only of a worker with children
        self._on_death: list[Callable[[], object]] = []
        self.last_progress = time.time()
        self._is_stopping: Callable[[], bool] = lambda: False

    # -- told by the loop --------------------------------------------------------------------------

    def stop_is(self, asked: Callable[[], bool]) -> None:
        """Have `is_stopping` answer what this says."""
        self._is_stopping = asked

    def beat(self) -> None:
        """The loop that leads the children is alive."""
        self._last_beat = self._clock()

    def _set(self, pid: int, is_idle: bool, n_claimed: int) -> None:
        with self._lock:
            self._processes[pid] = _Process(self._clock(), is_idle, n_claimed)
        self.last_progress = time.time()

    def busy(self, pid: int) -> None:
        """The process looks for work."""
        self._set(pid, False, 0)

    def claimed(self, pid: int, n: int) -> None:
        """The process has claimed so many jobs, and computes the first."""
        self._set(pid, False, n)

    def ended(self, pid: int, n: int = 1) -> None:
        """The process has ended one of its jobs, or given several back."""
        known = self._processes.get(pid)
        self._set(pid, False, max(0, known.n_claimed - n) if known is not None else 0)

    def idle(self, pid: int) -> None:
        """The process has found nothing to do."""
        self._set(pid, True, 0)

    def gone(self, pid: int, *, is_unexpected: bool) -> None:
        """The process has ended."""
        with self._lock:
            self._processes.pop(pid, None)
        if is_unexpected:
            for told in self._on_death:
                told()

    def on_death(self, call: Callable[[], object]) -> None:
        """Have this called with each unexpected end of a process."""
        self._on_death.append(call)

    # -- read by others ----------------------------------------------------------------------------

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping()

    @property
    def n_idle(self) -> int:
        return sum(p.is_idle for p in self._now().values())

    @property
    def n_busy(self) -> int:
        return sum(not p.is_idle for p in self._now().values())

    def _now(self) -> dict[int, _Process]:
        if self._exists is not None:
            for pid in [pid for pid in list(self._processes) if not self._exists(pid)]:
                self.gone(pid, is_unexpected=True)
        with self._lock:
            return dict(self._processes)

    def stuck(self) -> str | None:
        """Say what is stuck, or None."""
        now = self._clock()
        if self._last_beat is not None and not self.is_stopping and now - self._last_beat > _LOOP_IS_STUCK_S:
            return f"the worker has not looked at its processes for {now - self._last_beat:.0f} s"
        for pid, process in self._now().items():
            for_s = now - process.since
            if process.is_idle:
                continue
            if process.n_claimed == 0 and for_s > self._stuck_after_s:
                return f"process {pid} has been looking for work for {for_s:.0f} s"
            most_s = self._job_stuck_after_s
            if process.n_claimed and most_s is not None and for_s > most_s:
                return f"process {pid} has been at one job for {for_s:.0f} s"
        return None
