"""Time and claims on PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from dj_schema.dialects.base import Execute, Row
from dj_schema.sql import Ident, Param, Sql, join, sql

NOW = sql("date_trunc('milliseconds', clock_timestamp()::timestamp)")
HAS_KEY_IN_INDEXES = False
CLAIM_ISOLATION: str | None = None
LIVE_SESSIONS = sql("SELECT pid FROM pg_stat_activity")
"""The numbers of the sessions that the server knows."""


def after(seconds: Sql | Param) -> Sql:
    """Return the server's time that many seconds from now."""
    return sql("(clock_timestamp()::timestamp + make_interval(secs => {}))", seconds)


def lock(name: str) -> tuple[Sql, Sql]:
    """Return what takes a lock of this session on a name, waiting for it, and what gives it back."""
    number = Param(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True))
    return sql("SELECT pg_advisory_lock({})", number), sql("SELECT pg_advisory_unlock({})", number)


def claim(
    execute: Execute,
    table: Ident,
    key: Sequence[str],
    wanted: Sql,
    order: Sql,
    n: int,
    sets: Sql,
    back: Sequence[str],
) -> list[Row]:
    """Take up to `n` rows that nobody else is taking, in order; return the columns `back` as they were.

    One statement: the rows are locked, marked and returned at once; those that others hold are passed over.
    """
    same = join(" AND ", (sql("j.{} = picked.{}", Ident(k), Ident(k)) for k in key)) or sql("TRUE")
    # under other names, so that what is set may speak of the table's own columns
    old = {b: b if b in key else f"old_{b}" for b in back}
    picked = join(", ", (sql("{} AS {}", Ident(b), Ident(name)) for b, name in old.items()))
    columns = join(", ", (sql("picked.{}", Ident(name)) for name in old.values()))
    statement = sql(
        "WITH picked AS MATERIALIZED (SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {} "
        "FOR UPDATE SKIP LOCKED) "
        "UPDATE {} AS j SET {} FROM picked WHERE {} RETURNING {}",
        picked,
        table,
        wanted,
        order,
        Param(n),
        table,
        sets,
        same,
        columns,
    )
    return execute(statement).rows
