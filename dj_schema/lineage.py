"""The `~lineage` table: where each attribute was first defined (reference/specs/semantic-matching.md)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dj_schema.catalog_entry import LINEAGE
from dj_schema.graph.dependencies import Dependencies
from dj_schema.sql import Ident, join, params, sql
from dj_schema.table_info import TableInfo, TableName

if TYPE_CHECKING:
    from dj_schema.connection import Connection

log = logging.getLogger("datajoint.lineage")


def lineage_of(info: TableInfo) -> dict[str, str]:
    """Return the origins of a table's attributes, where they have one."""
    return {a.name: a.lineage for a in info.heading.all if a.lineage}


def record_lineage(connection: Connection, infos: Sequence[TableInfo]) -> None:
    """Write down the lineage of tables of one schema, over whatever an earlier table of the name left."""
    rows = [(info.name, name, origin) for info in infos for name, origin in lineage_of(info).items()]
    if not rows:
        return
    name = (infos[0].schema, LINEAGE)
    values = join(", ", (sql("({})", params(row)) for row in rows))
    on_duplicate = connection.dialect.rows.on_duplicate(name, ["table_name", "attribute_name"], ["lineage"])
    insert = "INSERT INTO {} (table_name, attribute_name, lineage) VALUES {}{}"
    connection.execute(sql(insert, Ident(*name), values, on_duplicate))
    tables = params(info.name for info in infos)
    pairs = join(", ", (sql("({})", params(row[:2])) for row in rows))
    stale = "DELETE FROM {} WHERE table_name IN ({}) AND (table_name, attribute_name) NOT IN ({})"
    connection.execute(sql(stale, Ident(*name), tables, pairs))


def forget_lineage(connection: Connection, tables: Sequence[TableName]) -> None:
    """Delete the lineage of tables that are no more."""
    for schema in dict.fromkeys(schema for schema, _ in tables):
        if LINEAGE in connection.catalog.table_names(schema):
            names = params(table for s, table in tables if s == schema)
            connection.execute(sql("DELETE FROM {} WHERE table_name IN ({})", Ident(schema, LINEAGE), names))


def computed_lineage(connection: Connection, schema: str) -> dict[tuple[str, str], str]:
    """Derive the origins of all attributes of a schema from its primary and foreign keys.

    For parents in other schemas, what is recorded there is taken.
    """
    tables = connection.catalog.schema(schema).tables
    edges = [fk for info in tables.values() for fk in info.foreign_keys]
    origins: dict[tuple[TableName, str], str] = {}
    for name in Dependencies([(schema, t) for t in tables if t != LINEAGE], edges).in_order():
        if name[0] != schema:
            continue
        info = tables[name[1]]
        for fk in info.foreign_keys:
            for child, parent in fk.pairs:
                if (name, child) not in origins:
                    origins[name, child] = _origin(connection, fk.parent, parent, schema, origins)
        for attribute in info.heading.all:
            if attribute.in_key:
                origins.setdefault((name, attribute.name), ".".join((*name, attribute.name)))
    return {(table, attribute): origin for ((_, table), attribute), origin in origins.items()}


def _origin(
    connection: Connection,
    parent: TableName,
    attribute: str,
    schema: str,
    known: Mapping[tuple[TableName, str], str],
) -> str:
    own = ".".join((*parent, attribute))
    if parent[0] == schema:
        return known.get((parent, attribute), own)
    recorded = connection.catalog.origin(parent, attribute)
    if recorded is None:
        warn_of_missing_origin(parent, attribute)
    return recorded or own


def warn_of_missing_origin(parent: TableName, attribute: str) -> None:
    """Say that an attribute that is inherited has no origin on record, and what to do about it."""
    log.warning(
        "Lineage for `%s`.`%s`.`%s` not found (parent schema's ~lineage table may be missing or incomplete). "
        "Using it as origin. Once the parent schema's lineage is rebuilt, run schema.rebuild_lineage() on "
        "this schema to correct the lineage.",
        *parent,
        attribute,
    )


def rebuild_lineage(connection: Connection, schema: str) -> None:
    """Write the lineage of all tables of a schema anew, in one transaction."""
    connection.catalog.forget()
    origins = computed_lineage(connection, schema)
    table = Ident(schema, LINEAGE)
    with connection.transaction:
        connection.execute(sql("DELETE FROM {}", table))
        if origins:
            values = join(", ", (sql("({})", params((*name, origin))) for name, origin in origins.items()))
            connection.execute(
                sql("INSERT INTO {} (table_name, attribute_name, lineage) VALUES {}", table, values)
            )
    connection.catalog.forget()
