"""Tables that workers keep for each other beside the job tables, one a schema: made at first use."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dj_schema.declare import declare_table, table_info_of
from dj_schema.definition.spec import AttributeSpec, TableSpec
from dj_schema.errors import AccessError, QueryError
from dj_schema.names import Tier
from dj_schema.table_info import TableInfo

if TYPE_CHECKING:
    from dj_schema.connection import Connection
    from dj_schema.table_info import TableName

log = logging.getLogger("datajoint.jobs")


def own_table(
    name: TableName, comment: str, key: Sequence[AttributeSpec], rest: Sequence[AttributeSpec]
) -> TableInfo:
    """Return what such a table is to be."""
    return table_info_of(
        TableSpec(comment, tuple(key), tuple(rest)), name, Tier.JOBS, _no_foreign_keys, allow_hidden=True
    )


def _no_foreign_keys(_: object) -> TableInfo:
    raise AssertionError("this table has no foreign keys")


def is_there(connection: Connection, name: TableName) -> bool:
    """Whether there is such a table."""
    return name[1] in connection.catalog.table_names(name[0])


def is_made(connection: Connection, info: TableInfo) -> bool:
    """Make the table where there is none; False where we may not, or may not now."""
    if is_there(connection, info.full_name):
        return True
    if connection.in_transaction:
        return False
    try:
        declare_table(connection, info)
    except AccessError as e:
        log.debug("workers do without %s: %s", ".".join(info.full_name), e)
        return False
    return True


def add_missing_columns(connection: Connection, info: TableInfo) -> bool:
    """Give a table that an earlier version made the columns that it lacks; False where we may not."""
    known = connection.catalog.schema(info.schema).tables.get(info.name)
    missing = [a for a in info.heading.all if known is not None and a.name not in known.heading.by_name]
    try:
        for attribute in missing:
            try:
                connection.script(connection.dialect.ddl.add_column(info.schema, info.name, attribute))
            except QueryError as e:
                if e.code not in connection.dialect.ddl.EXISTS_CODES:
                    raise  # else another worker was faster
    except AccessError as e:
        log.debug("%s lacks columns: %s", ".".join(info.full_name), e)
        return False
    if missing:
        connection.catalog.forget(info.schema)
    return True
