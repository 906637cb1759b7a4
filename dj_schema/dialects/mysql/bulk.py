"""Many rows as the text of few INSERT statements; all but numbers and plain text is escaped by the driver."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Escape = Callable[[Any], str]
Columns = Sequence[Sequence[Any]]

_NONE = type(None)
_SIZED = {str, bytes}
_ESCAPED = re.compile(r"""['"\\\x00-\x1f]""")
_STATEMENT_ROWS = 1_000  # servers take a thousand rows faster than the same rows in longer statements
_STATEMENT_BYTES = 4_000_000


def statements(text: str, columns: Columns, escape: Escape) -> Iterator[str]:
    """Yield INSERT statements, for an INSERT of one row with a ``%s`` for each value.

    `escape` is the driver's own; integers and floats need none.
    """
    places = "(" + ", ".join(["%s"] * len(columns)) + ")"
    # in names every % is doubled, so that the places are found nowhere else
    head, _, tail = text.partition(places)
    head, tail = head.replace("%%", "%"), tail.replace("%%", "%")
    for start in range(0, len(columns[0]), _STATEMENT_ROWS):
        for part in _sized([column[start : start + _STATEMENT_ROWS] for column in columns]):
            literals = [_literals(column, escape) for column in part]
            yield f"{head}{','.join(map(places.__mod__, zip(*literals, strict=True)))}{tail}"


def _sized(columns: Columns) -> Iterator[Columns]:
    """Halve what is too long for a packet, until it fits or is one row."""
    n_rows = len(columns[0])
    if n_rows == 1 or sum(map(_size_bytes, columns)) <= _STATEMENT_BYTES:
        yield columns
        return
    yield from _sized([column[: n_rows // 2] for column in columns])
    yield from _sized([column[n_rows // 2 :] for column in columns])


def _size_bytes(column: Sequence[Any]) -> int:
    types = set(map(type, column))
    if types <= _SIZED:
        return sum(map(len, column))
    return sum(len(v) for v in column if type(v) in _SIZED) if types & _SIZED else 0


def _literals(column: Sequence[Any], escape: Escape) -> Sequence[Any]:
    types = set(map(type, column))
    if types == {int}:
        return column
    if types == {float}:
        # as PyMySQL writes them: with an exponent, which makes a DOUBLE of the constant
        return [text if "e" in text else text + "e0" for text in map(repr, column)]
    if types == {str}:
        if not _ESCAPED.search("".join(column)):
            return [f"'{text}'" for text in column]
        return list(map(escape, column))
    if _NONE in types:
        return ["NULL" if v is None else v if type(v) is int else escape(v) for v in column]
    return list(map(escape, column))
