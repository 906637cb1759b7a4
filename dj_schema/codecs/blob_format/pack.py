"""Python values and numpy arrays to the bytes of a blob."""

from __future__ import annotations

import datetime
import decimal
import itertools
import struct
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence, Set
from typing import Any

import numpy as np

from dj_schema.codecs.blob_format import layout
from dj_schema.codecs.blob_format.arrays import Chunks, append_array
from dj_schema.codecs.blob_format.compression import compressed
from dj_schema.errors import DataJointError

_FEWEST_FLOATS_FOR_NUMPY = 16
_LARGEST_INT_BYTES = 65535

_size = layout.U64.pack
_tag_and_count = struct.Struct("<BQ").pack
_float = struct.Struct("<Bd").pack
_complex = struct.Struct("<Bdd").pack
_small_int = struct.Struct("<BHb").pack
_int_head = struct.Struct("<BH").pack
_temporal = struct.Struct("<Biq").pack


def pack(value: Any, compress: bool = True) -> bytes:
    """Serialize a value.

    Parameters
    ----------
    value : Any
        None, bool, int, float, complex, str, bytes, Decimal, datetime, date, time, UUID, a numpy array
        or scalar, or a list, tuple, set or mapping of these, to any depth. Subclasses lose their class.
        Arrays of strings come back as arrays of objects, arrays without dimensions as scalars.
    compress : bool
        Compress where that makes a long blob shorter.

    Raises
    ------
    DataJointError
        A type or an array type has no place in the format, or would not come back as the same value.
    """
    chunks: Chunks = [_header(value)]
    try:
        append(value, chunks)
    except RecursionError as error:
        raise DataJointError("The value is nested too deeply for a blob, or contains itself.") from error
    except (struct.error, OverflowError, UnicodeEncodeError, ValueError) as error:
        raise DataJointError(
            f"A value in this {type(value).__name__} does not fit a blob: {error}."
        ) from error
    blob = b"".join(chunks)
    return compressed(blob) if compress else blob


def append(value: Any, chunks: Chunks) -> int:
    """Append the bytes of one value, without a header, and return how many they are."""
    leaf = _LEAVES.get(type(value))
    if leaf is None:
        return _append_compound(value, chunks)
    packed = leaf(value)
    chunks.append(packed)
    return len(packed)


def append_sized(values: Iterable[Any], chunks: Chunks) -> int:
    """Append values, each after its size, and return how many bytes that makes."""
    total = 0
    for value in values:
        leaf = _LEAVES.get(type(value))
        if leaf is not None:
            packed = leaf(value)
            size = len(packed)
            chunks += (_size(size), packed)
        else:
            at = len(chunks)
            chunks.append(b"")
            size = _append_compound(value, chunks)
            chunks[at] = _size(size)
        total += 8 + size
    return total


def _header(value: Any) -> bytes:
    # The older header says that MATLAB can read the blob: it holds one array of numbers.
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "biufc":
        return layout.MATLAB_HEADER
    return layout.NATIVE_HEADER


def _append_compound(value: Any, chunks: Chunks) -> int:
    compound = _COMPOUNDS.get(type(value))
    return compound(value, chunks) if compound is not None else _append_subclass(value, chunks)


def _append_subclass(value: Any, chunks: Chunks) -> int:
    """Append a value whose very type is not in the tables, as what it is an instance of."""
    if isinstance(value, np.ndarray):
        return append_array(value, chunks, append_sized)
    if isinstance(value, np.generic) and not isinstance(value, (str, bytes, np.void)):
        return append_array(np.asarray(value), chunks, append_sized)
    for types, leaf in _LEAF_BASES:
        if isinstance(value, types):
            packed = leaf(value)
            chunks.append(packed)
            return len(packed)
    for types, append_container in _CONTAINER_BASES:
        if isinstance(value, types):
            return append_container(value, chunks)
    raise DataJointError(
        f"A value of type {type(value).__module__}.{type(value).__qualname__} cannot be stored in a blob. "
        "Convert it to a plain Python value or a numpy array, or write a codec for it."
    )


def _append_list(value: Sequence[Any], chunks: Chunks) -> int:
    chunks.append(_tag_and_count(layout.LIST, len(value)))
    return 9 + _append_items(value, chunks)


def _append_tuple(value: Sequence[Any], chunks: Chunks) -> int:
    chunks.append(_tag_and_count(layout.TUPLE, len(value)))
    return 9 + _append_items(value, chunks)


def _append_items(value: Sequence[Any], chunks: Chunks) -> int:
    if len(value) >= _FEWEST_FLOATS_FOR_NUMPY and set(map(type, value)) == {float}:
        items = np.empty(len(value), layout.FLOAT_ITEM)
        items["size"] = layout.FLOAT_ITEM_SIZE
        items["tag"] = layout.FLOAT
        items["value"] = value
        chunks.append(items.tobytes())
        return items.nbytes
    return append_sized(value, chunks)


