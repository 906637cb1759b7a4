"""The hash of what a `make` fetched: equal for equal inputs, in any process, whatever happened to them since.

Arrays count by dtype, shape and bytes; dicts and sets without their order; NaN equals itself.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import marshal
import struct
from collections.abc import Mapping
from decimal import Decimal
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType
from typing import Any
from uuid import UUID

import numpy as np

_PLAIN = frozenset({int, float, str, bytes, bool, type(None)})
_BLOCK = 1 << 16
_IS_EXTENDED = (
    np.finfo(np.longdouble).nmant == 63
)  # the format of x86: 10 bytes of the 12 or 16 mean something


def fingerprint(value: Any) -> bytes:
    """Return 20 bytes that stand for a value.

    Raises
    ------
    TypeError
        For a value that refers to itself, or that cannot be taken apart.
    """
    hasher = _Hasher()
    hasher.add(value)
    return hasher.digest()


class _Hasher:
    def __init__(self) -> None:
        self._hash = hashlib.sha1(usedforsecurity=False)  # twice as fast as blake2 where the CPU helps
        self._path: set[int] = set()

    def digest(self) -> bytes:
        return self._hash.digest()

    def _tag(self, tag: str, *sizes: int) -> None:
        self._hash.update(f"{tag}{sizes}\0".encode())

    def add(self, value: Any) -> None:
        kind = type(value)
        if kind in _PLAIN:
            self._plain(value)
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(
            value, (np.generic, Decimal, UUID, dt.date, dt.time, dt.timedelta, PurePath, complex)
        ):
            self._scalar(value)
        else:
            self._nested(value)

    def _plain(self, value: Any) -> None:
        if type(value) is float:
            self._hash.update(b"f" + struct.pack("<d", value))
        else:
            self._hash.update(b"p" + marshal.dumps(value, 2))

    def _scalar(self, value: Any) -> None:
        if isinstance(value, np.generic):
            self._array(np.asarray(value))
        else:
            self._tag(type(value).__name__)
            self._plain(repr(value))

    def _array(self, value: np.ndarray[Any, Any]) -> None:
        if isinstance(value, np.ma.MaskedArray):
            self._tag("masked")
            self._array(np.ma.getmaskarray(value))
            value = value.filled() if not value.dtype.hasobject else np.asarray(value.data)
        self._tag("a" + (str(value.dtype) if value.dtype.names else value.dtype.str), *value.shape)
        if value.dtype.names and not value.dtype.hasobject:
            for name in value.dtype.names:  # without the bytes between them, which mean nothing
                self._array(value[name])
        elif value.dtype.hasobject:
            for item in value.ravel(order="C").tolist():
                self.add(item)
        elif value.dtype.char in "gG" and _IS_EXTENDED:
            self._extended(value)
        elif value.nbytes:
            self._hash.update(np.ascontiguousarray(value).view(np.uint8).data)

    def _extended(self, value: np.ndarray[Any, Any]) -> None:
        """Long doubles, also complex ones, without the bytes that fill them up and hold anything."""
        native = np.ascontiguousarray(value, value.dtype.newbyteorder("=")).ravel().view(np.longdouble)
        octets = native.view(np.uint8).reshape(native.size, native.itemsize)
        for start in range(0, native.size, _BLOCK):
            self._hash.update(np.ascontiguousarray(octets[start : start + _BLOCK, :10]).data)

    def _nested(self, value: Any) -> None:
        if id(value) in self._path:
            raise TypeError(f"a {type(value).__name__} that holds itself cannot be verified")
        self._path.add(id(value))
        try:
            if isinstance(value, (list, tuple)):
                self._sequence(value)
            elif isinstance(value, Mapping):
                self._mapping(value)
            elif isinstance(value, (set, frozenset)):
                self._unordered("s", [fingerprint(v) for v in value])
            elif isinstance(value, memoryview) and "g" in value.format:
                self._array(np.asarray(value))
            elif isinstance(value, (bytearray, memoryview)):
                self._tag("b")
                self._plain(bytes(value))
            else:
                self._object(value)
        finally:
            self._path.discard(id(value))

    def _sequence(self, value: list[Any] | tuple[Any, ...]) -> None:
        self._tag("l" if isinstance(value, list) else "t", len(value))
        if not self._table(value):
            for item in value:
                self.add(item)

    def _table(self, rows: list[Any] | tuple[Any, ...]) -> bool:
        """Rows as dicts of plain values, as queries return them, in one go."""
        if len(rows) < 2 or set(map(type, rows)) != {dict}:
            return False
        names = sorted(rows[0], key=repr)
        if any(row.keys() != rows[0].keys() for row in rows):
            return False
        columns = [[row[name] for row in rows] for name in names]
        self._tag("rows", len(rows), len(names))
        for name, column in zip(names, columns, strict=True):
            self.add(name)
            if set(map(type, column)) <= _PLAIN:
                self._hash.update(marshal.dumps(column, 2))
            else:
                for item in column:
                    self.add(item)
        return True

    def _mapping(self, value: Mapping[Any, Any]) -> None:
        if set(map(type, value)) - {str}:  # other keys have no order, or one in part as sets have
            self._unordered("m", [fingerprint(item) for item in value.items()])
            return
        self._tag("d", len(value))
        for key in sorted(value):
            self.add(key)
            self.add(value[key])

    def _unordered(self, tag: str, digests: list[bytes]) -> None:
        self._tag(tag, len(digests))
        for digest in sorted(digests):
            self._hash.update(digest)

    def _object(self, value: Any) -> None:
        """Frames by their columns, anything else by what pickling would take of it."""
        self._tag("o" + type(value).__module__ + "." + type(value).__qualname__)
        if isinstance(value, (type, FunctionType, BuiltinFunctionType)):
            self.add(f"{value.__module__}.{value.__qualname__}")
        elif hasattr(value, "to_pylist") and hasattr(value, "type"):  # pyarrow
            self.add([str(value.type), *_arrow_values(value)])
        elif hasattr(value, "column_names") and hasattr(value, "itercolumns"):
            self.add([str(value.schema.types), value.column_names, *value.itercolumns()])
        elif hasattr(value, "iloc") and hasattr(value, "columns"):  # pandas
            self._labels(value.columns)
            self._labels(value.index)
            for i in range(value.shape[1]):
                self._column(value.iloc[:, i])
        elif hasattr(value, "iloc"):
            self.add(value.name)
            self._labels(value.index)
            self._column(value)
        elif hasattr(value, "get_columns"):  # polars
            self.add(value.get_columns())
        elif hasattr(value, "is_null") and hasattr(value, "to_numpy"):
            self.add([value.name, str(value.dtype), value.is_null().to_numpy(), value.to_numpy()])
        elif hasattr(value, "to_numpy"):
            self.add(value.to_numpy())
        else:
            self._reduced(value)

    def _labels(self, labels: Any) -> None:
        """An index of pandas, with the names of its levels."""
        self.add([list(labels.names), np.asarray(labels)])

    def _column(self, column: Any) -> None:
        self.add(str(column.dtype))
        if hasattr(column.dtype, "categories"):
            self.add([np.asarray(column.dtype.categories), bool(column.dtype.ordered)])
        self.add(np.asarray(column))

    def _reduced(self, value: Any) -> None:
        reduced = value.__reduce_ex__(2)
        if isinstance(reduced, str):
            self.add(reduced)
            return
        _, arguments, *state = reduced
        self.add(list(arguments))
        self.add([list(s) if hasattr(s, "__next__") else s for s in state])


def _arrow_values(column: Any) -> list[Any]:
    """Return what a column of pyarrow holds: where it is null, and the numbers or objects."""
    if str(column.type).startswith(("int", "uint", "float", "double", "halffloat")):
        nulls = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
        return [nulls, column.fill_null(0).to_numpy(zero_copy_only=False)]
    return [column.to_pylist()]
