"""Bringing the jobs in line with the key source: a few statements, whatever the number of keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dj_jobs.claim import rescue
from dj_jobs.states import Status
from dj_query.compile import select_text, where_clause
from dj_query.select import Condition, Exists, Negated, Select
from dj_schema.errors import DataJointError
from dj_schema.sql import EMPTY, Ident, Param, Sql, idents, join, sql

if TYPE_CHECKING:
    from dj_jobs.table import JobTable
    from dj_query.expression import QueryExpression


def refresh(
    jobs: JobTable,
    restrictions: Sequence[Any],
    *,
    priority: int | None = None,
    delay_s: float = 0,
    stale_timeout_s: float | None = None,
    orphan_timeout_s: float | None = None,
    retry_empty: bool = False,
) -> dict[str, int]:
    """Add, remove and return jobs; the documentation is at `JobTable.refresh`."""
    settings = jobs.connection.config.jobs
    priority = settings.default_priority if priority is None else priority
    if not 0 <= priority <= 127:
        raise DataJointError(f"the priority of a job is from 0, the most urgent, to 127, not {priority}.")
    stale_s = settings.stale_timeout if stale_timeout_s is None else stale_timeout_s
    orphan_s = settings.orphan_timeout if orphan_timeout_s is None else orphan_timeout_s
    source = keys_of(jobs, ())
    orphaned = rescue(jobs)
    if orphan_s is not None:
        orphaned += _return_orphans(jobs, orphan_s)
    removed = _remove_stale(jobs, source, stale_s)
    repended = _repeat(jobs, source, retry_empty)
    added = _add(jobs, keys_of(jobs, restrictions) if restrictions else source, priority, delay_s)
    return {"added": added, "removed": removed, "orphaned": orphaned, "re_pended": repended}


def keys_of(jobs: JobTable, restrictions: Sequence[Any]) -> QueryExpression:
    """Return the keys that should be computed in the end, as a query of the target's primary key.

    Raises
    ------
    DataJointError
        Where the key source lacks an attribute of the primary key.
    """
    from dj_jobs.populate import key_source_of

    return key_source_of(jobs.target, restrictions)


def _where(jobs: JobTable, *conditions: Condition) -> Sql:
    select = replace(jobs.select, where=(*jobs.select.where, *conditions))
    return where_clause(select, jobs.connection.dialect)


def _exists(query: QueryExpression | JobTable, jobs: JobTable) -> Exists:
    return Exists(query.select, tuple(jobs.heading.primary_key))


def _return_orphans(jobs: JobTable, timeout_s: float) -> int:
    dialect = jobs.connection.dialect.jobs
    return jobs.connection.execute(
        sql(
            "UPDATE {} SET {} = {}, {} = NULL WHERE {} = {} AND {} < {}",
            Ident(*jobs.table_id),
            Ident("status"), Param(Status.PENDING.value),
            Ident("_token"),
            Ident("status"), Param(Status.RESERVED.value),
            Ident("reserved_time"), dialect.after(Param(-float(timeout_s))),
        )  # fmt: skip
    ).n_rows


def _remove_stale(jobs: JobTable, source: QueryExpression, stale_s: float) -> int:
    """Pending jobs whose row is there already, or whose key has been gone for a while, are dropped."""
    pending = (jobs & {"status": Status.PENDING.value}).select.where[-1]
    done = jobs.connection.execute(
        sql("DELETE FROM {}{}", Ident(*jobs.table_id), _where(jobs, pending, _exists(jobs.target, jobs)))
    ).n_rows
    old = sql(" AND {} < {}", Ident("created_time"), jobs.connection.dialect.jobs.after(Param(-float(stale_s))))
    gone = _where(jobs, pending, Negated(_exists(source, jobs)))
    return done + jobs.connection.execute(sql("DELETE FROM {}{}{}", Ident(*jobs.table_id), gone, old)).n_rows


def _repeat(jobs: JobTable, source: QueryExpression, retry_empty: bool) -> int:
    """Succeeded jobs whose row is gone are pending again; those without output only when asked for."""
    succeeded = (jobs & {"status": Status.SUCCESS.value}).select.where[-1]
    missing = _where(jobs, succeeded, _exists(source, jobs), Negated(_exists(jobs.target, jobs)))
    full = EMPTY if retry_empty else sql(" AND NOT {}", Ident("_is_empty"))
    return jobs.connection.execute(
        sql(
            "UPDATE {} SET {} = {}, {} = NULL, {} = {}, {} = 0{}{}",
            Ident(*jobs.table_id),
            Ident("status"), Param(Status.PENDING.value),
            Ident("_token"),
            Ident("_is_empty"), Param(False),
            Ident("_attempts"),
            missing, full,
        )  # fmt: skip
    ).n_rows


def _add(jobs: JobTable, source: QueryExpression, priority: int, delay_s: float) -> int:
    key = jobs.heading.primary_key
    known: Select = jobs.select
    names = tuple(key)
    missing = source._where(Negated(Exists(jobs.target.select, names)))._where(Negated(Exists(known, names)))
    dialect = jobs.connection.dialect
    now = dialect.jobs.NOW
    due = now if not delay_s else sql("{}", dialect.jobs.after(Param(float(delay_s))))
    statement = sql(
        "INSERT INTO {} ({}, {}, {}, {}, {}) SELECT {}, {}, {}, {}, {} FROM ({}) AS {}",
        Ident(*jobs.table_id), idents(key),
        Ident("status"), Ident("priority"), Ident("created_time"), Ident("scheduled_time"),
        join(", ", (Ident("missing", k) for k in key)),
        _literal(jobs, Status.PENDING), Param(priority), now, due,
        select_text(missing.select, dialect), Ident("missing"),
    )  # fmt: skip
    return jobs.connection.execute(statement + dialect.rows.on_duplicate(jobs.table_id, key, None)).n_rows


def _literal(jobs: JobTable, status: Status) -> Sql:
    """A state in a SELECT list, where PostgreSQL cannot tell the type of a parameter from its column."""
    return Sql((f"'{status.value}'",))
