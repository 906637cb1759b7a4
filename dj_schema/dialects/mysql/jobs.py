"""Time and claims on MySQL and MariaDB."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from dj_schema.dialects.base import Execute, Row
from dj_schema.errors import DataError
from dj_schema.sql import Ident, Param, Sql, idents, join, sql

NOW = sql("UTC_TIMESTAMP(3)")
_FINE_NOW = sql("UTC_TIMESTAMP(6)")
HAS_KEY_IN_INDEXES = True
CLAIM_ISOLATION: str | None = "READ COMMITTED"
"""Under REPEATABLE READ a locking read locks the gaps too, and workers would wait for each other."""
HAS_CHANNELS = False
"""These servers cannot tell a session of anything: workers look."""
SHARE_LOCK = " LOCK IN SHARE MODE"
LIVE_SESSIONS = sql(
    "SELECT ID FROM information_schema.PROCESSLIST"
    " /*!80022 WHERE FALSE UNION ALL SELECT ID FROM performance_schema.processlist */"
)
"""MySQL from 8.0.22, which alone reads the comment, fails in its older table while any session runs a
statement with characters beyond utf8mb3. Its newer one is empty where performance_schema is off.
"""

# each server reads one of the two comments
SERVER_START = sql(
    "(SELECT UTC_TIMESTAMP(6) - INTERVAL variable_value SECOND"
    " FROM /*!80000 performance_schema.*//*M! information_schema.*/global_status"
    " WHERE variable_name = 'UPTIME')"
)


TRANSACTION_ID: Sql | None = None
"""These servers do not tell what became of a transaction."""


def transaction_end(execute: Execute, number: str) -> bool | None:
    raise AssertionError("there are no numbers of transactions to ask by")


def end_session(execute: Execute, session: int, since: datetime) -> bool:
    """End a session that was there at a time; a later one with its number is left alone.

    These servers give a number again only after they have been started anew.
    """
    there = sql("SELECT ID FROM ({}) AS live WHERE ID = {}", LIVE_SESSIONS, Param(session))
    if not execute(there).rows:
        return False
    now = execute(sql("SELECT UTC_TIMESTAMP(6)")).rows[0][0]
    uptime_s = int(execute(sql("SHOW GLOBAL STATUS LIKE 'Uptime'")).rows[0][1])
    if now - timedelta(seconds=uptime_s + 1) > since:
        return False
    execute(sql("KILL {}", Param(session)))
    return True


def text(value: str) -> Param:
    """Return a text where the server cannot tell the type of a parameter; these can."""
    return Param(value)


def time_text(time: Sql) -> Sql:
    """Return a time as text in ISO form."""
    return sql("CAST({} AS CHAR)", time)


def appended(history: Ident, item: Mapping[str, Sql | Param], most: int) -> Sql:
    """Return a JSON array with one more object at its end, and the oldest left out above `most`."""
    pairs = join(", ", (sql("{}, {}", Sql((f"'{name}'",)), value) for name, value in item.items()))
    whole = sql("JSON_ARRAY_APPEND(COALESCE({}, JSON_ARRAY()), '$', JSON_OBJECT({}))", history, pairs)
    is_long = sql("JSON_LENGTH(COALESCE({}, JSON_ARRAY())) >= {}", history, Param(most))
    return sql("IF({}, JSON_REMOVE({}, '$[0]'), {})", is_long, whole, whole)


def after(seconds: Sql | Param, now: Sql = _FINE_NOW) -> Sql:
    """Return the server's time that many seconds from now, which may be less fine."""
    return sql("({} + INTERVAL {} SECOND)", now, seconds)


def lock(name: str, longest_s: float) -> tuple[Sql, Sql]:
    """Return what takes a lock of this session on a name, waiting for it, and what gives it back.

    The first returns when it began to wait, and whether it has the lock.
    """
    short = Param("dj_" + hashlib.sha256(name.encode()).hexdigest()[:40])  # these servers take 64 characters
    take = sql("SELECT UTC_TIMESTAMP(6), GET_LOCK({}, {})", short, Param(longest_s))
    return take, sql("SELECT RELEASE_LOCK({})", short)


def try_lock(name: str) -> Sql:
    """Return what takes such a lock where it is free, and says whether."""
    short = Param("dj_" + hashlib.sha256(name.encode()).hexdigest()[:40])
    return sql("SELECT GET_LOCK({}, 0)", short)


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
        if execute(sql("UPDATE {} SET {} WHERE {}", table, sets, these)).n_rows != len(picked):
            raise DataError(
                "rows that were to be claimed do not equal their own key: no text is equal to a float32 "
                "on this server. Let the key be of another type: float64, a decimal, an integer."
            )
    return picked
