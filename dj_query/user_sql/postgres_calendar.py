"""Weeks and days, and moments made of numbers: MySQL's functions in PostgreSQL's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_query.user_sql.kinds import Kind, Piece
from dj_query.user_sql.translation import Translation, whole
from dj_schema.errors import QuerySyntaxError

if TYPE_CHECKING:
    from dj_query.user_sql.postgres import PostgresRenderer
    from dj_query.user_sql.server import Call

_SUNDAY_FIRST = "0246"
_BY_MOST_DAYS = "1346"  # week 1 has four days of the year or more; else it is the first that begins in it
_WITHIN_YEAR = "0145"  # the days before week 1 are week 0; else they are of the last of the year before


def _day_of_year(date: str) -> str:
    return f"CAST(EXTRACT(DOY FROM {date}) AS INT)"


def _week_of(r: PostgresRenderer, call: Call) -> tuple[str, str, str]:
    """Return the mode, the date, and the day that says which year its week is of.

    Modes as in chapter "Date and Time Functions" of MySQL's manual, at WEEK.
    """
    mode = str(call.arguments[1].constant) if len(call.arguments) > 1 else "0"
    if mode not in "01234567" or len(mode) != 1:
        raise QuerySyntaxError(f"{call.name} needs its mode written out, a number from 0 to 7.")
    date = f"CAST({r.as_moment(call.arguments[0]).sql} AS DATE)"
    past = f"EXTRACT(DOW FROM {date})" if mode in _SUNDAY_FIRST else f"EXTRACT(ISODOW FROM {date}) - 1"
    return mode, date, f"({date} - CAST({past} AS INT){' + 3' if mode in _BY_MOST_DAYS else ''})"


def _week(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    mode, date, decisive = _week_of(r, call)
    day = f"({_day_of_year(date)} + ({decisive} - {date}))"
    return whole(f"({day if mode in _WITHIN_YEAR else _day_of_year(decisive)} + 6) / 7")


def _yearweek(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    _mode, _date, decisive = _week_of(r, call)
    year = f"CAST(EXTRACT(YEAR FROM {decisive}) AS INT)"
    return whole(f"({year} * 100 + ({_day_of_year(decisive)} + 6) / 7)")


def _to_days(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    return whole(f"(CAST({r.as_moment(call.arguments[0]).sql} AS DATE) - DATE '0001-01-01' + 366)")


def _int(r: PostgresRenderer, piece: Piece) -> str:
    return f"CAST({r.number(piece).sql} AS INT)"


def _from_days(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    return Piece(f"(DATE '0001-01-01' + ({_int(r, call.arguments[0])} - 366))", "date")


def _makedate(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    year, day = (_int(r, part) for part in call.arguments)
    century = f"CASE WHEN {year} < 70 THEN 2000 WHEN {year} < 100 THEN 1900 ELSE 0 END"
    return Piece(f"CASE WHEN {day} > 0 THEN MAKE_DATE({year} + {century}, 1, 1) + ({day} - 1) END", "date")


def _maketime(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    hour, minute = (_int(r, part) for part in call.arguments[:2])
    second = r.number(call.arguments[2]).operand
    size = f"(ABS({hour}) * 3600 + {minute} * 60 + {second}) * INTERVAL '1 SECOND'"
    is_time = f"{minute} BETWEEN 0 AND 59 AND {second} >= 0 AND {second} < 60"
    return Piece(f"CASE WHEN {is_time} THEN {size} * CASE WHEN {hour} < 0 THEN -1 ELSE 1 END END", "time")


def _shifted_by(sign: str) -> Translation:
    def translate(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
        moment, span = call.arguments
        shift = f"INTERVAL {span.sql}" if span.is_text_constant else f"CAST({span.sql} AS INTERVAL)"
        start = f"CAST({moment.sql} AS INTERVAL)" if kind == "time" else moment.operand
        return Piece(f"{start} {sign} {shift}", kind, is_atomic=False)

    return translate


CALENDAR: dict[str, Translation] = {
    "WEEK": _week,
    "YEARWEEK": _yearweek,
    "TO_DAYS": _to_days,
    "FROM_DAYS": _from_days,
    "MAKEDATE": _makedate,
    "MAKETIME": _maketime,
    "ADDTIME": _shifted_by("+"),
    "SUBTIME": _shifted_by("-"),
}
