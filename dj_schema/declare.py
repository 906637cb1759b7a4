"""From a spec to a table in the database, with its lineage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dj_schema.catalog_entry import LINEAGE, make_attribute
from dj_schema.definition.checks import check_indexes, check_spec
from dj_schema.definition.printer import print_item
from dj_schema.definition.spec import AttributeSpec, ForeignKeySpec, IndexSpec, Item, Literal, Null, TableSpec
from dj_schema.dialects.base import IndexColumn, IndexExpression
from dj_schema.errors import (
    DeadlockError,
    DefinitionError,
    LostConnectionError,
    MissingTableError,
    QueryError,
    TransactionError,
)
from dj_schema.heading import Attribute, Heading
from dj_schema.lineage import forget_lineage, lineage_of, record_lineage, warn_of_missing_origin
from dj_schema.names import MAX_NAME_LENGTH, Tier
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

Resolver = Callable[[ForeignKeySpec], TableInfo | None]
"""The parent that a foreign key names; None for the table itself."""


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
                self._add_foreign_key(item, in_key, resolve(item) or self._itself(item, in_key))
            case IndexSpec():
                self.indexes.append(Index(item.columns, item.is_unique))

    def _add_attribute(self, item: AttributeSpec, in_key: bool) -> None:
        if item.name in self.attributes:
            raise _fault(
                item,
                f"attribute {item.name!r} is there already, from a foreign key above.",
                "another name, or a foreign key with .proj(new='old')",
            )
        if isinstance(item.type, NativeType) and not self.name[1].startswith(Tier.JOBS.value):
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

    def _itself(self, item: ForeignKeySpec, in_key: bool) -> TableInfo:
        """The table so far, for a foreign key to the table itself."""
        if in_key:
            raise _fault(
                item,
                f"{item.target} would be its own parent in its own primary key.",
                "a reference to the table itself below `---`",
            )
        return TableInfo(*self.name, Heading(tuple(self.attributes.values())))

    def _add_foreign_key(self, item: ForeignKeySpec, in_key: bool, parent: TableInfo) -> None:
        new_names = {old: new for new, old in item.renames}
        key = parent.heading.primary_key
        if wrong := [old for old in new_names if old not in key]:
            raise _fault(
                item,
                f"{item.target} has no primary key attribute {wrong[0]!r}.",
                f"one of {', '.join(key)}",
            )
        if not key:
            raise _fault(
                item,
                f"{item.target} has a single row at most, and no attribute to refer to it by.",
                "a parent with a primary key",
            )
        for old in key:
            self._inherit(item, parent.heading.by_name[old], new_names.get(old, old), in_key, parent)
        pairs = tuple((new_names.get(old, old), old) for old in key)
        self.foreign_keys.append(
            ForeignKey(self.name, parent.full_name, pairs, item.is_nullable, item.is_unique)
        )
        unique = Index(tuple(child for child, _ in pairs), is_unique=True)
        if item.is_unique and unique not in self.indexes:
            self.indexes.append(unique)

    def _inherit(
        self, item: ForeignKeySpec, origin: Attribute, name: str, in_key: bool, parent: TableInfo
    ) -> None:
        if origin.lineage is None:
            warn_of_missing_origin(parent.full_name, origin.name)
        lineage = origin.lineage or ".".join((*parent.full_name, origin.name))
        assert origin.type is not None
        known = self.attributes.get(name)
        if known is None:
            self.attributes[name] = make_attribute(
                name,
                origin.type,
                in_key=in_key,
                is_nullable=item.is_nullable,
                default=Null() if item.is_nullable else None,
                comment=origin.comment,
                lineage=lineage,
                is_inherited=True,
                storage=origin.storage,
            )
            return
        if str(known.type) != str(origin.type):
            raise _fault(
                item,
                f"{item.target} would bring {name!r} as {origin.type}, but it is here as {known.type}.",
                f"-> {item.target}.proj(another_name={origin.name!r})",
            )
        if not known.is_inherited:  # its own line stands above; it comes from the parent all the same
            self.attributes[name] = replace(known, lineage=lineage)


def table_info_of(
    spec: TableSpec,
    name: TableName,
    tier: Tier,
    resolve: Resolver,
    *,
    add_job_metadata: bool = False,
    allow_new_key_attributes: bool = False,
    allow_hidden: bool = False,
    max_name_length: int = MAX_NAME_LENGTH,
) -> TableInfo:
    """Return the table that a spec describes, its foreign keys resolved.

    Raises
    ------
    DefinitionError
        Where the lines contradict each other or what they refer to.
    """
    check_spec(
        spec,
        tier=tier,
        allow_new_key_attributes=allow_new_key_attributes,
        allow_hidden=allow_hidden,
        max_name_length=max_name_length,
    )
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
    _check_comparable(draft, spec)
    attributes = draft.attributes
    if SINGLETON in attributes:  # the peer puts it last
        attributes[SINGLETON] = attributes.pop(SINGLETON)
    heading = Heading(tuple(attributes.values()), spec.comment)
    return TableInfo(*name, heading, tuple(draft.foreign_keys), tuple(draft.indexes))


def _fault(item: Item | None, message: str, expected: str) -> DefinitionError:
    """Return the error of a line; of none, where what is wrong comes with a foreign key."""
    if item is None:
        return DefinitionError(message, expected=expected)
    return DefinitionError(message, line_number=item.line_number, line=print_item(item), expected=expected)


def _check_comparable(draft: _Draft, spec: TableSpec) -> None:
    """See that what is in the key or in an index can be compared: bytes, JSON and objects cannot."""
    lines = {i.columns: i.line_number for i in spec.primary + spec.secondary if isinstance(i, IndexSpec)}
    for attribute in draft.attributes.values():
        if attribute.in_key and _is_opaque(attribute):
            own = (i for i in spec.primary if isinstance(i, AttributeSpec) and i.name == attribute.name)
            raise _fault(
                next(own, None),
                f"{attribute.type} cannot be in the primary key, and {attribute.name!r} is.",
                "a number, a string, a date or a uuid",
            )
    for index in draft.indexes:
        for column in index.columns:
            if column in draft.attributes and _is_opaque(draft.attributes[column]):
                raise DefinitionError(
                    f"{draft.attributes[column].type} cannot be in an index, and {column!r} is.",
                    line_number=lines.get(index.columns),
                    line=f"index({', '.join(index.columns)})",
                    expected="a number, a string, a date or a uuid, or a path into JSON",
                )


def _is_opaque(attribute: Attribute) -> bool:
    return attribute.storage is not None and attribute.storage.kind in ("bytes", "json")


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
    """Create one table; see `declare_tables`."""
    return declare_tables(connection, [info])[0]


def declare_tables(
    connection: Connection, infos: Sequence[TableInfo], index_column: IndexColumn | None = None
) -> list[TableInfo]:
    """Create tables of one schema, parents first, and record their lineage: all of them or none.

    Where another process is faster, its table is taken. Where one fails, those before it are gone again.

    Parameters
    ----------
    index_column : callable, optional
        What makes the server's SQL of an index column that is more than a name.

    Raises
    ------
    TransactionError
        Inside a transaction: servers commit or refuse it there.
    QueryError, MissingTableError, DefinitionError
        Where the server refuses a table.
    """
    names = ", ".join(repr(info.name) for info in infos)
    if connection.in_transaction:
        raise TransactionError(
            f"table {names} would be declared inside a transaction; declare it before that starts"
        )
    schema = infos[0].schema
    create_lineage_table(connection, schema)
    missing = list(infos)
    for attempt in range(_MAX_ATTEMPTS):
        try:
            _create_all(connection, missing, index_column or _no_expression)
            break
        except DefinitionError as e:
            reason = str(e).removesuffix(f" Expected {e.expected}.")
            raise DefinitionError(
                f"table {names} of schema {schema!r} was not declared: {reason}", expected=e.expected
            ) from e
        except (QueryError, MissingTableError) as e:
            is_taken = isinstance(e, QueryError) and e.code in connection.dialect.ddl.EXISTS_CODES
            if attempt + 1 == _MAX_ATTEMPTS or not (is_taken or isinstance(e, DeadlockError)):
                raise explained(e, f"table {names} of schema {schema!r} was not declared") from e
            connection.catalog.forget(schema)
            missing = [i for i in infos if i.name not in connection.catalog.table_names(schema)]
    for info in missing:
        connection.catalog.add(info, lineage_of(info))
    return [connection.catalog.table(*info.full_name) for info in infos]


_MAX_ATTEMPTS = 8


def _no_expression(info: TableInfo, column: str) -> IndexExpression:
    raise DefinitionError(
        f"the index column {column!r} of {info.name!r} is no attribute.", expected="an attribute"
    )


def explained(error: QueryError | MissingTableError, what: str) -> QueryError | MissingTableError:
    """Return the same error with what it kept from happening."""
    if isinstance(error, MissingTableError):
        return MissingTableError(f"{what}: {error}")
    return type(error)(f"{what}: {error}", code=error.code, statement=error.statement)


def _create_all(connection: Connection, infos: Sequence[TableInfo], index_column: IndexColumn) -> None:
    if not infos:
        return
    ddl = connection.dialect.ddl
    if connection.dialect.flags.has_transactional_ddl:
        with connection.transaction:
            scripts = ddl.create_tables(infos, connection.execute, index_column)
            record_lineage(connection, infos)
            connection.script([statement for script in scripts for statement in script])
        return
    # Each statement is committed. Lineage first, so that who sees a table sees its lineage; by hand undone.
    scripts = ddl.create_tables(infos, connection.execute, index_column)
    record_lineage(connection, infos)
    created: list[TableInfo] = []
    try:
        for info, script in zip(infos, scripts, strict=True):
            connection.script(script)
            created.append(info)
    except BaseException as e:
        if isinstance(e, LostConnectionError) or (isinstance(e, QueryError) and e.code in ddl.EXISTS_CODES):
            raise  # nothing can be done, or there is a table that needs this lineage
        for info in reversed(created):
            connection.script(ddl.drop_table(*info.full_name))
        forget_lineage(connection, [info.full_name for info in infos])
        raise


def create_lineage_table(connection: Connection, schema: str) -> None:
    """Create the table that records where attributes were first defined, where it is not there."""
    if LINEAGE in connection.catalog.table_names(schema):
        return
    try:
        connection.script(connection.dialect.ddl.create_lineage_table(schema))
    except QueryError as e:
        if e.code not in connection.dialect.ddl.EXISTS_CODES:
            raise explained(e, f"schema {schema!r} cannot be written to") from e
    connection.catalog.forget(schema)


def drop_tables(connection: Connection, tables: Sequence[TableName]) -> None:
    """Drop tables in the order given, and forget their lineage.

    Raises
    ------
    TransactionError
        Inside a transaction, on a server that would commit it first.
    """
    with connection.atomic() if connection.dialect.flags.has_transactional_ddl else nullcontext():
        for schema, table in tables:
            connection.script(connection.dialect.ddl.drop_table(schema, table))
            connection.catalog.remove(schema, table)
        forget_lineage(connection, tables)
