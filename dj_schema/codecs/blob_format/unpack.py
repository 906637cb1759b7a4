"""The bytes of a blob to Python values and numpy arrays. Nothing in a blob is trusted, or run."""

from __future__ import annotations

import datetime
import decimal
import struct
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from dj_schema.codecs.blob_format import layout
from dj_schema.codecs.blob_format.compression import decompressed
from dj_schema.codecs.blob_format.read_arrays import (
    read_array,
    read_cell,
    read_records,
    read_sparse,
    read_struct,
)
from dj_schema.codecs.blob_format.source import Damaged, Result, Source
from dj_schema.errors import DataJointError

_FEWEST_FLOATS_FOR_NUMPY = 16

_u64 = layout.U64.unpack_from
_u16 = struct.Struct("<H").unpack_from
_float = struct.Struct("<d").unpack_from
_complex = struct.Struct("<dd").unpack_from


def unpack(data: bytes | bytearray | memoryview, squeeze: bool = False) -> Any:
    """Return the value that a blob holds.

    Parameters
    ----------
    data : bytes, bytearray or memoryview
        A blob with its header, compressed or not.
    squeeze : bool
        Drop the dimensions of length one of arrays; an array of one element becomes that element.

    Returns
    -------
    object
        Arrays of numbers are read-only views of the blob, in column-major order; copy one to change it.

    Raises
    ------
    DataJointError
        This is not a blob, or it is damaged or cut short.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise DataJointError(f"A blob is bytes, not {type(data).__name__}; this column holds something else.")
    blob = bytes(data)
    if blob.startswith(layout.COMPRESSED_HEADER):
        blob = decompressed(blob)
    header = blob[:4]
    if header not in (layout.NATIVE_HEADER, layout.MATLAB_HEADER):
        raise DataJointError(
            f"These {len(blob)} bytes are not a blob: they start with {header!r}, "
            f"not with {layout.NATIVE_HEADER!r} or {layout.MATLAB_HEADER!r}. Raw bytes belong in a "
            "`bytes` column."
        )
    try:
        return _read_whole(Source(blob, squeeze, wide=True))
    except DataJointError:
        if header != layout.MATLAB_HEADER:
            raise
        return _read_narrow(blob, squeeze)


def _read_narrow(blob: bytes, squeeze: bool) -> Any:
    """Read a blob in the way of old 32-bit MATLAB clients; where that fails too, the first error stands."""
    try:
        return _read_whole(Source(blob, squeeze, wide=False))
    except DataJointError:
        return _read_whole(Source(blob, squeeze, wide=True))


def _read_whole(source: Source) -> Any:
    try:
        value, end = read_value(source, 4)
    except RecursionError as error:
        raise Damaged("it is nested too deeply") from error
    except (
        IndexError,
        OverflowError,
        TypeError,
        ValueError,
        MemoryError,
        struct.error,
        decimal.InvalidOperation,
    ) as error:
        raise Damaged(f"{error}") from error
    if end != len(source.blob):
        raise Damaged(f"its content is {end} bytes long and the blob {len(source.blob)}")
    return value


def read_value(source: Source, at: int) -> Result:
    """Read the value whose tag is at a position."""
    return _READERS[source.blob[at]](source, at + 1)


def _read_items(source: Source, at: int) -> tuple[list[Any], int]:
    (count,) = _u64(source.blob, at)
    return _read_sized(source, at + 8, count)


def _read_sized(source: Source, at: int, count: int) -> tuple[list[Any], int]:
    """Read values, each after its size."""
    blob = source.blob
    source.require(at, count * 9)
    if count >= _FEWEST_FLOATS_FOR_NUMPY and blob[at + 8] == layout.FLOAT:
        floats = _floats(blob, at, count)
        if floats is not None:
            return floats, at + count * layout.FLOAT_ITEM.itemsize
    values = []
    for _ in range(count):
        (size,) = _u64(blob, at)
        at += 8
        value, end = _READERS[blob[at]](source, at + 1)
        if end - at != size:
            raise Damaged(f"at byte {at} a value is {end - at} bytes long and not {size}")
        values.append(value)
        at = end
    return values, at


def _floats(blob: bytes, at: int, count: int) -> list[float] | None:
    """Return a list that is all floats, or None if it is not."""
    if len(blob) - at < count * layout.FLOAT_ITEM.itemsize:
        return None
    items = np.frombuffer(blob, layout.FLOAT_ITEM, count, at)
    if (items["tag"] == layout.FLOAT).all() and (items["size"] == layout.FLOAT_ITEM_SIZE).all():
        floats: list[float] = items["value"].tolist()
        return floats
    return None


def _read_tuple(source: Source, at: int) -> Result:
    values, at = _read_items(source, at)
    return tuple(values), at


def _read_set(source: Source, at: int) -> Result:
    values, at = _read_items(source, at)
    return set(values), at


def _read_dict(source: Source, at: int) -> Result:
    (count,) = _u64(source.blob, at)
    values, at = _read_sized(source, at + 8, 2 * count)
    return dict(zip(values[::2], values[1::2], strict=True)), at


def _read_bytes(source: Source, at: int) -> tuple[bytes, int]:
    (size,) = _u64(source.blob, at)
    at += 8
    return source.blob[at : at + size], at + size


def _read_str(source: Source, at: int) -> Result:
    (size,) = _u64(source.blob, at)
    at += 8
    return source.blob[at : at + size].decode(), at + size


def _read_decimal(source: Source, at: int) -> Result:
    digits, at = _read_bytes(source, at)
    return decimal.Decimal(digits.decode()), at


def _read_int(source: Source, at: int) -> Result:
    (size,) = _u16(source.blob, at)
    at += 2
    return int.from_bytes(source.blob[at : at + size], "little", signed=True), at + size


def _read_float(source: Source, at: int) -> Result:
    return _float(source.blob, at)[0], at + 8


def _read_complex(source: Source, at: int) -> Result:
    return complex(*_complex(source.blob, at)), at + 16


def _read_temporal(source: Source, at: int) -> Result:
    day, moment = layout.DATE_AND_TIME.unpack_from(source.blob, at)
    at += layout.DATE_AND_TIME.size
    date = None if day < 0 else datetime.date(day // 10000, day // 100 % 100, day % 100)
    if moment < 0:
        return date, at
    seconds, microsecond = divmod(moment, 1_000_000)
    time = datetime.time(seconds // 10000, seconds // 100 % 100, seconds % 100, microsecond)
    return (time if date is None else datetime.datetime.combine(date, time)), at


def _read_unknown(source: Source, at: int) -> Result:
    raise Damaged(f"at byte {at - 1} there is {source.blob[at - 1]}, which is no kind of value")


_READERS: list[Callable[[Source, int], Result]] = [_read_unknown] * 256
for _tag, _reader in {
    layout.TUPLE: _read_tuple,
    layout.LIST: _read_items,
    layout.SET: _read_set,
    layout.DICT: _read_dict,
    layout.STRING: _read_str,
    layout.BYTES: _read_bytes,
    layout.INTEGER: _read_int,
    layout.BOOL: lambda source, at: (source.blob[at] != 0, at + 1),
    layout.COMPLEX: _read_complex,
    layout.FLOAT: _read_float,
    layout.DECIMAL: _read_decimal,
    layout.TEMPORAL: _read_temporal,
    layout.UUID: lambda source, at: (uuid.UUID(bytes=source.blob[at : at + 16]), at + 16),
    layout.NONE: lambda source, at: (None, at),
    layout.ARRAY: lambda source, at: read_array(source, at, read_value),
    layout.CELL: lambda source, at: read_cell(source, at, read_value),
    layout.RECORDS: lambda source, at: read_records(source, at, read_value),
    layout.STRUCT: lambda source, at: read_struct(source, at, read_value),
    layout.SPARSE: read_sparse,
}.items():
    _READERS[_tag] = _reader
