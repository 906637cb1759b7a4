"""Rows in the server's text format as an Arrow table, without a Python object for any value.

Integers, floats, texts and bytes come as what they are; decimals, dates and times as their texts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from dj_schema.dialects.mysql.columns import Fields, fields_of
from dj_schema.dialects.mysql.unread import UnreadResult

# numbers of the protocol: https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
_INTEGERS = frozenset({1, 2, 3, 8, 9, 13})
_FLOATS = frozenset({4, 5})
_UNSIGNED = 32


def arrow_of(unread: UnreadResult) -> Any:
    """Read a result to its end, and return it as a pyarrow Table."""
    types = [_type_of(f, c[0]) for f, c in zip(unread.fields, unread.converters, strict=True)]
    schema = pa.schema([pa.field(str(i), type_) for i, type_ in enumerate(types)])
    batches = []
    for rows in unread.batches:
        buffer = pa.py_buffer(rows.data)
        fields = fields_of(rows, len(types))
        columns = [_column(buffer, f, type_) for f, type_ in zip(fields, types, strict=True)]
        batches.append(pa.record_batch(columns, schema=schema))
    return pa.Table.from_batches(batches, schema)


def _type_of(field: Any, encoding: str | None) -> Any:
    if encoding is None:
        return pa.binary()
    if field.type_code in _INTEGERS:
        return pa.uint64() if field.flags & _UNSIGNED else pa.int64()
    return pa.float64() if field.type_code in _FLOATS else pa.string()


def _column(buffer: Any, fields: Fields, type_: Any) -> Any:
    """Gather the texts of a column, and read them as what they stand for.

    Arrow sees what was received as texts and what lies between them in turn, and takes each other one.
    """
    n_rows = len(fields.begins)
    offsets = np.empty(2 * n_rows, np.int64)
    offsets[::2], offsets[1::2] = fields.begins, fields.ends
    mixed = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), 2 * n_rows - 1, [None, pa.py_buffer(offsets), buffer]
    )
    texts = mixed.take(pa.array(np.arange(0, 2 * n_rows, 2), mask=fields.nulls))
    if pa.types.is_binary(type_):
        return texts.cast(type_)
    characters = texts.cast(pa.string())  # and see that they are UTF-8
    return characters if pa.types.is_string(type_) else characters.cast(type_)
