"""Statements on rows in the words of MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dj_schema.sql import Ident, Sql, idents, join, sql


def copy_text(schema: str, table: str, columns: Sequence[str]) -> Sql:
    places = ", ".join(["%s"] * len(columns))
    return sql(f"INSERT INTO {{}} ({{}}) VALUES ({places})", Ident(schema, table), idents(columns))


def on_duplicate(key: Sequence[str], update: Sequence[str] | None) -> Sql:
    # VALUES() is deprecated on MySQL 8.0.20, but its replacement does not exist on MariaDB.
    columns = update or list(key)[:1]
    sets = (sql("{} = VALUES({})", Ident(c), Ident(c)) if update else sql("{} = {}", Ident(c), Ident(c)) for c in columns)
    return sql(" ON DUPLICATE KEY UPDATE {}", join(", ", sets))


def json_value(value: Any) -> Any:
    from dj_schema.dialects.mysql.driver import json_parameter

    return json_parameter(value)
