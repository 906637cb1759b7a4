"""What the tests of structure share: classes made from text, and looks at what the server has."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from dj_schema.connection import Connection
from dj_schema.table_info import TableInfo


def table_class(dj: ModuleType, name: str, definition: str, tier: str = "Manual", **members: Any) -> Any:
    """Return a table class of that name, not declared yet."""
    base = getattr(dj, tier)
    return type(base)(name, (base,), {"definition": definition, **members})


def seen_by_another(connection: Connection, schema: str, table: str) -> TableInfo:
    """Read a table as a program would that has just started."""
    with connection.clone() as other:
        return other.catalog.table(schema, table)


def column_comments(connection: Connection, schema: str, table: str) -> dict[str, str | None]:
    """Return the comments of a table's columns as the server holds them."""
    if connection.dialect.name == "postgresql":
        text = (
            "SELECT a.attname, col_description(c.oid, a.attnum) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 ORDER BY a.attnum"
        )
    else:
        text = (
            "SELECT COLUMN_NAME, COLUMN_COMMENT FROM information_schema.COLUMNS "
            "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
        )
    return dict(connection.query(text, (schema, table)))


def lineage_rows(connection: Connection, schema: str) -> set[tuple[str, ...]]:
    """Return the rows of a schema's `~lineage`."""
    quote = connection.dialect.quote
    return set(connection.query(f"SELECT * FROM {quote}{schema}{quote}.{quote}~lineage{quote}"))


def tables_in(connection: Connection, schema: str) -> set[str]:
    """Return all tables that the server has in a schema, hidden ones too."""
    found = connection.query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (schema,)
    )
    return {name for (name,) in found}
