"""Time and claims on MySQL and MariaDB."""

from __future__ import annotations

from dj_schema.sql import Sql, sql

NOW = sql("UTC_TIMESTAMP(6)")


def after(seconds: Sql) -> Sql:
    """Return the server's time that many seconds from now."""
    return sql("(UTC_TIMESTAMP(6) + INTERVAL {} SECOND)", seconds)
