"""Dates in a format of MySQL's, written and read on PostgreSQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dj_query.user_sql.kinds import Kind, Piece
from dj_query.user_sql.literals import postgres_string
from dj_schema.errors import QuerySyntaxError

if TYPE_CHECKING:
    from dj_query.user_sql.postgres import PostgresRenderer
    from dj_query.user_sql.server import Call

DATE_FORMATS = {
    "Y": "YYYY", "y": "YY", "m": "MM", "d": "DD", "H": "HH24", "h": "HH12", "I": "HH12", "i": "MI", "s": "SS",
    "S": "SS", "f": "US", "M": "FMMonth", "b": "Mon", "a": "Dy", "W": "FMDay", "j": "DDD", "e": "FMDD",
    "c": "FMMM", "k": "FMHH24", "l": "FMHH12", "p": "AM", "T": "HH24:MI:SS", "r": "HH12:MI:SS AM",
    "v": "IW", "x": "IYYY",
}  # fmt: skip

_MONTH, _HOUR, _MINUTE = "(?:0?[1-9]|1[0-2])", "(?:[01]?[0-9]|2[0-3])", "[0-5]?[0-9]"
_DAY = "(?:0?[1-9]|[12][0-9]|3[01])"
_SHORT = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_LONG = "(?:january|february|march|april|may|june|july|august|september|october|november|december)"
_LOOKS = {
    "Y": "[0-9]{4}", "y": "[0-9]{2}", "m": _MONTH, "c": _MONTH, "d": _DAY, "e": _DAY, "H": _HOUR, "k": _HOUR,
    "h": _MONTH, "I": _MONTH, "l": _MONTH, "i": _MINUTE, "s": _MINUTE, "S": _MINUTE, "f": "[0-9]{1,6}",
    "p": "[ap]m", "b": _SHORT, "M": _LONG, "j": "[0-9]{1,3}", "T": f"{_HOUR}:{_MINUTE}:{_MINUTE}",
    "r": rf"{_MONTH}:{_MINUTE}:{_MINUTE}\s+[ap]m",
}  # fmt: skip
_WHOLE_DATES = [(y, m, d) for y in "Yy" for m in "mcbM" for d in "de"]
_PARTS = re.compile(r"%(.)|(\s+|[^%\s]+)", re.S)


def plain_in_format(text: str) -> str:
    """Return a text that stands in a format for itself."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if text else ""


def str_to_date(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    """Read a text by a format; NULL where it does not look like it, or where there is no such day."""
    text, pattern = r.text(call.arguments[0]).operand, call.arguments[1]
    if not pattern.is_text_constant:
        raise QuerySyntaxError("STR_TO_DATE needs its format written out, such as '%Y-%m-%d'.")
    form, looks, codes = "", r"^\s*", []
    for code, plain in _PARTS.findall(str(pattern.constant)):
        if code and code not in _LOOKS:
            raise QuerySyntaxError(f"STR_TO_DATE with %{code} cannot be done on PostgreSQL.")
        codes += [code] if code else []
        form += DATE_FORMATS[code] if code else plain_in_format(plain)
        looks += f"({_LOOKS[code]})" if code else r"\s+" if plain.isspace() else re.escape(plain)
    shape = postgres_string(looks)
    found = {code: f"(REGEXP_MATCH({text}, {shape}, 'i'))[{i}]" for i, code in enumerate(codes, 1)}
    moment = f"CAST(TO_TIMESTAMP({text}, {postgres_string(form)}) AS TIMESTAMP)"
    if kind == "time":
        read = f"CAST(CAST({moment} AS TIME) AS INTERVAL)"
    elif kind == "date" and "j" in found:  # which may lead into the next year
        read = f"CASE WHEN {_day_number(found)} > 0 THEN {_new_year(found)} + ({_day_number(found)} - 1) END"
    else:
        moment = f"CAST({moment} AS DATE)" if kind == "date" else moment
        read = f"CASE WHEN {_is_a_day(found)} THEN {moment} END"
    return Piece(f"CASE WHEN {text} ~* {shape} THEN {read} END", kind)


def _day_number(found: dict[str, str]) -> str:
    return f"CAST({found['j']} AS INT)"


def _new_year(found: dict[str, str]) -> str:
    year = next((code for code in "Yy" if code in found), None)
    if year is None:
        raise QuerySyntaxError("STR_TO_DATE needs a year for its day of the year.")
    return f"TO_DATE({found[year]}, '{DATE_FORMATS[year]}')"


def _is_a_day(found: dict[str, str]) -> str:
    """Whether the month has that day: TO_TIMESTAMP would raise an error for the 31st of June."""
    if "j" in found:
        last = f"EXTRACT(DOY FROM {_new_year(found)} + INTERVAL '1 YEAR' - INTERVAL '1 DAY')"
        return f"{_day_number(found)} BETWEEN 1 AND {last}"
    whole = next((codes for codes in _WHOLE_DATES if found.keys() >= set(codes)), None)
    if whole is None:
        raise QuerySyntaxError("STR_TO_DATE needs year, month and day on PostgreSQL, or a time alone.")
    year, month, day = whole
    first = f"TO_DATE({found[year]} || ' ' || {found[month]}, '{DATE_FORMATS[year]} {DATE_FORMATS[month]}')"
    return f"CAST({found[day]} AS INT) <= EXTRACT(DAY FROM {first} + INTERVAL '1 MONTH' - INTERVAL '1 DAY')"
