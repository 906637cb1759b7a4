"""Statements on rows where MariaDB has other words than MySQL: it has no JSON type to compare by."""

from __future__ import annotations

import json
from typing import Any

from dj_schema.dialects.mysql.rows import (
    copied,
    copy_text,
    json_found,
    on_duplicate,
    one_of_many,
    order_nulls,
    single_float,
    text_of,
)
from dj_schema.dialects.mysql.rows import json_equals as mysql_json_equals
from dj_schema.heading import Attribute
from dj_schema.json_text import json_text
from dj_schema.sql import Ident, Param, Sql, join, sql

__all__ = [
    "copied",
    "copy_text",
    "json_equals",
    "null_of",
    "on_duplicate",
    "one_of_many",
    "order_nulls",
    "single_float",
    "text_of",
]


def null_of(attribute: Attribute) -> Sql:
    """Return NULL; where it has no type, MariaDB makes decimals of the unsigned numbers above it."""
    type_ = str(attribute.type)
    is_unsigned = attribute.kind == "int" and (type_.startswith("uint") or "unsigned" in type_)
    return sql("CAST(NULL AS UNSIGNED)") if is_unsigned else sql("NULL")


def json_equals(name: Ident, path: list[str | int], value: Any) -> Sql:
    """Return the condition that the document holds this value at a path; None for null or nothing."""
    if value is None:
        return mysql_json_equals(name, path, value)
    return _same(name, path, json.loads(json_text(value)))


def _same(name: Ident, path: list[str | int], value: Any) -> Sql:
    """Lists and objects part by part: JSON_CONTAINS takes a list as a set, and JSON_EQUALS came with 10.7."""
    found = json_found(name, path)
    if value is None:
        return sql("JSON_TYPE({}) = 'NULL'", found)
    if not isinstance(value, (list, dict)):
        wanted = Param(json_text(value))
        return sql("(JSON_CONTAINS({}, {}) AND JSON_CONTAINS({}, {}))", found, wanted, wanted, found)
    kind, inner = ("OBJECT", value.items()) if isinstance(value, dict) else ("ARRAY", enumerate(value))
    whole = sql("JSON_TYPE({}) = {} AND JSON_LENGTH({}) = {}", found, Param(kind), found, Param(len(value)))
    return sql("({})", join(" AND ", [whole, *(_same(name, [*path, step], part) for step, part in inner)]))
