"""Claiming: many keys for one worker in one go, each for one worker only."""

from __future__ import annotations

import getpass
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from dj_jobs import clock
from dj_jobs.job import Claim, Key, Worker
from dj_jobs.states import Status
from dj_jobs.version import code_version
from dj_query.compile import where_clause
from dj_schema.dialects.base import Row
from dj_schema.errors import DeadlockError, LockTimeoutError, LostConnectionError
from dj_schema.sql import EMPTY, Ident, Param, Sql, idents, join, sql
from dj_schema.transaction import transaction

if TYPE_CHECKING:
    from dj_jobs.table import JobTable
    from dj_schema.connection import Connection

_BACK = ("priority", "scheduled_time", "_attempts", "_faults", "_rescues", "_was_taken")
TAKEN: Mapping[str, Sql] = {"_was_taken": sql("({} OR {} IS NOT NULL)", Ident("_was_taken"), Ident("_token"))}
"""What is set, before the token goes, where a job is taken from its worker: however it ends later, it keeps
the token of its end, so that a worker whose COMMIT had no answer does not take the row of another for its
own. Other programs look for no token."""
_MOST_DEADLOCKS = 5


def claim(
    jobs: JobTable,
    worker: Worker,
    n: int,
    *,
    priority: int | None = None,
    token: UUID | None = None,
    also: Sql = EMPTY,
) -> list[Claim]:
    """Claim up to `n` pending jobs, the most urgent first, then the longest due, then by key.

    A lost answer is resolved by looking for the token: what carries it is ours.

    Parameters
    ----------
    jobs : JobTable
        Restricted to what may be claimed.
    priority : int, optional
        Only jobs as urgent as this, or more.
    also : Sql
        A further condition, which begins with AND.
    """
    token = token or uuid4()
    try:
        return _claims(jobs, _claim_rows(jobs, worker, n, priority, token, also), token)
    except LostConnectionError:
        return held(jobs, token)


def _claim_rows(
    jobs: JobTable, worker: Worker, n: int, priority: int | None, token: UUID, also: Sql
) -> list[Row]:
    due = sql("{} <= {}", Ident("scheduled_time"), clock.now(jobs.connection))
    urgent = EMPTY if priority is None else sql(" AND {} <= {}", Ident("priority"), Param(priority))
    status = sql("{} = {}", Ident("status"), Param(Status.PENDING.value))
    wanted = sql("{} AND {}{}{}{}", status, due, urgent, _also(jobs), also)
    return take(jobs, wanted, n, _reserving(jobs, worker, token, n), _BACK)


def take(jobs: JobTable, wanted: Sql, n: int, sets: Sql, back: Sequence[str]) -> list[Row]:
    """Change up to `n` of the wanted rows, the most urgent first, passing over those that others hold."""
    connection = jobs.connection
    dialect = connection.dialect.jobs
    key = jobs.heading.primary_key
    order = idents(["priority", "scheduled_time", *key])
    isolation = dialect.CLAIM_ISOLATION
    for n_left in reversed(range(_MOST_DEADLOCKS)):
        try:
            # one statement is a transaction of its own; two need one around them
            with transaction(connection, isolation=isolation) if isolation else nullcontext():
                rows: list[Row] = dialect.claim(
                    connection.execute, Ident(*jobs.table_id), key, wanted, order, n, sets, [*key, *back]
                )
                return rows
        except (DeadlockError, LockTimeoutError):
            if not n_left:
                raise
    raise AssertionError("the last failure was raised")


def _also(jobs: JobTable) -> Sql:
    """The restrictions of the jobs, as further conditions."""
    where = where_clause(jobs.select, jobs.connection.dialect)
    if not where:
        return EMPTY
    first, *rest = where.parts
    assert isinstance(first, str)
    assert first.startswith(" WHERE ")
    return Sql((" AND " + first.removeprefix(" WHERE "), *rest))


def _reserving(jobs: JobTable, worker: Worker, token: UUID, n: int = 1, *, with_lease: bool = True) -> Sql:
    connection = jobs.connection
    lease_s = connection.config.jobs.lease_timeout
    values: dict[str, Sql | Param] = {
        "status": Param(Status.RESERVED.value),
        "reserved_time": clock.now(connection),
        "completed_time": sql("NULL"),
        "_token": Param(token),
        "_lease_until": clock.after(connection, lease_s) if with_lease else sql("NULL"),
        "_lease_session": Param(0),
        "_lock_session": Param(0),
        "_batch": Param(n),
        "_worker": Param(worker.name[:255]),
        "_attempts": sql("{} + 1", Ident("_attempts")),
        "user": Param(user_of(connection)),
        "host": Param(worker.host[:255]),
        "pid": Param(worker.pid),
        "connection_id": Param(connection.connection_id),
        "version": Param(code_version(connection.config)),
    }
    return assignments(values)


def assignments(values: Mapping[str, Sql | Param]) -> Sql:
    return join(", ", (sql("{} = {}", Ident(name), value) for name, value in values.items()))


def user_of(connection: Connection) -> str:
    """Return whom the jobs of a connection are recorded as held by."""
    return (connection.user or _local_user())[:255]


@lru_cache(maxsize=1)
def _local_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def held(jobs: JobTable, token: UUID) -> list[Claim]:
    """Return the jobs that carry a token, which from now on belong to the session that asks."""
    connection = jobs.connection
    key = jobs.heading.primary_key
    ours = sql(
        "{} = {} AND {} = {}", Ident("_token"), Param(token), Ident("status"), Param(Status.RESERVED.value)
    )
    table = Ident(*jobs.table_id)
    session = Param(connection.connection_id)
    connection.execute(sql("UPDATE {} SET {} = {} WHERE {}", table, Ident("connection_id"), session, ours))
    statement = sql("SELECT {} FROM {} WHERE {}", idents([*key, *_BACK]), table, ours)
    return _claims(jobs, connection.execute(statement, is_read=True).rows, token, n_attempts_before=-1)


