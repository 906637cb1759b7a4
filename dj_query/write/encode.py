"""Columns of Python values as they are stored, checked before anything is sent.

A column at a time: one look at the set of types in it tells whether any value needs work at all.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dj_query.values import as_bool, plain
from dj_schema.codecs.chain import chain_of
from dj_schema.errors import DataError, DataJointError
from dj_schema.json_text import json_text
from dj_schema.types import INTEGER_RANGES, CoreType, NativeType

if TYPE_CHECKING:
    from dj_schema.heading import Attribute

Convert = Callable[[Any], Any]
_NONE = type(None)


def encode_column(
    attribute: Attribute,
    values: Sequence[Any],
    keys: Callable[[], Sequence[dict[str, Any]]],
    has_nan: bool,
) -> Sequence[Any]:
    """Return the stored form of a column.

    Parameters
    ----------
    keys : callable
        Gives the primary key of each row, for codecs that want it.
    has_nan : bool
        Whether the server can store NaN; where it cannot, NaN is NULL, and infinity an error.

    Raises
    ------
    DataError
        Names the attribute, the row and the value that does not fit.
    """
    if attribute.is_codec:
        return _encode_codec(attribute, values, keys())
    types = set(map(type, values))
    types.discard(_NONE)
    kind = attribute.kind
    ready, convert = _CONVERSIONS.get(kind, (frozenset(), plain))
    if not types <= ready:
        values = _converted(attribute, values, convert)
    if kind == "float" and not has_nan:
        values = _without_nan(attribute, values)
    _check_range(attribute, values)
    return values


def _encode_codec(attribute: Attribute, values: Sequence[Any], keys: Sequence[dict[str, Any]]) -> Sequence[Any]:
    chain = chain_of(str(attribute.type))
    encoded: list[Any] = []
    for i, value in enumerate(values):
        if value is None:
            encoded.append(None)
            continue
        try:
            stored = chain.encode(value, key=keys[i])
        except DataJointError:
            raise
        except (TypeError, ValueError) as e:
            raise _fault(attribute, i, value, str(e)) from e
        encoded.append(json_text(stored) if chain.dtype == "json" else stored)
    return encoded


def _converted(attribute: Attribute, values: Sequence[Any], convert: Convert) -> list[Any]:
    converted: list[Any] = []
    for i, value in enumerate(values):
        try:
            converted.append(None if value is None else convert(value))
        except (TypeError, ValueError, ArithmeticError, AttributeError) as e:
            raise _fault(attribute, i, value, str(e)) from e
    return converted


def _fault(attribute: Attribute, row: int, value: Any, why: str) -> DataError:
    return DataError(
        f"row {row}: {value!r:.80} does not fit attribute {attribute.name!r} of type {attribute.type}: {why}"
    )


# -- conversions of one value; what they raise becomes a DataError --------------------------------


def _int(value: Any) -> int | None:
    value = plain(value)
    if value is None:
        return None
    if isinstance(value, (float, Decimal)) and value != int(value):
        raise ValueError("expected a whole number")
    if isinstance(value, (int, float, Decimal, str)):
        return int(value)
    raise TypeError(f"expected an integer, not {type(value).__name__}")


def _float(value: Any) -> float:
    value = plain(value)
    if isinstance(value, (int, float, Decimal, str)):
        return float(value)
    raise TypeError(f"expected a number, not {type(value).__name__}")


def _decimal(value: Any) -> Decimal:
    value = plain(value)
    if isinstance(value, (int, Decimal)):
        return Decimal(value)
    if isinstance(value, (float, str)):
        return Decimal(str(value))
    raise TypeError(f"expected a number, not {type(value).__name__}")


def _string(value: Any) -> str:
    value = plain(value)
    if isinstance(value, (bytes, bytearray, memoryview, dict, list, tuple, set)):
        raise TypeError(f"expected a string, not {type(value).__name__}")
    return str(value)


def _bool(value: Any) -> bool:
    return as_bool(plain(value))


def _date(value: Any) -> dt.date | None:
    value = plain(value)
    if isinstance(value, dt.datetime):
        return value.date()
    if value is None or isinstance(value, dt.date):
        return value
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            return dt.datetime.fromisoformat(value).date()
    raise TypeError("expected a date or 'YYYY-MM-DD'")


def _datetime(value: Any) -> dt.datetime | str | None:
    value = plain(value)
    if isinstance(value, str):
        moment = dt.datetime.fromisoformat(value)
        if moment.tzinfo is None and value[4:5] == "-" == value[7:8]:
            return value  # every server reads this form as it is
        value = moment
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime()
        if value != value:  # pandas' missing time
            return None
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day)
    if value is None:
        return None
    raise TypeError("expected a datetime or 'YYYY-MM-DD HH:MM:SS'")


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(bytes=value) if isinstance(value, bytes) else UUID(str(value))


def _bytes(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(
        f"expected bytes, not {type(value).__name__}; declare the attribute as <blob> to store Python objects"
    )


_CONVERSIONS: dict[str, tuple[frozenset[type], Convert]] = {
    "int": (frozenset({int}), _int),
    "float": (frozenset({float, int}), _float),
    "decimal": (frozenset({Decimal, int}), _decimal),
    "string": (frozenset({str}), _string),
    "bool": (frozenset({bool}), _bool),
    "date": (frozenset(), _date),
    "datetime": (frozenset(), _datetime),
    "uuid": (frozenset({UUID}), _uuid),
    "bytes": (frozenset({bytes}), _bytes),
    "json": (frozenset(), json_text),
}


# -- ranges ----------------------------------------------------------------------------------------


def _without_nan(attribute: Attribute, values: Sequence[Any]) -> Sequence[Any]:
    if all(v is None or math.isfinite(v) for v in values):
        return values
    for i, v in enumerate(values):
        if v is not None and math.isinf(v):
            raise _fault(attribute, i, v, "this server has no infinity")
        if v is not None and math.isnan(v) and not attribute.is_nullable:
            raise _fault(attribute, i, v, "this server has no NaN, and the attribute cannot be NULL")
    return [None if v is None or math.isnan(v) else v for v in values]


def _check_range(attribute: Attribute, values: Sequence[Any]) -> None:
    type_ = attribute.type
    if isinstance(type_, NativeType) or not isinstance(type_, CoreType):
        return
    present = [v for v in values if v is not None] if None in values else values
    if not present:
        return
    if type_.name in INTEGER_RANGES:
        low, high = INTEGER_RANGES[type_.name]
        if min(present) < low or max(present) > high:
            _raise_first(attribute, values, lambda v: not low <= v <= high, f"it holds {low} to {high}")
    elif type_.name in ("varchar", "char"):
        length = int(type_.args[0])
        if max(map(len, present)) > length:
            _raise_first(attribute, values, lambda v: len(v) > length, f"it holds {length} characters")
    elif type_.name == "enum" and not set(present) <= set(type_.labels):
        labels = ", ".join(map(repr, type_.labels))
        _raise_first(attribute, values, lambda v: v not in type_.labels, f"it is one of {labels}")
    elif type_.name == "decimal":
        whole = 10 ** (int(type_.args[0]) - int(type_.args[1]))
        _raise_first(attribute, values, lambda v: not abs(v) < whole, f"it is below {whole}", only_if_any=True)


def _raise_first(
    attribute: Attribute,
    values: Sequence[Any],
    is_wrong: Callable[[Any], bool],
    why: str,
    only_if_any: bool = False,
) -> None:
    for i, value in enumerate(values):
        if value is not None and is_wrong(value):
            raise _fault(attribute, i, value, why)
    if not only_if_any:
        raise DataError(f"attribute {attribute.name!r}: {why}")
