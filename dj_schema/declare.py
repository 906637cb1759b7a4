"""From a spec to a table in the database, with its lineage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dj_schema.catalog import LINEAGE, make_attribute
from dj_schema.definition.checks import check_indexes, check_spec
from dj_schema.definition.spec import AttributeSpec, ForeignKeySpec, IndexSpec, Item, Literal, Null, TableSpec
from dj_schema.errors import DefinitionError, QueryError, TransactionError
from dj_schema.heading import Attribute, Heading
from dj_schema.names import Tier
from dj_schema.sql import Ident, Param, join, sql
from dj_schema.table_info import ForeignKey, Index, TableInfo, TableName
from dj_schema.types import CoreType, NativeType

if TYPE_CHECKING:
    from dj_schema.connection import Connection

log = logging.getLogger("datajoint.declare")

SINGLETON = "_singleton"
JOB_METADATA = (
    AttributeSpec("_job_start_time", CoreType("datetime", (3,)), Null(), "when computation began"),
    AttributeSpec("_job_duration", CoreType("float32"), Null(), "computation duration in seconds"),
    AttributeSpec("_job_version", CoreType("varchar", (64,)), Literal(""), "code version"),
)
_warned_native: set[str] = set()

Resolver = Callable[[ForeignKeySpec], TableInfo]


@dataclass
class _Draft:
    """A table while its lines are read."""

    name: TableName
    attributes: dict[str, Attribute] = field(default_factory=dict)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)

    def add(self, item: Item, in_key: bool, resolve: Resolver) -> None:
        match item:
            case AttributeSpec():
                self._add_attribute(item, in_key)
            case ForeignKeySpec():
                self._add_foreign_key(item, in_key, resolve(item))
            case IndexSpec():
                self.indexes.append(Index(item.columns, item.is_unique))

    def _add_attribute(self, item: AttributeSpec, in_key: bool) -> None:
        if item.name in self.attributes:
            raise DefinitionError(
                f"attribute {item.name!r} is there already, from a foreign key above.",
                line_number=item.line_number,
                expected="another name, or a foreign key with .proj(new='old')",
            )
        if isinstance(item.type, NativeType):
            _warn_native(item.type.text, item.name)
        self.attributes[item.name] = make_attribute(
            item.name,
            item.type,
            in_key=in_key,
            is_nullable=item.is_nullable,
            default=item.default,
            comment=item.comment,
            is_auto_increment=isinstance(item.type, NativeType) and item.type.is_auto_increment,
            lineage=".".join((*self.name, item.name)) if in_key else None,
        )

    def _add_foreign_key(self, item: ForeignKeySpec, in_key: bool, parent: TableInfo) -> None:
        new_names = {old: new for new, old in item.renames}
        key = parent.heading.primary_key
        if wrong := [old for old in new_names if old not in key]:
            raise DefinitionError(
                f"{item.target} has no primary key attribute {wrong[0]!r}.",
                line_number=item.line_number,
                expected=f"one of {', '.join(key)}",
            )
        for old in key:
            self._inherit(item, parent.heading.by_name[old], new_names.get(old, old), in_key, parent)
        pairs = tuple((new_names.get(old, old), old) for old in key)
        self.foreign_keys.append(
            ForeignKey(self.name, parent.full_name, pairs, item.is_nullable, item.is_unique)
        )
        if item.is_unique:
            self.indexes.append(Index(tuple(child for child, _ in pairs), is_unique=True))

    def _inherit(
        self, item: ForeignKeySpec, origin: Attribute, name: str, in_key: bool, parent: TableInfo
    ) -> None:
        lineage = origin.lineage or ".".join((*parent.full_name, origin.name))
        known = self.attributes.get(name)
        if known is None:
            type_ = origin.type
            if isinstance(type_, NativeType) and origin.is_auto_increment:
                type_ = NativeType(type_.text.replace("auto_increment", "").strip() or "int")
            assert type_ is not None
            self.attributes[name] = make_attribute(
                name,
                type_,
                in_key=in_key,
                is_nullable=item.is_nullable,
                default=Null() if item.is_nullable else None,
                comment=origin.comment,
                lineage=lineage,
            )
        elif known.type != origin.type and str(known.type) != str(origin.type).replace(" auto_increment", ""):
            raise DefinitionError(
                f"{item.target} would bring {name!r} as {origin.type}, which is here as {known.type} already.",
                line_number=item.line_number,
                expected=f"-> {item.target}.proj(another_name={origin.name!r})",
            )


def table_info_of(
    spec: TableSpec,
    name: TableName,
    tier: Tier,
    resolve: Resolver,
    *,
    add_job_metadata: bool = False,
    allow_new_key_attributes: bool = False,
    allow_hidden: bool = False,
) -> TableInfo:
    """Return the table that a spec describes, its foreign keys resolved.

    Raises
    ------
    DefinitionError
        Where the lines contradict each other or what they refer to.
    """
    check_spec(spec, tier=tier, allow_new_key_attributes=allow_new_key_attributes, allow_hidden=allow_hidden)
    draft = _Draft(name)
    for item in spec.primary:
        draft.add(item, True, resolve)
    if not draft.attributes:
        singleton = AttributeSpec(SINGLETON, CoreType("bool"), Literal(True), "singleton primary key")
        draft._add_attribute(singleton, True)
    for item in spec.secondary:
        draft.add(item, False, resolve)
    if add_job_metadata and tier.is_auto_populated:
        for item in JOB_METADATA:
            draft._add_attribute(item, False)
    check_indexes(spec, draft.attributes)
    attributes = draft.attributes
    if SINGLETON in attributes:  # the peer puts it last
        attributes[SINGLETON] = attributes.pop(SINGLETON)
    heading = Heading(tuple(attributes.values()), spec.comment)
    return TableInfo(*name, heading, tuple(draft.foreign_keys), tuple(draft.indexes))


def _warn_native(text: str, attribute: str) -> None:
    if text not in _warned_native:
        _warned_native.add(text)
        log.warning(
            "native type %r of attribute %r depends on the server; a core type such as int32, float64 "
            "or varchar(n) means the same on each, and <blob> holds Python objects",
            text,
            attribute,
        )


def declare_table(connection: Connection, info: TableInfo) -> TableInfo:
    """Create the table and record its lineage; where another process was faster, take its table.

    Raises
    ------
    TransactionError
        Inside a transaction: servers commit or refuse it there.
    """
    if connection.in_transaction:
        raise TransactionError(
            f"table {info.name!r} would be declared inside a transaction; declare tables before it starts"
        )
    ddl = connection.dialect.ddl
    try:
        if connection.dialect.flags.has_transactional_ddl:
            with connection.transaction:
                _create(connection, info)
        else:
            _create_or_drop(connection, info)
    except QueryError as e:
        if e.code not in ddl.EXISTS_CODES:
            raise
        connection.catalog.forget(info.schema)
        return connection.catalog.table(info.schema, info.name)
    connection.catalog.add(info, _lineage_of(info))
    return info


def _create_or_drop(connection: Connection, info: TableInfo) -> None:
    """On a server that commits each DDL statement, undo by hand what a failure half-way leaves."""
    connection.script(connection.dialect.ddl.create_table(info))
    try:
        _record_lineage(connection, info)
    except BaseException:
        connection.script(connection.dialect.ddl.drop_table(info.schema, info.name))
        raise


def _create(connection: Connection, info: TableInfo) -> None:
    connection.script(connection.dialect.ddl.create_table(info))
    _record_lineage(connection, info)


def _lineage_of(info: TableInfo) -> dict[str, str]:
    return {a.name: a.lineage for a in info.heading.all if a.lineage}


def _record_lineage(connection: Connection, info: TableInfo) -> None:
    table = Ident(info.schema, LINEAGE)
    connection.execute(sql("DELETE FROM {} WHERE table_name = {}", table, Param(info.name)))
    rows = [(info.name, name, origin) for name, origin in _lineage_of(info).items()]
    if rows:
        values = join(", ", (sql("({}, {}, {})", *map(Param, row)) for row in rows))
        connection.execute(sql("INSERT INTO {} (table_name, attribute_name, lineage) VALUES {}", table, values))


def create_lineage_table(connection: Connection, schema: str) -> None:
    """Create the table that records where attributes were first defined."""
    connection.script(
        [
            sql(
                "CREATE TABLE IF NOT EXISTS {} (table_name varchar(64) NOT NULL, attribute_name varchar(64) NOT NULL, "
                "lineage varchar(255) NOT NULL, PRIMARY KEY (table_name, attribute_name))",
                Ident(schema, LINEAGE),
            )
        ]
    )


def drop_tables(connection: Connection, tables: Sequence[TableName]) -> None:
    """Drop tables in the order given, and forget their lineage."""
    for schema, table in tables:
        connection.script(connection.dialect.ddl.drop_table(schema, table))
        if LINEAGE in connection.catalog.table_names(schema):
            connection.execute(sql("DELETE FROM {} WHERE table_name = {}", Ident(schema, LINEAGE), Param(table)))
        connection.catalog.remove(schema, table)
