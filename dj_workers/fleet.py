"""A worker of several processes: children go over the tables when told, what one finishes wakes the rest."""

from __future__ import annotations

import logging
import math
import pickle
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dj_jobs.events import Event, Events, Kind
from dj_jobs.job import Outcome
from dj_jobs.presence import Activity, Presence
from dj_schema.connection import Connection
from dj_workers.fleet_child import Task, work_in_child, work_in_fork
from dj_workers.lookout import Lookout, is_idle_enough
from dj_workers.plan import Plan, name_of
from dj_workers.pools import handle
from dj_workers.pools.budget import Allotment, Budget
from dj_workers.pools.child import Start
from dj_workers.pools.handle import Child
from dj_workers.pools.memory import resident_mb
from dj_workers.pools.messages import Broken, CallStep, Doing, Pass, Report, StepCalled
from dj_workers.pools.origin import ChildSetup, bound_classes, origin_of
from dj_workers.pools.supervise import Supervisor
from dj_workers.shutdown import StopRequests
from dj_workers.steps import Steps
from dj_workers.vitals import LOOP_S, Vitals
from dj_workers.work import DONE, FIRST_PAUSE_S, Work

log = logging.getLogger("datajoint.workers")

_LONGEST_PAUSE_BEFORE_KNOWN_WORK_S = 1.0
_MEMORY_LOOK_S = 0.5


@dataclass
class _Watch:
    """When a child is to look again, and at what.

    Attributes
    ----------
    due : set of str
        Tables that may have work; all of them before the first look.
    """

    due: set[str]
    grant: Allotment | None = None
    pause_s: float = FIRST_PAUSE_S
    idle_at: float = -math.inf


