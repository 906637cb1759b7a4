"""String constants in MySQL's DDL, where no parameter can stand."""

from __future__ import annotations

from dj_schema.sql import Sql


def string_literal(text: str) -> str:
    """Quote for a session without NO_BACKSLASH_ESCAPES, safe for a ``%s`` paramstyle."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''").replace("%", "%%") + "'"


def literal(text: str) -> Sql:
    return Sql((string_literal(text),))
