"""`Worker`: computes the tables of a plan until it is told to stop, in this process or in several.

Who owns a job is the engine's to say. A worker goes over its tables in order: bring the jobs in line,
claim and compute until nothing is due. What it finishes makes it look again at what depends on that.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from dj_jobs import populate as populating
from dj_jobs.events import Event, Events, Kind
from dj_jobs.job import Outcome, Result
from dj_jobs.job_log import log_event
from dj_jobs.populate import Options
from dj_schema.errors import ConnectionRefusedByServerError, DataJointError, LostConnectionError
from dj_workers.plan import Plan, TableClass, check_makes, name_of, plan_of
from dj_workers.pools.budget import Budget
from dj_workers.pools.origin import ChildSetup
from dj_workers.shutdown import StoppedAtOnceError, StopRequests
from dj_workers.vitals import ENDS, Vitals

log = logging.getLogger("datajoint.workers")

FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_WITHOUT_SERVER_S = 60.0
DONE = (Result.SUCCESS, Result.EMPTY, Result.SKIP)


@dataclass(frozen=True)
class Work:
    """What a worker is to do.

    Attributes
    ----------
    is_once : bool
        End when nothing is left, rather than wait for more.
    idle_exit_s : float or None
        End when there was nothing to do for so long.
    max_calls : int or None
        Calls of `make` over all tables and processes.
    restrictions : tuple
        Of the key source of each table.
    """

    is_once: bool = False
    idle_exit_s: float | None = None
    max_calls: int | None = None
    poll_interval_s: float = 5.0
    restrictions: tuple[Any, ...] = ()
    priority: int | None = None
    make_kwargs: dict[str, Any] = field(default_factory=dict)

    def options(self, max_calls: int | None) -> Options:
        return Options(
            restrictions=self.restrictions,
            max_calls=max_calls,
            make_kwargs=self.make_kwargs,
            priority=self.priority,
            refresh=None,
            suppress_errors=True,
            reserve_jobs=True,
        )


@dataclass
class Tally:
    """How many keys ended how, by table.

    Attributes
    ----------
    broken : dict
        Tables that could not be worked on, with the reason.
    """

    by_table: dict[str, dict[Result, int]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def add(self, table: str, outcome: Outcome) -> None:
        counts = self.by_table.setdefault(table, {})
        counts[outcome.result] = counts.get(outcome.result, 0) + 1

    def count(self, *results: Result) -> int:
        return sum(counts.get(r, 0) for counts in self.by_table.values() for r in results)

    @property
    def has_failures(self) -> bool:
        return self.count(Result.ERROR) > 0 or bool(self.broken)


def one_pass(
    plan: Plan,
    due: Collection[str],
    options: Options,
    events: Events,
    should_stop: Callable[[], bool],
    broken: Callable[[str, str], None],
) -> Iterator[tuple[str, Outcome]]:
    """Go once over the tables that are due; where one yields rows, those that depend on it are due too.

    Yields
    ------
    (schema.table, outcome)
    """
    visit = set(due)
    left = options.max_calls
    for cls in plan.tables:
        name = name_of(cls)
        if name not in visit or should_stop() or left == 0:
            continue
        limited = options if left is None else replace(options, max_calls=left)
        try:
            for outcome in populating.reserved(cls(), limited, events, should_stop=should_stop):
                left = None if left is None else left - 1
                if outcome.result in DONE:
                    visit |= plan.downstream[name]
                yield name, outcome
        except (LostConnectionError, ConnectionRefusedByServerError):
            raise
        except DataJointError as e:
            log.error("cannot work on %s: %s", name, e)
            broken(name, f"{type(e).__name__}: {e}")


class Worker:
    """Computes tables until told to stop by SIGINT or SIGTERM, or by what `work` says.

    The first signal ends it after the running job, the second releases that job.

    Parameters
    ----------
    tables : iterable of table classes
        In any order.
    processes : int
        One computes in this process. More are children, and those that die are replaced.
    setup : callable, optional
        A function of a module, for what a child needs before it imports the modules of the tables.
    """

    def __init__(
        self,
        tables: Iterable[TableClass],
        work: Work | None = None,
        *,
        processes: int = 1,
        events: Events | None = None,
        setup: ChildSetup | None = None,
        vitals: Vitals | None = None,
    ) -> None:
        if processes < 1:
            raise DataJointError(f"processes must be at least 1, not {processes}.")
        tables = list(tables)
        check_makes(tables)
        self.plan = plan_of(tables)
        if not self.plan.tables:
            raise DataJointError("there is no computed or imported table to work on.")
        self.work = work or Work()
        self.processes = processes
        self.events = Events() if events is None else events
        self.events.subscribe(log_event)
        self.vitals = vitals or Vitals()
        self._setup = setup
        self.tally = Tally()
        self.was_stopped_at_once = False
        self._requests: StopRequests | None = None

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
        if self.processes > 1:
            return self._run_in_processes()
        shutdown_s = self.plan.tables[0]._schema.connection.config.jobs.shutdown_timeout
        self.events.subscribe(self._note)
        with StopRequests(interrupts=True, shutdown_timeout_s=shutdown_s) as self._requests:
            self.vitals.stop_is(self._requests.__bool__)
            try:
                self._loop(self._requests)
            except StoppedAtOnceError:
                self.was_stopped_at_once = True
        return self.tally

    def _run_in_processes(self) -> Tally:
        from dj_workers.fleet import Fleet

        with StopRequests() as self._requests:
            self.vitals.stop_is(self._requests.__bool__)
            fleet = Fleet(
                self.plan,
                self.work,
                self.processes,
                self.events,
                self._requests,
                self._broken,
                self._setup,
                self.vitals,
            )
            for table, outcome in fleet.run():
                self._take(table, outcome)
            self.was_stopped_at_once = self._requests.n > 1
        return self.tally

    def _take(self, table: str, outcome: Outcome) -> None:
        self.tally.add(table, outcome)

    def _broken(self, table: str, reason: str) -> None:
        self.tally.broken[table] = reason

    # -- in this process ---------------------------------------------------------------------------

    def _note(self, event: Event) -> None:
        if event.kind is Kind.CLAIMED:
            self.vitals.claimed(os.getpid(), event.n)
        elif event.kind in ENDS:
            self.vitals.ended(os.getpid())

    def _loop(self, requests: StopRequests) -> None:
        budget = Budget(self.work.max_calls, 1)
        idle_since = time.monotonic()
        pause_s = FIRST_PAUSE_S
        self.plan.tables[0]._schema.connection.ping()
        while not requests:
            self.vitals.busy(os.getpid())
            n_before = self.tally.count(*Result)
            is_answered = self._pass(requests, budget)
            self.vitals.idle(os.getpid())
            has_worked = self.tally.count(*Result) > n_before
            if self.work.is_once or budget.left == 0:
                return
            now = time.monotonic()
            if has_worked:
                idle_since, pause_s = now, FIRST_PAUSE_S
            elif self.work.idle_exit_s is not None and now - idle_since >= self.work.idle_exit_s:
                return
            longest_s = self.work.poll_interval_s if is_answered else _LONGEST_PAUSE_WITHOUT_SERVER_S
            wait_s = pause_s
            if self.work.idle_exit_s is not None:
                wait_s = min(wait_s, max(0.0, idle_since + self.work.idle_exit_s - now))
            requests.wait(wait_s)
            pause_s = min(pause_s * 2, longest_s)

    def _pass(self, requests: StopRequests, budget: Budget) -> bool:
        """Go over all tables; False where the server was away."""
        options = self.work.options(budget.left)
        try:
            outcomes = one_pass(
                self.plan, self.plan.names, options, self.events, lambda: bool(requests), self._broken
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
