"""`Worker`: computes the tables of a plan until it is told to stop, in this process or in several.

Who owns a job is the engine's to say. A worker goes over its tables in order: bring the jobs in line,
claim and compute until nothing is due. What it finishes makes it look again at what depends on that.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dj_jobs.arguments import whole
from dj_jobs.events import Event, Events, Kind
from dj_jobs.job import Outcome, Result
from dj_jobs.job import Worker as Identity
from dj_jobs.job_log import log_event
from dj_jobs.presence import Presence
from dj_schema.connection import Connection
from dj_schema.errors import ConnectionRefusedByServerError, DataJointError, LostConnectionError
from dj_schema.settings import Config
from dj_workers.host_clock import warn_of_clock
from dj_workers.lookout import Lookout, is_idle_enough
from dj_workers.plan import TableClass, check_makes, plan_of
from dj_workers.pools.budget import Budget
from dj_workers.pools.origin import ChildSetup
from dj_workers.progress_log import told_in_log
from dj_workers.shutdown import StoppedAtOnceError, StopRequests, told_on_request
from dj_workers.steps import Step, Steps
from dj_workers.vitals import ENDS, Vitals
from dj_workers.work import Tally, Work, one_pass
from dj_workers.workings import report

if TYPE_CHECKING:
    from dj_workers.fleet import Fleet

log = logging.getLogger("datajoint.workers")

_LONGEST_NAME = 200  # columns have 255, for a process number behind it too


def check_name(name: str | None) -> None:
    """Raise `DataJointError` where a worker cannot have this name."""
    if name is not None and not (name.strip() and name.isprintable() and len(name) <= _LONGEST_NAME):
        raise DataJointError(
            f"the name of a worker has 1 to {_LONGEST_NAME} characters that can be printed: logs show "
            f"it, and operators drain it by that; this one is {name[:_LONGEST_NAME]!r}."
        )


class Worker:
    """Computes tables until told to stop by SIGINT or SIGTERM, or by what `work` says.

    The first signal ends it after the running jobs, those that take longer than the shutdown timeout are
    released, and a second signal releases all at once. SIGUSR1 has it print what it is doing.

    Parameters
    ----------
    tables : iterable of table classes
        In any order. Plain functions among them are steps, called every minute; `Step` says how often.
    processes : int
        One computes in this process. More are children, and those that die are replaced.
    name : str, optional
        What operators call it, in the registry and with `drain`; by default host and process number.
    setup : callable, optional
        A function of a module, for what a child needs before it imports the modules of the tables.
    """

    def __init__(
        self,
        tables: Iterable[TableClass | Step | Callable[[], Any]],
        work: Work | None = None,
        *,
        processes: int = 1,
        name: str | None = None,
        events: Events | None = None,
        setup: ChildSetup | None = None,
        vitals: Vitals | None = None,
    ) -> None:
        processes = whole("processes", processes, 1)
        check_name(name)
        classes, steps = _sorted_out(tables)
        check_makes(classes)
        self.plan = plan_of(classes)
        work = work or Work()
        self.work = replace(work, steps=(*work.steps, *steps))
        if not self.plan.tables and not self.work.steps:
            raise DataJointError("there is no computed or imported table to work on.")
        if self.work.is_once and self.work.is_drain:
            raise DataJointError("is_once ends sooner than is_drain; give one of them.")
        self.processes = processes
        self.identity = Identity.of_this_process(name)
        self.events = Events() if events is None else events
        self.events.subscribe(log_event)
        self.vitals = vitals or Vitals()
        self._setup = setup
        self.tally = Tally()
        self.was_stopped_at_once = False
        self.presence: Presence | None = None
        self._requests: StopRequests | None = None
        self._fleet: Fleet | None = None
        self._started = time.monotonic()

    @property
    def connection(self) -> Connection | None:
        """That of the tables; None for a worker that has steps only."""
        return self.plan.tables[0]._schema.connection if self.plan.tables else None

    def stop(self) -> None:
        """Have `run` end after the running job; from another thread, or a subscriber."""
        if self._requests is not None:
            self._requests.request()

    def run(self) -> Tally:
        """Work, and return what was done.

        Raises
        ------
        LostConnectionError, ConnectionRefusedByServerError
            Where the server is away at the start or, with `is_once`, at any time. Else it is waited for.
        """
        self._started = time.monotonic()
        if self.connection is None:
            with told_in_log(self), told_on_request(self._report):
                return self._run_steps_only()
        self.connection.ping()
        warn_of_clock(self.connection)
        tables = [cls._class_info.full_name for cls in self.plan.tables]
        self.presence = Presence(self.connection, self.identity, tables, processes=self.processes)
        if not self.work.is_once:
            self.presence.beat(self.connection)
        try:
            with told_in_log(self), told_on_request(self._report):
                return self._run_in_processes() if self.has_children else self._run_here(self.presence)
        finally:
            self.presence.leave(self.connection)

    @property
    def has_begun(self) -> bool:
        """Whether `run` takes signals as requests, or did."""
        return self._requests is not None

    @property
    def why_it_ended(self) -> str:
        """What ended `run`, in words."""
        if self.was_stopped_at_once:
            return "stopped at once by a second signal"
        if self._requests is not None and self._requests.first is not None:
            return f"stopped by {self._requests.first.name}"
        if self._requests:
            return "stopped by its program"
        if self.presence is not None and self.presence.is_draining:
            return "an operator had it drain"
        if self._left_s() <= 0:
            return "its time is over"
        if self.work.max_calls is not None and self.tally.count(*Result) >= self.work.max_calls:
            return "it has made its calls"
        return "nothing is left to do" if self.work.is_once or self.work.is_drain else "no work came any more"

    @property
    def has_children(self) -> bool:
        limits = (self.work.max_tasks_per_child, self.work.max_memory_mb)
        return self.processes > 1 or any(limit is not None for limit in limits)

    def _stop_requests(self, *, interrupts: bool = False) -> StopRequests:
        config = Config.load() if self.connection is None else self.connection.config
        return StopRequests(interrupts=interrupts, shutdown_timeout_s=self.work.grace_s(config))

    def _run_here(self, presence: Presence) -> Tally:
        assert self.connection is not None
        self.events.subscribe(self._note)
        with self._stop_requests(interrupts=True) as self._requests:
            self.vitals.stop_is(self._requests.__bool__)
            lookout = Lookout(self.plan, self.work, presence)
            try:
                self._loop(self._requests, lookout, presence)
            except StoppedAtOnceError:
                self.was_stopped_at_once = self._requests.is_urgent
            finally:
                lookout.close()
        return self.tally

    def _report(self) -> str:
        if self._fleet is not None:
            self._fleet.have_children_tell()
        return report(self)

    def _run_in_processes(self) -> Tally:
        from dj_workers.fleet import Fleet

        assert self.presence is not None
        with self._stop_requests() as self._requests:
            self.vitals.stop_is(self._requests.__bool__)
            self._fleet = fleet = Fleet(
                self.plan,
                self.work,
                self.processes,
                self.events,
                self._requests,
                self.tally.is_broken,
                self.presence,
                self._setup,
                self.vitals,
            )
            for table, outcome in fleet.run():
                self._take(table, outcome)
            self.was_stopped_at_once = self._requests.is_urgent
        return self.tally

    def _take(self, table: str, outcome: Outcome) -> None:
        self.tally.add(table, outcome)

    # -- in this process ---------------------------------------------------------------------------

    def _note(self, event: Event) -> None:
        if event.kind is Kind.CLAIMED:
            self.vitals.claimed(os.getpid(), event.n)
        elif event.kind in ENDS:
            self.vitals.ended(os.getpid(), event.n)

    def _loop(self, requests: StopRequests, lookout: Lookout, presence: Presence) -> None:
        work = self.work
        budget = Budget(work.max_calls, 1)
        steps = Steps(work.steps, self.connection, self.plan.tables[0]._class_info.schema)
        due = set(self.plan.names)
        idle_since = time.monotonic()
        lookout.listen()
        while not self._has_to_end(requests, presence):
            n_before = self.tally.count(*Result)
            if self._run_steps(steps, requests):
                lookout.called_step()
            if due:
                self.vitals.busy(os.getpid())
                if not self._pass(due, requests, budget, presence):
                    lookout.lost()
                self.vitals.idle(os.getpid())
            if work.is_once or budget.left == 0:
                return
            if self.tally.count(*Result) > n_before:
                idle_since = time.monotonic()
                lookout.worked()
            elif due:
                lookout.idled()
            if not due and is_idle_enough(work, lookout, time.monotonic() - idle_since):
                return
            wait_s = min(self._left_s(), lookout.wait_s(), *_some(steps.wait_s()))
            if work.idle_exit_s is not None:
                wait_s = min(wait_s, max(0.0, idle_since + work.idle_exit_s - time.monotonic()))
            requests.wait(wait_s, lookout.filenos())
            due = set() if requests else lookout.due()

    def _left_s(self) -> float:
        most_s = self.work.run_duration_s
        return float("inf") if most_s is None else max(0.0, self._started + most_s - time.monotonic())

    def _has_to_end(self, requests: StopRequests, presence: Presence | None) -> bool:
        return bool(requests) or self._left_s() <= 0 or (presence is not None and presence.is_draining)

    def _pass(self, due: set[str], requests: StopRequests, budget: Budget, presence: Presence) -> bool:
        """Go over the tables; False where the server was away."""
        options = self.work.options(budget.left)
        try:
            outcomes = one_pass(
                self.plan,
                due,
                options,
                self.events,
                lambda: self._has_to_end(requests, presence),
                self.tally.is_broken,
                presence,
            )
            for table, outcome in outcomes:
                if budget.left is not None:
                    budget.left -= 1
                self._take(table, outcome)
        except (LostConnectionError, ConnectionRefusedByServerError) as e:
            if self.work.is_once:
                raise
            log.warning("the server is away, it is asked again soon: %s", e)
            return False
        return True

    # -- steps -------------------------------------------------------------------------------------

    def _run_steps(self, steps: Steps, requests: StopRequests) -> bool:
        """Call the steps that are due; return whether there were any."""
        n_called = 0
        for step, error in steps.run_due(lambda: bool(requests)):
            if error is not None:
                self.tally.broken[step.name] = error
            else:
                self.tally.broken.pop(step.name, None)
            n_called += 1
        return n_called > 0

    def _run_steps_only(self) -> Tally:
        steps = Steps(self.work.steps)
        with self._stop_requests(interrupts=True) as self._requests:
            try:
                while not self._has_to_end(self._requests, None):
                    self._run_steps(steps, self._requests)
                    if self.work.is_once or self.work.is_drain:
                        break
                    self._requests.wait(min(self._left_s(), *_some(steps.wait_s())))
            except StoppedAtOnceError:
                self.was_stopped_at_once = self._requests.is_urgent
        return self.tally


def _sorted_out(given: Iterable[Any]) -> tuple[list[TableClass], list[Step]]:
    classes: list[TableClass] = []
    steps: list[Step] = []
    for item in given:
        if isinstance(item, Step):
            steps.append(item)
        elif isinstance(item, type):
            classes.append(item)
        else:
            steps.append(Step(item))
    return classes, steps


def _some(value: float | None) -> list[float]:
    return [] if value is None else [value]
