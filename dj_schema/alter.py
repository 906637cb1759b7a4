"""Changing a declared table: what its rows allow, then one change of all or nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from decimal import Decimal
from typing import TYPE_CHECKING

from dj_schema.catalog_entry import make_attribute, parsed_or_none
from dj_schema.declare import JOB_METADATA, explained
from dj_schema.definition.diff import AttributeChange, TableChanges, table_changes
from dj_schema.errors import DataError, MissingAttributeError, MissingTableError, QueryError, TransactionError
from dj_schema.heading import Attribute
from dj_schema.sql import EMPTY, Ident, Sql, join, params, sql
from dj_schema.table_info import TableInfo
from dj_schema.types import INTEGER_RANGES, CodecType, CoreType, Kind, NativeType, TypeSpec

if TYPE_CHECKING:
    from dj_schema.connection import Connection

_LARGEST_SINGLE = (2.0 - 2.0**-23) * 2.0**127
_MOST_EXACT_INT = 2**53  # beyond, a float64 leaves integers out
# A value of the first kind is the same value as the second; the server refuses one that does not fit.
_SAME_VALUE = {
    ("bool", "int"), ("bool", "decimal"), ("int", "decimal"), ("int", "string"),
    ("decimal", "string"), ("date", "datetime"), ("date", "string"),
}  # fmt: skip


def changes_of(connection: Connection, old: TableInfo, new: TableInfo) -> TableChanges:
    """Return what makes the declared table the wanted one.

    Raises
    ------
    NotAlterableError
        For a change that a declared table cannot take.
    """
    types = connection.dialect.types

    def as_read(type_: TypeSpec) -> TypeSpec:
        if not isinstance(type_, NativeType) or type_.is_auto_increment:
            return type_
        text = types.type_of_column(connection.render(types.column_type(type_, None)).text)
        return parsed_or_none(text) or NativeType(text)

    return table_changes(old, new, lambda a, b: a == b or as_read(a) == as_read(b))


def alter_table(connection: Connection, changes: TableChanges) -> TableInfo:
    """Carry out changes of one table: all of them or none. Return the table as it is then.

    Raises
    ------
    TransactionError
        Inside a transaction: servers commit or refuse it there.
    MissingAttributeError
        Where rows would lack a value for a new attribute.
    DataError
        Where a value would not survive.
    """
    old = changes.old
    if connection.in_transaction:
        raise TransactionError(
            f"table {old.name!r} would be altered inside a transaction; do it before that starts"
        )
    dialect = connection.dialect
    with connection.transaction if dialect.flags.has_transactional_ddl else nullcontext():
        try:
            for statement in dialect.alter.lock_for_change(old):
                connection.execute(statement)
            without_values = _check_rows(connection, changes)
            connection.script(dialect.alter.alter_table(changes, without_values, connection.execute))
        except (QueryError, MissingTableError) as e:
            raise explained(e, f"table {old.schema}.{old.name} was not altered") from e
    connection.catalog.forget(old.schema)
    return connection.catalog.table(*old.full_name)


def add_job_metadata(connection: Connection, info: TableInfo, *, dry_run: bool = False) -> list[str]:
    """Add those hidden columns of an auto-populated table that it lacks; return their names."""
    missing = [item for item in JOB_METADATA if item.name not in info.heading.by_name]
    if missing and not dry_run:
        names = [a.name for a in info.heading.all]
        added: list[tuple[Attribute, str | None]] = []
        for item in missing:
            attribute = make_attribute(
                item.name,
                item.type,
                is_nullable=item.is_nullable,
                default=item.default,
                comment=item.comment,
            )
            added.append((attribute, names[-1]))
            names.append(item.name)
        alter_table(connection, TableChanges(info, info, tuple(added), (), (), None))
    return [item.name for item in missing]


def _check_rows(connection: Connection, changes: TableChanges) -> frozenset[str]:
    """See that each row can become one of the new table; return the attributes that hold no value at all."""
    table = changes.old
    title = f"{table.schema}.{table.name}"

    def some_row(condition: Sql = EMPTY) -> bool:
        where = sql(" WHERE {}", condition) if condition else EMPTY
        found = sql("SELECT 1 FROM {}{} LIMIT 1", Ident(*table.full_name), where)
        return bool(connection.execute(found, is_read=True).rows)

    for attribute, _ in changes.added:
        if attribute.is_required and some_row():
            raise MissingAttributeError(
                f"{title} has rows, and the new attribute {attribute.name!r} has no value for them. "
                f"Give it a default, as in `{attribute.name} = null : {attribute.type}`"
                + _rename_hint(changes)
            )
    without_values: set[str] = set()
    for change in changes.changed:
        column = Ident(change.old.name)
        if change.old.is_nullable and not change.new.is_nullable and some_row(sql("{} IS NULL", column)):
            raise DataError(
                f"{title} has rows where {change.old.name!r} is NULL, which its new definition does not "
                "allow. Give those rows a value first."
            )
        if not change.changes_type:
            continue
        if not some_row(sql("{} IS NOT NULL", column)):
            without_values.add(change.old.name)
            continue
        condition = _lost_value(connection, change)
        if condition is not None:
            condition = _either([condition, _lost_in_native(connection, change)])
        if condition is None:
            raise DataError(
                f"{title}: the values of {change.old.name!r} are {change.old.type} and cannot become "
                f"{change.new.type}. Add an attribute of the new type, fill it, and drop this one."
            )
        if condition and some_row(condition):
            raise DataError(
                f"{title}: some values of {change.old.name!r} would not be the same as {change.new.type}. "
                "Change them first, or choose a type that holds them."
            )
    return frozenset(without_values)


def _rename_hint(changes: TableChanges) -> str:
    """Say how to rename, where an attribute goes and another comes."""
    if not changes.dropped:
        return "."
    old = changes.dropped[0].name
    return f"; or, if it was {old!r} before, say so in its comment: `# {{{old}}}`."


def _lost_value(connection: Connection, change: AttributeChange) -> Sql | None:
    """Return the condition for a value that the server would round or cut without an error.

    Empty where it would not; None where values of the old type have no meaning as the new one.
    """
    old, new = change.old.storage, change.new.storage
    is_other_codec = CodecType in (type(change.old.type), type(change.new.type))
    if old is None or new is None or is_other_codec or isinstance(new, CodecType):
        return None
    column = Ident(change.old.name)
    cast = _type_of_cast(new)
    kinds = (change.old.kind, change.new.kind)
    if kinds == ("string", "string"):
        return _lost_text(column, old, new)
    if kinds[1] == "float":
        return _lost_in_float(connection, column, kinds[0], new)
    if kinds == ("time", "time"):
        return sql("{} <> CAST({} AS {})", column, column, connection.dialect.types.column_type(new, None))
    if kinds == ("decimal", "decimal"):
        return None if cast is None else _lost_in_decimal(column, cast)
    if kinds in (("datetime", "datetime"), ("datetime", "date")):
        if cast is None:
            return None
        type_text = connection.dialect.types.column_type(cast, None)
        return sql("{} <> CAST({} AS {})", column, column, type_text)
    if kinds in (("float", "int"), ("decimal", "int")):
        return _either([sql("{} <> FLOOR({})", column, column), _lost_in_int(column, new)])
    if kinds == ("int", "int"):
        return _lost_in_int(column, new)
    if kinds == ("int", "bool"):
        return sql("{} NOT IN (0, 1)", column)
    return EMPTY if kinds[0] == kinds[1] or kinds in _SAME_VALUE else None


def _lost_text(column: Ident, old: TypeSpec, new: TypeSpec) -> Sql:
    """Return the condition for a text that would be cut, or lose the spaces at its end."""
    # CHAR_LENGTH and LIKE take no enum on PostgreSQL; and what CONCAT makes of a char there is padded.
    text = sql("CONCAT({}, '')", column) if isinstance(old, CoreType) and old.labels else sql("{}", column)
    conditions: list[Sql] = []
    if isinstance(new, CoreType) and not new.labels:
        conditions.append(sql("CHAR_LENGTH({}) > {}", text, params([new.args[0]])))
    if isinstance(new, CoreType) and new.name in ("char", "enum") and old != new:
        conditions.append(sql("{} LIKE {}", text, params(["% "])))
    if isinstance(new, CoreType) and new.labels:
        conditions.append(sql("{} NOT IN ({})", text, params(new.labels)))
    return _either(conditions)


def _lost_in_int(column: Ident, new: TypeSpec) -> Sql:
    """Return the condition for a number outside of the range of an integer type of ours."""
    if not isinstance(new, CoreType):
        return EMPTY
    low, high = INTEGER_RANGES[new.name]
    return sql("{} NOT BETWEEN {} AND {}", column, params([low]), params([high]))


def _lost_in_decimal(column: Ident, new: CoreType) -> Sql:
    """Return the condition for a number that has more digits, before the point or after it."""
    precision, scale = (*map(int, new.args), 0)[:2]
    beyond = params([Decimal(10) ** (precision - scale)])
    return sql("ABS({}) >= {} OR {} <> ROUND({}, {})", column, beyond, column, column, params([scale]))


def _either(conditions: Sequence[Sql]) -> Sql:
    return join(" OR ", (sql("({})", c) for c in conditions if c))


def _lost_in_native(connection: Connection, change: AttributeChange) -> Sql:
    """Return the condition for a value that a native type of the server would make another of."""
    types = connection.dialect.types
    new, column = change.new.storage, Ident(change.old.name)
    if not isinstance(new, NativeType):
        return EMPTY
    text = connection.render(types.column_type(new, None)).text
    if text == "year":  # which takes 70 for 1970
        return sql("{} <> 0 AND {} NOT BETWEEN 1901 AND 2155", column, column)
    if length := re.fullmatch(r"binary\s*\((\d+)\)", text):  # which fills with zeros
        return sql("OCTET_LENGTH({}) <> {}", column, params([int(length[1])]))
    if digits := re.fullmatch(r"(float|real|double|double precision)\s*\(\d+\s*,\s*(\d+)\).*", text):
        single, double = (types.column_type(CoreType(name), None) for name in ("float32", "float64"))
        rounded = sql("ROUND({}, {})", column, params([int(digits[2])]))
        if digits[1] == "float":
            rounded = sql("CAST({} AS {})", rounded, single)
        return sql("CAST({} AS {}) <> CAST({} AS {})", rounded, double, column, double)
    return EMPTY


def _lost_in_float(connection: Connection, column: Ident, kind: Kind, new: TypeSpec) -> Sql | None:
    """Return the condition for a number that is none of those of a float type."""
    types = connection.dialect.types
    single, double = (types.column_type(CoreType(name), None) for name in ("float32", "float64"))
    conditions: list[Sql] = []
    if kind == "int":
        most = _MOST_EXACT_INT
        conditions.append(sql("{} NOT BETWEEN {} AND {}", column, params([-most]), params([most])))
    elif kind == "decimal":
        there_and_back = sql("CAST(CAST({} AS {}) AS DECIMAL(65,30))", column, double)
        conditions.append(sql("{} <> {}", column, there_and_back))
    elif kind != "float":
        return None
    if not connection.render(types.column_type(new, None)).text.startswith("double"):
        # MySQL finds a float equal to its double in a condition unless both are cast to one type.
        there_and_back = sql("CAST(CAST({} AS {}) AS {})", column, single, double)
        differs = sql("{} <> CAST({} AS {})", there_and_back, column, double)
        # The cast of a finite number beyond them raises; infinity and NaN, which is the largest, stay.
        bounds = (params([_LARGEST_SINGLE]), params([sys.float_info.max]))
        beyond = sql("ABS({}) > {} AND ABS({}) <= {}", column, bounds[0], column, bounds[1])
        conditions.append(sql("CASE WHEN {} THEN TRUE ELSE {} END", beyond, differs))
    return _either(conditions)


def _type_of_cast(type_: TypeSpec) -> CoreType | None:
    """Return a type that every server can cast to; None for a native one whose digits are not known."""
    if isinstance(type_, CoreType):
        return type_
    parsed = parsed_or_none(str(type_).replace("timestamp", "datetime").replace("numeric", "decimal"))
    return parsed if isinstance(parsed, CoreType) else None
