"""Time and claims on PostgreSQL."""

from __future__ import annotations

from dj_schema.sql import Sql, sql

NOW = sql("clock_timestamp()::timestamp")


def after(seconds: Sql) -> Sql:
    """Return the server's time that many seconds from now."""
    return sql("(clock_timestamp()::timestamp + make_interval(secs => {}))", seconds)