def _append_set(value: Set[Any], chunks: Chunks) -> int:
    packed: list[bytes] = []
    for member in value:
        member_chunks: Chunks = []
        size = append(member, member_chunks)
        packed.append(b"".join((_size(size), *member_chunks)))
    # Sorted, because the order of a set varies between processes, and a blob's hash may be its address.
    body = b"".join(sorted(packed))
    chunks += (_tag_and_count(layout.SET, len(value)), body)
    return 9 + len(body)


def _append_dict(value: Mapping[Any, Any], chunks: Chunks) -> int:
    chunks.append(_tag_and_count(layout.DICT, len(value)))
    return 9 + append_sized(itertools.chain.from_iterable(value.items()), chunks)


def _pack_int(value: int) -> bytes:
    if -127 <= value <= 127:  # -128 takes two bytes: the format leaves room for a sign by counting bits
        return _small_int(layout.INTEGER, 1, value)
    size = value.bit_length() // 8 + 1
    if size > _LARGEST_INT_BYTES:
        raise DataJointError(
            f"An int of {size} bytes cannot be stored in a blob; {_LARGEST_INT_BYTES} is the most."
        )
    return _int_head(layout.INTEGER, size) + value.to_bytes(size, "little", signed=True)


def _pack_str(value: str) -> bytes:
    encoded = value.encode()
    return _tag_and_count(layout.STRING, len(encoded)) + encoded


def _pack_bytes(value: bytes | bytearray) -> bytes:
    return _tag_and_count(layout.BYTES, len(value)) + value


def _pack_decimal(value: decimal.Decimal) -> bytes:
    digits = str(value).encode()
    return _tag_and_count(layout.DECIMAL, len(digits)) + digits


def _pack_datetime(value: datetime.datetime) -> bytes:
    _refuse_time_zone(value)
    return _temporal(layout.TEMPORAL, _date_digits(value), _time_digits(value))


def _pack_time(value: datetime.time) -> bytes:
    _refuse_time_zone(value)
    return _temporal(layout.TEMPORAL, -1, _time_digits(value))


def _date_digits(value: datetime.date) -> int:
    return (value.year * 100 + value.month) * 100 + value.day


def _time_digits(value: datetime.datetime | datetime.time) -> int:
    return ((value.hour * 100 + value.minute) * 100 + value.second) * 1_000_000 + value.microsecond


def _refuse_time_zone(value: datetime.datetime | datetime.time) -> None:
    if value.tzinfo is not None:
        raise DataJointError(
            f"{value!r} has a time zone, which a blob cannot keep. "
            "Convert it to UTC and drop the zone: value.astimezone(timezone.utc).replace(tzinfo=None)."
        )


def _scalar_packer(dtype: np.dtype[Any]) -> Callable[[Any], bytes]:
    number, is_complex = layout.CLASS_OF_DTYPE[dtype]
    head = struct.pack("<BQII", layout.ARRAY, 0, number, is_complex)
    return lambda value: head + value.tobytes()


_LEAVES: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda value: b"\xff",
    bool: lambda value: b"\x0b\x01" if value else b"\x0b\x00",
    int: _pack_int,
    float: lambda value: _float(layout.FLOAT, value),
    complex: lambda value: _complex(layout.COMPLEX, value.real, value.imag),
    str: _pack_str,
    bytes: _pack_bytes,
    decimal.Decimal: _pack_decimal,
    datetime.datetime: _pack_datetime,
    datetime.date: lambda value: _temporal(layout.TEMPORAL, _date_digits(value), -1),
    datetime.time: _pack_time,
    uuid.UUID: lambda value: b"u" + value.bytes,
}
# What has these types but is of a subclass; a datetime is a date, so it is asked about first.
_LEAF_BASES: list[tuple[type | tuple[type, ...], Callable[[Any], bytes]]] = [
    *((leaf_type, leaf) for leaf_type, leaf in _LEAVES.items()),
    (bytearray, _pack_bytes),
    (memoryview, lambda value: _pack_bytes(value.tobytes())),
]
if sys.byteorder == "little":  # else a scalar's own bytes are not those of the format; arrays are converted
    _LEAVES |= {dtype.type: _scalar_packer(dtype) for dtype in layout.CLASS_OF_DTYPE if dtype.kind in "biufc"}

_COMPOUNDS: dict[type, Callable[[Any, Chunks], int]] = {
    dict: _append_dict,
    list: _append_list,
    tuple: _append_tuple,
    set: _append_set,
    np.ndarray: lambda value, chunks: append_array(value, chunks, append_sized),
}
_CONTAINER_BASES: list[tuple[type, Callable[[Any, Chunks], int]]] = [
    (Mapping, _append_dict),
    (MutableSequence, _append_list),
    (Sequence, _append_tuple),
    (Set, _append_set),
]
