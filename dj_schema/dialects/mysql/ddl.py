"""Declaring and dropping on MySQL and MariaDB."""

from __future__ import annotations

from dj_schema.definition.spec import CurrentTimestamp, Default, Null
from dj_schema.definition.spec import Literal as LiteralDefault
from dj_schema.dialects.mysql.literals import literal
from dj_schema.dialects.mysql.types import column_type
from dj_schema.heading import Attribute
from dj_schema.sql import EMPTY, Ident, Sql, idents, join, sql
from dj_schema.table_info import ForeignKey, Index, TableInfo
from dj_schema.types import CoreType, NativeType, TypeSpec

MAX_NAME_LENGTH = 64
EXISTS_CODES = frozenset({"1050", "1007", "1060"})
# Text without a length, and documents, take no literal default (manual, "Data Type Default Values").


def create_schema(name: str) -> list[Sql]:
    return [sql("CREATE DATABASE IF NOT EXISTS {} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", Ident(name))]


def drop_schema(name: str) -> list[Sql]:
    return [sql("DROP DATABASE IF EXISTS {}", Ident(name))]


def create_table(info: TableInfo) -> list[Sql]:
    """Return the one statement that declares a table with its indexes and comments."""
    lines = [_column(a) for a in info.heading.all]
    if key := info.heading.key_columns:
        lines.append(sql("PRIMARY KEY ({})", idents(key)))
    lines += [foreign_key(fk) for fk in info.foreign_keys]
    lines += [_index(index) for index in info.indexes]
    comment = sql(" COMMENT={}", literal(info.heading.comment)) if info.heading.comment else EMPTY
    body = join(",\n  ", lines)
    return [sql("CREATE TABLE {} (\n  {}\n) ENGINE=InnoDB{}", Ident(info.schema, info.name), body, comment)]


def drop_table(schema: str, table: str) -> list[Sql]:
    return [sql("DROP TABLE {}", Ident(schema, table))]


def column_comment(attribute: Attribute) -> str:
    """Return the comment that carries the type, so that another program reads the same definition."""
    if attribute.type is None or isinstance(attribute.type, NativeType):
        return attribute.comment
    return f":{attribute.type}:{attribute.comment}"


def _column(a: Attribute) -> Sql:
    assert a.storage is not None
    null = EMPTY if a.is_nullable else sql(" NOT NULL")
    comment = sql(" COMMENT {}", literal(column_comment(a))) if column_comment(a) else EMPTY
    default = default_clause(a.default, a.storage)
    return sql("{} {}{}{}{}", Ident(a.name), column_type(a.storage), null, default, comment)


def default_clause(default: Default | None, type_: TypeSpec | None) -> Sql:
    match default:
        case None:
            return EMPTY
        case Null():
            return sql(" NULL DEFAULT NULL" if isinstance(type_, NativeType) else " DEFAULT NULL")
        case CurrentTimestamp():
            digits = type_.args[0] if isinstance(type_, CoreType) and type_.args else None
            if isinstance(type_, NativeType) and "(" in type_.text:
                digits = int(type_.text[type_.text.index("(") + 1])
            return sql(f" DEFAULT CURRENT_TIMESTAMP({digits})" if digits else " DEFAULT CURRENT_TIMESTAMP")
        case LiteralDefault(value=bool(flag)):
            return sql(" DEFAULT 1" if flag else " DEFAULT 0")
        case LiteralDefault(value=value):
            return sql(" DEFAULT {}", literal(str(value)))


def foreign_key(fk: ForeignKey) -> Sql:
    return sql(
        "FOREIGN KEY ({}) REFERENCES {} ({}) ON UPDATE CASCADE ON DELETE RESTRICT",
        idents(child for child, _ in fk.pairs),
        Ident(*fk.parent),
        idents(parent for _, parent in fk.pairs),
    )


def _index(index: Index) -> Sql:
    columns = join(", ", (Sql((c,)) if c.startswith("(") else Ident(c) for c in index.columns))
    return sql("UNIQUE INDEX ({})" if index.is_unique else "INDEX ({})", columns)


def create_index(info: TableInfo, index: Index) -> Sql:
    return sql("ALTER TABLE {} ADD {}", Ident(info.schema, info.name), _index(index))


def add_column(schema: str, table: str, attribute: Attribute) -> list[Sql]:
    """Return the statements that add an attribute to a table that is there."""
    return [sql("ALTER TABLE {} ADD COLUMN {}", Ident(schema, table), _column(attribute))]
