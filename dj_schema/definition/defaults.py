"""Defaults: what the text of one means, and the one form in which each type keeps it."""

from __future__ import annotations

import datetime
import math
import re
from decimal import Context, Decimal, InvalidOperation

from dj_schema.definition.spec import CurrentTimestamp, Default, Literal, Null
from dj_schema.errors import DefinitionError
from dj_schema.types import INTEGER_RANGES, QUOTED, CodecType, CoreType, NativeType, TypeSpec, unquote

_QUOTED = re.compile(QUOTED, re.S)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOW = re.compile(r"(?:NOW|CURRENT_TIMESTAMP)(?:\s*\(\s*[0-6]?\s*\))?", re.I)
_TIME = re.compile(r"-?[0-9]{1,3}:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?")
_BOOLEANS = {"0": False, "false": False, "1": True, "true": True}
_FLOAT32_MAX = 3.4028234663852886e38
# A native integer's own range is the server's to enforce; none is wider than these.
_WIDEST = (INTEGER_RANGES["int64"][0], INTEGER_RANGES["uint64"][1])


def read_default(type_: TypeSpec, text: str) -> Default:
    """Read a default as a definition writes it.

    Raises
    ------
    DefinitionError
        For text that is no default, and for a default that the type cannot hold.
    """
    if text.lower() == "null":
        return Null()
    if _NOW.fullmatch(text):
        return fit_default(type_, CurrentTimestamp())
    if _QUOTED.fullmatch(text):
        return fit_default(type_, Literal(unquote(text)))
    if text.lower() in ("true", "false"):
        return fit_default(type_, Literal(text.lower() == "true"))
    if _NUMBER.fullmatch(text):
        return fit_default(type_, Literal(text))
    raise DefinitionError(
        f"{text!r} is no default.",
        expected="a quoted string, a number, true, false, null or CURRENT_TIMESTAMP",
    )


def fit_default(type_: TypeSpec, default: Default) -> Default:
    """Return the default in the one form that its type keeps (see `Literal`).

    What a definition wrote and what a server's catalog tells of it become equal.

    Raises
    ------
    DefinitionError
        For a default that the type cannot hold exactly.
    """
    if isinstance(type_, NativeType) and type_.is_auto_increment:
        raise DefinitionError(f"{type_} counts by itself.", expected="no default")
    if isinstance(default, Null):
        return default
    if isinstance(type_, CodecType) or type_.kind in ("bytes", "json", "uuid"):
        raise DefinitionError(
            f"the default value for {type_} can only be NULL.", expected="`name = null : type`, or no default"
        )
    if isinstance(default, CurrentTimestamp):
        if type_.kind not in ("datetime", "date"):
            raise DefinitionError(
                f"CURRENT_TIMESTAMP is no default for {type_}.",
                expected="it on a datetime, timestamp or date",
            )
        return default
    value = default.value
    if not isinstance(value, bool):
        value = str(value)
    try:
        return Literal(_fit(type_, value))
    except ValueError as problem:
        written = str(value).lower() if isinstance(value, bool) else repr(value)
        raise DefinitionError(f"the default {written} does not fit {type_}.", expected=str(problem)) from None


def _fit(type_: CoreType | NativeType, value: str | bool) -> str | int | float | bool:
    kind = type_.kind
    if kind == "bool":
        return _boolean(value)
    if kind == "int":
        return _integer(type_, str(int(value)) if isinstance(value, bool) else value)
    if isinstance(value, bool):
        raise ValueError("true and false on bool or an integer only")
    if kind == "float":
        return _float(type_, value)
    if kind == "decimal":
        return _decimal(type_, value)
    if kind == "date":
        return _date(value)
    if kind == "datetime":
        return _datetime(type_, value)
    if kind == "time":
        if not _TIME.fullmatch(value):
            raise ValueError("'HH:MM:SS', with a fraction or without")
        return value
    return _string(type_, value)


def _boolean(value: str | bool) -> bool:
    if isinstance(value, bool):
        return value
    try:
        return _BOOLEANS[value.lower()]
    except KeyError:
        raise ValueError("true, false, 1 or 0") from None


def _number(value: str) -> Decimal:
    try:
        if _NUMBER.fullmatch(value):
            return Decimal(value)
    except InvalidOperation:
        pass
    raise ValueError("a number")


def _integer(type_: CoreType | NativeType, value: str) -> int:
    number = _number(value)
    low, high = INTEGER_RANGES[type_.name] if isinstance(type_, CoreType) else _WIDEST
    # The range comes first: a number like 1e999999999 is not to be written out.
    if not low <= number <= high or number != number.to_integral_value():
        raise ValueError(f"an integer from {low} to {high}")
    return int(number)


def _float(type_: CoreType | NativeType, value: str) -> float:
    number = float(_number(value))
    if not math.isfinite(number) or (type_ == CoreType("float32") and abs(number) > _FLOAT32_MAX):
        raise ValueError(f"a number within the range of {type_}")
    return number + 0.0


def _decimal(type_: CoreType | NativeType, value: str) -> str:
    number = _number(value)
    if isinstance(type_, CoreType):
        precision, scale = (int(a) for a in type_.args)
    elif digits := re.search(r"\(\s*([0-9]{1,3})\s*(?:,\s*([0-9]{1,3})\s*)?\)", type_.text):
        precision, scale = int(digits[1]), int(digits[2] or 0)
    else:
        return value
    # abs() would round to the digits of the current context.
    if number.copy_abs() < Decimal(10) ** (precision - scale):
        fitted = number.quantize(Decimal(1).scaleb(-scale), context=Context(prec=2000))
        if fitted == number:
            return f"{fitted if fitted else abs(fitted):f}"
    raise ValueError(f"at most {precision - scale} digits before the point and {scale} after it")


def _date(value: str) -> str:
    try:
        return datetime.date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError("'YYYY-MM-DD' or CURRENT_TIMESTAMP without quotes") from None


def _datetime(type_: CoreType | NativeType, value: str) -> str:
    digits = (int(type_.args[0]) if type_.args else 0) if isinstance(type_, CoreType) else 6
    try:
        moment = datetime.datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("'YYYY-MM-DD HH:MM:SS' or CURRENT_TIMESTAMP without quotes") from None
    if moment.tzinfo is not None:
        raise ValueError("a time in UTC without an offset")
    if moment.microsecond % 10 ** (6 - digits):
        raise ValueError(f"at most {digits} digits of a second: datetime(n) keeps n of them")
    return moment.isoformat(sep=" ")


def _string(type_: CoreType | NativeType, value: str) -> str:
    if isinstance(type_, NativeType):
        return value
    if type_.name == "enum":
        if value not in type_.labels:
            raise ValueError("one of its labels")
    elif len(value) > int(type_.args[0]):
        raise ValueError(f"at most {type_.args[0]} characters; this has {len(value)}")
    return value
