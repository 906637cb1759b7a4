"""Indexes on expressions and on paths into JSON, in the server's SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dj_schema.definition.index_columns import attribute_of
from dj_schema.errors import DefinitionError
from dj_schema.sql import Sql

if TYPE_CHECKING:
    from dj_query.user_sql import Dialect as Server
    from dj_schema.dialects.base import Dialect, IndexColumn
    from dj_schema.table_info import TableInfo

# Servers index text of a known length only.
_TYPE_OF_PATH = "CHAR(255)"


def index_column_for(dialect: Dialect) -> IndexColumn:
    """Return what renders a column of an index that is more than an attribute's name."""

    def render(info: TableInfo, column: str) -> Sql:
        from dj_query.user_sql import compile_value

        if not dialect.flags.has_expression_indexes:
            raise DefinitionError(
                f"the index of {info.name!r} is on {column}; {dialect.name} has no indexes on expressions.",
                expected="an attribute that holds the value, and an index on that",
            )
        text = column[1:-1] if column.startswith("(") else _path_as_expression(column)
        rendered = compile_value(text, info.heading.kinds, cast("Server", dialect.name))
        return Sql((f"({rendered.sql})",))

    return render


def _path_as_expression(column: str) -> str:
    """``car.length:decimal(4,1)`` as the expression that takes the value out of the document."""
    path, _, type_ = column.partition(":")
    name = attribute_of(column) or ""
    return f"CAST({name}->>'${path[len(name) :].strip()}' AS {type_.strip() or _TYPE_OF_PATH})"
