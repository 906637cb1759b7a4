"""`populate(processes=n)`: one table computed by several child processes of this one."""

from __future__ import annotations

import pickle
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from dj_jobs import populate as populating
from dj_jobs.events import Events
from dj_jobs.job import Key, Outcome, Result, Worker
from dj_jobs.keys import missing_keys
from dj_jobs.options import Options
from dj_jobs.refresh import refresh_once
from dj_jobs.rescue import rescue
from dj_jobs.telling import Teller
from dj_query.user_table import UserTable
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError, JobError
from dj_workers.host_clock import warn_of_clock_once
from dj_workers.pools import handle
from dj_workers.pools.budget import Budget
from dj_workers.pools.child import Post, Start, dump_without, load_with
from dj_workers.pools.handle import Child
from dj_workers.pools.messages import Claiming, Keys, Report
from dj_workers.pools.origin import Bound, ChildSetup, Origin, bound_classes, find, origin_of, take_over
from dj_workers.pools.rescue import after_death
from dj_workers.pools.supervise import Supervisor
from dj_workers.shutdown import StopRequests

_BATCH_S = 0.25  # of work is given in one go, in direct mode
_LARGEST_BATCH = 200


def populate_in_processes(
    table: Any, options: Options, processes: int, events: Events, setup: ChildSetup | None = None
) -> Iterator[Outcome]:
    """Compute what is missing in child processes; with jobs, refreshed once and here.

    Parameters
    ----------
    table : AutoPopulate
        Unrestricted.
    processes : int
        At most so many; no more than there are keys.
    setup : callable, optional
        A function of a module, for what a child needs before it imports the table's module.

    Yields
    ------
    Outcome
        As they come; with `suppress_errors` off the first error comes last, when all children have ended.

    Raises
    ------
    DataJointError
        Where another process cannot find the table's class, or not import its module.
    KeyboardInterrupt
        After SIGINT, once the running jobs are done or time is over; after a second one, at once.
    """
    if options.reserve_jobs:
        warn_of_clock_once(table.connection)
    origin = origin_of(type(table))
    count = _reserved if options.reserve_jobs else _direct
    n_keys, tasks = count(table, options, processes, events)
    n = min(processes, n_keys)
    if n == 0:
        return
    shutdown_s = table.connection.config.jobs.shutdown_timeout
    with StopRequests(shutdown_timeout_s=shutdown_s) as requests:
        team = _Team(table, options, origin, tasks, setup, n, events, requests)
        yield from _until_error(team, options)
    requests.repeat()


def _until_error(team: _Team, options: Options) -> Iterator[Outcome]:
    first_error: Outcome | None = None
    outcomes = team.run()
    for _, outcome in outcomes:
        if outcome.result is Result.ERROR and not options.suppress_errors:
            team.stop()
            first_error = first_error or outcome
        else:
            yield outcome
    if first_error is not None:
        yield first_error


def _reserved(table: Any, options: Options, processes: int, events: Events) -> tuple[int, _Tasks]:
    wants_refresh = table.connection.config.jobs.auto_refresh if options.refresh is None else options.refresh
    n_rescued = refresh_once(table.jobs, options.restrictions) if wants_refresh else rescue(table.jobs)
    if n_rescued:
        Teller(table.table_id, Worker.of_this_process().name, events).rescued(n_rescued)
    waiting = populating.restricted_jobs(table.jobs, options.restrictions).pending
    n_keys = len(waiting)
    budget = Budget(options.max_calls, processes)
    return (n_keys if options.max_calls is None else min(n_keys, options.max_calls)), _Claims(budget)


def _direct(table: Any, options: Options, processes: int, _: Events) -> tuple[int, _Tasks]:
    keys = missing_keys(table, options.restrictions).keys(order_by="KEY", limit=options.max_calls)
    most = table.connection.config.jobs.max_rescues
    return len(keys), _KeyQueue(deque(keys), processes, most, ".".join(table.table_id))


# -- what is handed out ----------------------------------------------------------------------------


class _Tasks(Protocol):
    def order(self, child: Child) -> Any: ...

    def reported(self, child: Child, key: Key) -> None: ...

    def lost(self, child: Child) -> list[tuple[str, Outcome]]: ...

    def left(self, child: Child) -> None: ...


