"""Reading PostgreSQL's own description of schemas (chapter "System Catalogs" of its manual)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from dj_schema.catalog_rows import ColumnRow, ForeignKeyRow, IndexRow
from dj_schema.definition.spec import CurrentTimestamp, Default, Literal, Null
from dj_schema.dialects.base import Result
from dj_schema.sql import Param, Sql, join, sql

Execute = Callable[[Sql], Result]

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum),
       a.attidentity <> '', array_position(i.indkey::int2[], a.attnum),
       CASE WHEN t.typtype = 'e' THEN
         (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
          FROM pg_enum e WHERE e.enumtypid = t.oid) END
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE n.nspname = {} AND c.relkind IN ('r', 'p', 'v', 'm'){}
ORDER BY c.relname, a.attnum
"""
_TABLES = """
SELECT c.relname, COALESCE(obj_description(c.oid, 'pg_class'), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = {} AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY c.oid
"""
_FOREIGN_KEYS = """
SELECT k.conname, (SELECT nspname FROM pg_namespace WHERE oid = c.relnamespace), c.relname,
       (SELECT nspname FROM pg_namespace WHERE oid = p.relnamespace), p.relname,
       (SELECT array_agg(a.attname ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY AS u(column_number, n)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.column_number)::text[],
       (SELECT array_agg(a.attname ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY AS u(column_number, n)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.column_number)::text[]
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
WHERE k.contype = 'f'
  AND (c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ({}))
       OR p.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ({})))
ORDER BY k.oid
"""  # as one join of seven tables it takes the server ten times as long to plan as to run
_INDEXES = """
SELECT t.relname, x.relname, i.indisunique,
       (SELECT array_agg(COALESCE(a.attname, '(' || pg_get_indexdef(i.indexrelid, s.n, true) || ')')
                         ORDER BY s.n)
        FROM generate_series(1, i.indnkeyatts) AS s(n)
        LEFT JOIN pg_attribute a
          ON a.attrelid = t.oid AND a.attnum = i.indkey[s.n - 1] AND a.attnum > 0)::text[],
       COALESCE(obj_description(x.oid, 'pg_class'), '')
FROM pg_index i
JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = {} AND NOT i.indisprimary ORDER BY x.oid
"""
_SCHEMAS = """
SELECT nspname FROM pg_namespace
WHERE nspname NOT LIKE 'pg\\_%%' AND nspname NOT IN ('information_schema', 'public') ORDER BY nspname
"""
_NOW = re.compile(
    r"\(?(?:date_trunc\('second'(?:::text)?, |date_bin\('[^']*'(?:::interval)?, )?"
    r"(?:CURRENT_TIMESTAMP|CURRENT_DATE|LOCALTIMESTAMP|now\(\))",
    re.I,
)
_QUOTED = re.compile(r"'((?:[^']|'')*)'", re.S)


def columns(execute: Execute, schema: str, table: str | None = None) -> list[ColumnRow]:
    only = sql(" AND c.relname = {}", Param(table)) if table else Sql(())
    rows = execute(sql(_COLUMNS, Param(schema), only)).rows
    return [
        ColumnRow(
            table=r[0],
            name=r[1],
            type_text="enum" if r[8] else r[2],
            is_nullable=r[3],
            default=_default(r[4], r[3]),
            comment=r[5] or "",
            is_auto_increment=r[6] or bool(r[4] and r[4].startswith("nextval(")),
            key_position=r[7],
            labels=tuple(r[8] or ()),
        )
        for r in rows
    ]


def _default(text: str | None, is_nullable: bool) -> Default | None:
    """Read a default as the server writes it back: a constant with a cast, or an expression."""
    if text is None or text.startswith("NULL::"):
        return Null() if is_nullable else None
    if text.startswith("nextval("):
        return None
    if _NOW.match(text):
        return CurrentTimestamp()
    if quoted := _QUOTED.match(text):
        return Literal(quoted[1].replace("''", "'"))
    if text in ("true", "false"):
        return Literal(text == "true")
    return Literal(text.split("::")[0].strip("()"))


def tables(execute: Execute, schema: str) -> dict[str, str]:
    """Return comments by table name."""
    return {str(name): str(comment) for name, comment in execute(sql(_TABLES, Param(schema))).rows}


def foreign_keys(execute: Execute, schemas: Sequence[str]) -> list[ForeignKeyRow]:
    """Return the foreign keys out of these schemas and into them."""
    names = join(", ", map(Param, schemas))
    return [
        ForeignKeyRow(name, child, parent, tuple(zip(child_columns, parent_columns, strict=True)))
        for name, *ends, child_columns, parent_columns in execute(sql(_FOREIGN_KEYS, names, names)).rows
        for child, parent in [((ends[0], ends[1]), (ends[2], ends[3]))]
    ]


def indexes(execute: Execute, schema: str) -> list[IndexRow]:
    return [
        IndexRow(table, name, tuple(columns), unique, comment)
        for table, name, unique, columns, comment in execute(sql(_INDEXES, Param(schema))).rows
    ]


def schemas(execute: Execute) -> list[str]:
    return [name for (name,) in execute(sql(_SCHEMAS)).rows]


def schema_exists(execute: Execute, schema: str) -> bool:
    return bool(execute(sql("SELECT 1 FROM pg_namespace WHERE nspname = {}", Param(schema))).rows)
