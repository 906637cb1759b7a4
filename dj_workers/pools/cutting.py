"""Jobs of child processes that cannot be interrupted from within, as they are in native code.

Where their time is over, or their claim was taken from them, the process is killed. What becomes of the job
is recorded before that, and what else the process holds is given back, so that no key is blamed for it.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from dj_jobs import finish, run_elsewhere
from dj_jobs.events import Event, Events
from dj_jobs.job import Outcome, Worker
from dj_jobs.run import Runner
from dj_schema.errors import DataJointError
from dj_workers.pools.handle import GRACE_S, Child

log = logging.getLogger("datajoint.workers")

_MOST_SPARED = 3  # times that a job which is at its end gets a little longer


class Cutter:
    """Sees what the jobs of children have become, and ends what cannot be interrupted.

    Parameters
    ----------
    table : callable
        Returns a table by its ``schema.table``, on a connection of this process.
    """

    def __init__(self, table: Callable[[str], Any], events: Events, lease_s: float) -> None:
        self._table = table
        self._events = events
        self._next_look = 0.0
        self._interval_s = lease_s / 3

    # -- claims that are lost ----------------------------------------------------------------------

    def wait_s(self, children: Iterable[Child]) -> float | None:
        """Return in how many seconds `look` is to be called; None where nothing runs for long."""
        if not any(_is_busy(child) for child in children):
            return None
        return max(0.0, self._next_look - time.monotonic())

    def look(self, children: Iterable[Child]) -> None:
        """See at intervals whether the jobs that have run for as long are still ours.

        The child looks too, when it renews its leases, and interrupts its job. So it is killed only where
        it is at the same job after another interval.
        """
        now = time.monotonic()
        busy = [child for child in children if _is_busy(child)]
        if not busy or now < self._next_look:
            return
        for child in busy:
            if child.taken is None and now - child.heard >= self._interval_s:
                child.look_up()
        self._next_look = now + self._interval_s
        for child in busy:
            started = child.running
            if started is not None and child.taken is None and now - child.running_since >= self._interval_s:
                self._see(child, started, now + self._interval_s + GRACE_S)

    def _see(self, child: Child, started: Event, due_by: float) -> None:
        running_s = time.monotonic() - child.running_since
        try:
            child.taken = run_elsewhere.taken(self._runner(child, started), started, running_s)
        except DataJointError as e:
            log.warning("it cannot be seen whether %s is still ours: %s", started.key, e)
            return
        if child.taken is not None:
            child.due_by = due_by if child.due_by is None else min(child.due_by, due_by)

    # -- the end of a process ----------------------------------------------------------------------

    def cut(self, child: Child) -> None:
        """Kill a child whose job is overdue; a moment later where that job is just ending."""
        if child.end is None and child.running is not None:
            try:
                child.end = self._end_of(child, child.running, is_dead=False)
            except DataJointError as e:
                log.warning(
                    "what became of %s is recorded when its process is dead: %s", child.running.key, e
                )
            if child.end is None and child.n_spared < _MOST_SPARED:
                child.n_spared += 1
                child.due_by = time.monotonic() + GRACE_S
                return
        child.kill(signal.SIGKILL)

    def bury(self, child: Child) -> tuple[str, Outcome] | None:
        """Return what became of the job of a child that was killed for it, by its table.

        None also where the server is away, and cannot be told: it is rescued like that of any dead process.
        """
        started = child.running
        if started is None or not child.is_overdue:
            return None
        try:
            end = child.end or self._end_of(child, started, is_dead=True)
            assert end is not None
            if started.token is not None:
                finish.release_token(self._table(started.table).jobs, started.token)
        except DataJointError as e:
            log.warning("what process %d held is left to be rescued: %s", child.pid, e)
            end = child.end
        return None if end is None else (started.table, end)

    def _end_of(self, child: Child, started: Event, *, is_dead: bool) -> Outcome | None:
        runner = self._runner(child, started)
        end = child.taken
        if end is not None:
            runner.teller.ended(end, started.attempt, started.token)
        else:
            end = run_elsewhere.run_out(runner, started, is_dead=is_dead)
        if end is not None and started.token is not None and not is_dead:
            finish.release_free(runner.table.jobs, started.token)  # type: ignore[attr-defined]
        return end

    def _runner(self, child: Child, started: Event) -> Runner:
        worker = Worker(started.worker, socket.gethostname(), child.pid)
        return Runner(self._table(started.table), worker, self._events)


def _is_busy(child: Child) -> bool:
    return child.has_started and not child.is_idle
