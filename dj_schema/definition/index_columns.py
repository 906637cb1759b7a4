"""The columns between the brackets of an index line."""

from __future__ import annotations

import re

from dj_schema.errors import DefinitionError
from dj_schema.types import QUOTED

_TOKEN = re.compile(rf"""(?P<text>{QUOTED}|[^'"(),\#]+)|(?P<mark>[(),])""", re.S)
_NAME = r"[a-z_][a-z0-9_]*"
NAME = re.compile(_NAME)
_JSON_PATH = re.compile(
    rf"(?P<name>{_NAME})(?:\.[A-Za-z_]\w*|\[[0-9]+\])+(?:\s*:\s*[A-Za-z][A-Za-z0-9 ]*(?:\([0-9, ]*\))?)?",
    re.ASCII,
)


def read_columns(line: str, start: int) -> tuple[tuple[str, ...], int]:
    """Read `(a, b, (expression))` from its opening bracket; return the columns and where they end.

    Raises
    ------
    DefinitionError
        For a bracket or quote that stays open, and for what is no column.
    """
    columns: list[str] = []
    depth, column_start, position = 0, start + 1, start
    while token := _TOKEN.match(line, position):
        mark, position = token["mark"], token.end()
        depth += {"(": 1, ")": -1}.get(mark or "", 0)
        if depth == 0 or (depth == 1 and mark == ","):
            columns.append(_checked(line[column_start : position - 1].strip()))
            column_start = position
        if depth == 0:
            return tuple(columns), position
    raise DefinitionError("a bracket or a quote of the index stays open.", expected="index(name, ...)")


def attribute_of(column: str) -> str | None:
    """The attribute that a column names or has its path in; None for an SQL expression."""
    match = _JSON_PATH.fullmatch(column) or NAME.fullmatch(column)
    return match and (match["name"] if "name" in match.re.groupindex else match[0])


def is_column(text: str) -> bool:
    """Say whether this text can be a column of an index."""
    return bool(NAME.fullmatch(text) or _JSON_PATH.fullmatch(text)) or _is_expression(text)


def _checked(text: str) -> str:
    if is_column(text):
        return text
    raise DefinitionError(
        f"{text!r} is no column of an index." if text else "a column of the index is missing.",
        expected="attributes, commas between; an SQL expression in brackets: index(name, (YEAR(born)))",
    )


def _is_expression(text: str) -> bool:
    """One pair of brackets around all of it, with something in them."""
    depth, position = 0, 0
    while token := _TOKEN.match(text, position):
        position = token.end()
        depth += {"(": 1, ")": -1}.get(token["mark"] or "", 0)
        if depth == 0:
            break
    return depth == 0 and position == len(text) > 2 and text[0] == "(" and bool(text[1:-1].strip())
