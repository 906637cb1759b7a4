"""Dates and times: MySQL's functions in PostgreSQL's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dj_query.user_sql.kinds import Kind, Piece
from dj_query.user_sql.literals import postgres_string
from dj_query.user_sql.translation import Translation, whole
from dj_schema.errors import QuerySyntaxError

if TYPE_CHECKING:
    from dj_query.user_sql.postgres import PostgresRenderer
    from dj_query.user_sql.server import Call

_DATE_FORMATS = {
    "Y": "YYYY", "y": "YY", "m": "MM", "d": "DD", "H": "HH24", "h": "HH12", "I": "HH12", "i": "MI", "s": "SS",
    "S": "SS", "f": "US", "M": "FMMonth", "b": "Mon", "a": "Dy", "W": "FMDay", "j": "DDD", "e": "FMDD",
    "c": "FMMM", "k": "FMHH24", "l": "FMHH12", "p": "AM", "T": "HH24:MI:SS", "r": "HH12:MI:SS AM",
    "v": "IW", "x": "IYYY",
}  # fmt: skip

_MONTH, _HOUR = "(0?[1-9]|1[0-2])", "([01]?[0-9]|2[0-3])"
_DAY, _MINUTE = "(0?[1-9]|[12][0-9]|3[01])", "[0-5]?[0-9]"
_READ_FORMATS = {
    "Y": "[0-9]{4}", "y": "[0-9]{2}", "m": _MONTH, "c": _MONTH, "d": _DAY, "e": _DAY, "H": _HOUR, "k": _HOUR,
    "h": _MONTH, "I": _MONTH, "l": _MONTH, "i": _MINUTE, "s": _MINUTE, "S": _MINUTE, "f": "[0-9]{1,6}",
    "p": "[AaPp][Mm]", "b": "[A-Za-z]{3}", "M": "[A-Za-z]{3,}", "j": "[0-9]{1,3}",
    "T": f"{_HOUR}:{_MINUTE}:{_MINUTE}", "r": rf"{_MONTH}:{_MINUTE}:{_MINUTE}\s+[AaPp][Mm]",
}  # fmt: skip
_WHOLE_DATES = [{y, m, d} for y in "Yy" for m in "mcbM" for d in "de"] + [{y, "j"} for y in "Yy"]
_FORMAT_PARTS = re.compile(r"%(.)|(\s+|[^%\s]+)", re.S)
_TIME = re.compile(r"-?\d{1,3}:\d\d(:\d\d(\.\d+)?)?")
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


def _week(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    mode = call.arguments[1].constant if len(call.arguments) > 1 else "0"
    moment = _moment(r, call.arguments[0]).sql
    if mode == "3":
        return whole(f"CAST(EXTRACT(WEEK FROM {moment}) AS INT)")
    if mode != "0":
        raise QuerySyntaxError(f"WEEK with mode {mode} cannot be done on PostgreSQL. Use mode 0 or 3.")
    # Weeks start on Sunday; the days before the first one are week 0.
    day = f"CAST(EXTRACT(DOY FROM {moment}) AS INT) - CAST(EXTRACT(DOW FROM {moment}) AS INT)"
    return whole(f"({day} + 6) / 7")


def _yearweek(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    mode = call.arguments[1].constant if len(call.arguments) > 1 else "0"
    moment = _moment(r, call.arguments[0]).sql
    if mode in ("1", "3"):
        return whole(f"CAST(TO_CHAR({moment}, 'IYYYIW') AS INT)")
    if mode not in ("0", "2"):
        raise QuerySyntaxError(
            f"YEARWEEK with mode {mode} cannot be done on PostgreSQL. Use mode 0, 1, 2 or 3."
        )
    sunday = f"CAST({moment} AS DATE) - CAST(EXTRACT(DOW FROM {moment}) AS INT)"
    year, day = (f"CAST(EXTRACT({field} FROM {sunday}) AS INT)" for field in ("YEAR", "DOY"))
    return whole(f"({year} * 100 + ({day} + 6) / 7)")


def _span(r: PostgresRenderer, piece: Piece) -> str:
    """Return what TIMEDIFF takes: a moment, or a time as the interval since midnight."""
    if piece.is_text_constant and _TIME.fullmatch(str(piece.constant)):
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


def _str_to_date(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    """Read a text by a format; NULL where it does not look like it."""
    text, pattern = r.text(call.arguments[0]).operand, call.arguments[1]
    if not pattern.is_text_constant:
        raise QuerySyntaxError("STR_TO_DATE needs its format written out, such as '%Y-%m-%d'.")
    form, looks, codes = "", r"^\s*", set()
    for code, plain in _FORMAT_PARTS.findall(str(pattern.constant)):
        if code and code not in _READ_FORMATS:
            raise QuerySyntaxError(f"STR_TO_DATE with %{code} cannot be done on PostgreSQL.")
        codes.add(code)
        form += _DATE_FORMATS[code] if code else _plain(plain)
        looks += _READ_FORMATS[code] if code else r"\s+" if plain.isspace() else re.escape(plain)
    if kind != "time" and not any(group <= codes for group in _WHOLE_DATES):
        raise QuerySyntaxError("STR_TO_DATE needs year, month and day on PostgreSQL, or a time alone.")
    moment = f"CAST(TO_TIMESTAMP({text}, {postgres_string(form)}) AS TIMESTAMP)"
    moment = {"date": f"CAST({moment} AS DATE)", "time": f"CAST(CAST({moment} AS TIME) AS INTERVAL)"}.get(
        kind, moment
    )
    return Piece(f"CASE WHEN {text} ~ {postgres_string(looks)} THEN {moment} END", kind)


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
        if code not in _DATE_FORMATS:
            if code in "UuVvXDw":
                raise QuerySyntaxError(f"DATE_FORMAT with %{code} cannot be done on PostgreSQL.")
            plain += code
            continue
        out.append(_plain(plain) + _DATE_FORMATS[code])
        plain = ""
    text = "".join(out) + _plain(plain)
    return Piece(f"TO_CHAR({piece.sql}, {postgres_string(text)})", "string")


def _plain(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if text else ""


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
    "WEEK": _week,
    "TO_DAYS": lambda r, call, _: whole(
        f"(CAST({_moment(r, call.arguments[0]).sql} AS DATE) - DATE '0001-01-01' + 366)"
    ),
    "TIME_TO_SEC": _time_to_sec,
    "SEC_TO_TIME": lambda r, call, _: Piece(
        f"{r.number(call.arguments[0]).operand} * INTERVAL '1 SECOND'", "time", is_atomic=False
    ),
    "YEARWEEK": _yearweek,
    "TIMEDIFF": _timediff,
    "CONVERT_TZ": _convert_tz,
    "STR_TO_DATE": _str_to_date,
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
