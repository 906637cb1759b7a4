"""Constants in user SQL: read as MySQL reads them, written as each server reads them."""

from __future__ import annotations

import re
import uuid
from datetime import date, datetime, time

from dj_schema.errors import QuerySyntaxError

_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})|(\d{4})(\d{2})(\d{2})")
_TIME = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,6}))?)?")


def unescape(body: str, quote: str) -> str:
    r"""Return the value of a MySQL string literal whose text between the quotes is `body`.

    ``\%`` and ``\_`` keep their backslash, as MySQL's manual says, because LIKE reads them.
    """
    out: list[str] = []
    at = 0
    while at < len(body):
        char = body[at]
        if char == "\\":
            following = body[at + 1]
            out.append("\\" + following if following in "%_" else _ESCAPES.get(following, following))
            at += 2
        else:
            out.append(char)
            at += 2 if char == quote else 1
    return "".join(out)


def mysql_string(value: str) -> str:
    """Write a string for MySQL and MariaDB; closed by its last quote in either mode of backslashes."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def postgres_string(value: str) -> str:
    """Write a string for PostgreSQL, independent of standard_conforming_strings."""
    body = value.replace("'", "''")
    return "E'" + body.replace("\\", "\\\\") + "'" if "\\" in value else "'" + body + "'"


def is_number_text(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def number_of(text: str) -> str:
    """Return the number that a string literal spells; an error where it spells none."""
    if not is_number_text(text):
        raise QuerySyntaxError(
            f"The string {text!r} is compared or computed with a number, but is not one. Write a number,"
            " or compare it with a text attribute."
        )
    return text.strip()


def moment_of(text: str) -> date | datetime:
    """Return the date or datetime that a string literal spells, in the formats that MySQL reads."""
    day_text, _, time_text = text.strip().replace("T", " ").partition(" ")
    day_match = _DATE.fullmatch(day_text)
    time_match = _TIME.fullmatch(time_text.strip()) if time_text else None
    if day_match and (time_match or not time_text):
        try:
            day = date(*(int(part) for part in day_match.groups() if part is not None))
            return datetime.combine(day, _time_of(time_match)) if time_match else day
        except ValueError:
            pass
    raise QuerySyntaxError(
        f"The string {text!r} stands where a date is needed. Write it as 'YYYY-MM-DD hh:mm:ss'."
    )


def clock_of(text: str) -> time:
    """Return the time of day that a string literal spells."""
    match = _TIME.fullmatch(text.strip())
    try:
        if match:
            return _time_of(match)
    except ValueError:
        pass
    raise QuerySyntaxError(f"The string {text!r} stands where a time is needed. Write it as 'hh:mm:ss'.")


def uuid_of(text: str) -> uuid.UUID:
    """Return the UUID that a string literal spells."""
    try:
        return uuid.UUID(text.strip())
    except ValueError:
        raise QuerySyntaxError(f"The string {text!r} is compared with a UUID, but is not one.") from None


def _time_of(match: re.Match[str]) -> time:
    hour, minute, second, fraction = match.groups()
    return time(int(hour), int(minute), int(second or 0), int((fraction or "").ljust(6, "0")))
