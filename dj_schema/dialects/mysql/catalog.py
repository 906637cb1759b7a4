"""Reading MySQL's and MariaDB's own description of databases (their INFORMATION_SCHEMA)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from dj_schema.catalog_rows import ColumnRow, ForeignKeyRow, IndexRow
from dj_schema.definition.spec import CurrentTimestamp, Default, Literal, Null
from dj_schema.dialects.base import Result
from dj_schema.sql import Param, Sql, join, sql

Execute = Callable[[Sql], Result]

# The LIMIT makes servers read the keys once; merged into a join, these views are read for each column.
# What holds the values of an indexed expression (ddl.HOLDER_PREFIX) is no attribute.
_COLUMNS = """
SELECT c.TABLE_NAME, c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE = 'YES', c.COLUMN_DEFAULT, c.COLUMN_COMMENT,
       c.EXTRA, k.ORDINAL_POSITION, VERSION() LIKE '%%MariaDB%%'
FROM information_schema.COLUMNS c
LEFT JOIN (
  SELECT TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION FROM information_schema.KEY_COLUMN_USAGE
  WHERE TABLE_SCHEMA = {} AND CONSTRAINT_NAME = 'PRIMARY' LIMIT 1000000000
) k ON k.TABLE_NAME = c.TABLE_NAME AND k.COLUMN_NAME = c.COLUMN_NAME
WHERE c.TABLE_SCHEMA = {}{} AND NOT (c.COLUMN_NAME LIKE '\\_of\\_index\\_%%' AND c.EXTRA LIKE '%%GENERATED%%')
ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION
"""
_TABLES = """
SELECT TABLE_NAME, CASE TABLE_TYPE WHEN 'VIEW' THEN '' ELSE COALESCE(TABLE_COMMENT, '') END
FROM information_schema.TABLES
WHERE TABLE_SCHEMA = {} ORDER BY CREATE_TIME, TABLE_NAME
"""
_FOREIGN_KEYS = """
SELECT CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME,
       COLUMN_NAME, REFERENCED_COLUMN_NAME
FROM information_schema.KEY_COLUMN_USAGE
WHERE REFERENCED_TABLE_NAME IS NOT NULL AND (TABLE_SCHEMA IN ({}) OR REFERENCED_TABLE_SCHEMA IN ({}))
ORDER BY TABLE_SCHEMA, TABLE_NAME, LENGTH(CONSTRAINT_NAME), CONSTRAINT_NAME, ORDINAL_POSITION
"""
_INDEXES = """
SELECT * FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = {} AND INDEX_NAME <> 'PRIMARY' ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX
"""
_SCHEMAS = """
SELECT SCHEMA_NAME FROM information_schema.SCHEMATA
WHERE SCHEMA_NAME NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY SCHEMA_NAME
"""
_ENUM_LABEL = re.compile(r"'((?:[^']|'')*)'")
_NOW = re.compile(r"\(?(?:current_timestamp|current_date|curdate\(\)|now\(\))", re.I)
_ESCAPE = re.compile(r"''|\\(.)", re.S)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "Z": "\x1a"}


def columns(execute: Execute, schema: str, table: str | None = None) -> list[ColumnRow]:
    only = sql(" AND c.TABLE_NAME = {}", Param(table)) if table else Sql(())
    return [_column(r) for r in execute(sql(_COLUMNS, Param(schema), Param(schema), only)).rows]


def _column(r: tuple[object, ...]) -> ColumnRow:
    type_text = str(r[2])
    is_enum = type_text.lower().startswith("enum(")
    default = None if r[4] is None else r[4].decode() if isinstance(r[4], bytes) else str(r[4])
    labels = tuple(map(_unescaped, _ENUM_LABEL.findall(type_text))) if is_enum else ()
    return ColumnRow(
        table=str(r[0]),
        name=str(r[1]),
        type_text="enum" if is_enum else type_text.lower(),
        is_nullable=bool(r[3]),
        default=_default(default, bool(r[3]), is_quoted=bool(r[8]), extra=str(r[6]).upper()),
        comment=str(r[5] or ""),
        is_auto_increment="auto_increment" in str(r[6]).lower(),
        key_position=int(str(r[7])) - 1 if r[7] is not None else None,
        labels=labels,
    )


def _default(text: str | None, is_nullable: bool, *, is_quoted: bool, extra: str) -> Default | None:
    """Read a default: MariaDB writes it as SQL, MySQL without quotes; that says apart what is computed."""
    if text is None or (is_quoted and text.upper() == "NULL"):
        return Null() if is_nullable else None
    is_constant = text.startswith("'") if is_quoted else "DEFAULT_GENERATED" not in extra
    if not is_constant and _NOW.match(text):
        return CurrentTimestamp()
    return Literal(_unescaped(text[1:-1]) if is_quoted and is_constant else text)


def _unescaped(text: str) -> str:
    """Read what stands between the quotes of a constant that the server wrote."""
    return _ESCAPE.sub(lambda m: "'" if m[0] == "''" else _ESCAPED.get(m[1], m[1]), text)


def tables(execute: Execute, schema: str) -> dict[str, str]:
    """Return comments by table name."""
    return {str(name): str(comment) for name, comment in execute(sql(_TABLES, Param(schema))).rows}


def foreign_keys(execute: Execute, schemas: Sequence[str]) -> list[ForeignKeyRow]:
    """Return the foreign keys out of these databases and into them."""
    names = join(", ", map(Param, schemas))
    grouped: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for *head, child_column, parent_column in execute(sql(_FOREIGN_KEYS, names, names)).rows:
        grouped.setdefault(tuple(head), []).append((child_column, parent_column))
    return [
        ForeignKeyRow(head[0], (head[1], head[2]), (head[3], head[4]), tuple(pairs))
        for head, pairs in grouped.items()
    ]


def indexes(execute: Execute, schema: str) -> list[IndexRow]:
    found = execute(sql(_INDEXES, Param(schema)))
    grouped: dict[tuple[str, str, bool, str], list[str]] = {}
    for values in found.rows:
        row = dict(zip(found.columns, values, strict=True))
        column = (
            row["COLUMN_NAME"] or f"({row['EXPRESSION']})"
        )  # MariaDB has neither expressions nor this column
        head = (row["TABLE_NAME"], row["INDEX_NAME"], not row["NON_UNIQUE"], row["INDEX_COMMENT"] or "")
        grouped.setdefault(head, []).append(column)
    return [IndexRow(t, n, tuple(cols), u, comment) for (t, n, u, comment), cols in grouped.items()]


def schemas(execute: Execute) -> list[str]:
    return [name for (name,) in execute(sql(_SCHEMAS)).rows]


def schema_exists(execute: Execute, schema: str) -> bool:
    found = sql("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}", Param(schema))
    return bool(execute(found).rows)
