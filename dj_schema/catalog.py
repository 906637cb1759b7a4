"""What is declared in the database: read once a schema, kept on the connection."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dj_schema.catalog_rows import ColumnRow, ForeignKeyRow
from dj_schema.codecs.chain import chain_of
from dj_schema.definition.spec import Literal
from dj_schema.errors import DataJointError, DefinitionError, MissingTableError
from dj_schema.heading import Attribute, Heading
from dj_schema.sql import Ident, sql
from dj_schema.table_info import ForeignKey, Index, TableInfo, TableName
from dj_schema.types import CodecType, CoreType, NativeType, TypeSpec, parse_type

if TYPE_CHECKING:
    from dj_schema.connection import Connection

LINEAGE = "~lineage"
_TYPE_COMMENT = re.compile(r"""^:(<[^>]*>|enum\s*\((?:[^'"()]|'(?:[^']|'')*'|"[^"]*")*\)|[^:]+):(.*)$""", re.S)


@dataclass
class SchemaCatalog:
    """The tables of one schema, in the order in which they were declared."""

    schema: str
    tables: dict[str, TableInfo] = field(default_factory=dict)
    lineage: dict[tuple[str, str], str] | None = None


class Catalog:
    """The schemas read so far on one connection. Reading one costs the same whatever its number of tables."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._schemas: dict[str, SchemaCatalog] = {}

    def schema(self, name: str) -> SchemaCatalog:
        if name not in self._schemas:
            self._schemas[name] = self._read(name)
        return self._schemas[name]

    def table(self, schema: str, table: str) -> TableInfo:
        """Return a table, reading the schema again where it is not known yet.

        Raises
        ------
        MissingTableError
            Where the database has no such table.
        """
        found = self.schema(schema).tables.get(table)
        if found is None:
            self.forget(schema)
            found = self.schema(schema).tables.get(table)
        if found is None:
            raise MissingTableError(
                f"there is no table {table!r} in schema {schema!r}. Declare it first, or check its name "
                f"against schema.list_tables()."
            )
        return found

    def table_names(self, schema: str) -> list[str]:
        return list(self.schema(schema).tables)

    def add(self, info: TableInfo, lineage: dict[str, str]) -> None:
        """Take up a table that was declared just now, without asking the server what we told it."""
        entry = self.schema(info.schema)
        entry.tables[info.name] = info
        entry.lineage = {**(entry.lineage or {}), **{(info.name, k): v for k, v in lineage.items()}}

    def forget(self, schema: str | None = None) -> None:
        if schema is None:
            self._schemas.clear()
        else:
            self._schemas.pop(schema, None)

    def remove(self, schema: str, table: str) -> None:
        if schema in self._schemas:
            self._schemas[schema].tables.pop(table, None)

    def _read(self, schema: str) -> SchemaCatalog:
        connection = self._connection
        catalog = connection.dialect.catalog

        def execute(statement):  # type: ignore[no-untyped-def]
            return connection.execute(statement, is_read=True)

        comments = catalog.tables(execute, schema)
        entry = SchemaCatalog(schema)
        if not comments:
            return entry
        self._schemas[schema] = entry  # so that schemas that refer to each other end
        if LINEAGE in comments:
            rows = execute(sql("SELECT table_name, attribute_name, lineage FROM {}", Ident(schema, LINEAGE))).rows
            entry.lineage = {(t, a): origin for t, a, origin in rows}
        columns: dict[str, list[ColumnRow]] = {}
        for column in catalog.columns(execute, schema):
            columns.setdefault(column.table, []).append(column)
        keys: dict[str, list[ForeignKeyRow]] = {}
        for fk in catalog.foreign_keys(execute, [schema]):
            if fk.child[0] == schema:
                keys.setdefault(fk.child[1], []).append(fk)
        indexes: dict[str, list[Index]] = {}
        for row in catalog.indexes(execute, schema):
            indexes.setdefault(row.table, []).append(Index(row.columns, row.is_unique))
        reader = _Reader(self, entry, columns, keys, indexes, comments)
        for name in comments:
            reader.table(name)
        return entry

    def origin(self, table: TableName, attribute: str) -> str | None:
        """The recorded lineage of an attribute."""
        lineage = self.schema(table[0]).lineage
        return (lineage or {}).get((table[1], attribute))


@dataclass
class _Reader:
    catalog: Catalog
    entry: SchemaCatalog
    columns: dict[str, list[ColumnRow]]
    keys: dict[str, list[ForeignKeyRow]]
    indexes: dict[str, list[Index]]
    comments: dict[str, str]

    def table(self, name: str) -> TableInfo:
        if name in self.entry.tables:
            return self.entry.tables[name]
        schema = self.entry.schema
        rows = self.columns.get(name, [])
        nullable = {c.name for c in rows if c.is_nullable}
        unique = {i.columns for i in self.indexes.get(name, []) if i.is_unique}
        keys = tuple(
            ForeignKey(
                fk.child,
                fk.parent,
                fk.pairs,
                is_nullable=any(child in nullable for child, _ in fk.pairs),
                is_unique=tuple(child for child, _ in fk.pairs) in unique,
            )
            for fk in self.keys.get(name, [])
        )
        # placed first without types of parents, so that a table that refers to itself ends
        heading = Heading(tuple(self._attribute(name, c, keys) for c in rows), self.comments.get(name, ""))
        heading = replace(heading, lineage_available=self.entry.lineage is not None, _memo={})
        info = TableInfo(schema, name, heading, keys, tuple(self.indexes.get(name, ())))
        self.entry.tables[name] = info
        return info

    def _attribute(self, table: str, row: ColumnRow, keys: tuple[ForeignKey, ...]) -> Attribute:
        match = _TYPE_COMMENT.match(row.comment)
        recorded = parsed_or_none(match[1]) if match else None
        comment = match[2] if match and recorded else row.comment
        type_ = recorded or self._type_of_parent(table, row, keys) or self._stored_type(row)
        return make_attribute(
            row.name,
            type_,
            in_key=row.key_position is not None,
            is_nullable=row.is_nullable,
            default=_typed_default(row, type_),
            comment=comment,
            is_auto_increment=row.is_auto_increment,
            lineage=(self.entry.lineage or {}).get((table, row.name)),
        )

    def _type_of_parent(self, table: str, row: ColumnRow, keys: tuple[ForeignKey, ...]) -> TypeSpec | None:
        """Other programs record no type on a foreign-key column: it is the parent's."""
        for fk in keys:
            for child, parent in fk.pairs:
                if child == row.name and fk.parent != (self.entry.schema, table):
                    return self._parent(fk).heading.by_name[parent].type
        return None

    def _parent(self, fk: ForeignKey) -> TableInfo:
        schema, name = fk.parent
        return self.table(name) if schema == self.entry.schema else self.catalog.table(schema, name)

    def _stored_type(self, row: ColumnRow) -> TypeSpec:
        if row.labels:
            return CoreType("enum", row.labels)
        text = self.catalog._connection.dialect.types.core_type_of_column(row.type_text)
        if row.is_auto_increment:
            return NativeType(f"{row.type_text} auto_increment")
        return parsed_or_none(text) or NativeType(row.type_text)


def parsed_or_none(text: str) -> TypeSpec | None:
    """Return a recorded type, or None for text that is no type of ours."""
    try:
        return parse_type(text)
    except DefinitionError:
        return None


def _typed_default(row: ColumnRow, type_: TypeSpec) -> Literal | object | None:
    default = row.default
    if isinstance(default, Literal):
        text = str(default.value)
        if type_.kind == "bool":
            return Literal(text.lower() in ("1", "true", "t"))
        if type_.kind == "int":
            return Literal(int(text))
        if type_.kind == "float":
            return Literal(float(text))
    return default


def make_attribute(name: str, type_: TypeSpec, **fields: object) -> Attribute:
    """Return an attribute with the storage type at the end of its codec chain filled in."""
    storage: TypeSpec | None = type_
    if isinstance(type_, CodecType):
        try:
            storage = parse_type(chain_of(str(type_)).dtype)
        except DataJointError:
            storage = None  # the codec is not registered here; fetching it says so
    hidden = name.startswith("_")
    return Attribute(name=name, type=type_, kind=type_.kind, storage=storage, is_hidden=hidden, **fields)  # type: ignore[arg-type]
