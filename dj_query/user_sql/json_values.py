"""JSON_VALUE with a type where the server has no RETURNING; what is no such value is NULL, as with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_INTEGER = "^[-+]?[0-9]+$"
_NUMBER = "^[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][-+]?[0-9]+)?$"
_DATE = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([ T].*)?$"
_TIME = "^[0-9]{1,2}:[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?$"
_RANGES = {
    "SIGNED": ("-9223372036854775808", "9223372036854775807"),
    "UNSIGNED": ("0", "18446744073709551615"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a path, in the server's SQL.

    Attributes
    ----------
    text : str
        The value as text; NULL for null, and where nothing is.
    is_number, is_bool : str
        Conditions on its JSON type.
    exact : str
        The text as an exact number.
    matches : callable
        The condition that the text matches a regular expression.
    cast : callable
        A value cast to a MySQL type, given with its sizes.
    """

    text: str
    is_number: str
    is_bool: str
    exact: str
    matches: Callable[[str], str]
    cast: Callable[[str, str, list[str]], str]


def typed_value(found: Found, target: str, sizes: list[str]) -> str:
    """Return the value as this type, or NULL where it is of another or out of range."""
    if target == "CHAR":
        value = found.cast(found.text, target, sizes)
        return f"CASE WHEN CHAR_LENGTH({found.text}) <= {sizes[0]} THEN {value} END" if sizes else value
    if target in ("DATE", "DATETIME", "TIME"):
        pattern = _TIME if target == "TIME" else _DATE
        return f"CASE WHEN {found.matches(pattern)} THEN {found.cast(found.text, target, sizes)} END"
    number, pattern = _number(found, target, sizes)
    truth = f"CASE {found.text} WHEN 'true' THEN 1 ELSE 0 END"
    return (
        f"CASE WHEN {found.is_bool} THEN {truth} WHEN {found.is_number} OR {found.matches(pattern)} "
        f"THEN {number} END"
    )


def _number(found: Found, target: str, sizes: list[str]) -> tuple[str, str]:
    """Return the number where it is in the range of its type, and what a text has to look like."""
    if target == "DOUBLE":
        return found.cast(found.text, target, []), _NUMBER
    if target == "DECIMAL":
        precision, scale = map(int, [*sizes, "0"][:2] if sizes else ("10", "0"))
        rounded = f"ROUND({found.exact}, {scale})"
        fits = f"ABS({rounded}) < 1{'0' * (precision - scale)}"
        return f"CASE WHEN {fits} THEN {found.cast(rounded, target, sizes)} END", _NUMBER
    low, high = _RANGES[target]
    rounded = f"ROUND({found.exact})"
    return (
        f"CASE WHEN {rounded} BETWEEN {low} AND {high} THEN {found.cast(rounded, target, [])} END",
        _INTEGER,
    )
