"""Statements on rows in PostgreSQL's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dj_schema.dialects.base import Execute
from dj_schema.heading import Attribute
from dj_schema.json_text import json_text
from dj_schema.sql import Ident, Param, Sql, idents, join, sql
from dj_schema.types import CoreType


def copy_text(schema: str, table: str, columns: Sequence[str]) -> Sql:
    return sql("COPY {} ({}) FROM STDIN", Ident(schema, table), idents(columns))


def on_duplicate(table: tuple[str, str], key: Sequence[str], update: Sequence[str] | None) -> Sql:
    if not update:
        return sql(" ON CONFLICT DO NOTHING")
    sets = join(", ", (sql("{} = EXCLUDED.{}", Ident(c), Ident(c)) for c in update))
    return sql(" ON CONFLICT ({}) DO UPDATE SET {}", idents(key), sets)


def copied(select: Sql, table: tuple[str, str], attributes: Sequence[Attribute], execute: Execute) -> Sql:
    """Return a query as its rows go into a table: each schema has types of its own for the same labels."""
    if not any(a.is_enum for a in attributes):
        return select
    types = {c: Ident(*type_) for c, *type_ in execute(sql(_TYPES, *map(Param, table))).rows}
    enums = {a.name for a in attributes if a.is_enum}
    columns = (
        sql("{}::text::{}", Ident(a.name), types[a.name]) if a.name in enums else sql("{}", Ident(a.name))
        for a in attributes
    )
    return sql("SELECT {} FROM ({}) AS copied", join(", ", columns), select)


_TYPES = """
SELECT a.attname, tn.nspname, t.typname
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = t.typnamespace
WHERE n.nspname = {} AND c.relname = {} AND t.typtype = 'e' AND a.attnum > 0
"""


def single_float(column: Sql) -> Sql:
    """Return how a column of float32 is selected with all of its digits."""
    return column


def null_of(attribute: Attribute) -> Sql:
    """Return NULL, which takes the type that the attribute has in the other query."""
    return sql("NULL")


def text_of(column: Ident) -> Sql:
    """Return a text or a label as what compares with either: labels of two types do not compare."""
    return sql("CAST({} AS TEXT)", column)


def json_equals(name: Ident, path: list[str | int], value: Any) -> Sql:
    """Return the condition that the document holds this value at a path; None for null or nothing."""
    steps = Param([str(step) for step in path])
    if value is None:
        return sql("({} #>> {}::text[]) IS NULL", name, steps)
    return sql("({} #> {}::text[]) = {}", name, steps, Param(json_text(value)))


def order_nulls(is_descending: bool) -> Sql:
    """Return where NULL goes, so that it counts as the smallest value; by itself it counts as the largest."""
    return sql(" NULLS LAST" if is_descending else " NULLS FIRST")


def one_of_many(attributes: Sequence[Attribute], rows: Sequence[Sequence[Any]]) -> Sql:
    """Return a semi-join with arrays, one parameter a column: a statement takes 65,535 of them at most.

    Elements travel as text, because an array of a driver's values has to be of one type; their type
    is wider than the column's, so that none is cut to fit it.
    """
    found = [row for row in rows if _can_match(attributes, row)]
    arrays = (_array(a, [row[i] for row in found]) for i, a in enumerate(attributes))
    names = join(", ", map(_as_element, attributes))
    return sql("({}) IN (SELECT * FROM unnest({}))", names, join(", ", arrays))


def _array(attribute: Attribute, values: Sequence[Any]) -> Sql:
    type_ = _ELEMENT_TYPES.get(attribute.kind, "text")
    if attribute.kind == "int":
        values = [int(value) for value in values]
        # numeric only where it must be: no index of an integer column serves it
        type_ = "bigint" if all(-(2**63) <= value < 2**63 for value in values) else "numeric"
    return sql("{}::text[]::{}[]", Param([_text(value) for value in values]), Sql((type_,)))


_ELEMENT_TYPES = {
    "float": "float8",
    "decimal": "numeric",
    "bool": "boolean",
    "date": "date",
    "datetime": "timestamp",
    "time": "time",
    "uuid": "uuid",
    "bytes": "bytea",
}


def _as_element(attribute: Attribute) -> Sql:
    """A column as it compares with an element: an enum does not compare with text."""
    if isinstance(attribute.storage, CoreType) and attribute.storage.name == "enum":
        return sql("{}::text", Ident(attribute.name))
    return sql("{}", Ident(attribute.name))


def _can_match(attributes: Sequence[Attribute], row: Sequence[Any]) -> bool:
    """Whether the numbers that are compared with integers are integers."""
    return all(a.kind != "int" or value % 1 == 0 for a, value in zip(attributes, row, strict=True))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return str(value)
