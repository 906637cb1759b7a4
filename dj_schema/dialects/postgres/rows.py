"""Statements on rows in PostgreSQL's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dj_schema.json_text import json_text
from dj_schema.sql import Ident, Param, Sql, idents, join, sql


def copy_text(schema: str, table: str, columns: Sequence[str]) -> Sql:
    return sql("COPY {} ({}) FROM STDIN", Ident(schema, table), idents(columns))


def on_duplicate(table: tuple[str, str], key: Sequence[str], update: Sequence[str] | None) -> Sql:
    if not update:
        return sql(" ON CONFLICT DO NOTHING")
    sets = join(", ", (sql("{} = EXCLUDED.{}", Ident(c), Ident(c)) for c in update))
    return sql(" ON CONFLICT ({}) DO UPDATE SET {}", idents(key), sets)


def single_float(column: Ident) -> Sql:
    """Return how a column of float32 is selected with all of its digits."""
    return sql("{}", column)


def json_equals(name: Ident, path: list[str | int], value: Any) -> Sql:
    """Return the condition that the document holds this value at a path; None for null or nothing."""
    steps = Param([str(step) for step in path])
    if value is None:
        return sql("({} #>> {}::text[]) IS NULL", name, steps)
    return sql("({} #> {}::text[]) = {}", name, steps, Param(json_text(value)))


def order_nulls(is_descending: bool) -> Sql:
    """Return where NULL goes, so that it counts as the smallest value; by itself it counts as the largest."""
    return sql(" NULLS LAST" if is_descending else " NULLS FIRST")
