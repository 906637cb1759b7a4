"""Reading MySQL's and MariaDB's own description of databases (their INFORMATION_SCHEMA)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from dj_schema.catalog_rows import ColumnRow, ForeignKeyRow, IndexRow
from dj_schema.definition.spec import CurrentTimestamp, Default, Literal, Null
from dj_schema.dialects.base import Result
from dj_schema.dialects.postgres.catalog import group_foreign_keys
from dj_schema.sql import Param, Sql, join, sql

Execute = Callable[[Sql], Result]

_COLUMNS = """
SELECT c.TABLE_NAME, c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE = 'YES', c.COLUMN_DEFAULT, c.COLUMN_COMMENT,
       c.EXTRA, k.ORDINAL_POSITION, VERSION() LIKE '%%MariaDB%%'
FROM information_schema.COLUMNS c
LEFT JOIN information_schema.KEY_COLUMN_USAGE k
  ON k.TABLE_SCHEMA = c.TABLE_SCHEMA AND k.TABLE_NAME = c.TABLE_NAME AND k.COLUMN_NAME = c.COLUMN_NAME
     AND k.CONSTRAINT_NAME = 'PRIMARY'
WHERE c.TABLE_SCHEMA = {}{}
ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION
"""
_TABLES = """
SELECT TABLE_NAME, COALESCE(TABLE_COMMENT, '') FROM information_schema.TABLES
WHERE TABLE_SCHEMA = {} ORDER BY CREATE_TIME, TABLE_NAME
"""
_FOREIGN_KEYS = """
SELECT CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME,
       COLUMN_NAME, REFERENCED_COLUMN_NAME
FROM information_schema.KEY_COLUMN_USAGE
WHERE REFERENCED_TABLE_NAME IS NOT NULL AND (TABLE_SCHEMA IN ({}) OR REFERENCED_TABLE_SCHEMA IN ({}))
ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION
"""
_INDEXES = """
SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE = 0, COLUMN_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = {} AND INDEX_NAME <> 'PRIMARY' ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX
"""
_SCHEMAS = """
SELECT SCHEMA_NAME FROM information_schema.SCHEMATA
WHERE SCHEMA_NAME NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY SCHEMA_NAME
"""
_ENUM_LABEL = re.compile(r"'((?:[^']|'')*)'")


def columns(execute: Execute, schema: str, table: str | None = None) -> list[ColumnRow]:
    only = sql(" AND c.TABLE_NAME = {}", Param(table)) if table else Sql(())
    return [_column(r) for r in execute(sql(_COLUMNS, Param(schema), only)).rows]


def _column(r: tuple[object, ...]) -> ColumnRow:
    type_text = str(r[2])
    is_enum = type_text.lower().startswith("enum(")
    default = None if r[4] is None else r[4].decode() if isinstance(r[4], bytes) else str(r[4])
    labels = tuple(label.replace("''", "'") for label in _ENUM_LABEL.findall(type_text)) if is_enum else ()
    return ColumnRow(
        table=str(r[0]),
        name=str(r[1]),
        type_text="enum" if is_enum else type_text.lower(),
        is_nullable=bool(r[3]),
        default=_default(default, bool(r[3]), quoted=bool(r[8]), type_text=type_text.lower()),
        comment=str(r[5] or ""),
        is_auto_increment="auto_increment" in str(r[6]).lower(),
        key_position=int(str(r[7])) - 1 if r[7] is not None else None,
        labels=labels,
    )


def _default(text: str | None, is_nullable: bool, *, quoted: bool, type_text: str) -> Default | None:
    """MariaDB quotes a string default, MySQL does not (its own note on COLUMN_DEFAULT)."""
    if text is None or (quoted and text.upper() == "NULL"):
        return Null() if is_nullable else None
    if re.match(r"(?i)current_timestamp", text) and ("time" in type_text or not text.startswith("'")):
        return CurrentTimestamp()
    if quoted and text.startswith("'"):
        return Literal(text[1:-1].replace("''", "'").replace("\\\\", "\\"))
    return Literal(text)


def tables(execute: Execute, schema: str) -> dict[str, str]:
    """Return comments by table name."""
    return {str(name): str(comment) for name, comment in execute(sql(_TABLES, Param(schema))).rows}


def foreign_keys(execute: Execute, schemas: Sequence[str]) -> list[ForeignKeyRow]:
    """Return the foreign keys out of these databases and into them."""
    names = join(", ", map(Param, schemas))
    return group_foreign_keys(execute(sql(_FOREIGN_KEYS, names, names)).rows)


def indexes(execute: Execute, schema: str) -> list[IndexRow]:
    grouped: dict[tuple[str, str, bool], list[str]] = {}
    for table, name, unique, column in execute(sql(_INDEXES, Param(schema))).rows:
        grouped.setdefault((table, name, bool(unique)), []).append(column or "(expression)")
    return [IndexRow(t, n, tuple(cols), u) for (t, n, u), cols in grouped.items()]


def schemas(execute: Execute) -> list[str]:
    return [name for (name,) in execute(sql(_SCHEMAS)).rows]


def schema_exists(execute: Execute, schema: str) -> bool:
    found = sql("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}", Param(schema))
    return bool(execute(found).rows)
