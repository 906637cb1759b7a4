"""Bringing the jobs in line with the key source: a few statements, whatever the number of keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dj_jobs import clock, control, operate, wakeup
from dj_jobs.arguments import seconds, whole
from dj_jobs.claim import TAKEN, assignments
from dj_jobs.keys import key_source_of
from dj_jobs.rescue import rescue
from dj_jobs.server_lock import Turn, turn
from dj_jobs.states import Status
from dj_jobs.wakeup import News
from dj_query.compile import select_text, where_clause
from dj_query.select import Select
from dj_query.where import Condition, Exists, Negated
from dj_schema.errors import DataJointError, DeadlockError, DuplicateError, LockTimeoutError
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
    wish = _Wish(
        settings.default_priority if priority is None else whole("priority", priority, 0),
        seconds("delay", delay_s),
        settings.stale_timeout if stale_timeout_s is None else seconds("stale_timeout", stale_timeout_s),
        settings.orphan_timeout if orphan_timeout_s is None else seconds("orphan_timeout", orphan_timeout_s),
        retry_empty,
    )
    if wish.priority > 127:
        raise DataJointError(f"the priority of a job is from 0, the most urgent, to 127, not {priority}.")
    with _turn(jobs):
        return _refresh(jobs, restrictions, wish)


@dataclass(frozen=True, slots=True)
class _Wish:
    priority: int
    delay_s: float
    stale_s: float
    orphan_s: float | None
    retry_empty: bool


def _refresh(jobs: JobTable, restrictions: Sequence[Any], wish: _Wish) -> dict[str, int]:
    source = key_source_of(jobs.target, ())
    wanted = key_source_of(jobs.target, restrictions) if restrictions else source
    orphaned = rescue(jobs)
    if wish.orphan_s is not None:
        orphaned += _return_orphans(jobs, wish.orphan_s)
    removed = repended = 0
    has_pending, has_done = _present(jobs, wish.retry_empty)
    if has_pending:
        removed = _remove_stale(jobs, source, wish.stale_s)
    if has_done:
        repended = _repeat(jobs, source, wish.retry_empty)
        if not jobs.connection.config.jobs.keep_completed:
            _forget_taken(jobs)
    default = jobs.connection.config.jobs.default_priority
    is_plain = not restrictions and not wish.delay_s and wish.priority == default
    note = control.note_refresh if is_plain else None
    added = _add(jobs, wanted, wish.priority, wish.delay_s, note)
    return {"added": added, "removed": removed, "orphaned": orphaned, "re_pended": repended}


def refresh_once(jobs: JobTable, restrictions: Sequence[Any]) -> int:
    """Refresh, unless another worker has done so since we began to wait for our turn.

    So a hundred workers that start together refresh once, and once more for those that came meanwhile.

    Returns
    -------
    int
        How many jobs of dead workers went back to pending.
    """
    settings = jobs.connection.config.jobs
    wish = _Wish(settings.default_priority, 0, settings.stale_timeout, settings.orphan_timeout, False)
    with _turn(jobs) as mine:
        if control.was_refreshed_since(jobs, mine.since):
            return 0
        return _refresh(jobs, restrictions, wish)["orphaned"]


def _present(jobs: JobTable, retry_empty: bool) -> tuple[bool, bool]:
    """Whether there are jobs that wait, and jobs that are done and might be run again."""
    table = Ident(*jobs.table_id)
    status = Ident("status")
    full = EMPTY if retry_empty else sql(" AND NOT {}", Ident("_is_empty"))
    statement = sql(
        "SELECT EXISTS (SELECT 1 FROM {} WHERE {} = {}), EXISTS (SELECT 1 FROM {} WHERE {} = {}{})",
        table, status, Param(Status.PENDING.value), table, status, Param(Status.SUCCESS.value), full,
    )  # fmt: skip
    has_pending, has_done = jobs.connection.execute(statement, is_read=True).rows[0]
    return bool(has_pending), bool(has_done)


def _change(
    jobs: JobTable,
    statement: Sql,
    before: Callable[[JobTable], None] | None = None,
    after: Callable[[JobTable], None] | None = None,
    *,
    has_new_jobs: bool = False,
) -> int:
    """Run one statement on many rows, again where other workers and it were in each other's way.

    In its transaction, `before` comes before it, and `after` after it where it changed a row. Where the
    server would lock what the statement only reads, it runs at a level that does not.
    """
    connection = jobs.connection
    isolation = connection.dialect.jobs.CLAIM_ISOLATION
    is_block = any(part is not None for part in (isolation, before, after)) or connection.in_transaction
    for n_left in reversed(range(_MOST_DEADLOCKS)):
        try:
            with transaction(connection, isolation=isolation) if is_block else nullcontext():
                if before is not None:
                    before(jobs)
                n = connection.execute(statement).n_rows
                if n and after is not None:
                    after(jobs)
                if n and has_new_jobs:
                    wakeup.tell(connection, jobs.target.table_id, News.JOBS)
                return n
        except (DeadlockError, LockTimeoutError):
            if not n_left or connection.in_transaction:
                raise
    raise AssertionError("the last failure was raised")


def _turn(jobs: JobTable) -> AbstractContextManager[Turn]:
    """Keep other sessions from refreshing the same jobs meanwhile; where one does for long, we do it too."""
    return turn(jobs.connection, ".".join(jobs.table_id))


def _where(jobs: JobTable, *conditions: Condition) -> Sql:
    select = replace(jobs.select, where=(*jobs.select.where, *conditions))
    return where_clause(select, jobs.connection.dialect)


def _exists(query: QueryExpression | JobTable, jobs: JobTable) -> Exists:
    return Exists(query.select, tuple(jobs.heading.primary_key))


def _return_orphans(jobs: JobTable, timeout_s: float) -> int:
    null = sql("NULL")
    pending: dict[str, Sql | Param] = {"status": Param(Status.PENDING.value), **TAKEN}
    pending |= {"_token": null, "_lease_until": null}
    return _change(
        jobs,
        sql(
            "UPDATE {} SET {} WHERE {} = {} AND {} < {}",
            Ident(*jobs.table_id),
            assignments(pending),
            Ident("status"),
            Param(Status.RESERVED.value),
            Ident("reserved_time"),
            clock.after(jobs.connection, -timeout_s),
        ),
        has_new_jobs=True,
    )


def _remove_stale(jobs: JobTable, source: QueryExpression, stale_s: float) -> int:
    """Pending jobs whose row is there already, or whose key has been gone for a while, are dropped.

    A look comes first: unlike a SELECT, a DELETE of MySQL waits for open transactions that have changed
    what its subquery reads.
    """
    pending = (jobs & {"status": Status.PENDING.value}).select.where[-1]
    table = Ident(*jobs.table_id)
    old = sql(" AND {} < {}", Ident("created_time"), clock.after(jobs.connection, -stale_s))
    done = _where(jobs, pending, _exists(jobs.target, jobs))
    gone = _where(jobs, pending, Negated(_exists(source, jobs))) + old
    look = sql("SELECT EXISTS (SELECT 1 FROM {}{}), EXISTS (SELECT 1 FROM {}{})", table, done, table, gone)
    found = jobs.connection.execute(look, is_read=True).rows[0]
    wheres = [where for where, is_there in zip((done, gone), found, strict=True) if is_there]
    n = 0
    if wheres:
        control.can_note_removals(jobs)
    for where in wheres:
        is_taken = Ident("_was_taken")
        n += _change(jobs, sql("DELETE FROM {}{} AND NOT {}", table, where, is_taken))
        taken = sql("DELETE FROM {}{} AND {}", table, where, is_taken)
        n += _change(jobs, taken, after=control.note_removal)
    return n


def _repeat(jobs: JobTable, source: QueryExpression, retry_empty: bool) -> int:
    """Succeeded jobs whose row is gone are pending again; those without output only when asked for."""
    succeeded = (jobs & {"status": Status.SUCCESS.value}).select.where[-1]
    missing = _where(jobs, succeeded, _exists(source, jobs), Negated(_exists(jobs.target, jobs)))
    full = EMPTY if retry_empty else sql(" AND NOT {}", Ident("_is_empty"))
    again = join(", ", (sql("{} = {}", Ident(n), v) for n, v in operate.fresh(jobs).items()))
    return _change(
        jobs, sql("UPDATE {} SET {}{}{}", Ident(*jobs.table_id), again, missing, full), has_new_jobs=True
    )


def _forget_taken(jobs: JobTable) -> None:
    """Finished jobs that were another worker's before are kept for one lease: it may look for its token."""
    connection = jobs.connection
    is_old = sql(
        "{} = {} AND {} AND NOT {} AND {} < {}",
        Ident("status"),
        Param(Status.SUCCESS.value),
        Ident("_was_taken"),
        Ident("_is_empty"),
        Ident("completed_time"),
        clock.after(connection, -connection.config.jobs.lease_timeout),
    )
    control.can_note_removals(jobs)
    delete = sql("DELETE FROM {} WHERE {}", Ident(*jobs.table_id), is_old)
    _change(jobs, delete, after=control.note_removal)


def _add(
    jobs: JobTable,
    source: QueryExpression,
    priority: int,
    delay_s: float,
    before: Callable[[JobTable], None] | None,
) -> int:
    key = jobs.heading.primary_key
    known: Select = jobs.select
    names = tuple(key)
    missing = source._where(Negated(Exists(jobs.target.select, names)))._where(Negated(Exists(known, names)))
    dialect = jobs.connection.dialect
    now = sql("(SELECT {})", clock.now(jobs.connection))  # asked for once, not for each row
    due = sql("(SELECT {})", clock.after(jobs.connection, delay_s)) if delay_s else now
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
    try:
        return _change(jobs, statement, before, has_new_jobs=True)
    except DuplicateError:  # another program has added jobs meanwhile; to look for them takes twice as long
        skipping = dialect.rows.on_duplicate(jobs.table_id, jobs.heading.key_columns, None)
        return _change(jobs, statement + skipping, before, has_new_jobs=True)


def _literal(status: Status) -> Sql:
    """A state in a SELECT list, where PostgreSQL cannot tell the type of a parameter from its column."""
    return Sql((f"'{status.value}'",))
