"""For the tests of a pipeline: compute here and now, until nothing is left, by a clock that can be moved.

::

    from datajoint import testing

    def test_extremes(pipeline):
        with testing.inline(), testing.clock(pipeline.schema.connection) as clock:
            testing.drain(pipeline.Extremes)
            clock.move(hours=1)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from dj_jobs import autopopulate
from dj_jobs.autopopulate import CELERY, INLINE, PROCESS
from dj_jobs.claim import seconds_until_due
from dj_jobs.events import Events
from dj_jobs.job import Outcome, Result
from dj_jobs.options import Options
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_workers.plan import Plan, check_makes, name_of, plan_of
from dj_workers.pools.inline import populate_inline
from dj_workers.work import one_pass

_MOST_PASSES = 1000


@contextmanager
def inline() -> Iterator[None]:
    """Have every populate compute in this process, whatever `processes` and `dispatch` it asks for.

    So breakpoints hold, and neither a class that only a test has nor a broker is in the way.
    """
    before = dict(autopopulate._pools)
    for pool in (INLINE, PROCESS, CELERY):
        autopopulate.set_pool(pool, populate_inline)
    try:
        yield
    finally:
        autopopulate._pools.clear()
        autopopulate._pools.update(before)


class Clock:
    """The time of jobs on one connection: the server's, and what it was moved by."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def move(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass: delays end, retries are due, leases run out."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self._connection.clock_offset_s += step.total_seconds()


@contextmanager
def clock(connection: Connection) -> Iterator[Clock]:
    """Give a clock of jobs that can be moved; it shows the server's time again at the end.

    It holds for this connection, and for those that are cloned from it, not for other processes.
    """
    before = connection.clock_offset_s
    try:
        yield Clock(connection)
    finally:
        connection.clock_offset_s = before


def drain(*tables: type, restrictions: Any = (), wait: bool = False) -> dict[str, dict[str, int]]:
    """Compute all that these tables lack, in the order of their dependencies, until nothing is left.

    Parameters
    ----------
    *tables : table classes
        Computed and imported ones; their job tables are used.
    restrictions : sequence
        Of the key source of each table.
    wait : bool
        Also what is scheduled for later, by moving the clock of their connection there and back.

    Returns
    -------
    dict
        For each ``schema.table`` how many keys ended how: ``success``, ``empty``, ``error``, ``skip``, …

    Raises
    ------
    DataJointError
        Where a table cannot be computed at all, or where it finds no end.
    """
    check_makes(list(tables))
    plan = plan_of(list(tables))
    counts: dict[str, dict[str, int]] = {name_of(cls): {} for cls in plan.tables}
    if not plan.tables:
        return counts
    connection: Connection = plan.tables[0]._schema.connection
    options = Options(restrictions=tuple(restrictions), suppress_errors=True, reserve_jobs=True)
    with clock(connection) as time:
        for _ in range(_MOST_PASSES):
            n_done = 0
            for name, outcome in one_pass(plan, plan.names, options, Events(), lambda: False, _raise):
                _count(counts[name], outcome)
                n_done += 1
            due_s = _until_due(plan) if wait else None
            if due_s is not None:
                time.move(seconds=due_s + 0.001)
            elif not n_done:
                return counts
    raise DataJointError(f"after {_MOST_PASSES} passes there are still jobs to do: {counts}")


def _until_due(plan: Plan) -> float | None:
    found = (seconds_until_due(cls().jobs) for cls in plan.tables)
    return min((s for s in found if s is not None), default=None)


def _count(counts: dict[str, int], outcome: Outcome) -> None:
    result = outcome.result
    if result is not Result.RETRY:  # it comes again
        counts[result.value] = counts.get(result.value, 0) + 1


def _raise(table: str, reason: str) -> None:
    raise DataJointError(f"cannot work on {table}: {reason}")
