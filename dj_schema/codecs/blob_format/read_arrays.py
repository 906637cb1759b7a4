"""The bytes of a blob to numpy arrays: numbers, dates, text, objects, records, and MATLAB's containers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from dj_schema.codecs.blob_format import layout
from dj_schema.codecs.blob_format.matlab import MatCell, MatStruct
from dj_schema.codecs.blob_format.source import Damaged, Result, Source
from dj_schema.errors import DataJointError

Array = np.ndarray[Any, np.dtype[Any]]
ReadValue = Callable[[Source, int], Result]

_class_and_complexity = struct.Struct("<II").unpack_from


def read_array(source: Source, at: int, read_value: ReadValue) -> Result:
    """Read an array; one without dimensions is a scalar, unless it holds an object."""
    shape, count, at = source.read_shape(at)
    number, is_complex = _class_and_complexity(source.blob, at)
    at += 8
    if number == layout.OBJECT_CLASS:
        members, at = _read_members(source, at, count, read_value)
        array: Array = members.reshape(shape, order="F")
    elif number == layout.CHAR_CLASS:
        array, at = _read_chars(source, at, shape, count)
    else:
        numbers, at = _read_numbers(source, at, count, number, bool(is_complex))
        if not shape and not source.squeeze:
            return numbers[0], at
        array = numbers.reshape(shape, order="F")
    return (_squeezed(array) if source.squeeze else array), at


def read_cell(source: Source, at: int, read_value: ReadValue) -> Result:
    """Read a MATLAB cell array."""
    shape, count, at = source.read_shape(at)
    members, at = _read_members(source, at, count, read_value)
    cell = members.reshape(shape, order="F").view(MatCell)
    return (cell.squeeze() if source.squeeze else cell), at


def read_struct(source: Source, at: int, read_value: ReadValue) -> Result:
    """Read a MATLAB struct array: the fields of the first record, of the second, and so on."""
    shape, count, at = source.read_shape(at)
    names, at = _read_names(source, at)
    if not names:
        return np.array(None, dtype=object), at
    values, at = _read_members(source, at, count * len(names), read_value)
    records = np.empty(count, dtype=[(name, object) for name in names])
    for i, name in enumerate(names):
        records[name] = values[i :: len(names)]
    struct_array = records.reshape(shape, order="F").view(MatStruct)
    return (struct_array.squeeze() if source.squeeze else struct_array), at


def read_records(source: Source, at: int, read_value: ReadValue) -> Result:
    """Read a record array, which is stored as an array for each field."""
    names, at = _read_names(source, at)
    if not names:
        return np.array(None, dtype=object), at
    unsqueezed = Source(source.blob, squeeze=False, wide=source.word_size == 8)
    columns: list[Array] = []
    for _ in names:
        column, at = read_value(unsqueezed, at)
        if not isinstance(column, (np.ndarray, np.generic)):
            raise Damaged("a field of a record array is not an array")
        columns.append(np.asanyarray(column))
    # Of a field that holds arrays the dimensions come after those of the records.
    shape = min((column.shape for column in columns), key=len)
    if any(column.shape[: len(shape)] != shape for column in columns):
        raise Damaged("the fields of a record array have different lengths")
    fields = zip(names, columns, strict=True)
    records = np.empty(shape, dtype=[(name, col.dtype, col.shape[len(shape) :]) for name, col in fields])
    for name, column in zip(names, columns, strict=True):
        records[name] = column
    recarray = records.view(np.recarray)
    return (recarray.squeeze() if source.squeeze else recarray), at


def read_sparse(source: Source, at: int) -> Result:
    """Refuse MATLAB's sparse arrays, which no Python client has ever read."""
    raise DataJointError("The blob holds a sparse MATLAB array, which cannot be read. Store it in full.")


def _read_members(source: Source, at: int, count: int, read_value: ReadValue) -> tuple[Array, int]:
    """Read values, each after its size, into an array of objects."""
    source.require(at, count * (source.word_size + 1))
    members: Array = np.empty(count, dtype=object)
    for i in range(count):
        size, at = source.read_word(at)
        value, end = read_value(source, at)
        if end - at != size:
            raise Damaged(f"at byte {at} a value is {end - at} bytes long and not {size}")
        members[i] = value
        at = end
    return members, at


def _read_numbers(source: Source, at: int, count: int, number: int, is_complex: bool) -> tuple[Array, int]:
    dtype = layout.DTYPE_OF_CLASS.get(number)
    if dtype is None:
        raise Damaged(f"{number} is no class of array")
    size = count * dtype.itemsize
    source.require(at, size * (2 if is_complex else 1))
    if not is_complex:
        return np.frombuffer(source.blob, dtype, count, at), at + size
    if dtype.kind == "M":
        raise Damaged("an array of dates claims to be complex")
    numbers = np.empty(count, np.result_type(dtype, np.complex64))
    # By parts, not real + 1j * imag: that makes a NaN of the other part of an infinity.
    numbers.real = np.frombuffer(source.blob, dtype, count, at)
    numbers.imag = np.frombuffer(source.blob, dtype, count, at + size)
    return numbers, at + 2 * size


def _read_chars(source: Source, at: int, shape: tuple[int, ...], count: int) -> tuple[Array, int]:
    """Read MATLAB text: a row of characters is one string, of other shapes each character is."""
    source.require(at, 2 * count)
    text = source.blob[at : at + 2 * count]
    at += 2 * count
    if len(shape) == 1 or (len(shape) == 2 and shape[0] == 1):
        return np.array([text.decode("utf-16-le", "surrogatepass")]), at
    # MATLAB counts in units of 16 bits, each of them an element.
    return np.frombuffer(text, "<u2").astype("<u4").view("<U1").reshape(shape, order="F"), at


def _read_names(source: Source, at: int) -> tuple[list[str], int]:
    (count,) = layout.U32.unpack_from(source.blob, at)
    at += 4
    source.require(at, 2 * count)
    names = []
    for _ in range(count):
        end = source.blob.index(b"\0", at)
        names.append(source.blob[at:end].decode())
        at = end + 1
    return names, at


def _squeezed(array: Array) -> Any:
    array = array.squeeze()
    if array.ndim:
        return array
    return array[()] if array.dtype.kind == "M" else array.item()
