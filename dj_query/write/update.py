"""Changing one row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dj_query.compile import where_clause
from dj_query.values import comparable
from dj_query.write.encode import encode_column
from dj_query.write.insert import advice
from dj_query.write.rows import RowGroup
from dj_query.write.spaces_at_end import refuse_other_parents
from dj_schema.errors import DataJointError, MissingAttributeError
from dj_schema.heading import unknown_attribute
from dj_schema.sql import Ident, Param, Sql, join, sql

if TYPE_CHECKING:
    from dj_query.table import Table


def update_row(table: Table, row: Mapping[str, Any]) -> None:
    """Set attributes of the one row that the primary key names; None resets to the default."""
    heading = table.heading
    if not isinstance(row, Mapping):
        raise DataJointError(
            f"update1 takes a dict with the primary key and the new values, not {row!r:.60}."
        )
    if missing := [k for k in heading.primary_key if k not in row]:
        raise DataJointError(
            f"update1 needs the whole primary key of {table.full_table_name}; {missing} is missing."
        )
    if table.is_restricted:
        raise DataJointError("update1 is called on the table itself, not on a restricted one.")
    for name in row:
        if name not in heading.by_name:
            raise unknown_attribute(name, heading.names, of=table.full_table_name)
    digits = table.connection.dialect.flags.seconds_digits
    key = {k: comparable(heading.by_name[k], row[k], digits) for k in heading.primary_key}
    target = table & key
    where = where_clause(target.select, table.connection.dialect)
    sets = join(", ", (_set(table, name, value, key) for name, value in row.items() if name not in key))
    with table.connection.atomic():
        if not _is_there(target, key):
            raise DataJointError(
                f"update1 changes one row, and {table.full_table_name} has none with key {key}."
            )
        if sets:
            with advice(table, replace=True):
                table.connection.execute(sql("UPDATE {} SET {}{}", Ident(*table.table_id), sets, where))


def _is_there(target: Table, key: dict[str, Any]) -> bool:
    """Whether the row is there; a key with other spaces at its end is another, if not to every server."""
    texts = [n for n in key if target.heading.by_name[n].kind == "string"]
    if target.connection.dialect.flags.has_exact_texts or not texts:
        return len(target) == 1
    return any(all(_spaces(row[n]) == _spaces(key[n]) for n in texts) for row in target.proj())


def _spaces(text: str) -> int:
    return len(text) - len(text.rstrip(" "))


def _set(table: Table, name: str, value: Any, key: dict[str, Any]) -> Sql:
    attribute = table.heading.by_name[name]
    if value is None:
        if attribute.is_required:
            raise MissingAttributeError(
                f"attribute {name!r} cannot be NULL and has no default to reset it to."
            )
        return sql("{} = DEFAULT", Ident(name))
    has_nan = table.connection.dialect.flags.has_nan
    (stored,) = encode_column(attribute, [value], lambda: [key], has_nan)
    if not table.connection.dialect.flags.has_exact_texts:
        refuse_other_parents(table, RowGroup((name,), ([stored],), (0,)))
    return sql("{} = {}", Ident(name), Param(stored))
