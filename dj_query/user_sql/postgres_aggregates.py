"""Aggregates and windows: MySQL's functions in PostgreSQL's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_query.user_sql.kinds import Kind, Piece
from dj_query.user_sql.translation import Translation, whole

if TYPE_CHECKING:
    from dj_query.user_sql.postgres import PostgresRenderer
    from dj_query.user_sql.server import Call


def _count(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    inner = ", ".join(part.sql for part in call.arguments)
    if not call.is_distinct:
        return whole(f"COUNT({inner}){call.over}")
    if len(call.arguments) == 1:
        return whole(f"COUNT(DISTINCT {inner}){call.over}")
    present = " AND ".join(f"{part.operand} IS NOT NULL" for part in call.arguments)
    return whole(f"COUNT(DISTINCT ({inner})) FILTER (WHERE {present})")


def _argument(r: PostgresRenderer, call: Call) -> tuple[str, Piece]:
    part = r.number(call.arguments[0])
    sql = f"CAST({part.sql} AS DOUBLE PRECISION)" if part.kind == "float" else part.sql
    return ("DISTINCT " if call.is_distinct else "") + sql, part


def _sum(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    inner, part = _argument(r, call)
    return Piece(
        f"SUM({inner}){call.over}",
        "int" if part.kind == "bool" else part.kind,
        is_wide=True,
        n_unsigned_bits=64 if part.kind == "int" else 0,
    )


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
        sql = f"{name}({part.sql}){call.over}"
        if kind == "uuid":  # PostgreSQL has no largest one of its own; texts have the same order
            return Piece(f"CAST({sql} AS UUID)", kind)
        return Piece(sql, "int" if kind == "bool" else kind)

    return translate


def _any_value(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    return Piece(f"(ARRAY_AGG({call.arguments[0].sql}){call.over})[1]", kind)


# MySQL gives 0, and all ones, over no rows; PostgreSQL NULL.
def _bits(name: str, empty: str) -> Translation:
    def translate(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
        value = f"{name}(CAST({r.number(call.arguments[0]).sql} AS BIGINT)){call.over}"
        return Piece(f"COALESCE({value}, {empty})", "int", is_wide=True, is_bits=True)

    return translate


AGGREGATES: dict[str, Translation] = {
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
}
