"""Statements on rows in PostgreSQL's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dj_schema.sql import Ident, Sql, idents, join, sql


def copy_text(schema: str, table: str, columns: Sequence[str]) -> Sql:
    return sql("COPY {} ({}) FROM STDIN", Ident(schema, table), idents(columns))


def on_duplicate(key: Sequence[str], update: Sequence[str] | None) -> Sql:
    if not update:
        return sql(" ON CONFLICT DO NOTHING")
    sets = join(", ", (sql("{} = EXCLUDED.{}", Ident(c), Ident(c)) for c in update))
    return sql(" ON CONFLICT ({}) DO UPDATE SET {}", idents(key), sets)


def json_value(value: Any) -> Any:
    from dj_schema.dialects.postgres.driver import json_parameter

    return json_parameter(value)
