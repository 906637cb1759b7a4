"""String constants in MySQL's DDL, where no parameter can stand."""

from __future__ import annotations

from dj_schema.errors import DefinitionError
from dj_schema.sql import Sql


def string_literal(text: str) -> str:
    """Quote for a session without NO_BACKSLASH_ESCAPES, safe for a ``%s`` paramstyle.

    Raises
    ------
    DefinitionError
        For a character that the server's catalog, of utf8mb3, would replace by a question mark.
    """
    if beyond := next((c for c in text if c > "\uffff"), None):
        raise DefinitionError(
            f"{text!r} has the character {beyond!r}; these servers cannot keep that in comments, defaults "
            "and labels.",
            expected="characters up to U+FFFF",
        )
    return "'" + text.replace("\\", "\\\\").replace("'", "''").replace("%", "%%") + "'"


def literal(text: str) -> Sql:
    return Sql((string_literal(text),))
