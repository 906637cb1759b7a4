"""Numbers and choices: MySQL's functions in PostgreSQL's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_query.user_sql.kinds import Kind, Piece
from dj_query.user_sql.translation import Translation

if TYPE_CHECKING:
    from dj_query.user_sql.postgres import PostgresRenderer
    from dj_query.user_sql.server import Call


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


NUMBERS: dict[str, Translation] = {
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
}
