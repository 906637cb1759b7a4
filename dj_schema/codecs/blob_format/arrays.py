"""Numpy arrays to the bytes of a blob: numbers, dates, objects, records, and MATLAB's containers."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dj_schema.codecs.blob_format import layout
from dj_schema.codecs.blob_format.matlab import MatCell, MatStruct
from dj_schema.errors import DataJointError

Array = np.ndarray[Any, np.dtype[Any]]
Chunks = list[bytes | memoryview]
AppendSized = Callable[[Iterable[Any], Chunks], int]

_SMALL = 1 << 16


def append_array(array: Array, chunks: Chunks, append_sized: AppendSized) -> int:
    """Append an array of any kind that the format has, and return how many bytes that makes.

    `append_sized` packs the members of arrays of objects.
    """
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise DataJointError(
            "A masked array cannot be stored in a blob, which has no place for the mask. "
            "Store array.data and array.mask, or array.filled(value)."
        )
    if isinstance(array, MatCell):
        return _append_cell(array, chunks, append_sized)
    if isinstance(array, MatStruct):
        return _append_struct(array, chunks, append_sized)
    array = array.view(np.ndarray)
    if array.dtype.names is not None:
        return _append_records(array, chunks, append_sized)
    if array.dtype.kind in "OUST":
        head = _head(layout.ARRAY, array.shape, struct.pack("<II", layout.OBJECT_CLASS, 0))
        chunks.append(head)
        return len(head) + append_sized(array.ravel("F").tolist(), chunks)
    return _append_numbers(array, chunks)


def _append_numbers(array: Array, chunks: Chunks) -> int:
    dtype = array.dtype.newbyteorder("<")
    known = layout.CLASS_OF_DTYPE.get(dtype)
    if known is None:
        raise DataJointError(_refusal(array.dtype))
    number, is_complex = known
    array = array.astype(dtype, copy=False)
    head = _head(layout.ARRAY, array.shape, struct.pack("<II", number, is_complex))
    chunks.append(head)
    if is_complex:
        chunks += (array.real.tobytes("F"), array.imag.tobytes("F"))
    elif array.nbytes < _SMALL:
        chunks.append(array.tobytes("F"))
    else:
        chunks.append(array.ravel("F").view(np.uint8).data)  # no copy where the array is in this order
    return len(head) + array.nbytes


def _append_records(array: Array, chunks: Chunks, append_sized: AppendSized) -> int:
    names: tuple[str, ...] = array.dtype.names or ()
    if not names:
        raise DataJointError("A record array without fields cannot be stored in a blob.")
    for name in names:
        if array.dtype[name].subdtype is not None:
            raise DataJointError(
                f"The field {name!r} of a record array holds arrays ({array.dtype[name]}), which a blob "
                "cannot tell from more records. Store the fields in a dict: {name: array[name], ...}."
            )
    head = struct.pack("<BI", layout.RECORDS, len(names)) + _names(names)
    chunks.append(head)
    return len(head) + sum(append_array(array[name], chunks, append_sized) for name in names)


def _append_cell(array: MatCell, chunks: Chunks, append_sized: AppendSized) -> int:
    head = _head(layout.CELL, array.shape)
    chunks.append(head)
    return len(head) + append_sized(array.view(np.ndarray).ravel("F").tolist(), chunks)


def _append_struct(array: MatStruct, chunks: Chunks, append_sized: AppendSized) -> int:
    names: tuple[str, ...] = array.dtype.names or ()
    head = _head(layout.STRUCT, array.shape, layout.U32.pack(len(names)) + _names(names))
    chunks.append(head)
    records = array.view(np.ndarray).ravel("F")
    # By field and index, not .tolist(), so that a field's numpy scalars keep their type.
    return len(head) + append_sized((records[name][i] for i in range(len(records)) for name in names), chunks)


def _head(tag: int, shape: tuple[int, ...], rest: bytes = b"") -> bytes:
    return struct.pack(f"<B{1 + len(shape)}Q", tag, len(shape), *shape) + rest


def _names(names: tuple[str, ...]) -> bytes:
    for name in names:
        if "\0" in name:
            raise DataJointError(f"The field name {name!r} has a zero character; rename the field.")
    return b"".join(name.encode() + b"\0" for name in names)


def _refusal(dtype: np.dtype[Any]) -> str:
    remedy = "Convert it to a type that a blob has."
    if dtype.kind in "fc":
        wider = "float32" if dtype.itemsize == 2 else "float64" if dtype.kind == "f" else "complex128"
        remedy = f"Convert it: array.astype(numpy.{wider})."
    elif dtype.kind == "m":
        remedy = "Store it as integers, array.astype('int64'), and the unit beside it."
    elif dtype.kind == "M":
        units = ", ".join(layout.DATETIME_UNITS)
        remedy = f"Convert it to one whole unit of {units}: array.astype('datetime64[us]')."
    return f"An array of type {dtype} cannot be stored in a blob: the format has no such type. {remedy}"
