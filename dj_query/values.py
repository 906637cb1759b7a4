"""Python values as they are bound: in a condition, and in a row that is inserted."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import numpy as np

from dj_schema.errors import DataError
from dj_schema.heading import Attribute
from dj_schema.types import CoreType, NativeType

_TAKEN: dict[str, type | tuple[type, ...]] = {
    "float": (int, float, Decimal),
    "decimal": (int, float, Decimal),
    "date": (str, dt.date),
    "datetime": (str, dt.date),
    "time": (str, dt.time, dt.timedelta),
}
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?")
_ISO = re.compile(r"[0-9]{4}(?:-?[0-9]{2}-?[0-9]{2}|-?W[0-9]{2}(?:-?[0-9])?)(?:[ Tt].+)?")
_FLOAT32 = CoreType("float32")
_MOST_DIGITS = 1000
_ALL_DIGITS = Context(prec=2 * _MOST_DIGITS)  # not the 28 of the current context
_TIME = re.compile(r"([0-9]{1,3}):([0-9]{2}):([0-9]{2})\.([0-9]+)")
_CLOCK = re.compile(r"-?[0-9]{1,3}:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?")
_MISSING = frozenset({"NaTType", "NAType"})  # pandas may not be there to be asked


def plain(value: Any) -> Any:
    """Return a numpy scalar as the Python value that it stands for; anything else as it is.

    The missing values of numpy and pandas, NaN excepted, are None. A moment that Python
    has no date for stays.
    """
    if isinstance(value, np.generic):
        if isinstance(value, np.datetime64):
            moment = None if np.isnat(value) else value.astype("datetime64[us]").item()
            return value if isinstance(moment, int) else moment
        if isinstance(value, np.timedelta64) and not np.isnat(value):
            return value.astype("timedelta64[us]").item()  # in nanoseconds it would be a number
        return value.item()
    return None if type(value).__name__ in _MISSING else value


def shown(value: Any, n_characters: int) -> str:
    """Return how a value begins, for a message."""
    try:
        return repr(value)[:n_characters]
    except RecursionError:
        return f"a {type(value).__name__}"


def comparable(attribute: Attribute, value: Any, native_digits: int = 6) -> Any:
    """Return a value to compare an attribute with, in a form that every server takes for its type.

    Numbers and moments are rounded as those of the type are, where it is known how: `native_digits` are those
    of a second that a native type keeps which names none.

    Raises
    ------
    DataError
        Where the value cannot be one of this attribute's.
    """
    value = plain(value)
    if value is None:
        return None
    kind = attribute.kind
    try:
        if kind == "string":
            text = value if isinstance(value, str) else str(value)
            if "\0" in text:
                raise ValueError("no text holds a null character")
            if isinstance(attribute.type, CoreType) and attribute.type.labels:
                _check_label(text, attribute.type.labels)
            return text if text.isascii() else text.encode().decode()  # half a surrogate pair raises
        if kind == "bool":
            return as_bool(value)
        if kind == "uuid":
            return as_uuid(value)
        if kind == "decimal" and isinstance(value, (str, int, float, Decimal)):
            digits = attribute.decimal_digits
            number = exact_number(value)
            return rounded_number(number, digits[1]) if digits and number.is_finite() else number
        if kind == "int" and isinstance(value, bool):
            return int(value)
        if kind == "float" and isinstance(value, (str, int, float, Decimal)):
            return _single(_double(value)) if attribute.storage == _FLOAT32 else _double(value)
        if kind == "int" and not isinstance(value, int):
            return _finite(value) if isinstance(value, (float, Decimal)) else int(value)
        if kind == "bytes":
            if attribute.is_codec or not isinstance(value, (bytes, bytearray, memoryview)):
                raise ValueError("a query cannot be restricted by a stored object")
            return bytes(value)
        if not isinstance(value, _TAKEN.get(kind, object)):
            raise ValueError(f"{type(value).__name__} is no {kind}")
        if kind == "json":
            raise ValueError(f"name a path into it, as in {{'{attribute.name}.length': 5}}")
        if kind in ("date", "datetime") and isinstance(value, str):
            value = read_moment(value)
        if kind == "date" and isinstance(value, str) and len(value) > len("YYYY-MM-DD"):
            value = dt.datetime.fromisoformat(value)  # its time counts, on each server
        if kind == "time" and isinstance(value, str):
            check_time(value)
        if kind == "time" and hasattr(value, "to_pytimedelta"):  # drivers do not know the classes of pandas
            value = value.to_pytimedelta()
        if kind in ("datetime", "time"):
            value = _as_stored(attribute, value, native_digits)
        if kind == "date" and isinstance(value, dt.datetime):
            return value.date() if value.time() == dt.time() else naive_utc(value)
        if kind == "datetime" and isinstance(value, dt.datetime):
            return naive_utc(value)
    except (ValueError, TypeError, ArithmeticError) as e:
        raise DataError(
            f"{shown(value, 60)} cannot be compared with attribute {attribute.name!r} ({attribute.type}): {e}"
        ) from None
    return value


def _check_label(text: str, labels: Sequence[str]) -> None:
    if text not in labels:
        raise ValueError(f"it is one of {', '.join(map(repr, labels))}")


def _finite(value: float | Decimal) -> float | Decimal:
    if not math.isfinite(value):
        raise ValueError("expected a whole number")
    return value


def exact_number(value: str | int | float | Decimal) -> Decimal:
    """Return a number as it is written: 0.1 is one tenth.

    Raises
    ------
    ValueError
        For a text that is no number.
    """
    try:
        return Decimal(value if isinstance(value, (int, Decimal)) else str(value))
    except InvalidOperation:
        raise ValueError("expected a number") from None


def rounded_number(number: Decimal, scale: int) -> Decimal:
    """Round a finite number to digits after the point, halves away from zero, as every server does."""
    unit = Decimal(1).scaleb(-scale)
    return number.quantize(unit, ROUND_HALF_UP, _ALL_DIGITS) if number.adjusted() < _MOST_DIGITS else number


def _double(value: str | int | float | Decimal) -> int | float | Decimal:
    """Return a number that a double can hold, if not to the last digit."""
    number = (
        exact_number(value) if isinstance(value, str) else int(value) if isinstance(value, bool) else value
    )
    is_finite = number.is_finite() if isinstance(number, Decimal) else not isinstance(number, float)
    if is_finite and math.isinf(float(number)):  # float() of a whole number raises by itself
        raise ValueError("the number is too large")
    return number


def _single(number: int | float | Decimal) -> int | float | Decimal:
    """Return what a float32 holds of a number: 0.1 is stored as 0.10000000149011612."""
    with np.errstate(over="ignore"):
        stored = float(np.float32(float(number)))
    return stored if math.isfinite(stored) else float(number)


def naive_utc(moment: dt.datetime) -> dt.datetime:
    """Return a moment as servers hold it: in UTC, without a time zone, and not of a class of pandas."""
    if hasattr(moment, "to_pydatetime"):
        moment = moment.to_pydatetime(warn=False)
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def read_moment(text: str) -> dt.datetime | str:
    """Return a text as it is where every server reads it as the moment that it is; else the moment.

    Raises
    ------
    ValueError
        For what is no moment, and where a sign stands between date and time, which servers take for a zone.
    """
    if not _ISO.fullmatch(text):
        raise ValueError("expected 'YYYY-MM-DD HH:MM:SS', with a space or a T between date and time")
    moment = dt.datetime.fromisoformat(text)
    return text if _MOMENT.fullmatch(text) else naive_utc(moment)


def check_time(text: str) -> None:
    """Raise `ValueError` for a text that servers do not all read as the same time."""
    if not _CLOCK.fullmatch(text):
        raise ValueError("expected 'HH:MM:SS', with a fraction or without")


def _as_stored(attribute: Attribute, value: Any, native_digits: int) -> Any:
    """Return a moment or a time with the digits of a second that its column keeps."""
    names_none = isinstance(attribute.type, NativeType) and "(" not in attribute.type.text
    digits = native_digits if names_none else attribute.seconds_digits
    return rounded_moment(value, digits) if attribute.kind == "datetime" else _rounded_time(value, digits)


def rounded_moment(value: dt.date | str, digits: int) -> dt.date | str:
    """Round a moment to digits of its seconds, halves up, so that it is the same on each server."""
    moment = value
    if isinstance(moment, str) and "." in moment:
        moment = dt.datetime.fromisoformat(moment)
    if not isinstance(moment, dt.datetime):
        return value
    unit = 10 ** (6 - digits)
    over = moment.microsecond % unit
    if not over:
        return value
    return moment + dt.timedelta(microseconds=unit - over if 2 * over >= unit else -over)


def _rounded_time(value: dt.time | dt.timedelta | str, digits: int) -> dt.time | dt.timedelta | str:
    """Round a time of day, or a text of one, likewise; what is no time is left to the server."""
    if isinstance(value, str) and "." in value:
        found = _TIME.fullmatch(value)
        if not found:
            return value
        hour, minute, second, fraction = found.groups()
        micro = int(fraction[:6].ljust(6, "0"))
        exact = dt.timedelta(hours=int(hour), minutes=int(minute), seconds=int(second), microseconds=micro)
    elif isinstance(value, dt.time) and value.microsecond:
        exact = dt.datetime.combine(dt.date.min, value) - dt.datetime.min
    elif isinstance(value, dt.timedelta) and value >= dt.timedelta(0):
        exact = value
    else:
        return value
    unit = dt.timedelta(microseconds=10 ** (6 - digits))
    over = exact % unit
    return exact - over + unit if 2 * over >= unit and over else exact - over


def in_one_form(kind: str, value: Any) -> Any:
    """Return a value that `comparable` gave such that it equals others of the same moment or time."""
    if kind == "datetime" and isinstance(value, str):
        return dt.datetime.fromisoformat(value)
    if kind == "time" and isinstance(value, dt.time):
        return dt.datetime.combine(dt.date.min, value) - dt.datetime.min
    if kind == "time" and isinstance(value, str):
        hours, minutes, seconds = (*value.lstrip("-").split(":"), "0")[:3]
        span = dt.timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
        return -span if value.startswith("-") else span
    return value


def as_bool(value: Any) -> bool:
    """Return the truth value of what stands for one: a bool, 0 or 1, or these as words.

    Raises
    ------
    ValueError
        For anything else.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    raise ValueError("expected True, False, 0 or 1")


def as_uuid(value: Any) -> UUID:
    """Return a UUID that is given as one, as its sixteen bytes, or as text.

    Raises
    ------
    ValueError
        For anything else.
    """
    if isinstance(value, UUID):
        return value
    return UUID(bytes=value) if isinstance(value, bytes) else UUID(str(value))
