"""Whether there is work on tables: one statement that changes nothing, whatever the number of tables.

A worker that waits asks this; only where it says so does it refresh, rescue and claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from dj_jobs import clock, control
from dj_jobs.keys import key_source_of
from dj_jobs.populate import restricted_jobs
from dj_jobs.rescue import is_dead
from dj_jobs.states import Status
from dj_jobs.table import JobTable
from dj_query.compile import select_text, where_clause
from dj_query.where import Exists, Negated
from dj_schema.names import job_table_name
from dj_schema.sql import EMPTY, Ident, Param, Sql, join, sql

if TYPE_CHECKING:
    from dj_jobs.presence import Presence
    from dj_schema.connection import Connection


class Work(IntEnum):
    """What there is for a worker on one table."""

    NONE = 0
    LATER = 1  # jobs that are not due yet, or that others hold
    NOW = 2


class Look:
    """The question about some tables, put together once and asked often.

    Parameters
    ----------
    tables : sequence
        Instances of auto-populated tables on one connection.

    Attributes
    ----------
    is_whole : bool
        False where a job table was not known: it may have been made since, so that another `Look` is better.
    """

    def __init__(
        self,
        tables: Sequence[Any],
        restrictions: Sequence[Any] = (),
        priority: int | None = None,
        presence: Presence | None = None,
    ) -> None:
        self._connection: Connection = tables[0].connection
        self._names = [".".join(table.table_id) for table in tables]
        self._presence = presence
        known = [_has_jobs(table) for table in tables]
        if not all(known):
            for table in tables:
                self._connection.catalog.forget(table.database)  # another process may have made them
            known = [_has_jobs(table) for table in tables]
        self.is_whole = all(known)
        asks_for_keys = self._connection.config.jobs.auto_refresh
        asked = [_work_on(table, restrictions, priority, asks_for_keys) for table in tables]
        self._selects = [
            sql("SELECT {} AS {}, {} AS {}", Sql((str(i),)), Ident("nr"), work, Ident("work"))
            for i, work in enumerate(asked)
        ]

    def __call__(self) -> dict[str, Work]:
        """Return what there is for each ``schema.table``, and take note where the worker is to drain."""
        selects = self._selects
        presence = self._presence
        if presence is not None:
            is_asked = presence.is_draining_sql(self._connection)
            selects = [*selects, sql("SELECT -1, CASE WHEN {} THEN 1 ELSE 0 END", is_asked)]
        statement = join(" UNION ALL ", selects)
        found: dict[int, int] = dict(self._connection.execute(statement, is_read=True).rows)
        if presence is not None and found.pop(-1):
            presence.is_draining = True
        return {self._names[i]: Work(int(work)) for i, work in found.items()}


def _work_on(table: Any, restrictions: Sequence[Any], priority: int | None, asks_for_keys: bool) -> Sql:
    """Return an expression for the work on a table; the cheap questions come first."""
    connection = table.connection
    if not _has_jobs(table):
        return Sql((str(int(Work.NOW)),))  # they are made with the first claim
    jobs = JobTable.of_target(table)
    claimable = restricted_jobs(jobs, restrictions)
    is_open = control.is_open(connection, jobs.table_id)
    urgent = EMPTY if priority is None else sql(" AND {} <= {}", Ident("priority"), Param(priority))
    is_due = sql("{} <= {}{}", Ident("scheduled_time"), clock.now(connection), urgent)
    cases = [
        (sql("NOT ({})", is_open), Work.NONE),
        (_exists(claimable.pending, is_due), Work.NOW),
        (_exists(jobs, is_dead(jobs)), Work.NOW),
    ]
    if asks_for_keys:
        missing = select_text(_missing(jobs, restrictions).select, connection.dialect)
        cases.append((sql("EXISTS ({})", missing), Work.NOW))
    cases += [(_exists(claimable.pending), Work.LATER), (_exists(claimable.reserved), Work.LATER)]
    whens = (sql("WHEN {} THEN {}", condition, Sql((str(int(work)),))) for condition, work in cases)
    return sql("CASE {} ELSE 0 END", join(" ", whens))


def _has_jobs(table: Any) -> bool:
    return job_table_name(table.table_name) in table.connection.catalog.table_names(table.database)


def _exists(jobs: JobTable, also: Sql = EMPTY) -> Sql:
    where = where_clause(jobs.select, jobs.connection.dialect)
    more = EMPTY if not also else sql(" AND {}" if where else " WHERE {}", also)
    return sql("EXISTS (SELECT 1 FROM {}{}{})", Ident(*jobs.table_id), where, more)


def _missing(jobs: JobTable, restrictions: Sequence[Any]) -> Any:
    """Keys without a row and without a job that stands for them: not one whose rows are gone."""
    names = tuple(jobs.heading.primary_key)
    standing = jobs & [f"status != '{Status.SUCCESS.value}'", "_is_empty"]
    source = key_source_of(jobs.target, restrictions)
    return source._where(Negated(Exists(jobs.target.select, names)))._where(
        Negated(Exists(standing.select, names))
    )
