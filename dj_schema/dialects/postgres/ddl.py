"""Declaring and dropping on PostgreSQL."""

from __future__ import annotations

import hashlib

from dj_schema.dialects.postgres.types import check_of, column_type
from dj_schema.definition.spec import CurrentTimestamp, Default, Null
from dj_schema.definition.spec import Literal as LiteralDefault
from dj_schema.heading import Attribute
from dj_schema.sql import EMPTY, Ident, Sql, idents, join, literal, sql
from dj_schema.table_info import ForeignKey, Index, TableInfo
from dj_schema.types import CoreType, NativeType, TypeSpec

MAX_IDENTIFIER_BYTES = 63
MAX_NAME_LENGTH = 63
EXISTS_CODES = frozenset({"42P07", "42710", "42P06", "23505"})


def create_schema(name: str) -> list[Sql]:
    return [sql("CREATE SCHEMA IF NOT EXISTS {}", Ident(name))]


def drop_schema(name: str) -> list[Sql]:
    return [sql("DROP SCHEMA IF EXISTS {} CASCADE", Ident(name))]


def enum_name(labels: tuple[str, ...]) -> str:
    """Return the name of the type for these labels; tables of a schema share it."""
    return "enum_" + hashlib.md5("\0".join(labels).encode(), usedforsecurity=False).hexdigest()[:8]


def create_table(info: TableInfo) -> list[Sql]:
    """Return the statements that declare a table, its enum types, comments and indexes."""
    table = Ident(info.schema, info.name)
    lines = [_column(info.schema, a) for a in info.heading.all]
    if key := info.heading.key_columns:
        lines.append(sql("PRIMARY KEY ({})", idents(key)))
    lines += [foreign_key(fk) for fk in info.foreign_keys]
    statements = [_enum_type(info.schema, labels) for labels in _label_sets(info.heading.all)]
    statements.append(sql("CREATE TABLE {} (\n  {}\n)", table, join(",\n  ", lines)))
    if info.heading.comment:
        statements.append(sql("COMMENT ON TABLE {} IS {}", table, literal(info.heading.comment)))
    statements += [
        sql("COMMENT ON COLUMN {} IS {}", Ident(info.schema, info.name, a.name), literal(column_comment(a)))
        for a in info.heading.all
        if column_comment(a)
    ]
    statements += [create_index(info, index) for index in [*info.indexes, *_foreign_key_indexes(info)]]
    return statements


def drop_table(schema: str, table: str) -> list[Sql]:
    return [sql("DROP TABLE {}", Ident(schema, table))]


def _label_sets(attributes: tuple[Attribute, ...]) -> list[tuple[str, ...]]:
    found = (a.storage.labels for a in attributes if isinstance(a.storage, CoreType) and a.storage.name == "enum")
    return list(dict.fromkeys(found))


def _enum_type(schema: str, labels: tuple[str, ...]) -> Sql:
    # CREATE TYPE has no IF NOT EXISTS; the name holds the labels, so a type of that name is the right one.
    create = sql("CREATE TYPE {} AS ENUM ({})", Ident(schema, enum_name(labels)), join(", ", map(literal, labels)))
    return sql("DO $dj$ BEGIN {}; EXCEPTION WHEN duplicate_object THEN NULL; END $dj$", create)


def column_comment(attribute: Attribute) -> str:
    """Return the comment that carries the type, so that another program reads the same definition."""
    if attribute.type is None or isinstance(attribute.type, NativeType):
        return attribute.comment
    return f":{attribute.type}:{attribute.comment}"


def stored_type(schema: str, type_: TypeSpec | None) -> Sql:
    """Return the column type of a storage type, enum types by name."""
    assert type_ is not None
    if isinstance(type_, CoreType) and type_.name == "enum":
        return column_type(type_, sql("{}", Ident(schema, enum_name(type_.labels))))
    return column_type(type_, None)


def _column(schema: str, a: Attribute) -> Sql:
    type_ = stored_type(schema, a.storage)
    null = EMPTY if a.is_nullable else sql(" NOT NULL")
    check = check_of(a.name, a.storage) if a.storage is not None else EMPTY
    return sql("{} {}{}{}{}", Ident(a.name), type_, null, default_clause(a.default, a.storage), check)


def default_clause(default: Default | None, type_: TypeSpec | None) -> Sql:
    match default:
        case None:
            return EMPTY
        case Null():
            return sql(" DEFAULT NULL")
        case CurrentTimestamp():
            digits = type_.args[0] if isinstance(type_, CoreType) and type_.args else None
            return sql(f" DEFAULT CURRENT_TIMESTAMP({digits})" if digits else " DEFAULT CURRENT_TIMESTAMP")
        case LiteralDefault(value=bool(flag)):
            return sql(" DEFAULT TRUE" if flag else " DEFAULT FALSE")
        case LiteralDefault(value=value):
            return sql(" DEFAULT {}", literal(str(value)))


def foreign_key(fk: ForeignKey) -> Sql:
    return sql(
        "FOREIGN KEY ({}) REFERENCES {} ({}) ON UPDATE CASCADE ON DELETE RESTRICT",
        idents(child for child, _ in fk.pairs),
        Ident(*fk.parent),
        idents(parent for _, parent in fk.pairs),
    )


def _foreign_key_indexes(info: TableInfo) -> list[Index]:
    """PostgreSQL does not index the referring side of a foreign key; a cascade would scan the table."""
    covered = [tuple(info.heading.key_columns), *(i.columns for i in info.indexes)]
    wanted: list[Index] = []
    for fk in info.foreign_keys:
        columns = tuple(child for child, _ in fk.pairs)
        if not any(set(c[: len(columns)]) == set(columns) for c in covered):
            wanted.append(Index(columns, is_unique=False))
            covered.append(columns)
    return wanted


def create_index(info: TableInfo, index: Index) -> Sql:
    columns = join(", ", (Sql((c,)) if c.startswith("(") else Ident(c) for c in index.columns))
    template = "CREATE UNIQUE INDEX {} ON {} ({})" if index.is_unique else "CREATE INDEX {} ON {} ({})"
    return sql(template, Ident(index_name(info.name, index)), Ident(info.schema, info.name), columns)


def index_name(table: str, index: Index) -> str:
    """Return ``idx_<table>_<columns>``, shortened by a hash where the server's limit needs it."""
    name = f"idx_{table}_{'_'.join(c.strip('()') for c in index.columns)}"
    if len(name.encode()) <= MAX_IDENTIFIER_BYTES:
        return name
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8]
    return name.encode()[: MAX_IDENTIFIER_BYTES - 9].decode(errors="ignore") + "_" + digest


def add_column(schema: str, table: str, attribute: Attribute) -> list[Sql]:
    """Return the statements that add an attribute to a table that is there."""
    name = Ident(schema, table)
    add = sql("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {}", name, _column(schema, attribute))
    comment = literal(column_comment(attribute))
    return [add, sql("COMMENT ON COLUMN {} IS {}", Ident(schema, table, attribute.name), comment)]
