"""Values and hand-written bytes for which it is recorded what the peer packs and reads.

Imported by the recorder under the peer's interpreter too, so it knows of nothing but numpy.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import struct
import uuid
from typing import Any

import numpy as np

Point = collections.namedtuple("Point", "x y")


def values() -> dict[str, Any]:
    """Return what is to be packed, by name."""
    return {**_plain_values(), **_containers(), **_number_arrays(), **_object_arrays()}


def _plain_values() -> dict[str, Any]:
    integers = [0, 1, -1, 127, 128, -128, -129, 255, 256, 2**31, -(2**31), 2**63, 2**64, -(2**70), 3**200]
    floats = [0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"), 5e-324]
    return {
        **{f"int {number}": number for number in integers},
        **{f"float {number}": number for number in floats},
        "none": None,
        "true": True,
        "false": False,
        "complex": complex(1.5, float("inf")),
        "text": "measured",
        "text of three alphabets": "µ 値 \U0001f9e0",
        "empty text": "",
        "text with a zero": "a\0b",
        "bytes": bytes(range(256)),
        "empty bytes": b"",
        "bytearray": bytearray(b"xyz"),
        "decimal": decimal.Decimal("1.50"),
        "decimal not a number": decimal.Decimal("NaN"),
        "decimal with exponent": decimal.Decimal("-1E+30"),
        "datetime": datetime.datetime(2024, 2, 29, 23, 59, 58, 765432),
        "midnight": datetime.datetime(2024, 1, 1),
        "first datetime": datetime.datetime.min,
        "last datetime": datetime.datetime.max,
        "date": datetime.date(1969, 12, 31),
        "time": datetime.time(3, 4, 5, 6),
        "midnight time": datetime.time(0),
        "uuid": uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        "long text": "compressible " * 80,
    }


def _containers() -> dict[str, Any]:
    return {
        "list": [1, "two", 3.0, None],
        "empty list": [],
        "tuple": (1, (2, (3,))),
        "empty tuple": (),
        "named tuple": Point(1, 2.5),
        "set": {7},
        "frozenset": frozenset(["only"]),
        "empty set": set(),
        "deque": collections.deque([1, 2]),
        "range": range(3),
        "dict": {"a": 1, "b": [2.5]},
        "empty dict": {},
        "dict with keys of all kinds": {1: "int", 2.5: "float", (1, "a"): "tuple", None: "none", b"k": True},
        "ordered dict": collections.OrderedDict(z=1, a=2),
        "few floats": [0.5, 1.5],
        "many floats": [i / 7 for i in range(50)],
        "many floats and an int": [i / 7 for i in range(50)] + [1],
        "tuple of many floats": tuple(float(i) for i in range(20)),
        "deep": {"level": [{"level": ({"level": [1, {2}]},)}]},
        "arrays within": {"w": np.arange(3.0), "l": [np.float32(1.5), np.zeros((0, 2), "i2")]},
    }


def _number_arrays() -> dict[str, Any]:
    kinds = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "c8", "c16"]
    units = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"]
    grid = np.arange(24, dtype="i2").reshape(2, 3, 4)
    return {
        **{f"array {kind}": (np.arange(6) % 5).astype(kind).reshape(2, 3) for kind in kinds},
        **{f"scalar {kind}": np.dtype(kind).type(1) for kind in kinds},
        **{f"array of dates {unit}": np.array([-3, 0, 9], f"M8[{unit}]") for unit in units},
        "scalar date": np.datetime64("2024-02-29"),
        "not a time": np.array(["NaT", "2024-01-01T00:00"], "M8[us]"),
        "array of no dimension": np.array(5, "i2"),
        "empty array": np.zeros(0, "f4"),
        "empty array of two dimensions": np.zeros((0, 3)),
        "array of three dimensions": grid,
        "array in column-major order": np.asfortranarray(grid),
        "array with steps": grid[:, ::-1, ::2],
        "array transposed": grid.T,
        "complex array with an infinity": np.array([complex(1, 2), complex(np.inf, 0)], "c8"),
        "complex array of two dimensions": (np.arange(6) * (1 + 2j)).reshape(2, 3),
        "masked array without a mask": np.ma.array([1.0, 2.0]),
        "long array": np.arange(600, dtype="i4").reshape(20, 30),
    }


def _object_arrays() -> dict[str, Any]:
    objects = np.empty((2, 2), object)
    objects[:] = [[1, "b"], [None, b"d"]]
    nested = np.empty(2, object)
    nested[0], nested[1] = {"x": 1}, np.arange(2)
    records = np.array([(1, 2.5, "x"), (2, 3.5, "yz")], [("a", "i4"), ("b", "f8"), ("c", "U3")])
    return {
        "array of objects": objects,
        "array of containers": nested,
        "array of objects of no dimension": np.array(None, object),
        "empty array of objects": np.empty((2, 0), object),
        "array of strings": np.array([["ab", "é"], ["", "xyz"]]),
        "string scalar": np.str_("ab"),
        "bytes scalar": np.bytes_(b"ab"),
        "records": records,
        "recarray": records.view(np.recarray),
        "empty records": records[:0],
        "records of two dimensions": np.zeros((2, 3), [("é", "u1"), ("w", "c8")]),
        "records with objects": np.array([(1, {"q": 1})], [("a", "i4"), ("b", "O")]),
        "records within records": np.zeros(2, [("a", "M8[s]"), ("b", [("c", "f4"), ("d", "?")])]),
        "one record of no dimension": records[:1].reshape(()),
    }


def _words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def _array(shape: tuple[int, ...], number: int, content: bytes, is_complex: int = 0) -> bytes:
    return b"A" + _words(len(shape), *shape) + struct.pack("<II", number, is_complex) + content


def _sized(*members: bytes) -> bytes:
    return b"".join(_words(len(member)) + member for member in members)


def matlab_blobs() -> dict[str, bytes]:
    """Return blobs as MATLAB clients write them, by name: they are only ever read."""
    one = _array((1, 1), 6, struct.pack("<d", 1.5))
    pair = _array((1, 2), 6, struct.pack("<2d", 2.5, 3.5))
    text = _array((1, 3), 4, "abc".encode("utf-16-le"))
    fields = struct.pack("<I", 2) + b"a\0bb\0"
    return {
        "char row": b"mYm\0" + text,
        "char column": b"mYm\0" + _array((3, 1), 4, "abc".encode("utf-16-le")),
        "char matrix": b"mYm\0" + _array((2, 3), 4, "abcdef".encode("utf-16-le")),
        "char empty": b"mYm\0" + _array((0, 0), 4, b""),
        "char empty row": b"mYm\0" + _array((1, 0), 4, b""),
        "logical": b"mYm\0" + _array((1, 2), 3, b"\1\0"),
        "complex integers": b"mYm\0" + _array((1, 2), 12, struct.pack("<4i", 1, 2, 3, 4), 1),
        "cell": b"mYm\0C" + _words(2, 1, 2) + _sized(one, text),
        "cell of two rows": b"mYm\0C" + _words(2, 2, 2) + _sized(one, pair, text, one),
        "cell in a cell": b"mYm\0C" + _words(2, 1, 1) + _sized(b"C" + _words(2, 1, 1) + _sized(pair)),
        "struct": b"mYm\0S" + _words(2, 1, 1) + fields + _sized(one, text),
        "struct array": b"mYm\0S" + _words(2, 1, 2) + fields + _sized(one, text, pair, one),
        "struct matrix": b"mYm\0S" + _words(2, 2, 2) + fields + _sized(*[one, pair] * 4),
        "struct empty": b"mYm\0S" + _words(2, 0, 0) + fields,
        "struct without fields": b"mYm\0S" + _words(2, 1, 1) + struct.pack("<I", 0),
        "datetime of nothing": b"dj0\0t" + struct.pack("<iq", -1, -1),
    }


def matlab_blobs_of_32_bits() -> dict[str, bytes]:
    """Return blobs as clients of 32-bit MATLAB wrote them, by name."""
    one = b"A" + struct.pack("<3I", 2, 1, 1) + struct.pack("<II", 6, 0) + struct.pack("<d", 1.5)
    member = struct.pack("<I", len(one)) + one
    return {
        "32-bit array": b"mYm\0A" + struct.pack("<5I", 2, 2, 2, 6, 0) + struct.pack("<4d", 1, 2, 3, 4),
        "32-bit empty array": b"mYm\0A" + struct.pack("<5I", 2, 0, 0, 6, 0),
        "32-bit cell": b"mYm\0C" + struct.pack("<3I", 2, 1, 2) + member * 2,
        "32-bit struct": b"mYm\0S" + struct.pack("<3I", 2, 1, 1) + struct.pack("<I", 1) + b"a\0" + member,
    }


def describe(value: Any) -> Any:
    """Return all that can be seen of a value that was read, as what JSON can hold."""
    if isinstance(value, np.ndarray):
        kind = type(value).__name__
        members = [describe(member) for member in value.view(np.ndarray).ravel("F").tolist()]
        return [kind, repr(value.dtype.descr), list(value.shape), members]
    if isinstance(value, np.generic):
        return ["scalar", value.dtype.str, repr(value.item())]
    if isinstance(value, dict):
        return ["dict", [[describe(key), describe(member)] for key, member in value.items()]]
    if isinstance(value, (list, tuple, set)):
        return [type(value).__name__, [describe(member) for member in value]]
    return [type(value).__name__, repr(value)]
