"""Results that have arrived as a whole, read in one go.

The driver reads a result packet by packet, each in two reads, and describes its columns anew each time: for
one row that is most of its work. Here the bytes that are there already are looked at without being taken.
What is no complete result of columns that were described before is left to the driver, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dj_schema.dialects.base import Row

Converter = tuple[str | None, Callable[[str], Any] | None]
"""The encoding of a column, None for bytes, and what makes a value of its text."""

_EOF_BYTES = 9  # of the packet after the columns, and of that after the rows, with their headers
_MORE_RESULTS = 8
_MOST_COLUMNS = 250  # that fit the short form of a number


class ShortResult(NamedTuple):
    """Where the rows of a complete result are in the bytes that arrived.

    Attributes
    ----------
    starts : list of int
        Of each row.
    n_bytes : int
        Of the whole result.
    """

    starts: list[int]
    n_bytes: int
    n_warnings: int


def columns_end(data: bytes) -> int:
    """Return where the description of a result's columns ends; 0 where there is no whole one."""
    n = len(data)
    if n < 5 or data[0] != 1 or data[1] or data[2] or not 1 <= data[4] <= _MOST_COLUMNS:
        return 0
    end = 5
    for _ in range(data[4]):
        if end + 4 > n:
            return 0
        end += 4 + (data[end] | data[end + 1] << 8 | data[end + 2] << 16)
    return end if end + _EOF_BYTES <= n and data[end] == 5 and data[end + 4] == 0xFE else 0


def complete(data: bytes, at: int) -> ShortResult | None:
    """Return the rows of a result whose columns end at a place; None where it is not all there.

    Nor where it ends in an error, or another result comes after it.
    """
    n = len(data)
    at += _EOF_BYTES
    starts: list[int] = []
    while at + _EOF_BYTES <= n:
        size = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        first = data[at + 4]
        if first == 0xFF:
            return None
        if first == 0xFE and size == _EOF_BYTES - 4:
            is_last = not data[at + 7] & _MORE_RESULTS
            return ShortResult(starts, at + _EOF_BYTES, data[at + 5] | data[at + 6] << 8) if is_last else None
        starts.append(at + 4)
        at += 4 + size
    return None


def rows(data: bytes, starts: Sequence[int], converters: Sequence[Converter]) -> tuple[Row, ...]:
    """Return the values of rows, each a text with its length before it."""
    found: list[Row] = []
    for at in starts:
        row: list[Any] = []
        for encoding, convert in converters:
            size = data[at]
            at += 1
            if size == 0xFB:
                row.append(None)
                continue
            if size == 0xFC:
                size = data[at] | data[at + 1] << 8
                at += 2
            elif size == 0xFD:
                size = data[at] | data[at + 1] << 8 | data[at + 2] << 16
                at += 3
            value: Any = data[at : at + size]
            at += size
            if encoding is not None:
                value = value.decode(encoding)
            row.append(value if convert is None else convert(value))
        found.append(tuple(row))
    return tuple(found)
