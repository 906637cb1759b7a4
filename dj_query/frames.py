"""Columns as numpy arrays, pandas and polars frames, and arrow tables.

The only file that knows these libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from dj_schema.errors import DataJointError
from dj_schema.types import CodecType, CoreType, NativeType

if TYPE_CHECKING:
    from dj_schema.dialects.base import Flags
    from dj_schema.heading import Attribute

Rows = Sequence[Sequence[Any]]
_DTYPES = {"int": np.dtype("int64"), "float": np.dtype("float64"), "bool": np.dtype("bool")}


def dtype_of(attribute: Attribute) -> np.dtype[Any]:
    """Return the dtype of a column without NULLs."""
    if isinstance(attribute.type, CodecType):
        return np.dtype(object)
    if isinstance(attribute.type, CoreType) and attribute.type.name == "float32":
        return np.dtype("float32")
    if _is_uint64(attribute):
        return np.dtype("uint64")
    return _DTYPES.get(attribute.kind, np.dtype(object))


def _is_uint64(attribute: Attribute) -> bool:
    if isinstance(attribute.type, NativeType):
        return attribute.type.is_uint64
    return isinstance(attribute.type, CoreType) and attribute.type.name == "uint64"


def column_array(attribute: Attribute, values: Sequence[Any], squeeze: bool = False) -> np.ndarray[Any, Any]:
    """Return a column as a one-dimensional array; NULL is NaN among floats, and None in an object array."""
    dtype = dtype_of(attribute)
    if attribute.type is None and attribute.kind == "int":
        dtype = np.dtype(_fitting(values))
    if dtype.kind == "f" or (dtype.kind != "O" and not (attribute.is_nullable and None in values)):
        return np.array(values, dtype=dtype)  # None becomes NaN
    if squeeze:
        values = [v.squeeze() if isinstance(v, np.ndarray) else v for v in values]
    # fromiter takes each value as one object, also a sequence or an array
    return np.fromiter(values, dtype=object, count=len(values))


def _fitting(values: Sequence[Any]) -> str:
    """Return the integer dtype that holds computed values: 64 bits, signed unless they need it otherwise."""
    known = [v for v in values if v is not None]
    low, high = min(known, default=0), max(known, default=0)
    return (
        "int64" if low >= -(2**63) and high < 2**63 else "uint64" if low >= 0 and high < 2**64 else "object"
    )


def columns_of(attributes: Sequence[Attribute], rows: Rows, squeeze: bool) -> dict[str, np.ndarray[Any, Any]]:
    """Return one array for each attribute."""
    columns = by_column(len(attributes), rows)
    return {a.name: column_array(a, c, squeeze) for a, c in zip(attributes, columns, strict=True)}


def by_column(n_columns: int, rows: Rows) -> list[list[Any]]:
    """Return the columns of rows, also of none."""
    # one pass a column: `zip(*rows)` would hold an iterator for each row
    return [list(map(itemgetter(i), rows)) for i in range(n_columns)]


def structured_array(attributes: Sequence[Attribute], rows: Rows, squeeze: bool) -> np.ndarray[Any, Any]:
    """Return one array with a field for each attribute."""
    columns = columns_of(attributes, rows, squeeze)
    array = np.empty(len(rows), dtype=[(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        array[name] = column
    return array


def pandas_frame(attributes: Sequence[Attribute], rows: Rows, squeeze: bool) -> Any:
    """Return a DataFrame indexed by the primary key, where there is one."""
    try:
        import pandas as pd
    except ImportError as e:
        raise DataJointError('to_pandas() needs pandas: pip install "dj-workers[pandas]".') from e
    columns: dict[str, Any] = dict(columns_of(attributes, rows, squeeze))
    text = pd.Series([""]).dtype  # pandas gives it to what holds a text, and another to what holds none
    for a in attributes:
        if a.kind == "string" and isinstance(text, pd.StringDtype):
            columns[a.name] = pd.array(columns[a.name], dtype=text)
        elif columns[a.name].dtype == object and (nullable := _nullable_dtype(a)):
            columns[a.name] = pd.array(columns[a.name], dtype=nullable)
        if a.kind == "datetime":
            # the slow way through numpy's own reading of objects takes ten times as long
            columns[a.name] = pd.DatetimeIndex(columns[a.name], dtype="datetime64[us]")
    frame = pd.DataFrame(columns, copy=False)
    key = [a.name for a in attributes if a.in_key]
    return frame.set_index(key) if key else frame


def _nullable_dtype(attribute: Attribute) -> str | None:
    """The dtype of pandas that holds numbers and NULL side by side."""
    return {"int": "UInt64" if _is_uint64(attribute) else "Int64", "bool": "boolean"}.get(attribute.kind)


def arrow_table(attributes: Sequence[Attribute], rows: Rows, squeeze: bool) -> Any:
    """Return a pyarrow Table; codec attributes must be of values that arrow can hold."""
    pa = _pyarrow()
    columns = by_column(len(attributes), rows)
    arrays = [_arrow_array(pa, a, c) for a, c in zip(attributes, columns, strict=True)]
    return pa.table(arrays, names=[a.name for a in attributes])


def _arrow_array(pa: Any, attribute: Attribute, values: Sequence[Any]) -> Any:
    try:
        return pa.array(_arrow_values(attribute, values), type=_arrow_type(pa, attribute, values))
    except (pa.ArrowException, OverflowError) as e:
        raise DataJointError(
            f"the values of {attribute.name!r} do not make a column of arrow, where all are of one type: "
            f"{str(e).splitlines()[0]:.120}. Leave it out with proj(), or use to_dicts() or to_pandas()."
        ) from e


def is_plain_in_arrow(attribute: Attribute, flags: Flags) -> bool:
    """Whether the values of an attribute are, in arrow, what the server's driver says: no stored objects."""
    if attribute.kind == "decimal" and _decimal_digits(attribute) is None:
        return False  # its digits are known from its values alone
    kinds = flags.computed_arrow_kinds if attribute.type is None else flags.arrow_kinds
    return not attribute.is_codec and attribute.kind in kinds