class Fleet(Supervisor):
    """The children of a worker.

    They stay when there is nothing to do. With `work.is_once` all end when none has anything left.
    """

    ENDS_IDLE_CHILDREN = False

    def __init__(
        self,
        plan: Plan,
        work: Work,
        n: int,
        events: Events,
        requests: StopRequests,
        broken: Callable[[str, str], None],
        presence: Presence,
        setup: ChildSetup | None = None,
        vitals: Vitals | None = None,
    ) -> None:
        self._connection: Connection = plan.tables[0]._schema.connection
        super().__init__(n, events, requests, float(self._connection.config.jobs.lease_timeout))
        self.vitals = vitals or Vitals()
        self.plan = plan
        self.work = work
        self._broken = broken
        self._setup = setup
        self._budget = Budget(work.max_calls, n)
        self._started = self._last_work = time.monotonic()
        self._presence = presence
        self._lookout = Lookout(plan, work, presence)
        self._steps = Steps(work.steps)
        self._next_memory_look = 0.0
        found = [origin_of(cls) for cls in plan.tables]
        self._origins = [o for o in found if o is not None]
        self._has_to_fork = len(self._origins) < len(found)

    # -- children ----------------------------------------------------------------------------------

    def start(self, replaces: Child | None) -> Child:
        dead = None if replaces is None else replaces.pid
        if self._has_to_fork:
            name = self._presence.worker.name
            argument = (self.plan, self.work, name, dead)
            child = handle.fork(work_in_fork, argument, self.children, self.requests.shutdown_timeout_s)
        else:
            task = Task(self._origins, bound_classes(), self.work, self._presence.worker.name, dead)
            main_path = next((o.main_path for o in self._origins if o.main_path), None)
            payload = pickle.dumps((work_in_child, (self._setup, self._connection, pickle.dumps(task))))
            limit_s = self.requests.shutdown_timeout_s
            child = handle.spawn(Start(list(sys.argv), main_path, payload, limit_s), "dj-worker")
        child.grant = _Watch(set(self.plan.names))
        self.vitals.busy(child.pid)
        return child

    def table(self, name: str) -> Any:
        return next(cls() for cls in self.plan.tables if name_of(cls) == name)

    def became_idle(self, child: Child) -> None:
        self.vitals.idle(child.pid)
        watch: _Watch = child.grant
        grant, watch.grant = watch.grant, None
        if grant is None:
            return  # it has just started, or called a step
        watch.idle_at = time.monotonic()
        longest_s = _LONGEST_PAUSE_BEFORE_KNOWN_WORK_S
        watch.pause_s = FIRST_PAUSE_S if grant.n_done else min(watch.pause_s * 2, longest_s)
        if not grant.n_done:
            self._lookout.idled()
        if self._budget.give_back(grant):
            watch.due = set(self.plan.names)  # it ended for want of calls, not of work

    def order(self, child: Child) -> Pass | CallStep | None:
        most = self.work.max_tasks_per_child
        if most is not None and child.n_done >= most:
            self.retire(child)
            return None
        if (number := self._steps.take_due()) is not None:
            self.vitals.busy(child.pid)
            return CallStep(number)
        watch: _Watch = child.grant
        if self._wait_of(watch) > 0:
            return None
        watch.grant = self._budget.take()
        if watch.grant is None:
            return None
        due = sorted(watch.due)
        watch.due = set()
        self.vitals.busy(child.pid)
        n_calls = watch.grant.n_calls
        if most is not None:
            n_calls = min(most - child.n_done, most if n_calls is None else n_calls)
        return Pass(due, n_calls)

    def _wait_of(self, watch: _Watch) -> float:
        """In how many seconds a child is to look again."""
        return watch.idle_at + watch.pause_s - time.monotonic() if watch.due else math.inf

    # -- what happens ------------------------------------------------------------------------------

    def noted(self, child: Child, event: Event) -> None:
        if event.kind is Kind.CLAIMED:
            self.vitals.claimed(child.pid, event.n)
        elif event.kind is Kind.STARTED and event.key is not None:
            self._presence.begins(event.table, event.key, child.pid)

    def ended(self, child: Child, *, is_unexpected: bool) -> None:
        self._presence.ends(child.pid)
        if child.is_retiring and child.grant.grant is not None and not is_unexpected:
            self._budget.give_back(child.grant.grant)
        self.vitals.gone(child.pid, is_unexpected=is_unexpected)

    def reported(self, child: Child, report: Report, outcome: Outcome) -> None:
        self.vitals.ended(child.pid)
        self._presence.ends(child.pid)
        self._presence.count(report.table, outcome)
        self._lookout.worked()
        watch: _Watch = child.grant
        if watch.grant is not None:
            watch.grant.n_done += 1
        self._last_work = time.monotonic()
        woken = {report.table}
        if outcome.result in DONE:
            woken |= self.plan.downstream[report.table]
        for other in self.children:
            if other is not child:
                other.grant.due |= woken

    def lost(self, child: Child) -> list[tuple[str, Outcome]]:
        watch: _Watch = child.grant
        if watch.grant is not None:
            watch.grant.n_done += 1  # the call that it died in
            self._budget.give_back(watch.grant)
        return []

    def told(self, child: Child, message: Any) -> None:
        if isinstance(message, Broken):
            self._broken(message.table, message.reason)
        elif isinstance(message, Doing):
            self._presence.running[child.pid] = Activity(message.table, message.key, message.since)
        elif isinstance(message, StepCalled):
            self._lookout.called_step()
            if message.error is not None:
                self._broken(message.name, message.error)
        else:
            super().told(child, message)

    def filenos(self) -> list[int]:
        return self._lookout.filenos()

    def timeout_s(self) -> float | None:
        can_give = self._budget.left != 0
        idle = [c for c in self.children if c.is_idle]
        waits = [LOOP_S, *(self._wait_of(c.grant) for c in idle if can_give)]
        if idle and not self.work.is_once:
            waits.append(self._lookout.wait_s())
            waits += [s for s in [self._steps.wait_s()] if s is not None]
        if self.work.max_memory_mb is not None and len(idle) < len(self.children):
            waits.append(_MEMORY_LOOK_S)
        now = time.monotonic()
        if self.work.idle_exit_s is not None:
            waits.append(self._last_work + self.work.idle_exit_s - now)
        if self.work.run_duration_s is not None:
            waits.append(self._started + self.work.run_duration_s - now)
        return max(0.0, min(waits))

    def woke(self) -> None:
        self.vitals.beat()
        are_idle = all(c.is_idle for c in self.children)
        if not are_idle and self._presence.due_in_s(is_idle=False) <= 0:
            self._presence.beat(self._connection)
        self._look()
        self._replace_large()
        for child in self.children:
            if child.is_idle:
                self.give(child)
        if self._has_to_end() or (all(c.is_idle for c in self.children) and self._is_over()):
            self.stop()

    def _look(self) -> None:
        """Find work for those that are idle; the others look for themselves when they are done."""
        if self.work.is_once or not any(c.is_idle for c in self.children):
            self._lookout.hear()
            return
        if due := self._lookout.due():
            for child in self.children:
                child.grant.due |= due

    def _replace_large(self) -> None:
        most_mb = self.work.max_memory_mb
        if most_mb is None or time.monotonic() < self._next_memory_look:
            return
        self._next_memory_look = time.monotonic() + _MEMORY_LOOK_S
        for child in self.children:
            if child.has_started and not child.is_retiring and (resident_mb(child.pid) or 0.0) > most_mb:
                log.info(
                    "worker process %d holds more than %g MB; another takes its place", child.pid, most_mb
                )
                self.retire(child)

    def _has_to_end(self) -> bool:
        most_s = self.work.run_duration_s
        is_late = most_s is not None and time.monotonic() - self._started >= most_s
        return is_late or self._presence.is_draining

    def _is_over(self) -> bool:
        if self._budget.left == 0:
            return True
        if any(c.grant.due or c.is_retiring for c in self.children):
            return False
        if self.work.is_once:
            return True
        return is_idle_enough(self.work, self._lookout, time.monotonic() - self._last_work)

    def have_children_tell(self) -> None:
        """Have each child print what it computes, too."""
        for child in self.children:
            if child.has_started:
                child.kill(signal.SIGUSR1)

    def stop(self) -> None:
        super().stop()
        self._lookout.close()
