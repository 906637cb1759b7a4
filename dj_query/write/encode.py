"""Columns of Python values as they are stored, checked before anything is sent.

A column at a time: one look at the set of types in it tells whether any value needs work at all.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from operator import itemgetter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dj_query.values import (
    as_bool,
    as_uuid,
    check_time,
    exact_number,
    naive_utc,
    plain,
    read_moment,
    rounded_moment,
    rounded_number,
    shown,
)
from dj_schema.codecs.chain import chain_of
from dj_schema.errors import DataError, DataJointError
from dj_schema.json_text import json_text
from dj_schema.types import INTEGER_RANGES, CoreType

if TYPE_CHECKING:
    from dj_schema.heading import Attribute

Convert = Callable[[Any], Any]
_NONE = type(None)
_MIDNIGHT = dt.time()
_DASHES = itemgetter(4, 7, 10, 13, 16)
_DASHED = {("-", "-", " ", ":", ":"), ("-", "-", "T", ":", ":")}
_WRITTEN_AS_TEXT = (str, int, float, Decimal, UUID, dt.date, dt.time, dt.timedelta, PurePath)
_NO_DOUBLE = 2**1024 - 2**970  # the least whole number that float() refuses
_FLOAT32_LARGEST = (2.0 - 2.0**-23) * 2.0**127
_FLOAT32_MAX = 3.4028235677973366e38  # what rounds to the largest
_FLOAT32_NOTHING = 2.0**-150  # what rounds to zero


def encode_column(
    attribute: Attribute,
    values: Sequence[Any],
    keys: Callable[[], Sequence[dict[str, Any]]],
    has_nan: bool,
    places: Sequence[int] = (0,),
) -> Sequence[Any]:
    """Return the stored form of a column.

    Parameters
    ----------
    keys : callable
        Gives the primary key of each row, for codecs that want it.
    has_nan : bool
        Whether the server can store NaN; where it cannot, NaN is NULL, and infinity an error.
    places : sequence of int
        Where each value's row is in what the user handed over, for messages.

    Raises
    ------
    DataError
        Names the attribute, the row and the value that does not fit.
    """
    try:
        return _encoded(attribute, values, keys, has_nan)
    except _Misfit as e:
        if attribute.is_codec or attribute.type is None:
            what = f"attribute {attribute.name!r}"
        else:
            what = f"attribute {attribute.name!r} of type {attribute.type}"
        raise DataError(
            f"row {places[e.index]}: {shown(e.value, 80)} does not fit {what}: {e.why}."
        ) from e.__cause__


def is_stored_as_it_is(attribute: Attribute, has_nan: bool) -> Callable[[Any], bool] | None:
    """Return a quick test whether `encode_column` would leave a value as it is; None where there is none.

    For a single row, where to look at columns as wholes costs more than the columns. It may say no to a value
    that fits all the same.
    """
    type_ = attribute.type
    if not isinstance(type_, CoreType):
        return None
    if type_.name in INTEGER_RANGES:
        return partial(_is_whole, *INTEGER_RANGES[type_.name])
    if type_.name == "float64":
        return partial(_is_double, has_nan)
    if type_.name in ("varchar", "char"):
        return partial(_is_short_text, int(type_.args[0]))
    return None


def _is_whole(low: int, high: int, value: Any) -> bool:
    return type(value) is int and low <= value <= high


def _is_double(has_nan: bool, value: Any) -> bool:
    return type(value) is float and (has_nan or math.isfinite(value))


def _is_short_text(length: int, value: Any) -> bool:
    return type(value) is str and len(value) <= length and value.isascii() and value.isprintable()


class _Misfit(Exception):
    """A value does not fit; the row is the index in the column."""

    def __init__(self, index: int, value: Any, why: str) -> None:
        super().__init__(why)
        self.index, self.value, self.why = index, value, why


def _encoded(
    attribute: Attribute, values: Sequence[Any], keys: Callable[[], Sequence[dict[str, Any]]], has_nan: bool
) -> Sequence[Any]:
    if attribute.is_codec:
        return _encode_codec(attribute, values, keys())
    types = set(map(type, values))
    types.discard(_NONE)
    kind = attribute.kind
    ready, convert = _CONVERSIONS.get(kind, (frozenset(), plain))
    if not types <= ready and not (kind == "datetime" and types == {str} and _are_canonical(values)):
        values = _converted(values, convert)
        if kind == "datetime" and attribute.seconds_digits < 6:
            values = _converted(values, partial(rounded_moment, digits=attribute.seconds_digits))
    if kind == "float":
        if int in types:
            _raise_first(values, lambda v: type(v) is int and abs(v) >= _NO_DOUBLE, "the number is too large")
        if not has_nan:
            values = _without_nan(attribute, values)
        if str(attribute.type) == "float32":
            values = _in_single(values)
    if kind in ("string", "json"):
        _check_text(values)
    if kind == "decimal" and attribute.decimal_digits and isinstance(attribute.type, CoreType):
        return _fitted_decimals(values, *attribute.decimal_digits)
    _check_range(attribute, values)
    return values


def _encode_codec(
    attribute: Attribute, values: Sequence[Any], keys: Sequence[dict[str, Any]]
) -> Sequence[Any]:
    chain = chain_of(str(attribute.type))
    encoded: list[Any] = []
    for i, value in enumerate(values):
        if value is None:
            encoded.append(None)
            continue
        try:
            stored = chain.encode(value, key=keys[i])
            encoded.append(json_text(stored) if chain.dtype == "json" else stored)
        except DataJointError as e:
            if type(e) not in (
                DataJointError,
                DataError,
            ):  # not about the value: a store that is not configured
                raise
            raise _Misfit(i, value, str(e).rstrip(".")) from e
        except (TypeError, ValueError) as e:
            raise _Misfit(i, value, str(e)) from e
    return encoded


def _converted(values: Sequence[Any], convert: Convert) -> list[Any]:
    converted: list[Any] = []
    for i, value in enumerate(values):
        try:
            value = plain(value)
            converted.append(None if value is None else convert(value))
        except (TypeError, ValueError, ArithmeticError) as e:
            raise _Misfit(i, value, str(e)) from e
    return converted


# -- conversions of one value; what they raise becomes a DataError --------------------------------


def _int(value: Any) -> int:
    if isinstance(value, (float, Decimal)) and not (math.isfinite(value) and value == int(value)):
        raise ValueError("expected a whole number")
    if isinstance(value, (int, float, Decimal, str)):
        return int(value)
    raise TypeError(f"expected an integer, not {type(value).__name__}")


def _float(value: Any) -> float:
    if isinstance(value, float):
        return value
    if not isinstance(value, (int, Decimal, str)):
        raise TypeError(f"expected a number, not {type(value).__name__}")
    number = float(value)  # of a whole number that is too large, it raises
    if math.isinf(number) and exact_number(value).is_finite():
        raise ValueError("the number is too large")
    return number


def _decimal(value: Any) -> Decimal:
    if isinstance(value, (int, float, Decimal, str)):
        return exact_number(value)
    raise TypeError(f"expected a number, not {type(value).__name__}")


def _string(value: Any) -> str:
    if not isinstance(value, _WRITTEN_AS_TEXT):
        raise TypeError(f"expected a string, not {type(value).__name__}")
    return str(value)


def _bool(value: Any) -> bool:
    return as_bool(value)


def _date(value: Any) -> dt.date:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    if isinstance(value, dt.datetime):
        if value.time() != _MIDNIGHT:
            raise ValueError("a date has no time of day; give it without, as .date() does, or use a datetime")
        return value.date()
    if isinstance(value, dt.date):
        return value
    raise TypeError("expected a date or 'YYYY-MM-DD'")


def _datetime(value: Any) -> dt.datetime | str:
    if isinstance(value, str):
        return read_moment(value)
    if isinstance(value, dt.datetime):
        return naive_utc(value)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day)
    raise TypeError("expected a datetime or 'YYYY-MM-DD HH:MM:SS'")


def _time(value: Any) -> dt.time | str:
    if isinstance(value, dt.timedelta):  # as text: PostgreSQL would take one of 30 hours for 6 o'clock
        sign = "-" if value < dt.timedelta(0) else ""
        minutes, rest = divmod(abs(value), dt.timedelta(minutes=1))
        seconds, micro = divmod(rest, dt.timedelta(seconds=1))
        fraction = f".{micro.microseconds:06}" if micro else ""
        return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{fraction}"
    if isinstance(value, str):
        check_time(value)
        return value
    if isinstance(value, dt.time):
        return value
    raise TypeError("expected a time or 'HH:MM:SS'")


def _are_canonical(values: Sequence[Any]) -> bool:
    """Whether all texts are moments written as YYYY-MM-DD HH:MM:SS, which every server reads as it is."""
    distinct = set(values)  # few, where rows were added together
    if None in distinct or set(map(len, distinct)) != {19} or not set(map(_DASHES, distinct)) <= _DASHED:
        return False
    try:
        return {moment.tzinfo for moment in map(dt.datetime.fromisoformat, distinct)} == {None}
    except ValueError:
        return False


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
    "time": (frozenset({dt.time}), _time),
    "uuid": (frozenset({UUID}), as_uuid),
    "bytes": (frozenset({bytes}), _bytes),
    "json": (frozenset(), json_text),
}


# -- what a server would refuse, or change without a word -------------------------------------------


def _check_text(values: Sequence[Any]) -> None:
    """Refuse what is no text in UTF-8, and the null character, which PostgreSQL cannot hold."""
    text = "".join(values if None not in values else [v for v in values if v is not None])
    if text.isprintable() and text.isascii():
        return
    try:
        text.encode()
        is_sound = "\0" not in text
    except UnicodeEncodeError:
        is_sound = False
    if not is_sound:
        _raise_first(values, lambda v: "\0" in v, "no text holds a null character; store it as bytes")
        _raise_first(values, _is_broken, "it has half of a surrogate pair, which UTF-8 cannot hold")


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _without_nan(attribute: Attribute, values: Sequence[Any]) -> Sequence[Any]:
    present = [v for v in values if v is not None] if None in values else values
    if all(map(math.isfinite, present)):
        return values
    _raise_first(values, math.isinf, "this server has no infinity")
    if not attribute.is_nullable:
        _raise_first(values, math.isnan, "this server has no NaN, and the attribute cannot be NULL")
    return [None if v is None or math.isnan(v) else v for v in values]


def _in_single(values: Sequence[Any]) -> Sequence[Any]:
    """Round what is too small for a float32 to zero, which PostgreSQL would refuse, and to the largest what
    is not farther from it, which MySQL would refuse.
    """
    if not any(v and not _FLOAT32_NOTHING < abs(v) <= _FLOAT32_LARGEST for v in values):
        return values
    return [_single(v) if v else v for v in values]


def _single(value: float) -> float:
    if abs(value) <= _FLOAT32_NOTHING:
        return math.copysign(0.0, value)
    is_rounded = _FLOAT32_LARGEST < abs(value) <= _FLOAT32_MAX
    return math.copysign(_FLOAT32_LARGEST, value) if is_rounded else value


def _check_range(attribute: Attribute, values: Sequence[Any]) -> None:
    type_ = attribute.type
    if not isinstance(type_, CoreType):
        return
    present = [v for v in values if v is not None] if None in values else values
    if not present:
        return
    if type_.name in INTEGER_RANGES:
        low, high = INTEGER_RANGES[type_.name]
        if min(present) < low or max(present) > high:
            _raise_first(values, lambda v: not low <= v <= high, f"it holds {low} to {high}")
    elif type_.name in ("varchar", "char"):
        length = int(type_.args[0])
        if max(map(len, present)) > length:
            _raise_first(values, lambda v: len(v) > length, f"it holds {length} characters")
    elif type_.name == "enum":
        if not set(present) <= set(type_.labels):
            labels = ", ".join(map(repr, type_.labels))
            _raise_first(values, lambda v: v not in type_.labels, f"it is one of {labels}")
    elif type_.name == "float32":
        _raise_first(values, lambda v: _FLOAT32_MAX < abs(v) < math.inf, "it holds up to 3.4e38")


def _fitted_decimals(values: Sequence[Any], precision: int, scale: int) -> list[Decimal | None]:
    """Round to what the column holds; what has no room for it, before or after, is refused."""
    whole = precision - scale
    limit = Decimal(1).scaleb(whole)
    why = f"it holds {whole} digits before the point and {scale} after it"

    def fitted(value: Decimal | int) -> Decimal | None:
        number = Decimal(value)
        if not number.is_finite() or number.copy_abs() >= limit:
            return None
        number = rounded_number(number, scale)
        return number if number.copy_abs() < limit else None

    numbers = [v if v is None else fitted(v) for v in values]
    if numbers.count(None) != values.count(None):
        _raise_first(values, lambda v: fitted(v) is None, why)
    return numbers


def _raise_first(values: Sequence[Any], is_wrong: Callable[[Any], bool], why: str) -> None:
    for i, value in enumerate(values):
        if value is not None and is_wrong(value):
            raise _Misfit(i, value, why)
