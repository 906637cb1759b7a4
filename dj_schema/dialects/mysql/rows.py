"""Statements on rows in the words of MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dj_schema.dialects.base import Execute
from dj_schema.heading import Attribute
from dj_schema.json_text import json_path_parts, json_path_text, json_text
from dj_schema.sql import EMPTY, Ident, Param, Sql, idents, join, one_of, sql


def copy_text(schema: str, table: str, columns: Sequence[str]) -> Sql:
    places = ", ".join(["%s"] * len(columns))
    return sql(f"INSERT INTO {{}} ({{}}) VALUES ({places})", Ident(schema, table), idents(columns))


def on_duplicate(table: tuple[str, str], key: Sequence[str], update: Sequence[str] | None) -> Sql:
    # VALUES() is deprecated on MySQL 8.0.20, but its replacement does not exist on MariaDB.
    if update:
        sets = [sql("{} = VALUES({})", Ident(*table, c), Ident(c)) for c in update]
    else:
        sets = [sql("{} = {}", Ident(*table, c), Ident(*table, c)) for c in list(key)[:1]]
    return sql(" ON DUPLICATE KEY UPDATE {}", join(", ", sets))


def copied(select: Sql, table: tuple[str, str], attributes: Sequence[Attribute], execute: Execute) -> Sql:
    """Return a query as its rows go into a table."""
    return select


def single_float(column: Sql) -> Sql:
    """Return how a column of float32 is selected with all of its digits: as FLOAT it comes with six.

    Nothing is subtracted, not added: -0.0 + 0.0 is 0.0.
    """
    return sql("({}) - 0e0", column)


def null_of(attribute: Attribute) -> Sql:
    """Return NULL, which takes the type that the attribute has in the other query."""
    return sql("NULL")


def text_of(column: Ident) -> Sql:
    """Return a text or a label as what compares with either: both do, as they are."""
    return sql("{}", column)


def json_equals(name: Ident, path: list[str | int], value: Any) -> Sql:
    """Return the condition that the document holds this value at a path; None for null or nothing."""
    found = json_found(name, path)
    if value is None:
        return sql("COALESCE(JSON_TYPE({}), 'NULL') = 'NULL'", found)
    return sql("{} = CAST({} AS JSON)", found, Param(json_text(value)))


def json_found(name: Ident, path: Sequence[str | int]) -> Sql:
    """Return what the document holds at a path."""
    found = sql("{}", name)
    for part in json_path_parts(json_path_text(path)):
        found = sql("JSON_EXTRACT({}, {})", found, Param(part))
    return found


def order_nulls(is_descending: bool) -> Sql:
    """Return nothing: NULL counts as the smallest value already."""
    return EMPTY


def one_of_many(attributes: Sequence[Attribute], rows: Sequence[Sequence[Any]]) -> Sql:
    """Return a list in brackets, which the server sorts and looks up."""
    return one_of([a.name for a in attributes], rows)
