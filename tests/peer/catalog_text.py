"""All that a server knows of the structure of a schema, in a form that can be compared."""

from __future__ import annotations

import re
from typing import Any

_POSTGRES = {
    "columns": """
        SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE n.nspname = %s AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2""",
    "tables": """
        SELECT c.relname, obj_description(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relkind = 'r' ORDER BY 1""",
    "keys": """
        SELECT c.relname, pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND k.contype IN ('p', 'f', 'u')
        ORDER BY 1, 2""",
    "indexes": "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = %s ORDER BY 1, 2",
}
_MYSQL = {
    "columns": """
        SELECT TABLE_NAME, ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, EXTRA, COLUMN_DEFAULT,
               COLUMN_COMMENT
        FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s ORDER BY 1, 2""",
    "tables": """
        SELECT TABLE_NAME, TABLE_COMMENT, ENGINE FROM information_schema.TABLES
        WHERE TABLE_SCHEMA = %s ORDER BY 1""",
    "keys": """
        SELECT k.TABLE_NAME, k.ORDINAL_POSITION, k.COLUMN_NAME, k.REFERENCED_TABLE_NAME,
               k.REFERENCED_COLUMN_NAME, r.UPDATE_RULE, r.DELETE_RULE
        FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
        ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME
        WHERE k.TABLE_SCHEMA = %s ORDER BY 1, 4, 3""",
    "indexes": """
        SELECT TABLE_NAME, NON_UNIQUE, GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX)
        FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s
        GROUP BY TABLE_NAME, NON_UNIQUE, INDEX_NAME ORDER BY 1, 3, 2""",
}

OF_JOBS = ("~~", "~job", "~workers")  # what an engine keeps for itself


def catalog_of(connection: Any, schema: str) -> dict[str, list[list[Any]]]:
    """Return tables, columns, keys and indexes; without names that nobody sees, and without job tables."""
    is_postgres = connection.dialect.name == "postgresql"
    found = {}
    for what, text in (_POSTGRES if is_postgres else _MYSQL).items():
        rows = [[_plain(value) for value in row] for row in connection.query(text, [schema])]
        found[what] = sorted((row for row in rows if not row[0].startswith(OF_JOBS)), key=str)
    return found


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # whole seconds, as a datetime has on MySQL; the peer's has microseconds here, and keeps them with us
    value = value.replace("timestamp(0)", "timestamp")
    value = value.replace("date_trunc('second'::text, CURRENT_TIMESTAMP)", "CURRENT_TIMESTAMP")
    value = re.sub(r"(INDEX) \S+ ON", r"\1 ON", value)
    if value.startswith(":enum"):
        value = value.replace("', '", "','")
    return re.sub(r"enum_[0-9a-f]+", "enum", value)
