"""Time and claims on MySQL and MariaDB."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from dj_schema.dialects.base import Execute, Row
from dj_schema.sql import Ident, Param, Sql, idents, join, sql

NOW = sql("UTC_TIMESTAMP(3)")
HAS_KEY_IN_INDEXES = True
CLAIM_ISOLATION: str | None = "READ COMMITTED"
"""Under REPEATABLE READ a locking read locks the gaps too, and workers would wait for each other."""
_LONG_S = 24 * 3600
LIVE_SESSIONS = sql("SELECT ID FROM information_schema.PROCESSLIST")


def after(seconds: Sql | Param) -> Sql:
    """Return the server's time that many seconds from now."""
    return sql("(UTC_TIMESTAMP(6) + INTERVAL {} SECOND)", seconds)


def lock(name: str) -> tuple[Sql, Sql]:
    """Return what takes a lock of this session on a name, waiting for it, and what gives it back."""
    short = Param("dj_" + hashlib.sha256(name.encode()).hexdigest()[:40])  # these servers take 64 characters
    return sql("SELECT GET_LOCK({}, {})", short, Param(_LONG_S)), sql("SELECT RELEASE_LOCK({})", short)


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

    A locked read and an update, to be run in one short transaction: these servers cannot return
    the rows of an UPDATE.
    """
    picked = execute(
        sql(
            "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {} FOR UPDATE SKIP LOCKED",
            idents(back),
            table,
            wanted,
            order,
            Param(n),
        )
    ).rows
    if picked:
        positions = [list(back).index(k) for k in key]
        rows = join(", ", (sql("({})", join(", ", (Param(row[i]) for i in positions))) for row in picked))
        these = sql("({}) IN ({})", idents(key), rows) if key else sql("TRUE")
        execute(sql("UPDATE {} SET {} WHERE {}", table, sets, these))
    return picked
