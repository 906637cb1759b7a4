"""Declaring and dropping on PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from dj_schema.definition.printer import print_item
from dj_schema.definition.spec import CurrentTimestamp, Default, IndexSpec, Null
from dj_schema.definition.spec import Literal as LiteralDefault
from dj_schema.dialects.base import Execute, IndexColumn
from dj_schema.dialects.postgres.types import check_of, column_type, without_counting
from dj_schema.heading import Attribute, not_stored
from dj_schema.sql import EMPTY, Ident, Sql, idents, join, literal, params, sql
from dj_schema.table_info import ForeignKey, Index, TableInfo
from dj_schema.types import CodecType, CoreType, NativeType, TypeSpec

EnumNames = Mapping[tuple[str, tuple[str, ...]], str]
MAX_IDENTIFIER_BYTES = 63
MAX_NAME_LENGTH = 63
MOST_DIGITS_OF_A_SECOND = 6
EXISTS_CODES = frozenset({"42P07", "42710", "42P06", "23505"})


def create_schema(name: str) -> list[Sql]:
    return [sql("CREATE SCHEMA IF NOT EXISTS {}", Ident(name))]


def drop_schema(name: str) -> list[Sql]:
    return [sql("DROP SCHEMA IF EXISTS {} CASCADE", Ident(name))]


def create_lineage_table(schema: str) -> list[Sql]:
    """Return the statement that makes the table of origins, as other programs know it."""
    return [
        sql(
            "CREATE TABLE IF NOT EXISTS {} ("
            "table_name varchar(64) NOT NULL, attribute_name varchar(64) NOT NULL, "
            "lineage varchar(255) NOT NULL, PRIMARY KEY (table_name, attribute_name))",
            Ident(schema, "~lineage"),
        )
    ]


def create_tables(infos: Sequence[TableInfo], execute: Execute, index_column: IndexColumn) -> list[list[Sql]]:
    """Return for each table the statements that declare it with its enum types, comments and indexes."""
    enums = enum_names(infos[0].schema, [a for info in infos for a in info.heading.all], execute)
    return [_create_table(info, enums, index_column) for info in infos]


def _create_table(info: TableInfo, enums: EnumNames, index_column: IndexColumn) -> list[Sql]:
    table = Ident(info.schema, info.name)
    lines = [column(info.schema, a, enums) for a in info.heading.all]
    if key := info.heading.key_columns:
        lines.append(sql("PRIMARY KEY ({})", idents(key)))
    lines += [foreign_key(fk) for fk in info.foreign_keys]
    statements = enum_types(info.schema, info.heading.all, enums)
    statements.append(sql("CREATE TABLE {} (\n  {}\n)", table, join(",\n  ", lines)))
    if info.heading.comment:
        statements.append(sql("COMMENT ON TABLE {} IS {}", table, literal(info.heading.comment)))
    statements += [
        sql("COMMENT ON COLUMN {} IS {}", Ident(info.schema, info.name, a.name), literal(column_comment(a)))
        for a in info.heading.all
        if column_comment(a)
    ]
    for index in [*info.indexes, *_foreign_key_indexes(info)]:
        statements += create_index(info, index, index_column)
    return statements


def drop_table(schema: str, table: str) -> list[Sql]:
    return [sql("DROP TABLE IF EXISTS {}", Ident(schema, table))]


def _labels_by_schema(schema: str, attributes: Sequence[Attribute]) -> list[tuple[str, tuple[str, ...]]]:
    """Return where the type of each enum is, and its labels.

    It is in the schema where the attribute was first defined: what refers to a column has its type.
    """
    found = (
        (a.lineage.split(".")[0] if a.lineage else schema, a.storage.labels)
        for a in attributes
        if isinstance(a.storage, CoreType) and a.storage.name == "enum"
    )
    return list(dict.fromkeys(found))


def enum_names(schema: str, attributes: Sequence[Attribute], execute: Execute) -> EnumNames:
    """Return the names of the types that enums of a table have or are to get, by schema and labels.

    Tables of a schema share a type. Its name is the peer's, a hash that passes over the order of the
    labels; where that name stands for other labels already, ours has their order in it.
    """
    wanted = _labels_by_schema(schema, attributes)
    if not wanted:
        return {}
    schemas, names = params(dict(wanted)), params(shared_enum_name(labels) for _, labels in wanted)
    rows = execute(sql(_ENUMS, schemas, names)).rows
    taken = {(home, name): tuple(labels) for home, name, labels in rows}
    chosen: dict[tuple[str, tuple[str, ...]], str] = {}
    for home, labels in wanted:
        name = shared_enum_name(labels)
        is_free = taken.setdefault((home, name), labels) == labels
        chosen[home, labels] = name if is_free else "enum_" + _digest("\0".join(labels))
    return chosen


_ENUMS = """
SELECT n.nspname, t.typname,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname IN ({}) AND t.typname IN ({}) AND t.typtype = 'e'
"""


def shared_enum_name(labels: tuple[str, ...]) -> str:
    """Return the name that every program gives to the type of these labels."""
    return "enum_" + _digest("_".join(sorted(label.replace("'", "''") for label in labels)))


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8]


def enum_types(schema: str, attributes: Sequence[Attribute], enums: EnumNames) -> list[Sql]:
    """Return the statements that make the types of a schema; those of others are there with the parents."""
    wanted = _labels_by_schema(schema, attributes)
    return [_enum_type(schema, enums[home, labels], labels) for home, labels in wanted if home == schema]


def _enum_type(schema: str, name: str, labels: tuple[str, ...]) -> Sql:
    # CREATE TYPE has no IF NOT EXISTS; whoever is faster made the same type.
    create = sql("CREATE TYPE {} AS ENUM ({})", Ident(schema, name), join(", ", map(literal, labels)))
    quote = f"$dj_{_digest(name + repr(labels))}$"
    return sql(
        f"DO {quote} BEGIN {{}}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END {quote}",
        create,
    )


def column_comment(attribute: Attribute) -> str:
    """Return the comment that carries the type, so that another program reads the same definition."""
    if attribute.is_inherited:
        return ""  # its type and its comment are those of the parent
    if attribute.type is None or isinstance(attribute.type, NativeType):
        return attribute.comment
    return f":{attribute.type}:{attribute.comment}"


def stored_type(schema: str, a: Attribute, enums: EnumNames) -> Sql:
    """Return the type of an attribute's column.

    Raises
    ------
    DefinitionError
        Where its codec is not registered.
    """
    type_ = a.storage
    if type_ is None:
        raise not_stored(a)
    for home, labels in _labels_by_schema(schema, [a]):
        return column_type(type_, sql("{}", Ident(home, enums[home, labels])))
    if isinstance(type_, NativeType) and not a.is_auto_increment:
        return column_type(NativeType(without_counting(type_.text)), None)
    return column_type(type_, None)


def column(schema: str, a: Attribute, enums: EnumNames) -> Sql:
    """Return the line that declares an attribute."""
    text = stored_type(schema, a, enums)
    assert a.storage is not None
    null = EMPTY if a.is_nullable else sql(" NOT NULL")
    default, check = default_clause(a.default, a.storage), check_of(a.name, a.storage)
    return sql("{} {}{}{}{}", Ident(a.name), text, null, default, check)


def default_clause(default: Default | None, type_: TypeSpec | None) -> Sql:
    match default:
        case None:
            return EMPTY
        case Null():
            return sql(" DEFAULT NULL")
        case CurrentTimestamp():
            if type_ is not None and not isinstance(type_, CodecType) and type_.kind == "date":
                return sql(" DEFAULT CURRENT_DATE")
            return sql(f" DEFAULT {_now(type_)}")
        case LiteralDefault(value=bool(flag)):
            return sql(" DEFAULT TRUE" if flag else " DEFAULT FALSE")
        case LiteralDefault(value=value):
            return sql(" DEFAULT {}", literal(str(value)))


def _now(type_: TypeSpec | None) -> str:
    """Return the moment cut to the digits of its column; rounded by the server, it may be in the future."""
    if not isinstance(type_, CoreType):
        return "CURRENT_TIMESTAMP"
    digits = int(type_.args[0]) if type_.args else 0
    if digits == 0:
        return "date_trunc('second', CURRENT_TIMESTAMP)"
    if digits == MOST_DIGITS_OF_A_SECOND:
        return "CURRENT_TIMESTAMP"
    step = f"{10 ** (MOST_DIGITS_OF_A_SECOND - digits)} microseconds"
    return f"date_bin('{step}', CURRENT_TIMESTAMP, TIMESTAMPTZ '2000-01-01')"


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


def create_index(info: TableInfo, index: Index, index_column: IndexColumn) -> list[Sql]:
    """Return the statements that make an index; one with expressions has its definition as its comment."""
    columns = join(
        ", ",
        (Ident(c) if c in info.heading else sql("({})", index_column(info, c).sql) for c in index.columns),
    )
    name = index_name(info.name, index)
    template = "CREATE UNIQUE INDEX {} ON {} ({})" if index.is_unique else "CREATE INDEX {} ON {} ({})"
    create = sql(template, Ident(name), Ident(info.schema, info.name), columns)
    if all(c in info.heading for c in index.columns):
        return [create]
    comment = print_item(IndexSpec(index.columns, index.is_unique))
    return [create, sql("COMMENT ON INDEX {} IS {}", Ident(info.schema, name), literal(comment))]


def index_name(table: str, index: Index) -> str:
    """Return ``idx_<table>_<columns>``, shortened by a hash where the server's limit needs it."""
    name = f"idx_{table}_{'_'.join(c.strip('()') for c in index.columns)}"
    if len(name.encode()) <= MAX_IDENTIFIER_BYTES:
        return name
    return name.encode()[: MAX_IDENTIFIER_BYTES - 9].decode(errors="ignore") + "_" + _digest(name)


def add_column(schema: str, table: str, attribute: Attribute) -> list[Sql]:
    """Return the statements that add an attribute to a table that is there."""
    name = Ident(schema, table)
    add = sql("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {}", name, column(schema, attribute, {}))
    comment = literal(column_comment(attribute))
    return [add, sql("COMMENT ON COLUMN {} IS {}", Ident(schema, table, attribute.name), comment)]
