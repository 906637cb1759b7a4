"""What a translation of a MySQL function is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dj_query.user_sql.kinds import Kind, Piece

if TYPE_CHECKING:
    from dj_query.user_sql.postgres import PostgresRenderer
    from dj_query.user_sql.server import Call

# Renders one call; the kind is that of the value, by the table of signatures.
Translation = Callable[["PostgresRenderer", "Call", Kind], Piece]


def whole(sql: str) -> Piece:
    """Return an integer as wide as MySQL's."""
    return Piece(sql, "int", is_wide=True)
