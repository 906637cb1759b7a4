"""Many rows as the text of a COPY: one value of a row after another, a column at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

_BLOCK_ROWS = 1_000
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _text(value: str) -> str:
    return value.translate(_ESCAPES)


_TEXT_OF: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "\\N",
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: "\\\\x" + value.hex(),
    date: str,
    datetime: str,
    Decimal: str,
    float: repr,
    int: str,
    str: _text,
    UUID: str,
}


def is_known(columns: Sequence[Sequence[Any]]) -> bool:
    """Whether all values are of types that can be written here."""
    return all(set(map(type, column)) <= _TEXT_OF.keys() for column in columns)


def blocks(columns: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield the rows in COPY's text format."""
    for start in range(0, len(columns[0]), _BLOCK_ROWS):
        texts = [_texts(column[start : start + _BLOCK_ROWS]) for column in columns]
        yield "\n".join(map("\t".join, zip(*texts, strict=True))) + "\n"


def _texts(column: Sequence[Any]) -> Sequence[str]:
    types = set(map(type, column))
    if len(types) > 1:
        return [_TEXT_OF[type(value)](value) for value in column]
    (type_,) = types
    if type_ is str and not _SPECIAL.search("".join(column)):
        return column
    return list(map(_TEXT_OF[type_], column))
