"""Declaring and dropping on MySQL and MariaDB."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from dj_schema.definition.printer import print_item
from dj_schema.definition.spec import CurrentTimestamp, Default, IndexSpec, Null
from dj_schema.definition.spec import Literal as LiteralDefault
from dj_schema.dialects.base import Execute, IndexColumn
from dj_schema.dialects.mysql.literals import literal
from dj_schema.dialects.mysql.types import column_type, without_counting
from dj_schema.errors import DefinitionError
from dj_schema.heading import Attribute, not_stored
from dj_schema.sql import EMPTY, Ident, Sql, idents, join, params, sql
from dj_schema.table_info import ForeignKey, Index, TableInfo
from dj_schema.types import CodecType, CoreType, NativeType, TypeSpec

MAX_NAME_LENGTH = 64
HOLDER_PREFIX = "_of_index_"
EXISTS_CODES = frozenset({"1050", "1007", "1060"})
_UUID = CoreType("uuid")
_MAX_COLUMN_COMMENT = 1024
_MAX_TABLE_COMMENT = 2048
_COLLATIONS = """
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLLATION_NAME FROM information_schema.COLUMNS
WHERE (TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME) IN ({})
"""

Column = tuple[str, str, str]
"""Schema, table, column."""


def create_schema(name: str) -> list[Sql]:
    return [sql("CREATE DATABASE IF NOT EXISTS {} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", Ident(name))]


def drop_schema(name: str) -> list[Sql]:
    return [sql("DROP DATABASE IF EXISTS {}", Ident(name))]


def create_lineage_table(schema: str) -> list[Sql]:
    """Return the statement that makes the table of origins, as other programs know it."""
    return [
        sql(
            "CREATE TABLE IF NOT EXISTS {} ("
            "table_name varchar(64) NOT NULL COMMENT 'table name within the schema', "
            "attribute_name varchar(64) NOT NULL COMMENT 'attribute name', "
            "lineage varchar(255) NOT NULL COMMENT 'origin: schema.table.attribute', "
            "PRIMARY KEY (table_name, attribute_name)) ENGINE=InnoDB",
            Ident(schema, "~lineage"),
        )
    ]


def create_tables(infos: Sequence[TableInfo], execute: Execute, index_column: IndexColumn) -> list[list[Sql]]:
    """Return for each table the one statement that declares it with its indexes and comments."""
    inherited = _inherited_collations(infos, execute)
    return [[_create_table(info, index_column, inherited)] for info in infos]


def _inherited_collations(infos: Sequence[TableInfo], execute: Execute) -> dict[Column, str]:
    """Return the collations of text that refers to a parent: the servers want that of the parent.

    Schemas of other programs have other defaults than ours.
    """
    parents: dict[Column, Column] = {}
    for info in infos:
        for fk in info.foreign_keys:
            for child, parent in fk.pairs:
                if info.heading.by_name[child].kind == "string":
                    parents.setdefault((*fk.child, child), (*fk.parent, parent))
    if not parents:
        return {}
    found = collations(list(dict.fromkeys(parents.values())), execute)
    for child_column, origin in parents.items():
        if origin in found:
            found[child_column] = found[origin]
    return found


def collations(columns: Sequence[Column], execute: Execute) -> dict[Column, str]:
    """Return the collations of those columns that hold text."""
    rows = join(", ", (sql("({})", params(c)) for c in columns))
    return {row[:3]: str(row[3]) for row in execute(sql(_COLLATIONS, rows)).rows if row[3]}


def table_comment(info: TableInfo) -> Sql:
    """Return a table's comment as a constant.

    Raises
    ------
    DefinitionError
        Where the server has no room for it.
    """
    if len(info.heading.comment) > _MAX_TABLE_COMMENT:
        raise DefinitionError(
            f"the comment of {info.name!r} is too long.", expected=f"at most {_MAX_TABLE_COMMENT} characters"
        )
    return literal(info.heading.comment)


def _create_table(info: TableInfo, index_column: IndexColumn, inherited: Mapping[Column, str]) -> Sql:
    lines = [column(a, inherited.get((*info.full_name, a.name), "")) for a in info.heading.all]
    key = info.heading.key_columns
    lines.append(sql("PRIMARY KEY ({})", idents(key)))
    # a column that counts by itself has to be the first of some index
    lines += [
        sql("KEY ({})", Ident(a.name)) for a in info.heading.all if a.is_auto_increment and a.name != key[0]
    ]
    lines += [foreign_key(fk, _constraint_name(info, n)) for n, fk in enumerate(info.foreign_keys, 1)]
    places, holders = _expressions(info, index_column)
    lines += holders
    lines += [_index(info, index, places) for index in info.indexes]
    comment = sql(" COMMENT={}", table_comment(info)) if info.heading.comment else EMPTY
    body = join(",\n  ", lines)
    return sql("CREATE TABLE {} (\n  {}\n) ENGINE=InnoDB{}", Ident(info.schema, info.name), body, comment)


def drop_table(schema: str, table: str) -> list[Sql]:
    return [sql("DROP TABLE IF EXISTS {}", Ident(schema, table))]


def column_comment(attribute: Attribute) -> str:
    """Return the comment that carries the type, so that another program reads the same definition.

    Raises
    ------
    DefinitionError
        Where the server has no room for it.
    """
    is_silent = attribute.is_inherited and attribute.type != _UUID  # which others find in each column of it
    if is_silent or attribute.type is None or isinstance(attribute.type, NativeType):
        comment = attribute.comment
    else:
        comment = f":{attribute.type}:{attribute.comment}"
        if (
            len(comment) > _MAX_COLUMN_COMMENT
            and isinstance(attribute.type, CoreType)
            and attribute.type.labels
        ):
            comment = attribute.comment  # the column's own type has the labels
    if len(comment) > _MAX_COLUMN_COMMENT:
        raise DefinitionError(
            f"the comment of {attribute.name!r} is too long for its column.",
            expected=f"at most {_MAX_COLUMN_COMMENT} characters together with the type",
        )
    return comment


def column(a: Attribute, collation: str = "") -> Sql:
    """Return the line that declares an attribute.

    Raises
    ------
    DefinitionError
        Where its codec is not registered.
    """
    type_ = a.storage
    if type_ is None:
        raise not_stored(a)
    if isinstance(type_, NativeType) and not a.is_auto_increment:
        type_ = NativeType(without_counting(type_.text))
    # an explicit NULL, as a timestamp without it is NOT NULL by default
    null = sql(" NULL") if a.is_nullable else sql(" NOT NULL")
    comment = sql(" COMMENT {}", literal(column_comment(a))) if column_comment(a) else EMPTY
    text = column_type(type_)
    if collation.replace("_", "").isalnum():
        text += Sql((f" COLLATE {collation}",))
    return sql("{} {}{}{}{}", Ident(a.name), text, null, default_clause(a.default, type_), comment)


def default_clause(default: Default | None, type_: TypeSpec | None) -> Sql:
    match default:
        case None:
            return EMPTY
        case Null():
            return sql(" DEFAULT NULL")
        case CurrentTimestamp():
            if type_ is not None and not isinstance(type_, CodecType) and type_.kind == "date":
                return sql(" DEFAULT (CURRENT_DATE)")
            digits = type_.args[0] if isinstance(type_, CoreType) and type_.args else None
            if isinstance(type_, NativeType) and "(" in type_.text:
                digits = int(type_.text[type_.text.index("(") + 1])
            return sql(f" DEFAULT CURRENT_TIMESTAMP({digits})" if digits else " DEFAULT CURRENT_TIMESTAMP")
        case LiteralDefault(value=bool(flag)):
            return sql(" DEFAULT 1" if flag else " DEFAULT 0")
        case LiteralDefault(value=value):
            return sql(" DEFAULT {}", literal(str(value)))


def foreign_key(fk: ForeignKey, name: Sql = EMPTY) -> Sql:
    return sql(
        "{}FOREIGN KEY ({}) REFERENCES {} ({}) ON UPDATE CASCADE ON DELETE RESTRICT",
        name,
        idents(child for child, _ in fk.pairs),
        Ident(*fk.parent),
        idents(parent for _, parent in fk.pairs),
    )


def _constraint_name(info: TableInfo, number: int) -> Sql:
    """Name a foreign key where the server's own name for it, the table's with a number, would be too long."""
    suffix = f"_ibfk_{number}"
    if len(info.name) + len(suffix) <= MAX_NAME_LENGTH:
        return EMPTY
    digest = hashlib.md5(info.name.encode(), usedforsecurity=False).hexdigest()[:8]
    return sql("CONSTRAINT {} ", Ident(f"{info.name[: MAX_NAME_LENGTH - len(suffix) - 9]}_{digest}{suffix}"))


def _expressions(info: TableInfo, index_column: IndexColumn) -> tuple[dict[str, Sql | Ident], list[Sql]]:
    """Return what stands in an index for each expression, and the columns that hold their values.

    MySQL indexes an expression itself; MariaDB a column that is computed from it, invisible to `SELECT *`
    and, by its prefix, to our catalog.
    """
    places: dict[str, Sql | Ident] = {}
    holders: list[Sql] = []
    for text in dict.fromkeys(c for i in info.indexes for c in i.columns if c not in info.heading):
        expression = index_column(info, text)
        if expression.column_type is None:
            places[text] = sql("({})", expression.sql)
            continue
        digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8]
        places[text] = Ident(HOLDER_PREFIX + digest)
        line = "{} {} GENERATED ALWAYS AS ({}) VIRTUAL INVISIBLE"
        holders.append(sql(line, places[text], expression.column_type, expression.sql))
    return places, holders


def _index(info: TableInfo, index: Index, places: Mapping[str, Sql | Ident]) -> Sql:
    columns = join(", ", (Ident(c) if c in info.heading else places[c] for c in index.columns))
    text = sql("UNIQUE INDEX ({})" if index.is_unique else "INDEX ({})", columns)
    if all(c in info.heading for c in index.columns):
        return text
    return sql("{} COMMENT {}", text, literal(print_item(IndexSpec(index.columns, index.is_unique))))


def add_column(schema: str, table: str, attribute: Attribute) -> list[Sql]:
    """Return the statements that add an attribute to a table that is there."""
    return [sql("ALTER TABLE {} ADD COLUMN {}", Ident(schema, table), column(attribute))]
