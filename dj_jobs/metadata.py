"""When, how long and by which code a row was computed, in hidden columns of the row itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dj_jobs import clock
from dj_jobs.version import code_version
from dj_query.compile import where_clause
from dj_schema.sql import Ident, Param, sql

if TYPE_CHECKING:
    from dj_query.table import Table


def record(table: Table, key: Mapping[str, Any], duration_s: float) -> None:
    """Fill the metadata of the rows that a `make` just inserted; in its transaction.

    Does nothing for a table without these columns, or with `jobs.add_job_metadata` off.
    """
    connection = table.connection
    if "_job_start_time" not in table.heading.by_name or not connection.config.jobs.add_job_metadata:
        return
    where = where_clause((table & dict(key)).select, connection.dialect)
    connection.execute(
        sql(
            "UPDATE {} SET {} = {}, {} = {}, {} = {}{}",
            Ident(*table.table_id),
            Ident("_job_start_time"),
            clock.after(connection, -duration_s),
            Ident("_job_duration"),
            Param(float(duration_s)),
            Ident("_job_version"),
            Param(code_version(connection.config)),
            where,
        )
    )
