"""Dates and times: MySQL's functions in PostgreSQL's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dj_query.user_sql.kinds import Kind, Piece
from dj_query.user_sql.literals import postgres_string
from dj_query.user_sql.postgres_calendar import CALENDAR
from dj_query.user_sql.postgres_read_dates import DATE_FORMATS, plain_in_format, str_to_date
from dj_query.user_sql.render import CLOCK
from dj_query.user_sql.translation import Translation, whole
from dj_schema.errors import QuerySyntaxError

if TYPE_CHECKING:
    from dj_query.user_sql.postgres import PostgresRenderer
    from dj_query.user_sql.server import Call

_OFFSET = re.compile(r"[+-]\d{1,2}:\d\d")


def _moment(r: PostgresRenderer, piece: Piece) -> Piece:
    return r.as_moment(piece)


def _extract(field: str, *, add: int = 0) -> Translation:
    def translate(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
        value = f"EXTRACT({field} FROM {_moment(r, call.arguments[0]).sql})"
        if field == "SECOND":
            value = f"FLOOR({value})"
        return whole(f"CAST({value}{f' + {add}' if add > 0 else f' - {-add}' if add else ''} AS INT)")

    return translate


def _microsecond(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    return whole(f"CAST(EXTRACT(MICROSECONDS FROM {_moment(r, call.arguments[0]).sql}) AS INT) % 1000000")


def _span(r: PostgresRenderer, piece: Piece) -> str:
    """Return what TIMEDIFF takes: a moment, or a time as the interval since midnight."""
    if piece.is_text_constant and CLOCK.fullmatch(str(piece.constant)):
        return f"INTERVAL {piece.sql}"
    if piece.kind == "time":
        return f"CAST({piece.sql} AS INTERVAL)"
    if piece.kind == "date":
        raise QuerySyntaxError("TIMEDIFF takes times, or dates with times. Use DATEDIFF for dates.")
    return _moment(r, piece).operand


def _timediff(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    end, start = (_span(r, part) for part in call.arguments)
    most = "INTERVAL '838:59:59'"  # which is as far as a TIME of MySQL goes
    shown = f"LEAST(GREATEST({end} - {start}, -{most}), {most})"
    return Piece(f"CASE WHEN {end} - {start} IS NOT NULL THEN {shown} END", "time")


def _time_to_sec(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    part = call.arguments[0]
    time = f"CAST({part.sql} AS {'INTERVAL' if part.kind == 'time' else 'TIME'})"
    return whole(f"CAST(TRUNC(EXTRACT(EPOCH FROM {time})) AS INT)")


def _convert_tz(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    moment = f"CAST({_moment(r, call.arguments[0]).sql} AS TIMESTAMP)"
    before, after = (
        # as a text PostgreSQL would take an offset for one to the west
        f"INTERVAL {zone.sql}" if _OFFSET.fullmatch(str(zone.constant)) else r.text(zone).operand
        for zone in call.arguments[1:]
    )
    return Piece(f"({moment} AT TIME ZONE {before} AT TIME ZONE {after})", "datetime")


def _date(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    return Piece(f"CAST({_moment(r, call.arguments[0]).sql} AS DATE)", "date")


def _last_day(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    month = f"DATE_TRUNC('month', {_moment(r, call.arguments[0]).sql})"
    return Piece(f"CAST({month} + INTERVAL '1 MONTH' - INTERVAL '1 DAY' AS DATE)", "date")


def _cast(target: str, kind: Kind) -> Translation:
    return lambda r, call, _: Piece(f"CAST({_moment(r, call.arguments[0]).sql} AS {target})", kind)


def _today(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    return Piece("CURRENT_DATE", "date", is_nullable=False)


def _now(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    # MySQL's clock stands at the start of the statement, PostgreSQL's NOW() at that of the transaction.
    now = "(STATEMENT_TIMESTAMP() AT TIME ZONE 'UTC')"
    digits = call.arguments[0].constant if call.arguments else "0"
    if digits not in ("0", "3", "6"):
        raise QuerySyntaxError(f"{call.name} takes 0, 3 or 6 decimal places of a second.")
    step = {"0": "second", "3": "milliseconds", "6": "microseconds"}[str(digits)]
    return Piece(f"DATE_TRUNC('{step}', {now})", "datetime", is_nullable=False)


def _datediff(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    end, start = (f"CAST({_moment(r, r.moment(part)).sql} AS DATE)" for part in call.arguments)
    return Piece(f"{end} - {start}", "int", is_atomic=False)


def date_format(piece: Piece, pattern: Piece) -> Piece:
    """Write DATE_FORMAT as TO_CHAR."""
    if not pattern.is_text_constant:
        raise QuerySyntaxError("DATE_FORMAT needs its format written out, such as '%Y-%m-%d'.")
    source = str(pattern.constant)
    out, plain, at = [], "", 0
    while at < len(source):
        if source[at] != "%" or at + 1 == len(source):
            plain, at = plain + source[at], at + 1
            continue
        code = source[at + 1]
        at += 2
        if code not in DATE_FORMATS:
            if code in "UuVvXDw":
                raise QuerySyntaxError(f"DATE_FORMAT with %{code} cannot be done on PostgreSQL.")
            plain += code
            continue
        out.append(plain_in_format(plain) + DATE_FORMATS[code])
        plain = ""
    text = "".join(out) + plain_in_format(plain)
    return Piece(f"TO_CHAR({piece.sql}, {postgres_string(text)})", "string")


def _date_format(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    moment = _moment(r, call.arguments[0])
    return date_format(Piece(f"CAST({moment.sql} AS TIMESTAMP)", "datetime"), call.arguments[1])


def _unix_timestamp(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    if not call.arguments:
        return whole("CAST(FLOOR(EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP())) AS BIGINT)")
    return Piece(f"EXTRACT(EPOCH FROM {_moment(r, call.arguments[0]).sql})", "decimal")


def _from_unixtime(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    seconds = r.number(call.arguments[0])
    moment = Piece(f"(TO_TIMESTAMP({seconds.sql}) AT TIME ZONE 'UTC')", "datetime")
    return date_format(moment, call.arguments[1]) if len(call.arguments) > 1 else moment


DATES: dict[str, Translation] = {
    **{name: _extract(name) for name in ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "QUARTER")},
    "DAYOFMONTH": _extract("DAY"),
    "DAYOFWEEK": _extract("DOW", add=1),
    "WEEKDAY": _extract("ISODOW", add=-1),
    "DAYOFYEAR": _extract("DOY"),
    "WEEKOFYEAR": _extract("WEEK"),
    "MICROSECOND": _microsecond,
    "TIME_TO_SEC": _time_to_sec,
    "SEC_TO_TIME": lambda r, call, _: Piece(
        f"{r.number(call.arguments[0]).operand} * INTERVAL '1 SECOND'", "time", is_atomic=False
    ),
    "TIMEDIFF": _timediff,
    "CONVERT_TZ": _convert_tz,
    "STR_TO_DATE": str_to_date,
    **CALENDAR,
    "DAYNAME": lambda r, call, _: Piece(f"TO_CHAR({_moment(r, call.arguments[0]).sql}, 'FMDay')", "string"),
    "MONTHNAME": lambda r, call, _: Piece(
        f"TO_CHAR({_moment(r, call.arguments[0]).sql}, 'FMMonth')", "string"
    ),
    "DATE_FORMAT": _date_format,
    "DATE": _date,
    "LAST_DAY": _last_day,
    "TIMESTAMP": _cast("TIMESTAMP", "datetime"),
    "TIME": _cast("TIME", "time"),
    **dict.fromkeys(("CURDATE", "CURRENT_DATE", "UTC_DATE"), _today),
    **dict.fromkeys(
        ("NOW", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "UTC_TIMESTAMP", "SYSDATE"), _now
    ),
    "DATEDIFF": _datediff,
    "UNIX_TIMESTAMP": _unix_timestamp,
    "FROM_UNIXTIME": _from_unixtime,
}
