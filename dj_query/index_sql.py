"""Indexes on expressions and on paths into JSON, in the server's SQL."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from dj_query.json_path import read_json_path
from dj_schema.definition.index_columns import attribute_of
from dj_schema.dialects.base import IndexExpression
from dj_schema.errors import DefinitionError
from dj_schema.sql import Sql

if TYPE_CHECKING:
    from dj_query.user_sql import Dialect as Server
    from dj_schema.dialects.base import Dialect, IndexColumn
    from dj_schema.table_info import TableInfo

# Servers index text of a known length only.
_TYPE_OF_PATH = "varchar(255)"
# What a column has to be that holds the value of an expression.
_COLUMN_TYPES = {
    "bool": "TINYINT", "int": "BIGINT", "float": "DOUBLE", "decimal": "DECIMAL(65,30)", "date": "DATE",
    "datetime": "DATETIME(6)", "time": "TIME(6)", "string": "VARCHAR(255)",
}  # fmt: skip
_SIZED = re.compile(r"\b(decimal|varchar|char)\s*(\([0-9, ]+\))\s*$", re.I)


def index_column_for(dialect: Dialect) -> IndexColumn:
    """Return what renders a column of an index that is more than an attribute's name."""

    def render(info: TableInfo, column: str) -> IndexExpression:
        from dj_query.user_sql import compile_value

        is_path = not column.startswith("(")
        text = _path_as_sql(column) if is_path else column[1:-1]
        rendered = compile_value(text, info.heading.kinds, cast("Server", dialect.name))
        expression = Sql((rendered.sql,))
        if dialect.flags.has_expression_indexes:
            return IndexExpression(expression)
        type_ = _COLUMN_TYPES.get(rendered.kind)
        if type_ is None:
            raise DefinitionError(
                f"the index of {info.name!r} is on {column}, whose type is not known to {dialect.name}.",
                expected="a type: car.length:float, or (CAST(... AS DECIMAL(9,2)))",
            )
        if is_path and (sized := _SIZED.search(column)):
            type_ = f"{sized[1].upper()}{sized[2]}"
        return IndexExpression(expression, Sql((type_,)))

    return render


def _path_as_sql(column: str) -> str:
    """``car.length:decimal(4,1)`` as the expression that takes the value out of the document."""
    path = read_json_path(column, {attribute_of(column) or ""})
    assert path is not None
    return (path if path.type_text else replace(path, type_text=_TYPE_OF_PATH)).as_sql()
