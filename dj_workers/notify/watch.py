"""Looking whether work is done, or does not go on: a few counts a table, from time to time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dj_jobs import control, progress
from dj_query.table import FreeTable
from dj_schema.connection import Connection
from dj_schema.names import job_table_name
from dj_workers.notify.notice import DRAINED, ERROR, STUCK, Notice
from dj_workers.plan import TableClass, name_of

_IS_DUE = "scheduled_time <= CURRENT_TIMESTAMP(3)"
_IS_HELD = "_lease_until > CURRENT_TIMESTAMP(6)"


@dataclass(frozen=True)
class Work:
    """What there is to do on a table.

    Attributes
    ----------
    due : int
        Jobs that wait and may begin.
    held : int
        Jobs of workers that keep their leases.
    error : int
        Jobs that have failed.
    is_paused : bool
        Nobody may begin one, because an operator wants it so.
    """

    due: int
    held: int
    error: int
    is_paused: bool = False


@dataclass(frozen=True)
class Change:
    """Something that has begun, or is over.

    Attributes
    ----------
    tables : tuple of str
        ``schema.table`` of those that it is about.
    notice : Notice or None
        What is to be told; None where what may have been told holds no longer.
    n_before, n_now : int
        Failures of the table, where it is about these.
    """

    kind: str
    tables: tuple[str, ...]
    notice: Notice | None
    n_before: int = 0
    n_now: int = 0


class Judge:
    """Tells from what is seen over time whether something is to be told.

    Parameters
    ----------
    stuck_after_s : float
        For so long jobs are due, nobody holds one, and none begins or ends.
    counts_failures : bool
        Also tell of failures, by their number: for where no worker tells of them.
    """

    def __init__(self, stuck_after_s: float, *, counts_failures: bool = False) -> None:
        self._stuck_after_s = stuck_after_s
        self._counts_failures = counts_failures
        self._before: dict[str, Work] = {}
        self._standing_since: dict[str, tuple[float, int]] = {}  # and how many events there had been
        self._told_stuck: set[str] = set()
        self._n_events = 0

    def look(self, works: dict[str, Work], n_events: dict[str, int], now: float) -> Iterator[Change]:
        """Yield what is new since the last look."""
        for table, work in works.items():
            before = self._before.get(table, work)
            if self._counts_failures and (table not in self._before or work.error != before.error):
                n_new = work.error - before.error
                notice = failures_of(table, n_new) if n_new > 0 else None
                yield Change(ERROR, (table,), notice, before.error, work.error)
            was_stuck = table in self._told_stuck
            if self._is_stuck(table, work, before, n_events.get(table, 0), now):
                yield Change(STUCK, (table,), _stuck(table, work, self._stuck_after_s))
            elif was_stuck and table not in self._told_stuck:
                yield Change(STUCK, (table,), None)
        n_now = sum(n_events.values())
        was_at_work = any(work.due or work.held for work in self._before.values())
        had_work = was_at_work or n_now > self._n_events
        self._n_events = n_now
        is_at_work = any(work.due or work.held for work in works.values())
        if had_work and works and not is_at_work:
            yield Change(DRAINED, tuple(works), _drained(works))
        elif is_at_work and not was_at_work:
            yield Change(DRAINED, tuple(works), None)
        self._before = dict(works)

    def _is_stuck(self, table: str, work: Work, before: Work, n_events: int, now: float) -> bool:
        since, n_events_then = self._standing_since.get(table, (now, n_events))
        if not work.due or work.held or work.is_paused or work != before or n_events != n_events_then:
            self._standing_since[table] = (now, n_events)
            self._told_stuck.discard(table)
            return False
        self._standing_since.setdefault(table, (now, n_events))
        if now - since < self._stuck_after_s or table in self._told_stuck:
            return False
        self._told_stuck.add(table)
        return True


def failures_of(table: str, n: int) -> Notice:
    """Return what is told of so many failures."""
    jobs = "job" if n == 1 else "jobs"
    return Notice(ERROR, f"{n} {jobs} of {table} failed", "See dj-worker errors.", n)


def _stuck(table: str, work: Work, seconds: float) -> Notice:
    return Notice(
        STUCK,
        f"{table} is stuck",
        f"{work.due} jobs are due, and for {seconds:g} s nobody has worked on any. "
        "See whether workers are alive and can reach the database.",
    )


def _drained(works: dict[str, Work]) -> Notice:
    n_failed = sum(work.error for work in works.values())
    failed = f"{n_failed} jobs have failed; see dj-worker errors." if n_failed else "None has failed."
    return Notice(DRAINED, "All work is done", f"Nothing is due in {len(works)} tables. {failed}")


def works_of(tables: Sequence[TableClass], connection: Connection) -> dict[str, Work]:
    """Count the jobs of tables on a connection of the caller's own; tables without jobs are left out."""
    found = {}
    for cls in tables:
        schema, name = cls._class_info.full_name
        if job_table_name(name) not in connection.catalog.table_names(schema):
            connection.catalog.forget(schema)  # the next look is to see one that was made since
            continue
        jobs: Any = FreeTable.at(connection, schema, job_table_name(name))
        counts = progress.counts(jobs)
        due = len(jobs & {"status": "pending"} & _IS_DUE) if counts["pending"] else 0
        held = len(jobs & {"status": "reserved"} & _IS_HELD) if counts["reserved"] else 0
        is_paused = bool(due) and control.rules_of(jobs).paused_by is not None
        found[name_of(cls)] = Work(due, held, counts["error"], is_paused)
    return found
