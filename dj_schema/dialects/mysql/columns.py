"""Rows in the server's text format as columns: where the fields of each are, and their Python values.

A row is its fields one after the other, each of its length and its text. Where the n-th field of each row is
is found for all rows at once, from where the field before it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dj_schema.dialects.base import Row
from dj_schema.dialects.mysql.unread import Converter, RowBytes, UnreadResult
from dj_schema.errors import LostConnectionError

_HEADER_BYTES = 4
_NULL = 0xFB  # in the place of a length; the bytes above it say how many bytes the length itself has
_LONG = {0xFC: 2, 0xFD: 3, 0xFE: 8}


class Fields(NamedTuple):
    """One column: its texts are from `begins` to `ends`; `nulls` says where there is none, if any."""

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    nulls: NDArray[np.bool_] | None


def fields_of(rows: RowBytes, n_columns: int) -> Iterator[Fields]:
    """Yield the columns of some rows, from the first to the last.

    Raises
    ------
    LostConnectionError
        Where the bytes are no rows of so many fields: what was read is not what was asked for.
    """
    data = np.frombuffer(rows.data, np.uint8)
    starts = np.array(rows.starts, np.int64)
    at = starts + _HEADER_BYTES
    for _ in range(n_columns):
        if at.max() >= rows.end:
            raise _no_rows()
        heads = data[at]
        begins, sizes, nulls = at + 1, heads.astype(np.int64), None
        if heads.max() >= _NULL:
            is_null = heads == _NULL
            sizes[is_null] = 0
            nulls = is_null if is_null.any() else None
            for mark, width in _LONG.items():
                long = np.flatnonzero(heads == mark)
                sizes[long] = sum(data[begins[long] + i].astype(np.int64) << 8 * i for i in range(width))
                begins[long] += width
        at = begins + sizes
        yield Fields(begins, at, nulls)
    if not np.array_equal(at, np.append(starts[1:], rows.end)):
        raise _no_rows()


def _no_rows() -> LostConnectionError:
    return LostConnectionError("the server sent what are no rows of this query")


def python_batches(unread: UnreadResult, most_rows: int = 10_000) -> Iterator[list[Row]]:
    """Yield the rows as the driver would have made them."""
    n_columns = len(unread.converters)
    for rows in unread.batches:
        texts = _Texts(bytes(rows.data))
        for part in rows.parts(most_rows):
            columns = zip(fields_of(part, n_columns), unread.converters, strict=True)
            yield list(zip(*(texts.values(*column) for column in columns), strict=True))


class _Texts:
    """The bytes of some rows, and the characters of those columns that have ASCII alone."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._characters = data.decode("latin-1")  # one for each byte

    def values(self, fields: Fields, converter: Converter) -> list[Any]:
        encoding, convert = converter
        places = zip(fields.begins.tolist(), fields.ends.tolist(), strict=True)
        data = self._data
        values: list[Any]
        if encoding is None:
            values = [data[begin:end] for begin, end in places]
        elif encoding == "ascii":
            characters = self._characters
            values = [characters[begin:end] for begin, end in places]
        else:
            values = [str(data[begin:end], encoding) for begin, end in places]
        if fields.nulls is None:
            return values if convert is None else list(map(convert, values))
        nulls = fields.nulls.tolist()
        if convert is None:
            return [None if is_null else v for v, is_null in zip(values, nulls, strict=True)]
        return [None if is_null else convert(v) for v, is_null in zip(values, nulls, strict=True)]
