"""The time of jobs: what the server says, moved by what a test asks for (`Connection.clock_offset_s`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dj_schema.sql import Param, Sql, sql

if TYPE_CHECKING:
    from dj_schema.connection import Connection


def now(connection: Connection) -> Sql:
    """Return the server's time, in milliseconds."""
    jobs = connection.dialect.jobs
    offset_s = connection.clock_offset_s
    moved: Sql = jobs.after(Param(offset_s)) if offset_s else jobs.NOW
    return moved


def after(connection: Connection, seconds: float) -> Sql:
    """Return the server's time that many seconds from now."""
    later: Sql = connection.dialect.jobs.after(Param(float(seconds) + connection.clock_offset_s))
    return later


def host_is_ahead_s(connection: Connection) -> float:
    """Return by how much the clock of this host differs from the server's; negative where it is behind."""
    before = datetime.now(UTC)
    [(there,)] = connection.execute(sql("SELECT {}", connection.dialect.jobs.NOW), is_read=True).rows
    here = before + (datetime.now(UTC) - before) / 2
    ahead: float = (here.replace(tzinfo=None) - there).total_seconds()
    return ahead
