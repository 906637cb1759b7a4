"""Changes of tables that older programs declared."""

from __future__ import annotations

import logging
from typing import Any

from dj_query.binding import attach
from dj_query.schema import Schema
from dj_query.table import Table
from dj_query.user_table import UserTable
from dj_schema.alter import add_job_metadata
from dj_schema.errors import DataJointError

log = logging.getLogger("datajoint.migrate")


def add_job_metadata_columns(target: Any, dry_run: bool = False) -> dict[str, list[str]]:
    """Add the hidden columns of job metadata to tables that were declared without them.

    Parameters
    ----------
    target : table class, table or Schema
        A computed or imported table, or a schema for all of its computed and imported tables.
    dry_run : bool
        Only say what would be added.

    Returns
    -------
    dict
        Names of columns by full table name, for tables that lack some.
    """
    added: dict[str, list[str]] = {}
    for table in _tables_of(target):
        table.connection.catalog.forget(table.database)  # what is declared now, not what a class remembers
        info = table.connection.catalog.table(*table.table_id)
        missing = add_job_metadata(table.connection, info, dry_run=dry_run)
        if missing:
            added[table.full_table_name] = missing
            log.info(
                "%s %s to %s", "would add" if dry_run else "added", ", ".join(missing), table.full_table_name
            )
        if not dry_run and isinstance(table, UserTable):
            attach(type(table), type(table)._schema, table.connection.catalog.table(*table.table_id))
    return added


def _tables_of(target: Any) -> list[Table]:
    if isinstance(target, Schema):
        return [t for t in target if t.info.tier is not None and t.info.tier.is_auto_populated]
    table = target() if isinstance(target, type) and issubclass(target, UserTable) else target
    if not isinstance(table, Table):
        raise DataJointError(f"{target!r} is neither a table nor a schema.")
    if table.info.tier is None or not table.info.tier.is_auto_populated:
        raise DataJointError(
            f"{table.full_table_name} is no computed or imported table: only those have job metadata."
        )
    return [table]
