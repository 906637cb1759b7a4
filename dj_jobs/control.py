"""What workers tell each other of a job table: when it was last refreshed. One table a schema."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from dj_jobs import clock
from dj_schema.declare import declare_table, table_info_of
from dj_schema.definition.spec import AttributeSpec, Null, TableSpec
from dj_schema.errors import AccessError
from dj_schema.names import Tier
from dj_schema.sql import Ident, Param, sql
from dj_schema.table_info import TableInfo
from dj_schema.types import CoreType

if TYPE_CHECKING:
    from dj_jobs.table import JobTable

log = logging.getLogger("datajoint.jobs")

CONTROL = "~job_control"


def control_info(schema: str) -> TableInfo:
    """Return what the table is to be."""
    key = (AttributeSpec("table_name", CoreType("varchar", (64,))),)
    rest = (AttributeSpec("refreshed_time", CoreType("datetime", (6,)), Null()),)
    spec = TableSpec("What workers tell each other of job tables", key, rest)
    return table_info_of(spec, (schema, CONTROL), Tier.JOBS, _no_foreign_keys)


def _no_foreign_keys(_: object) -> TableInfo:
    raise AssertionError("this table has no foreign keys")


def _is_there(jobs: JobTable) -> bool:
    """Whether there is such a table, making it where there is none; False where we may not."""
    schema, _ = jobs.table_id
    connection = jobs.connection
    if CONTROL in connection.catalog.table_names(schema):
        return True
    if connection.in_transaction:
        return False
    try:
        declare_table(connection, control_info(schema))
    except AccessError as e:
        log.debug("workers on %s each refresh for themselves: %s", schema, e)
        return False
    return True


def was_refreshed_since(jobs: JobTable, since: datetime) -> bool:
    """Whether another worker has begun to refresh all of the jobs after a moment, and has finished."""
    if not _is_there(jobs):
        return False
    schema, name = jobs.table_id
    statement = sql(
        "SELECT {} FROM {} WHERE {} = {}",
        Ident("refreshed_time"),
        Ident(schema, CONTROL),
        Ident("table_name"),
        Param(name),
    )
    rows = jobs.connection.execute(statement, is_read=True).rows
    return bool(rows) and rows[0][0] is not None and rows[0][0] >= since


def note_refresh(jobs: JobTable) -> None:
    """Note that a refresh of all of the jobs sees the key source as it is now."""
    if not _is_there(jobs):
        return
    schema, name = jobs.table_id
    connection = jobs.connection
    insert = sql(
        "INSERT INTO {} ({}, {}) VALUES ({}, {})",
        Ident(schema, CONTROL),
        Ident("table_name"),
        Ident("refreshed_time"),
        Param(name),
        clock.after(connection, 0),
    )
    update = connection.dialect.rows.on_duplicate((schema, CONTROL), ["table_name"], ["refreshed_time"])
    connection.execute(insert + update)