def _claims(jobs: JobTable, rows: Sequence[Row], token: UUID, n_attempts_before: int = 0) -> list[Claim]:
    """Read rows as they were before the claim counted its attempt; or after it, with -1."""
    key = jobs.heading.primary_key
    n_key = len(key)
    decoding = jobs.heading.memo("claim_decoding", lambda: _decoding(jobs))
    claims = [
        Claim(
            key=dict(zip(key, row[:n_key], strict=True)),
            token=token,
            priority=row[n_key],
            scheduled_time=row[n_key + 1],
            attempt=row[n_key + 2] + 1 + n_attempts_before,
            n_faults=row[n_key + 3],
            n_rescues=row[n_key + 4],
            was_taken=bool(row[n_key + 5]),
        )
        for row in decoding.rows(list(rows))
    ]
    # the server takes them in order, but may return them in any
    return sorted(claims, key=lambda c: (c.priority, c.scheduled_time, *c.key.values()))


def _decoding(jobs: JobTable) -> Any:
    from dj_query.plan import decoding_of

    names = [*jobs.heading.primary_key, *_BACK]
    return decoding_of([jobs.heading.by_name[n] for n in names], jobs.connection.dialect)


def is_held_and_free(jobs: JobTable, claim: Claim) -> bool:
    """Whether a job is held with this token, and no other session has locked its row; ours locks it."""
    statement = sql(
        "SELECT 1 FROM {} WHERE {} AND {} = {} AND {} = {} FOR UPDATE SKIP LOCKED",
        Ident(*jobs.table_id), these([claim.key]),
        Ident("_token"), Param(claim.token), Ident("status"), Param(Status.RESERVED.value),
    )  # fmt: skip
    return bool(jobs.connection.execute(statement).rows)


def these(keys: Sequence[Key]) -> Sql:
    """Return the condition that tells these keys, of which there is at least one."""
    names = list(keys[0])
    if not names:
        return sql("TRUE")
    rows = join(", ", (sql("({})", join(", ", (Param(k[n]) for n in names))) for k in keys))
    return sql("({}) IN ({})", idents(names), rows)


def keys_where(jobs: JobTable, condition: Sql, connection: Connection) -> list[Key]:
    """Return the keys of the jobs that meet a condition, as another connection sees them."""
    from dj_query.plan import decoding_of

    key = jobs.heading.primary_key
    statement = sql(
        "SELECT {} FROM {} WHERE {}", idents(key) if key else sql("1"), Ident(*jobs.table_id), condition
    )
    rows = connection.execute(statement, is_read=True).rows
    if not key:
        return [{} for _ in rows]
    decoding = decoding_of([jobs.heading.by_name[n] for n in key], connection.dialect)
    return [dict(zip(key, row, strict=True)) for row in decoding.rows(list(rows))]


def reserve(jobs: JobTable, key: dict[str, Any]) -> bool:
    """Claim one job by its key, whatever its schedule.

    Nobody renews its lease, so that it lasts as long as the session.
    """
    connection = jobs.connection
    one = jobs & key & {"status": Status.PENDING.value}
    token = uuid4()
    sets = _reserving(jobs, Worker.of_this_process(), token, with_lease=False)
    where = where_clause(one.select, connection.dialect)
    is_ours = connection.execute(sql("UPDATE {} SET {}{}", Ident(*jobs.table_id), sets, where)).n_rows == 1
    if is_ours:
        _reserved(jobs)[_place(jobs, key)] = token
    return is_ours


def _reserved(jobs: JobTable) -> dict[tuple[Any, ...], UUID]:
    """The tokens of what `reserve` claimed on this connection, and nobody has ended yet."""
    tokens: dict[tuple[Any, ...], UUID] = jobs.connection.companions.setdefault("reserved", {})
    return tokens


def _place(jobs: JobTable, key: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells a claim of this thread from those of others, and from those that a fork has a copy of."""
    return os.getpid(), threading.get_ident(), jobs.table_id, tuple(map(str, key.values()))


def reserved_by_us(jobs: JobTable, key: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells a job that `reserve` claimed here from one that another holds by now.

    Its token where this thread has claimed it; else the process alone.
    """
    token = _reserved(jobs).pop(_place(jobs, key), None)
    if token is not None:
        return {"_token": token}
    worker = Worker.of_this_process()
    return {"host": worker.host[:255], "pid": worker.pid}


def seconds_until_due(
    jobs: JobTable, priority: int | None = None, among: Sequence[Key] | None = None
) -> float | None:
    """Return in how many seconds the next pending job is due, by the server's clock; None without any.

    Parameters
    ----------
    among : sequence of keys, optional
        Look at these alone.
    """
    connection = jobs.connection
    urgent = EMPTY if priority is None else sql(" AND {} <= {}", Ident("priority"), Param(priority))
    statement = sql(
        "SELECT {}, min({}) FROM {} WHERE {} = {}{}{}{}",
        clock.now(connection),
        Ident("scheduled_time"),
        Ident(*jobs.table_id),
        Ident("status"),
        Param(Status.PENDING.value),
        urgent,
        _also(jobs),
        EMPTY if among is None else sql(" AND {}", these(among)),
    )
    now, due = connection.execute(statement, is_read=True).rows[0]
    return None if due is None else max(0.0, float((due - now).total_seconds()))
