"""The time of jobs: what the server says, moved by what a test asks for (`Connection.clock_offset_s`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_schema.sql import Param, Sql

if TYPE_CHECKING:
    from dj_schema.connection import Connection


def now(connection: Connection) -> Sql:
    """Return the server's time, in milliseconds."""
    jobs = connection.dialect.jobs
    offset_s = connection.clock_offset_s
    moved: Sql = jobs.after(Param(offset_s), jobs.NOW) if offset_s else jobs.NOW
    return moved


def after(connection: Connection, seconds: float) -> Sql:
    """Return the server's time that many seconds from now."""
    later: Sql = connection.dialect.jobs.after(Param(float(seconds) + connection.clock_offset_s))
    return later
