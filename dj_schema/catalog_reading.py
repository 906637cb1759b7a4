"""From the rows of a server's catalog to tables: types from comments, or from the parents of foreign keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from dj_schema.catalog_entry import LINEAGE, SchemaCatalog, make_attribute, parsed_or_none
from dj_schema.catalog_rows import ColumnRow, ForeignKeyRow, IndexRow
from dj_schema.definition.defaults import fit_default
from dj_schema.definition.index_columns import read_columns
from dj_schema.definition.spec import Default, Literal
from dj_schema.errors import AccessError, DefinitionError, MissingTableError
from dj_schema.heading import Attribute, Heading
from dj_schema.names import targets_of_jobs
from dj_schema.table_info import ForeignKey, Index, TableInfo, TableName
from dj_schema.types import CoreType, NativeType, TypeSpec

if TYPE_CHECKING:
    from dj_schema.catalog import Catalog

# ":type:comment"; the labels of an enum may hold colons
_TYPE_COMMENT = re.compile(r""":(<[^>]*>|enum\s*\((?:[^'"()]|'(?:[^']|'')*'|"[^"]*")*\)|[^:]+):(.*)""", re.S)
_UUID = CoreType("uuid")
_INDEX_COMMENT = re.compile(r"(?:unique )?index(?=\()")
Row = TypeVar("Row", ColumnRow, IndexRow)


class Reading:
    """Schemas that are read together, because the types of one may be those of its parents in another."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._readers: dict[str, _SchemaReader] = {}

    def schema(self, name: str) -> dict[str, SchemaCatalog]:
        """Read a schema, and those that its foreign keys need; return all of them."""
        self._reader(name)
        done: dict[str, SchemaCatalog] = {}
        while todo := [reader for schema, reader in self._readers.items() if schema not in done]:
            for reader in todo:
                done[reader.schema] = reader.all_tables()
        return done

    def parent(self, name: TableName) -> TableInfo | None:
        """Return the parent of a foreign key; None where it cannot be looked at, or comes round to itself."""
        schema, table = name
        known = self.catalog.known(schema) if schema not in self._readers else None
        if known is not None and table in known.tables:
            return known.tables[table]
        return self._reader(schema).table(table)

    def _reader(self, schema: str) -> _SchemaReader:
        if schema not in self._readers:
            self._readers[schema] = _SchemaReader(self, schema)
        return self._readers[schema]


class _SchemaReader:
    """The rows of one schema by table, and the tables made of them so far."""

    def __init__(self, reading: Reading, schema: str) -> None:
        catalog, server = reading.catalog, reading.catalog.connection.dialect.catalog
        self.reading = reading
        self.schema = schema
        self._types = reading.catalog.connection.dialect.types
        self._made: dict[str, TableInfo] = {}
        self._in_work: set[str] = set()
        self._lineage: dict[tuple[str, str], str] | None = None
        self._comments = catalog.comments(schema)
        self._columns: dict[str, list[ColumnRow]] = {}
        self._keys: dict[str, list[ForeignKeyRow]] = {}
        self._indexes: dict[str, list[IndexRow]] = {}
        if not self._comments:
            return
        if LINEAGE in self._comments:
            try:
                self._lineage = catalog.recorded_lineage(schema)
            except AccessError:  # of a parent's schema only the structure may be visible
                self._lineage = None
            except MissingTableError:  # somebody has dropped it just now, as a rule with all of its schema
                self._lineage = None
        self._columns = _by_table(server.columns(catalog.execute, schema))
        self._comments = {t: c for t, c in self._comments.items() if t in self._columns}  # else dropped since
        self._indexes = _by_table(server.indexes(catalog.execute, schema))
        for row in server.foreign_keys(catalog.execute, [schema]):
            if row.child[0] == schema:
                self._keys.setdefault(row.child[1], []).append(row)

    def all_tables(self) -> SchemaCatalog:
        for name in self._comments:
            self.table(name)
        return SchemaCatalog(self.schema, {name: self._made[name] for name in self._comments}, self._lineage)

    def table(self, name: str) -> TableInfo | None:
        """Return a table; None for one that is not there, or that is being made."""
        if name not in self._comments or name in self._in_work:
            return None
        if name not in self._made:
            self._in_work.add(name)
            self._made[name] = self._make(name)
            self._in_work.discard(name)
        return self._made[name]

    def _make(self, name: str) -> TableInfo:
        rows = self._columns.get(name, [])
        nullable = {c.name for c in rows if c.is_nullable}
        indexes = [Index(_columns_of(row), row.is_unique) for row in self._indexes.get(name, [])]
        unique = {i.columns for i in indexes if i.is_unique}
        keys = []
        for row in self._keys.get(name, []):
            children = tuple(child for child, _ in row.pairs)
            is_nullable = any(child in nullable for child in children)
            keys.append(ForeignKey(row.child, row.parent, row.pairs, is_nullable, children in unique))
        # the server, or we for it, made an index for each foreign key: that is no index of the definition
        automatic = {tuple(child for child, _ in key.pairs) for key in keys}
        indexes = [i for i in indexes if i.is_unique or i.columns not in automatic]
        attributes = tuple(self._attribute(name, row, keys) for row in rows)
        heading = Heading(attributes, self._comments[name], self._lineage is not None)
        return TableInfo(self.schema, name, heading, tuple(keys), tuple(indexes))

    def _attribute(self, table: str, row: ColumnRow, keys: list[ForeignKey]) -> Attribute:
        match = _TYPE_COMMENT.fullmatch(row.comment)
        type_ = parsed_or_none(match[1]) if match else None
        comment = match[2] if match and type_ else row.comment
        is_inherited = False
        if type_ is None:
            origin, is_inherited = self._origin(row.name, keys)
            if origin is not None and origin.type is not None:
                type_ = self._referring(origin)
                comment = comment or origin.comment
        elif type_ == _UUID:  # a column of this type says so also where it came with a foreign key
            is_inherited = any(row.name == child for key in keys for child, _ in key.pairs)
        type_ = type_ or self._stored_type(row)
        return make_attribute(
            row.name,
            type_,
            in_key=row.key_position is not None,
            is_nullable=row.is_nullable,
            default=_fitted(type_, row.default),
            comment=comment,
            is_auto_increment=row.is_auto_increment,
            lineage=self._recorded(table, row),
            is_inherited=is_inherited,
            storage=self._finer(type_, row),
        )

    def _recorded(self, table: str, row: ColumnRow) -> str | None:
        """Return the lineage of a column; the key of a job has that of its table, whoever declared it."""
        recorded = self._lineage or {}
        targets = targets_of_jobs(table) if row.key_position is not None else ()
        return next(
            (recorded[name, row.name] for name in (*targets, table) if (name, row.name) in recorded), None
        )

    def _finer(self, type_: TypeSpec, row: ColumnRow) -> TypeSpec | None:
        """Return a `datetime` of the digits that its column keeps where these are more than it says.

        The peer's `datetime` has six of them on PostgreSQL: its keys must stay what they are.
        """
        if not isinstance(type_, CoreType) or type_.name != "datetime":
            return None
        stored = make_attribute(row.name, self._stored_type(row))
        digits = stored.seconds_digits if stored.kind == "datetime" else 0
        return CoreType("datetime", (digits,)) if digits > int((*type_.args, 0)[0]) else None

    def _origin(self, column: str, keys: list[ForeignKey]) -> tuple[Attribute | None, bool]:
        """Return the attribute that a column refers to, and whether it refers to any."""
        for key in keys:
            for child, parent in key.pairs:
                if child == column:
                    if (
                        key.parent == key.child
                    ):  # a table that refers to itself has its types from its own lines
                        own = next(r for r in self._columns[key.child[1]] if r.name == parent)
                        others = [k for k in keys if k.parent != k.child]
                        return self._attribute(key.child[1], own, others), True
                    info = self.reading.parent(key.parent)
                    return (info.heading.by_name.get(parent) if info else None), True
        return None, False

    def _referring(self, origin: Attribute) -> TypeSpec:
        assert origin.type is not None
        if isinstance(origin.type, NativeType) and origin.type.is_auto_increment:
            return NativeType(self._types.without_counting(origin.type.text))
        return origin.type

    def _stored_type(self, row: ColumnRow) -> TypeSpec:
        if row.labels:
            return CoreType("enum", row.labels)
        text = self._types.type_of_column(row.type_text)
        if row.is_auto_increment:
            return NativeType(f"{text} auto_increment")
        return parsed_or_none(text) or NativeType(text)


def _by_table(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.table, []).append(row)
    return grouped


def _columns_of(row: IndexRow) -> tuple[str, ...]:
    """An index with an expression has its definition as its comment, as the server rewrites expressions."""
    head = _INDEX_COMMENT.match(row.comment)
    if head is not None:
        try:
            columns, _ = read_columns(row.comment, head.end())
        except DefinitionError:
            return row.columns
        if len(columns) == len(row.columns):
            return columns
    return row.columns


def _fitted(type_: TypeSpec, default: Default | None) -> Default | None:
    """Return a default in the form of its type; what other programs declared may fit no type of ours."""
    if not isinstance(default, Literal):
        return default
    try:
        return fit_default(type_, default)
    except DefinitionError:
        return default
