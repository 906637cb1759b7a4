"""MySQL's functions in PostgreSQL's words, one entry a name; a name that is not here passes through."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dj_query.user_sql.kinds import Kind, Piece
from dj_query.user_sql.literals import postgres_string
from dj_schema.errors import QuerySyntaxError

if TYPE_CHECKING:
    from dj_query.user_sql.postgres import PostgresRenderer
    from dj_query.user_sql.render import Call

Translation = Callable[["PostgresRenderer", "Call", Kind], Piece]

_DATE_FORMATS = {
    "Y": "YYYY", "y": "YY", "m": "MM", "d": "DD", "H": "HH24", "h": "HH12", "I": "HH12", "i": "MI", "s": "SS",
    "S": "SS", "f": "US", "M": "FMMonth", "b": "Mon", "a": "Dy", "W": "FMDay", "j": "DDD", "e": "FMDD", "c": "FMMM",
    "k": "FMHH24", "l": "FMHH12", "p": "AM", "T": "HH24:MI:SS", "r": "HH12:MI:SS AM", "v": "IW", "x": "IYYY",
}  # fmt: skip


def _int(sql: str) -> Piece:
    return Piece(sql, "int", is_wide=True)


# -- dates --


def _moment(r: PostgresRenderer, piece: Piece) -> Piece:
    return r.as_moment(piece)


def _extract(field: str, *, add: int = 0) -> Translation:
    def translate(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
        value = f"EXTRACT({field} FROM {_moment(r, call.arguments[0]).sql})"
        if field == "SECOND":
            value = f"FLOOR({value})"
        return _int(f"CAST({value}{f' + {add}' if add > 0 else f' - {-add}' if add else ''} AS INT)")

    return translate


def _microsecond(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    return _int(f"CAST(EXTRACT(MICROSECONDS FROM {_moment(r, call.arguments[0]).sql}) AS INT) % 1000000")


def _week(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    mode = call.arguments[1].constant if len(call.arguments) > 1 else "0"
    moment = _moment(r, call.arguments[0]).sql
    if mode == "3":
        return _int(f"CAST(EXTRACT(WEEK FROM {moment}) AS INT)")
    if mode != "0":
        raise QuerySyntaxError(f"WEEK with mode {mode} cannot be done on PostgreSQL. Use mode 0 or 3.")
    # Weeks start on Sunday; the days before the first one are week 0.
    day = f"CAST(EXTRACT(DOY FROM {moment}) AS INT) - CAST(EXTRACT(DOW FROM {moment}) AS INT)"
    return _int(f"({day} + 6) / 7")


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
        return _int("CAST(FLOOR(EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP())) AS BIGINT)")
    return Piece(f"EXTRACT(EPOCH FROM {_moment(r, call.arguments[0]).sql})", "decimal")


def _from_unixtime(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    seconds = r.number(call.arguments[0])
    moment = Piece(f"(TO_TIMESTAMP({seconds.sql}) AT TIME ZONE 'UTC')", "datetime")
    return date_format(moment, call.arguments[1]) if len(call.arguments) > 1 else moment


# -- texts --


def _texts(r: PostgresRenderer, call: Call) -> list[str]:
    return [r.text(part).operand for part in call.arguments]


def _concat(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    parts = [f"CAST({part} AS TEXT)" if part == "NULL" else part for part in _texts(r, call)]
    return Piece(" || ".join(parts), "string", is_atomic=len(parts) == 1)


def _text_call(name: str) -> Translation:
    return lambda r, call, kind: Piece(f"{name}({', '.join(r.text(a).sql for a in call.arguments)})", kind)


def _text_and_count(name: str) -> Translation:
    def translate(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
        text, count, *more = call.arguments
        n = (
            count.sql
            if count.constant and not count.sql.startswith("-")
            else f"GREATEST({r.number(count).sql}, 0)"
        )
        n = n if count.constant else f"CAST({n} AS INT)"
        return Piece(f"{name}({', '.join([r.text(text).sql, n, *(r.text(a).sql for a in more)])})", "string")

    return translate


def _substring(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    text = r.text(call.arguments[0]).operand
    start = r.number(call.arguments[1])
    size = ""
    if len(call.arguments) > 2:
        count = r.number(call.arguments[2])
        size = f" FOR {count.sql}" if count.constant and not count.sql.startswith("-") else ""
        size = size or f" FOR GREATEST(CAST({count.sql} AS INT), 0)"
    if isinstance(start.constant, str) and start.constant.isdigit() and start.constant != "0":
        return Piece(f"SUBSTRING({text} FROM {start.sql}{size})", "string")
    at = f"CAST({start.sql} AS INT)"
    length = f"CHAR_LENGTH({text})"
    place = f"CASE WHEN {at} < 0 THEN {length} + 1 + {at} ELSE {at} END"
    empty = f"{at} = 0 OR {at} < -{length}"
    return Piece(f"CASE WHEN {empty} THEN '' ELSE SUBSTRING({text} FROM {place}{size}) END", "string")


def _locate(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    needle, text = _texts(r, call)[:2]
    if len(call.arguments) == 2:
        return Piece(f"STRPOS({text}, {needle})", "int")
    start = r.number(call.arguments[2]).operand
    found = f"STRPOS(SUBSTRING({text} FROM {start}), {needle})"
    return Piece(f"CASE WHEN {found} > 0 THEN {found} + {start} - 1 ELSE {found} END", "int")


def _instr(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    text, needle = _texts(r, call)
    return Piece(f"STRPOS({text}, {needle})", "int")


def _hex(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    part = call.arguments[0]
    if part.kind in ("int", "bool"):
        return Piece(f"UPPER(TO_HEX(CAST({r.number(part).sql} AS BIGINT)))", "string")
    raw = {"bytes": part.sql, "uuid": f"UUID_SEND({part.sql})"}.get(part.kind)
    raw = raw or f"CONVERT_TO({r.text(part).sql}, 'UTF8')"
    return Piece(f"UPPER(ENCODE({raw}, 'hex'))", "string")


def _sha2(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    size = {"0": "256"}.get(str(call.arguments[1].constant), str(call.arguments[1].constant))
    if size not in ("224", "256", "384", "512"):
        raise QuerySyntaxError("SHA2 takes 224, 256, 384 or 512 as its second argument.")
    return Piece(f"ENCODE(SHA{size}(CONVERT_TO({r.text(call.arguments[0]).sql}, 'UTF8')), 'hex')", "string")


def _substring_index(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    text, mark = _texts(r, call)[:2]
    n, count = call.arguments[2].constant, r.number(call.arguments[2]).operand
    parts = f"STRING_TO_ARRAY({text}, {mark})"
    length = f"CARDINALITY({parts})"
    last = f"({parts})[GREATEST({length} + 1 + {count}, 1):{length}]"
    first = f"({parts})[1:{count}]"
    if isinstance(n, str):
        return Piece(f"ARRAY_TO_STRING({last if n.startswith('-') else first}, {mark})", "string")
    return Piece(f"ARRAY_TO_STRING(CASE WHEN {count} < 0 THEN {last} ELSE {first} END, {mark})", "string")


def _field(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    needle, *others = call.arguments
    whens = " ".join(
        f"WHEN {r.compare('=', needle, other).sql} THEN {i}" for i, other in enumerate(others, 1)
    )
    return Piece(f"CASE {whens} ELSE 0 END", "int")


def _elt(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    n, *texts = call.arguments
    whens = " ".join(f"WHEN {i} THEN {r.text(text).sql}" for i, text in enumerate(texts, 1))
    return Piece(f"CASE {r.number(n).sql} {whens} END", "string")


def _strcmp(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    a, b = _texts(r, call)
    return Piece(f"CASE WHEN {a} < {b} THEN -1 WHEN {a} > {b} THEN 1 WHEN {a} = {b} THEN 0 END", "int")


def _find_in_set(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    needle, texts = _texts(r, call)
    found = f"COALESCE(ARRAY_POSITION(STRING_TO_ARRAY({texts}, ','), {needle}), 0)"
    return Piece(f"CASE WHEN {needle} IS NOT NULL AND {texts} IS NOT NULL THEN {found} END", "int")


# -- numbers --


def _float_call(name: str, domain: str = "") -> Translation:
    """A function of doubles; outside of its domain MySQL gives NULL where PostgreSQL gives an error."""

    def translate(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
        parts = [r.as_float(part) for part in call.arguments]
        if domain:
            parts[0] = f"CASE WHEN {parts[0]} {domain} THEN {parts[0]} END"
        return Piece(f"{name}({', '.join(parts)})", "float", is_wide=True)

    return translate


def _logarithm(base: str | None) -> Translation:
    def translate(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
        *bases, value = [r.as_float(part) for part in call.arguments]
        positive = f"LN(CASE WHEN {value} > 0 THEN {value} END)"
        if base == "10":
            return Piece(f"LOG(CASE WHEN {value} > 0 THEN {value} END)", "float", is_wide=True)
        if bases or base:
            divisor = (
                f"LN(CASE WHEN {bases[0]} > 0 THEN {bases[0]} END)"
                if bases
                else f"LN(CAST({base} AS FLOAT8))"
            )
            return Piece(f"{positive} / NULLIF({divisor}, 0)", "float", is_atomic=False, is_wide=True)
        return Piece(positive, "float", is_wide=True)

    return translate


def _round(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    value = r.number(call.arguments[0])
    digits = r.number(call.arguments[1]) if len(call.arguments) > 1 else None
    if value.kind != "float":
        second = (
            f", CAST({digits.sql} AS INT)"
            if digits and not digits.constant
            else f", {digits.sql}"
            if digits
            else ""
        )
        numeric = f"CAST({value.sql} AS NUMERIC)" if value.kind != "decimal" else value.sql
        return Piece(f"ROUND({numeric}{second})", kind)
    double = f"CAST({value.sql} AS DOUBLE PRECISION)"
    if digits is None:
        return Piece(f"ROUND({double})", "float", is_wide=True)
    # The arithmetic of MySQL, for ROUND(x, n) of PostgreSQL knows no doubles and rounds ties otherwise.
    power = f"POWER(CAST(10 AS DOUBLE PRECISION), ABS({digits.sql}))"
    if digits.constant:
        up, down = ("/", "*") if digits.sql.startswith("-") else ("*", "/")
        return Piece(f"(ROUND({double} {up} {power}) {down} {power})", "float", is_wide=True)
    above, below = f"ROUND({double} * {power}) / {power}", f"ROUND({double} / {power}) * {power}"
    return Piece(f"CASE WHEN {digits.sql} < 0 THEN {below} ELSE {above} END", "float", is_wide=True)


def _truncate(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    value, digits = r.number(call.arguments[0]), r.number(call.arguments[1])
    sql = f"TRUNC(CAST({value.sql} AS NUMERIC), CAST({digits.sql} AS INT))"
    return Piece(f"CAST({sql} AS DOUBLE PRECISION)" if value.kind == "float" else sql, kind, is_wide=True)


def _number_call(name: str) -> Translation:
    return lambda r, call, kind: Piece(f"{name}({r.number(call.arguments[0]).sql})", kind)


def _mod(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    return r.operation("%", r.number(call.arguments[0]), r.number(call.arguments[1]))


def _least(name: str) -> Translation:
    def translate(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
        parts = r.unified(call.arguments, kind)
        nulls = " OR ".join(
            f"{part.operand} IS NULL" for part in parts if part.is_nullable and part.constant is None
        )
        sql = f"{name}({', '.join(part.sql for part in parts)})"
        return Piece(f"CASE WHEN NOT ({nulls}) THEN {sql} END" if nulls else sql, kind)

    return translate


def _bit_count(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    return Piece(f"BIT_COUNT(CAST(CAST({r.number(call.arguments[0]).sql} AS BIGINT) AS BIT(64)))", "int")


# -- choices --


def _coalesce(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    parts = ", ".join(part.sql for part in r.unified(call.arguments, kind))
    return Piece(f"COALESCE({parts})", kind, is_nullable=all(part.is_nullable for part in call.arguments))


def _nullif(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    left, right = r.aligned(*call.arguments)
    if left.sql == call.arguments[0].sql:
        return Piece(f"NULLIF({left.sql}, {right.sql})", kind)
    return Piece(
        f"CASE WHEN {left.operand} = {right.operand} THEN NULL ELSE {call.arguments[0].sql} END", kind
    )


def _isnull(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    return Piece(f"{call.arguments[0].operand} IS NULL", "bool", is_atomic=False, is_nullable=False)


# -- aggregates and windows --


def _count(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    inner = ", ".join(part.sql for part in call.arguments)
    if not call.is_distinct:
        return _int(f"COUNT({inner}){call.over}")
    if len(call.arguments) == 1:
        return _int(f"COUNT(DISTINCT {inner}){call.over}")
    present = " AND ".join(f"{part.operand} IS NOT NULL" for part in call.arguments)
    return _int(f"COUNT(DISTINCT ({inner})) FILTER (WHERE {present})")


def _argument(r: PostgresRenderer, call: Call) -> tuple[str, Piece]:
    part = r.number(call.arguments[0])
    sql = f"CAST({part.sql} AS DOUBLE PRECISION)" if part.kind == "float" else part.sql
    return ("DISTINCT " if call.is_distinct else "") + sql, part


def _sum(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    inner, part = _argument(r, call)
    return Piece(f"SUM({inner}){call.over}", "int" if part.kind == "bool" else part.kind, is_wide=True)


def _avg(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    inner, part = _argument(r, call)
    sql = f"AVG({inner}){call.over}"
    if part.kind in ("float", "unknown"):
        return Piece(sql, part.kind, is_wide=True)
    scale = f"MAX(SCALE({part.sql})){call.over} + 4" if part.kind == "decimal" else "4"
    return Piece(sql, "decimal", scale=scale)


def _spread(name: str) -> Translation:
    def translate(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
        distinct = "DISTINCT " if call.is_distinct else ""
        return Piece(f"{name}({distinct}{r.as_float(call.arguments[0])}){call.over}", "float", is_wide=True)

    return translate


def _extreme(name: str) -> Translation:
    def translate(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
        part = call.arguments[0]
        part = (
            r.numeric(part)
            if part.kind == "bool"
            else r.text(part)
            if part.kind in ("enum", "uuid")
            else part
        )
        return Piece(f"{name}({part.sql}){call.over}", "int" if kind == "bool" else kind)

    return translate


def _any_value(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    return Piece(f"(ARRAY_AGG({call.arguments[0].sql}){call.over})[1]", kind)


# MySQL gives 0, and all ones, over no rows; PostgreSQL NULL.
def _bits(name: str, empty: str) -> Translation:
    def translate(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
        value = f"{name}(CAST({r.number(call.arguments[0]).sql} AS BIGINT)){call.over}"
        return Piece(f"COALESCE({value}, {empty})", "int", is_wide=True, is_bits=True)

    return translate


# -- JSON --


def _json(r: PostgresRenderer, piece: Piece) -> str:
    return piece.operand if piece.kind in ("json", "unknown") else f"CAST({piece.sql} AS JSONB)"


def _json_length(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    document = call.arguments[0]
    if len(call.arguments) > 1:
        document = r.json_at(document, str(call.arguments[1].constant), as_text=False)
    sql = _json(r, document)
    keys = f"(SELECT COUNT(*) FROM JSONB_OBJECT_KEYS({sql}))"
    cases = f"WHEN 'array' THEN JSONB_ARRAY_LENGTH({sql}) WHEN 'object' THEN {keys}"
    return _int(f"CASE JSONB_TYPEOF({sql}) {cases} ELSE CHAR_LENGTH(LEFT(CAST({sql} AS TEXT), 1)) END")


def _json_contains(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    document = call.arguments[0]
    if len(call.arguments) > 2:
        document = r.json_at(document, str(call.arguments[2].constant), as_text=False)
    return Piece(f"{_json(r, document)} @> {_json(r, call.arguments[1])}", "bool", is_atomic=False)


def _json_type(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    sql = _json(r, call.arguments[0])
    number = f"CASE WHEN CAST({sql} AS TEXT) ~ '^-?[0-9]+$' THEN 'INTEGER' ELSE 'DOUBLE' END"
    return Piece(
        f"CASE JSONB_TYPEOF({sql}) WHEN 'number' THEN {number} ELSE UPPER(JSONB_TYPEOF({sql})) END", "string"
    )


def _json_build(name: str) -> Translation:
    return lambda r, call, kind: Piece(
        f"{name}({', '.join(a.sql for a in call.arguments)}){call.over}", "json"
    )


def _no_translation(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    raise QuerySyntaxError(f"{call.name} cannot be done on PostgreSQL.")


TRANSLATIONS: dict[str, Translation] = {
    **{name: _extract(name) for name in ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "QUARTER")},
    "DAYOFMONTH": _extract("DAY"),
    "DAYOFWEEK": _extract("DOW", add=1),
    "WEEKDAY": _extract("ISODOW", add=-1),
    "DAYOFYEAR": _extract("DOY"),
    "WEEKOFYEAR": _extract("WEEK"),
    "MICROSECOND": _microsecond,
    "WEEK": _week,
    "TO_DAYS": lambda r, call, _: _int(
        f"(CAST({_moment(r, call.arguments[0]).sql} AS DATE) - DATE '0001-01-01' + 366)"
    ),
    "TIME_TO_SEC": lambda r, call, _: _int(
        f"CAST(EXTRACT(EPOCH FROM CAST({call.arguments[0].sql} AS TIME)) AS INT)"
    ),
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
    "CONCAT": _concat,
    "CONCAT_WS": _text_call("CONCAT_WS"),
    **{name: _text_call("UPPER") for name in ("UPPER", "UCASE")},
    **{name: _text_call("LOWER") for name in ("LOWER", "LCASE")},
    **{
        name: _text_call(name)
        for name in ("LTRIM", "RTRIM", "REVERSE", "MD5", "REPLACE", "BIT_LENGTH", "ASCII")
    },
    **{name: _text_call("OCTET_LENGTH") for name in ("LENGTH", "OCTET_LENGTH")},
    **{name: _text_call("CHAR_LENGTH") for name in ("CHAR_LENGTH", "CHARACTER_LENGTH")},
    **{name: _text_and_count(name) for name in ("LEFT", "RIGHT", "REPEAT", "LPAD", "RPAD")},
    "SPACE": lambda r, call, _: Piece(
        f"REPEAT(' ', CAST({r.number(call.arguments[0]).sql} AS INT))", "string"
    ),
    **dict.fromkeys(("SUBSTR", "MID"), _substring),
    "LOCATE": _locate,
    "INSTR": _instr,
    "HEX": _hex,
    "SHA2": _sha2,
    "SUBSTRING_INDEX": _substring_index,
    "FIELD": _field,
    "ELT": _elt,
    "STRCMP": _strcmp,
    "FIND_IN_SET": _find_in_set,
    "SQRT": _float_call("SQRT", ">= 0"),
    **{name: _float_call(name, "BETWEEN -1 AND 1") for name in ("ASIN", "ACOS")},
    **{
        name: _float_call(name) for name in ("EXP", "SIN", "COS", "TAN", "COT", "DEGREES", "RADIANS", "ATAN2")
    },
    "ATAN": lambda r, call, kind: _float_call("ATAN" if len(call.arguments) == 1 else "ATAN2")(r, call, kind),
    **{name: _float_call("POWER") for name in ("POW", "POWER")},
    "LN": _logarithm(None),
    "LOG": _logarithm(None),
    "LOG2": _logarithm("2"),
    "LOG10": _logarithm("10"),
    "PI": lambda r, call, kind: Piece("PI()", "float", is_wide=True),
    "RAND": lambda r, call, kind: Piece("RANDOM()", "float", is_wide=True),
    "ROUND": _round,
    "TRUNCATE": _truncate,
    "ABS": _number_call("ABS"),
    "FLOOR": _number_call("FLOOR"),
    "CEIL": _number_call("CEIL"),
    "CEILING": _number_call("CEIL"),
    "SIGN": _number_call("SIGN"),
    "MOD": _mod,
    "LEAST": _least("LEAST"),
    "GREATEST": _least("GREATEST"),
    "BIT_COUNT": _bit_count,
    "IFNULL": _coalesce,
    "COALESCE": _coalesce,
    "NULLIF": _nullif,
    "ISNULL": _isnull,
    "COUNT": _count,
    "SUM": _sum,
    "AVG": _avg,
    "MIN": _extreme("MIN"),
    "MAX": _extreme("MAX"),
    "ANY_VALUE": _any_value,
    **{name: _spread("STDDEV_POP") for name in ("STD", "STDDEV", "STDDEV_POP")},
    **{name: _spread("VAR_POP") for name in ("VARIANCE", "VAR_POP")},
    "STDDEV_SAMP": _spread("STDDEV_SAMP"),
    "VAR_SAMP": _spread("VAR_SAMP"),
    "BIT_AND": _bits("BIT_AND", "-1"),
    "BIT_OR": _bits("BIT_OR", "0"),
    "BIT_XOR": _bits("BIT_XOR", "0"),
    "JSON_LENGTH": _json_length,
    "JSON_CONTAINS": _json_contains,
    "JSON_TYPE": _json_type,
    "JSON_KEYS": _no_translation,
    "JSON_ARRAY": _json_build("JSONB_BUILD_ARRAY"),
    "JSON_OBJECT": _json_build("JSONB_BUILD_OBJECT"),
    "JSON_ARRAYAGG": _json_build("JSONB_AGG"),
    "JSON_OBJECTAGG": _json_build("JSONB_OBJECT_AGG"),
}