_MOST_DIGITS_IN_ARROW = 76


def fitted_arrow(attributes: Sequence[Attribute], table: Any) -> Any:
    """Return a driver's table with the types of ours; None where a value fits none of them."""
    pa = _pyarrow()
    if any(
        a.kind == "bool" and pa.types.is_string(c.type)
        for a, c in zip(attributes, table.columns, strict=True)
    ):
        return None  # in Python any text is true, also '0'
    try:
        columns = [_fitted_column(pa, a, table.column(i)) for i, a in enumerate(attributes)]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return pa.table(columns, names=[a.name for a in attributes])


def _fitted_column(pa: Any, attribute: Attribute, column: Any) -> Any:
    if isinstance(column.type, pa.BaseExtensionType):  # a uuid, JSON, or an exact number as text
        column = pa.chunked_array([c.storage for c in column.chunks], column.type.storage_type)
    if attribute.kind == "uuid":
        chunks = column.cast(pa.binary(16)).chunks
        return pa.chunked_array([_uuid_texts(pa, c) for c in chunks], pa.string())
    if isinstance(attribute.type, CoreType) and attribute.type.name == "char":
        import pyarrow.compute as pc

        return pc.utf8_rtrim(column, characters=" ")  # PostgreSQL fills a char with spaces
    return column.cast(_arrow_type(pa, attribute, ()))


def _uuid_texts(pa: Any, array: Any) -> Any:
    """Return uuids of 16 bytes each as their texts, all at once."""
    start = array.offset * 16
    raw = array.buffers()[1].to_pybytes()[start : start + len(array) * 16]
    digits = np.frombuffer(raw.hex().encode(), "S1").reshape(-1, 32)
    texts = np.ascontiguousarray(np.insert(digits, [8, 12, 16, 20], b"-", axis=1)).view("S36").ravel()
    return pa.array(texts, pa.binary(), mask=array.is_null().to_numpy(zero_copy_only=False)).cast(pa.string())


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as e:
        raise DataJointError('to_arrow() needs pyarrow: pip install "dj-workers[arrow]".') from e
    return pyarrow


def _arrow_values(attribute: Attribute, values: Sequence[Any]) -> list[Any]:
    if attribute.kind == "uuid":
        return [None if v is None else str(v) for v in values]
    if attribute.kind == "json":
        import json

        return [None if v is None else json.dumps(v, ensure_ascii=False) for v in values]
    return [v.tolist() if isinstance(v, np.ndarray) else v for v in values]


def _arrow_type(pa: Any, attribute: Attribute, values: Sequence[Any]) -> Any:
    if attribute.type is None and attribute.kind == "int":
        name = _fitting(values)
        return pa.decimal128(38, 0) if name == "object" else getattr(pa, name)()
    if isinstance(attribute.type, CoreType):
        name = attribute.type.name
        if name.startswith(("int", "uint", "float")):
            return getattr(pa, name)()
    if digits := _decimal_digits(attribute):
        return pa.decimal128(*digits) if digits[0] <= 38 else pa.decimal256(*digits)
    if _is_uint64(attribute):
        return pa.uint64()
    simple = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "string": pa.string()}
    simple |= {"uuid": pa.string(), "json": pa.string(), "date": pa.date32(), "datetime": pa.timestamp("us")}
    simple["bytes"] = pa.binary()
    return None if isinstance(attribute.type, CodecType) else simple.get(attribute.kind)


def _decimal_digits(attribute: Attribute) -> tuple[int, int] | None:
    """Return precision and scale of a decimal, where they are known and arrow holds so many."""
    if isinstance(attribute.type, CoreType) and attribute.type.name == "decimal":
        precision, scale = map(int, attribute.type.args)
        return precision, scale
    digits = attribute.type.decimal_digits if isinstance(attribute.type, NativeType) else None
    return digits if digits and digits[0] <= _MOST_DIGITS_IN_ARROW else None


def polars_frame(arrow: Callable[[], Any]) -> Any:
    """Return a polars DataFrame of an arrow table, which is asked for once the library is there."""
    try:
        import polars as pl  # type: ignore[import-not-found, unused-ignore]
    except ImportError as e:
        raise DataJointError('to_polars() needs polars: pip install "dj-workers[polars]".') from e
    return pl.from_arrow(arrow())
