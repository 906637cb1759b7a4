"""Time and claims on PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from dj_schema.dialects.base import Execute, Row
from dj_schema.sql import Ident, Param, Sql, join, sql

NOW = sql("date_trunc('milliseconds', clock_timestamp()::timestamp)")
_FINE_NOW = sql("clock_timestamp()::timestamp")
HAS_KEY_IN_INDEXES = False
CLAIM_ISOLATION: str | None = None
HAS_CHANNELS = True
"""Whether sessions can be told of something by name: LISTEN and NOTIFY."""
SHARE_LOCK = " FOR SHARE"
"""What ends a SELECT whose rows nobody else is to change."""
LIVE_SESSIONS = sql("SELECT pid FROM pg_stat_activity")
SERVER_START = sql("pg_postmaster_start_time()::timestamp")
"""When the server was started, to a second or better; NULL where it does not say."""
"""The numbers of the sessions that the server knows."""


TRANSACTION_ID: Sql | None = sql("SELECT pg_current_xact_id_if_assigned()::text")
"""What returns the number of the open transaction, where it has written anything."""


def transaction_end(execute: Execute, number: str) -> bool | None:
    """Whether a transaction was committed, by its number; None where it has not ended, and is made to."""
    whole = sql("{}::text::xid8", Param(number))
    status = execute(sql("SELECT pg_xact_status({})", whole)).rows[0][0]
    if status == "in progress":
        end = sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = {}::xid", whole)
        execute(end)
        return None
    return bool(status == "committed")


def end_session(execute: Execute, session: int, since: datetime) -> bool:
    """End a session that was there at a time; a later one with its number is left alone."""
    statement = sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid = {} AND (backend_start AT TIME ZONE 'UTC') <= {}",
        Param(session),
        Param(since + timedelta(milliseconds=1)),  # times of jobs are in milliseconds, rounded down
    )
    return any(row[0] for row in execute(statement).rows)


def notify(channel: Ident) -> Sql:
    """Return what tells all who listen, once it is committed."""
    return sql("NOTIFY {}", channel)


def listen(channel: Ident) -> Sql:
    """Return what has this session told of a channel from now on."""
    return sql("LISTEN {}", channel)


def text(value: str) -> Sql:
    """Return a text where the server cannot tell the type of a parameter."""
    return sql("{}::text", Param(value))


def time_text(time: Sql) -> Sql:
    """Return a time as text in ISO form."""
    return sql("{}::timestamp::text", time)


def appended(history: Ident, item: Mapping[str, Sql | Param], most: int) -> Sql:
    """Return a JSON array with one more object at its end, and the oldest left out above `most`."""
    pairs = join(", ", (sql("{}, {}", Sql((f"'{name}'",)), value) for name, value in item.items()))
    whole = sql("coalesce({}, '[]')::jsonb || jsonb_build_array(jsonb_build_object({}))", history, pairs)
    return sql(
        "(SELECT jsonb_agg(o.value ORDER BY o.ordinality) FROM "
        "(SELECT * FROM jsonb_array_elements({}) WITH ORDINALITY ORDER BY ordinality DESC LIMIT {}) AS o)",
        whole,
        Param(most),
    )


def after(seconds: Sql | Param, now: Sql = _FINE_NOW) -> Sql:
    """Return the server's time that many seconds from now, which may be less fine."""
    return sql("({} + make_interval(secs => {}))", now, seconds)


def lock(name: str, longest_s: float) -> tuple[Sql, Sql]:
    """Return what takes a lock of this session on a name, waiting for it, and what gives it back.

    The first returns when it began to wait, and whether it has the lock; or fails where it waited too long.
    Its limit is its own, and not that of the statements after it: it is run outside of transactions.
    """
    number = Param(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True))
    limit = sql(
        "SELECT set_config('lock_timeout', {}, true) AS s OFFSET 0", Param(f"{longest_s * 1000:.0f}ms")
    )
    take = sql(
        "SELECT clock_timestamp()::timestamp, pg_advisory_lock({}) IS NOT NULL FROM ({}) AS w "
        "WHERE w.s IS NOT NULL",
        number,
        limit,
    )
    return take, sql("SELECT pg_advisory_unlock({})", number)


def try_lock(name: str) -> Sql:
    """Return what takes such a lock where it is free, and says whether."""
    number = Param(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True))
    return sql("SELECT pg_try_advisory_lock({})", number)


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
    # under names that no key has, so that what is set may speak of the table's own columns
    old = {b: b if b in key else f"_old_{b}" for b in back}
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
