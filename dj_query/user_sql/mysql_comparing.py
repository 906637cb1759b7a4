"""Functions of MySQL and MariaDB that compare texts: to the last space, where theirs pass over those."""

from __future__ import annotations

from collections.abc import Callable

from dj_query.user_sql.kinds import Kind, Piece
from dj_query.user_sql.render import Renderer


def _field(r: Renderer, arguments: list[Piece], kind: Kind) -> Piece:
    needle, *others = arguments
    whens = (f"WHEN {r.compare('=', needle, other).sql} THEN {i}" for i, other in enumerate(others, 1))
    return Piece(f"CASE {' '.join(whens)} ELSE 0 END", kind)


def _nullif(r: Renderer, arguments: list[Piece], kind: Kind) -> Piece:
    left, right = arguments
    return Piece(f"CASE WHEN {r.compare('=', left, right).sql} THEN NULL ELSE {left.sql} END", kind)


def _strcmp(r: Renderer, arguments: list[Piece], kind: Kind) -> Piece:
    a, b = (r.text(part).sql for part in arguments)
    lengths = f"SIGN(CAST(CHAR_LENGTH({a}) AS SIGNED) - CAST(CHAR_LENGTH({b}) AS SIGNED))"
    return Piece(f"COALESCE(NULLIF(STRCMP({a}, {b}), 0), {lengths})", kind)


COMPARING: dict[str, Callable[[Renderer, list[Piece], Kind], Piece]] = {
    "FIELD": _field,
    "NULLIF": _nullif,
    "STRCMP": _strcmp,
}