class _Claims:
    """Children claim for themselves; only the number of calls is shared out."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._n_working = 0
        self._has_looked_again = False

    def order(self, child: Child) -> Claiming | None:
        """Return how many calls a child may make.

        One whose last order ended early has found nothing that is due, and ends: the others have what it
        leaves. Where there are none any more it looks once again: another's claim may have been in its way.
        """
        if child.grant is not None:
            is_used_up = self._take_back(child)
            is_needed = self._n_working == 0 and self._budget.left and not self._has_looked_again
            if not is_used_up and not is_needed:
                return None
            self._has_looked_again = not is_used_up
        child.grant = self._budget.take()
        if child.grant is None:
            return None
        self._n_working += 1
        return Claiming(child.grant.n_calls)

    def _take_back(self, child: Child) -> bool:
        grant, child.grant = child.grant, None
        self._n_working -= 1
        return self._budget.give_back(grant)

    def reported(self, child: Child, key: Key) -> None:
        if child.grant is not None:
            child.grant.n_done += 1

    def lost(self, child: Child) -> list[tuple[str, Outcome]]:
        if child.grant is not None:
            child.grant.n_done += 1  # the call that it died in
            self._take_back(child)
        return []

    def left(self, child: Child) -> None:
        if child.grant is not None:
            self._take_back(child)


class _KeyQueue:
    """Keys without jobs, in batches that suit how long a key takes."""

    def __init__(self, keys: deque[Key], processes: int, most_deaths: int, table: str) -> None:
        self._keys = keys
        self._processes = processes
        self._most_deaths = most_deaths
        self._table = table
        self._deaths: Counter[tuple[Any, ...]] = Counter()
        self._n_done = 0
        self._started = time.monotonic()

    def order(self, child: Child) -> Keys | None:
        elapsed_s = max(time.monotonic() - self._started, 1e-6)
        per_child_s = elapsed_s * self._processes / self._n_done if self._n_done else _BATCH_S
        share = len(self._keys) // (2 * self._processes)
        n = max(1, min(_LARGEST_BATCH, share, int(_BATCH_S / per_child_s)))
        batch = [self._keys.popleft() for _ in range(min(n, len(self._keys)))]
        child.grant = deque(batch)
        return Keys(batch) if batch else None

    def reported(self, child: Child, key: Key) -> None:
        self._n_done += 1
        child.grant.popleft()  # children work in the order of the batch

    def lost(self, child: Child) -> list[tuple[str, Outcome]]:
        """Put the keys back, but not one that has cost too many processes."""
        left: deque[Key] = child.grant or deque()
        given_up: list[tuple[str, Outcome]] = []
        if left and child.is_overdue:
            left.popleft()  # recorded as such
        elif left:
            suspect = tuple(left[0].values())
            self._deaths[suspect] += 1
            if self._deaths[suspect] >= self._most_deaths:
                error = _worker_lost(left[0], self._table, self._deaths[suspect])
                given_up.append((self._table, Outcome(left.popleft(), Result.ERROR, 0.0, error)))
        self._keys.extendleft(reversed(left))
        return given_up

    def left(self, child: Child) -> None:
        self._keys.extendleft(reversed(child.grant or ()))


def _worker_lost(key: Key, table: str, n: int) -> JobError:
    return JobError(
        f"WorkerLost: {n} process{'es' * (n > 1)} died while computing {key} of {table}; "
        "see whether it runs out of memory, or crashes a library."
    )


# -- parent and child ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """What a child is told of its table.

    Attributes
    ----------
    options : bytes
        Pickled, without the connection.
    """

    origin: Origin
    options: bytes
    bound: Bound
    replaces: int | None


class _Team(Supervisor):
    """The children of one call."""

    def __init__(
        self,
        table: Any,
        options: Options,
        origin: Origin | None,
        tasks: _Tasks,
        setup: ChildSetup | None,
        n: int,
        events: Events,
        requests: StopRequests,
    ) -> None:
        super().__init__(n, events, requests, float(table.connection.config.jobs.lease_timeout))
        self._table = table
        self._options = replace(options, refresh=False)
        self._origin = origin
        self._tasks = tasks
        self._setup = setup
        self._label = "datajoint populate " + ".".join(table.table_id)

    def start(self, replaces: Child | None) -> Child:
        dead = None if replaces is None else replaces.pid
        if self._origin is None:
            argument = (self._table, self._options, dead)
            return handle.fork(_work_in_fork, argument, self.children, self.requests.shutdown_timeout_s)
        connection = self._table.connection
        options = _dumped(connection, self._options)
        task = _Task(self._origin, options, bound_classes(), dead)
        payload = pickle.dumps((_work, (self._setup, connection, pickle.dumps(task))))
        limit_s = self.requests.shutdown_timeout_s
        return handle.spawn(Start(list(sys.argv), self._origin.main_path, payload, limit_s), self._label)

    def table(self, name: str) -> Any:
        return self._table

    def order(self, child: Child) -> Any:
        return self._tasks.order(child)

    def reported(self, child: Child, report: Report, outcome: Outcome) -> None:
        self._tasks.reported(child, outcome.key)

    def lost(self, child: Child) -> list[tuple[str, Outcome]]:
        return self._tasks.lost(child)

    def ended(self, child: Child, *, is_unexpected: bool) -> None:
        if child.is_retiring and not is_unexpected:
            self._tasks.left(child)


def _dumped(connection: Connection, options: Options) -> bytes:
    try:
        return dump_without(connection, options)
    except (pickle.PicklingError, TypeError, AttributeError) as e:
        raise DataJointError(
            "populate(processes=n) sends its restrictions and make_kwargs to other processes, and one of "
            f"them cannot be pickled: {e}. Give plain values, or populate with processes=1."
        ) from e


def _work(post: Post, argument: tuple[ChildSetup | None, Connection, bytes]) -> None:
    """Find the table and compute, in a new interpreter."""
    setup, connection, data = argument
    if setup is not None:
        setup(connection)
    task: _Task = pickle.loads(data)
    cls = find(task.origin)
    connection = take_over(cls, task.bound, connection)
    table = cls()
    _compute(post, table, load_with(connection, task.options), task.replaces)
    connection.close()


def _work_in_fork(post: Post, argument: tuple[UserTable, Options, int | None]) -> None:
    _compute(post, *argument)


def _compute(post: Post, table: Any, options: Options, replaces: int | None) -> None:
    name = ".".join(table.table_id)
    post.end_with_parent(table.connection.config.jobs.shutdown_timeout)
    if replaces is not None and options.reserve_jobs:
        for outcome in after_death(table, replaces, post.events):
            post.report(name, outcome)
    for order in post.orders:
        if isinstance(order, Claiming):
            outcomes = populating.reserved(
                table,
                replace(options, max_calls=order.n_calls),
                post.events,
                should_stop=post.orders.should_stop,
            )
        else:
            outcomes = populating.run_keys(table, order.keys, options, post.events, post.orders.should_stop)
        for outcome in outcomes:
            post.report(name, outcome)
