"""The numbers of the format: headers, the tag of each kind of value, the class of each array type.

All numbers are little-endian; arrays are in column-major order.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

NATIVE_HEADER = b"dj0\0"
MATLAB_HEADER = b"mYm\0"
COMPRESSED_HEADER = b"ZL123\0"

TUPLE, LIST, SET, DICT, STRING, BYTES = 1, 2, 3, 4, 5, 6
INTEGER, BOOL, COMPLEX, FLOAT = 10, 11, 12, 13
ARRAY, CELL, RECORDS, SPARSE, STRUCT = b"ACFPS"
DECIMAL, TEMPORAL, UUID = b"dtu"
NONE = 255

U32 = struct.Struct("<I")
U64 = struct.Struct("<Q")
DATE_AND_TIME = struct.Struct("<iq")
"""A date as the decimal digits YYYYMMDD, a time as HHMMSS and six of microseconds; -1 where there is none."""

FLOAT_ITEM = np.dtype([("size", "<u8"), ("tag", "u1"), ("value", "<f8")])
"""One float in a list: many in a row can be read and written as an array of these."""

FLOAT_ITEM_SIZE = 9

CHAR_CLASS = 4
OBJECT_CLASS = 5
FIRST_DATETIME_CLASS = 1 << 16
DATETIME_UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")

DTYPE_OF_CLASS: dict[int, np.dtype[Any]] = {
    3: np.dtype("?"),
    6: np.dtype("<f8"),
    7: np.dtype("<f4"),
    8: np.dtype("i1"),
    9: np.dtype("u1"),
    10: np.dtype("<i2"),
    11: np.dtype("<u2"),
    12: np.dtype("<i4"),
    13: np.dtype("<u4"),
    14: np.dtype("<i8"),
    15: np.dtype("<u8"),
    **{FIRST_DATETIME_CLASS + i: np.dtype(f"<M8[{unit}]") for i, unit in enumerate(DATETIME_UNITS)},
}
CLASS_OF_DTYPE: dict[np.dtype[Any], tuple[int, bool]] = {
    **{dtype: (number, False) for number, dtype in DTYPE_OF_CLASS.items()},
    np.dtype("<c8"): (7, True),
    np.dtype("<c16"): (6, True),
}
"""The class of an array's type, and whether it is complex: then all real parts precede all imaginary ones."""
