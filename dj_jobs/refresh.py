"""Bringing the jobs in line with the key source: a few statements, whatever the number of keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dj_jobs import finish
from dj_jobs.claim import rescue
from dj_jobs.keys import key_source_of
from dj_jobs.states import Status
from dj_query.compile import select_text, where_clause
from dj_query.select import Condition, Exists, Negated, Select
from dj_schema.errors import DataJointError, DeadlockError, LockTimeoutError
from dj_schema.sql import EMPTY, Ident, Param, Sql, idents, join, sql
from dj_schema.transaction import transaction

if TYPE_CHECKING:
    from dj_jobs.table import JobTable
    from dj_query.expression import QueryExpression

_MOST_DEADLOCKS = 10


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
    source = key_source_of(jobs.target, ())
    wanted = key_source_of(jobs.target, restrictions) if restrictions else source
    with one_at_a_time(jobs):
        orphaned = rescue(jobs)
        if orphan_s is not None:
            orphaned += _return_orphans(jobs, orphan_s)
        removed = _remove_stale(jobs, source, stale_s)
        repended = _repeat(jobs, source, retry_empty)
        added = _add(jobs, wanted, priority, delay_s)
    return {"added": added, "removed": removed, "orphaned": orphaned, "re_pended": repended}


def _change(jobs: JobTable, statement: Sql) -> int:
    """Run one statement on many rows, again where other workers and it were in each other's way.

    Where the server would lock what the statement only reads, it runs at a level that does not.
    """
    connection = jobs.connection
    isolation = connection.dialect.jobs.CLAIM_ISOLATION
    for n_left in reversed(range(_MOST_DEADLOCKS)):
        try:
            with transaction(connection, isolation=isolation) if isolation else nullcontext():
                return connection.execute(statement).n_rows
        except (DeadlockError, LockTimeoutError):
            if not n_left or connection.in_transaction:
                raise
    raise AssertionError("the last failure was raised")


@contextmanager
def one_at_a_time(jobs: JobTable) -> Iterator[None]:
    """Keep other sessions from refreshing the same jobs meanwhile; the server lets go where this one dies."""
    connection = jobs.connection
    name = ".".join(jobs.table_id)
    lock, unlock = connection.dialect.jobs.lock(name)
    connection.execute(lock)
    try:
        yield
    finally:
        # a session that was lost has given the lock back, and the new one has nothing to give
        connection.execute(unlock, is_read=True)


def _where(jobs: JobTable, *conditions: Condition) -> Sql:
    select = replace(jobs.select, where=(*jobs.select.where, *conditions))
    return where_clause(select, jobs.connection.dialect)


def _exists(query: QueryExpression | JobTable, jobs: JobTable) -> Exists:
    return Exists(query.select, tuple(jobs.heading.primary_key))


def _return_orphans(jobs: JobTable, timeout_s: float) -> int:
    dialect = jobs.connection.dialect.jobs
    return _change(
        jobs,
        sql(
            "UPDATE {} SET {} = {}, {} = NULL, {} = NULL WHERE {} = {} AND {} < {}",
            Ident(*jobs.table_id),
            Ident("status"),
            Param(Status.PENDING.value),
            Ident("_token"),
            Ident("_lease_until"),
            Ident("status"),
            Param(Status.RESERVED.value),
            Ident("reserved_time"),
            dialect.after(Param(-float(timeout_s))),
        ),
    )


def _remove_stale(jobs: JobTable, source: QueryExpression, stale_s: float) -> int:
    """Pending jobs whose row is there already, or whose key has been gone for a while, are dropped."""
    pending = (jobs & {"status": Status.PENDING.value}).select.where[-1]
    table = Ident(*jobs.table_id)
    done = _change(jobs, sql("DELETE FROM {}{}", table, _where(jobs, pending, _exists(jobs.target, jobs))))
    old = sql(
        " AND {} < {}", Ident("created_time"), jobs.connection.dialect.jobs.after(Param(-float(stale_s)))
    )
    gone = _where(jobs, pending, Negated(_exists(source, jobs)))
    return done + _change(jobs, sql("DELETE FROM {}{}{}", table, gone, old))


def _repeat(jobs: JobTable, source: QueryExpression, retry_empty: bool) -> int:
    """Succeeded jobs whose row is gone are pending again; those without output only when asked for."""
    succeeded = (jobs & {"status": Status.SUCCESS.value}).select.where[-1]
    missing = _where(jobs, succeeded, _exists(source, jobs), Negated(_exists(jobs.target, jobs)))
    full = EMPTY if retry_empty else sql(" AND NOT {}", Ident("_is_empty"))
    again = join(", ", (sql("{} = {}", Ident(n), v) for n, v in finish.fresh(jobs).items()))
    return _change(jobs, sql("UPDATE {} SET {}{}{}", Ident(*jobs.table_id), again, missing, full))


def _add(jobs: JobTable, source: QueryExpression, priority: int, delay_s: float) -> int:
    key = jobs.heading.primary_key
    known: Select = jobs.select
    names = tuple(key)
    missing = source._where(Negated(Exists(jobs.target.select, names)))._where(Negated(Exists(known, names)))
    dialect = jobs.connection.dialect
    now = dialect.jobs.NOW
    due = now if not delay_s else sql("{}", dialect.jobs.after(Param(float(delay_s))))
    statement = sql(
        "INSERT INTO {} ({}) SELECT {} FROM ({}) AS {}",
        Ident(*jobs.table_id),
        idents([*key, "status", "priority", "created_time", "scheduled_time"]),
        join(
            ", ", [*(Ident("missing", k) for k in key), _literal(Status.PENDING), Param(priority), now, due]
        ),
        select_text(missing.select, dialect),
        Ident("missing"),
    )
    return _change(jobs, statement + dialect.rows.on_duplicate(jobs.table_id, jobs.heading.key_columns, None))


def _literal(status: Status) -> Sql:
    """A state in a SELECT list, where PostgreSQL cannot tell the type of a parameter from its column."""
    return Sql((f"'{status.value}'",))
