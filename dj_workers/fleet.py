"""A worker of several processes: children go over the tables when told, what one finishes wakes the rest."""

from __future__ import annotations

import logging
import math
import pickle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from dj_jobs.events import Event, Events, Kind
from dj_jobs.job import Outcome
from dj_schema.connection import Connection
from dj_schema.errors import ConnectionRefusedByServerError, LostConnectionError
from dj_workers.daemon import DONE, FIRST_PAUSE_S, Work, one_pass
from dj_workers.plan import Plan, TableClass, name_of, plan_of
from dj_workers.pools import handle
from dj_workers.pools.budget import Allotment, Budget
from dj_workers.pools.child import Post, Start
from dj_workers.pools.handle import Child
from dj_workers.pools.messages import Broken, Pass, Report
from dj_workers.pools.origin import Bound, ChildSetup, Origin, bound_classes, find, origin_of, take_over
from dj_workers.pools.rescue import after_death
from dj_workers.pools.supervise import Supervisor
from dj_workers.shutdown import StopRequests
from dj_workers.vitals import LOOP_S, Vitals

log = logging.getLogger("datajoint.workers")

_LONGEST_PAUSE_BEFORE_KNOWN_WORK_S = 1.0


@dataclass(frozen=True)
class _Task:
    origins: list[Origin]
    bound: Bound
    work: Work
    replaces: int | None


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
        setup: ChildSetup | None = None,
        vitals: Vitals | None = None,
    ) -> None:
        settings = plan.tables[0]._schema.connection.config.jobs
        super().__init__(n, events, requests, settings.shutdown_timeout)
        self.vitals = vitals or Vitals()
        self.plan = plan
        self.work = work
        self._broken = broken
        self._setup = setup
        self._budget = Budget(work.max_calls, n)
        self._last_work = time.monotonic()
        found = [origin_of(cls) for cls in plan.tables]
        self._origins = [o for o in found if o is not None]
        self._has_to_fork = len(self._origins) < len(found)

    # -- children ----------------------------------------------------------------------------------

    def start(self, replaces: Child | None) -> Child:
        dead = None if replaces is None else replaces.pid
        if self._has_to_fork:
            child = handle.fork(_work_in_fork, (self.plan, self.work, dead), self.children)
        else:
            connection = self.plan.tables[0]._schema.connection
            task = _Task(self._origins, bound_classes(), self.work, dead)
            main_path = next((o.main_path for o in self._origins if o.main_path), None)
            payload = pickle.dumps((_work, (self._setup, connection, pickle.dumps(task))))
            child = handle.spawn(Start(list(sys.argv), main_path, payload), "dj-worker")
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
            return  # it has just started
        watch.idle_at = time.monotonic()
        watch.pause_s = FIRST_PAUSE_S if grant.n_done else min(watch.pause_s * 2, self.work.poll_interval_s)
        if self._budget.give_back(grant):
            watch.due = set(self.plan.names)  # it ended for want of calls, not of work

    def order(self, child: Child) -> Pass | None:
        watch: _Watch = child.grant
        if self._wait_of(watch) > 0:
            return None
        watch.grant = self._budget.take()
        if watch.grant is None:
            return None
        due = sorted(watch.due or self.plan.names)
        watch.due = set()
        self.vitals.busy(child.pid)
        return Pass(due, watch.grant.n_calls)

    def _wait_of(self, watch: _Watch) -> float:
        """In how many seconds a child is to look again."""
        if watch.due:
            pause_s = min(watch.pause_s, _LONGEST_PAUSE_BEFORE_KNOWN_WORK_S)
        elif self.work.is_once:
            return math.inf
        else:
            pause_s = watch.pause_s
        return watch.idle_at + pause_s - time.monotonic()

    # -- what happens ------------------------------------------------------------------------------

    def noted(self, child: Child, event: Event) -> None:
        if event.kind is Kind.CLAIMED:
            self.vitals.claimed(child.pid, event.n)

    def ended(self, child: Child, *, is_unexpected: bool) -> None:
        self.vitals.gone(child.pid, is_unexpected=is_unexpected)

    def reported(self, child: Child, report: Report, outcome: Outcome) -> None:
        self.vitals.ended(child.pid)
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
        else:
            super().told(child, message)

    def timeout_s(self) -> float | None:
        can_give = self._budget.left != 0
        waits = [LOOP_S, *(self._wait_of(c.grant) for c in self.children if c.is_idle and can_give)]
        if self.work.idle_exit_s is not None:
            waits.append(self._last_work + self.work.idle_exit_s - time.monotonic())
        return max(0.0, min(waits))

    def woke(self) -> None:
        self.vitals.beat()
        for child in self.children:
            if child.is_idle:
                self.give(child)
        if all(c.is_idle for c in self.children) and self._is_over():
            self.stop()

    def _is_over(self) -> bool:
        if self._budget.left == 0:
            return True
        if self.work.is_once and not any(c.grant.due for c in self.children):
            return True
        idle_exit_s = self.work.idle_exit_s
        return idle_exit_s is not None and time.monotonic() - self._last_work >= idle_exit_s


# -- in a child ------------------------------------------------------------------------------------


def _work(post: Post, argument: tuple[ChildSetup | None, Connection, bytes]) -> None:
    setup, connection, data = argument
    if setup is not None:
        setup(connection)
    task: _Task = pickle.loads(data)
    classes = [find(origin) for origin in task.origins]
    for cls in classes:
        connection = take_over(cls, task.bound, connection)
    _go_over(post, plan_of(cast("list[TableClass]", classes)), task.work, task.replaces)
    connection.close()


def _work_in_fork(post: Post, argument: tuple[Plan, Work, int | None]) -> None:
    _go_over(post, *argument)


def _go_over(post: Post, plan: Plan, work: Work, replaces: int | None) -> None:
    if replaces is not None:
        for cls in plan.tables:
            for outcome in after_death(cls(), replaces, post.events):
                post.report(name_of(cls), outcome)
    for order in post.orders:
        options = work.options(order.n_calls)
        outcomes = one_pass(
            plan,
            order.due,
            options,
            post.events,
            post.orders.should_stop,
            lambda table, reason: post.send(Broken(table, reason)),
        )
        try:
            for table, outcome in outcomes:
                post.report(table, outcome)
        except (LostConnectionError, ConnectionRefusedByServerError) as e:
            if work.is_once:
                raise
            log.warning("the server is away, it is asked again soon: %s", e)
