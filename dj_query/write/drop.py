"""Dropping tables: with all that depends on them, or alone."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dj_query.confirm import confirmed, row_counts
from dj_schema.declare import drop_tables
from dj_schema.errors import DataJointError
from dj_schema.graph.dependencies import load_dependencies
from dj_schema.names import Tier, job_table_name
from dj_schema.sql import Ident, sql
from dj_schema.table_info import TableName

if TYPE_CHECKING:
    from dj_query.table import Table
    from dj_schema.connection import Connection

log = logging.getLogger("datajoint.schema")


def drop_with_dependents(table: Table, prompt: bool | None, part_integrity: str) -> None:
    """Drop a table and all that depend on it, with their parts and job tables, after a yes.

    A table that is not there, as another session has dropped it, is dropped without an error, as a schema is.
    """
    connection = table.connection
    if table.is_restricted:
        raise DataJointError("a restricted table cannot be dropped; drop the table class itself.")
    if table.info.tier is Tier.PART and part_integrity != "ignore":
        raise DataJointError(
            "Cannot drop a Part directly. Drop the master, or use part_integrity='ignore' to force."
        )
    doomed = _there(connection, load_dependencies(connection, [table.database]).descendants(table.table_id))
    if not doomed:
        log.info("%s is not in the database: there is nothing to drop", table.full_table_name)
        return
    ask = connection.config.safemode if prompt is None else prompt
    counts = {name: _row_count(connection, name) for name in doomed} if ask else {}
    if ask and not confirmed("About to drop", row_counts(counts)):
        return
    drop_tables(connection, [*_job_tables(connection, doomed), *reversed(doomed)])


def drop_alone(table: Table) -> None:
    """Drop one table with its job table, without a question; nothing where it is not there."""
    connection = table.connection
    names = _there(connection, [table.table_id])
    drop_tables(connection, [*_job_tables(connection, names), *names])


def _there(connection: Connection, tables: Sequence[TableName]) -> list[TableName]:
    """Return those of the tables that are in the database now: another session may have dropped some."""
    for schema in {schema for schema, _ in tables}:
        connection.catalog.forget(schema)
    return [(schema, name) for schema, name in tables if name in connection.catalog.table_names(schema)]


def _job_tables(connection: Connection, tables: Iterable[TableName]) -> list[TableName]:
    known = [(schema, job_table_name(name)) for schema, name in tables]
    return [(schema, name) for schema, name in known if name in connection.catalog.table_names(schema)]


def _row_count(connection: Connection, name: TableName) -> int:
    found = connection.execute(sql("SELECT count(*) FROM {}", Ident(*name)), is_read=True)
    return int(found.rows[0][0])
