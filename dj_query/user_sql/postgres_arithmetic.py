"""Arithmetic of user SQL on PostgreSQL, with the types, places and bits that MySQL computes in."""

from __future__ import annotations

from dataclasses import replace

from dj_query.user_sql.kinds import Kind, Piece, joint_kind
from dj_query.user_sql.render import Renderer

_TWO_TO_63 = "9223372036854775808"
_TWO_TO_64 = "18446744073709551616"


class PostgresArithmetic(Renderer):
    """Renders operators on numbers and bits."""

    def finished(self, piece: Piece) -> Piece:
        if piece.is_bits:
            sql = f"MOD(CAST({piece.sql} AS NUMERIC) + {_TWO_TO_64}, {_TWO_TO_64})"
            return replace(piece, sql=sql, is_bits=False, is_atomic=True, n_unsigned_bits=64)
        if piece.scale is None:
            return piece
        return replace(piece, sql=f"ROUND({piece.sql}, {piece.scale})", scale=None, is_atomic=True)

    def operation(self, operator: str, left: Piece, right: Piece) -> Piece:
        if operator in ("&", "|", "^", "<<", ">>"):
            return self._bit_operation(operator, left, right)
        left, right = (self.finished(side) if side.is_bits else side for side in (left, right))
        kind = joint_kind([left, right])
        if kind == "unknown":
            divisor = f"NULLIF({right.sql}, 0)" if operator in ("/", "%", "DIV") else right.operand
            return Piece(f"{left.operand} {operator.replace('DIV', '/')} {divisor}", kind, is_atomic=False)
        if operator in ("/", "%", "DIV"):
            return self._division(operator, left, right, kind)
        if "float" in (left.kind, right.kind):
            sql = f"{self._as_double(left, right)} {operator} {right.operand}"
            return Piece(sql, "float", is_atomic=False)
        scale = self._joint_scale(operator, left, right)
        is_huge = kind == "int" and _is_huge(operator, left, right)
        first = f"CAST({left.sql} AS NUMERIC)" if is_huge else _wide(left)
        return Piece(
            f"{first} {operator} {right.operand}",
            kind,
            is_atomic=False,
            is_wide=True,
            scale=scale,
            n_unsigned_bits=64 if is_huge else 0,
        )

    def _bit_operation(self, operator: str, left: Piece, right: Piece) -> Piece:
        if operator == ">>":  # of the unsigned number, so that no sign comes in from the left
            unsigned = self.finished(replace(self.bits(left), is_bits=True)).sql
            return Piece(f"DIV({unsigned}, POWER(CAST(2 AS NUMERIC), {right.sql}))", "int", is_wide=True)
        amount = f"CAST({right.sql} AS INT)" if operator == "<<" else self.bits(right).operand
        sql = f"{self.bits(left).operand} {operator.replace('^', '#')} {amount}"
        return Piece(sql, "int", is_atomic=False, is_wide=True, is_bits=True)

    def bits(self, piece: Piece) -> Piece:
        """Return a piece as the 64 bits that operators on bits take."""
        if piece.n_unsigned_bits == 64 and not piece.is_bits:
            signed = f"CASE WHEN {piece.operand} >= {_TWO_TO_63} THEN {piece.operand} - {_TWO_TO_64}"
            return Piece(f"CAST({signed} ELSE {piece.sql} END AS BIGINT)", "int")
        return piece if piece.is_bits else Piece(f"CAST({piece.sql} AS BIGINT)", "int")

    def inverted(self, piece: Piece) -> Piece:
        return Piece(f"~{self.bits(piece).operand}", "int", is_atomic=False, is_wide=True, is_bits=True)

    def _as_double(self, left: Piece, right: Piece) -> str:
        # Two REALs would stay REAL, where MySQL computes every float in double precision.
        is_single = left.kind == "float" and left.constant is None and not left.is_wide
        is_exact = left.kind == "decimal" and right.constant is not None
        return f"CAST({left.sql} AS DOUBLE PRECISION)" if is_single or is_exact else left.operand

    def _division(self, operator: str, left: Piece, right: Piece, kind: Kind) -> Piece:
        divisor = f"NULLIF({right.sql}, 0)" if right.constant in (None, "0") else right.operand
        if operator == "/" and kind == "float":
            return Piece(
                f"CAST({left.sql} AS DOUBLE PRECISION) / {divisor}", "float", is_atomic=False, is_wide=True
            )
        if operator == "/":
            places = _plus(self._scale(left), 4)
            # a quotient has the places of what is divided, or 16 digits: too few for what is large
            quotient = f"ROUND(CAST({left.sql} AS NUMERIC), {places}) / {divisor}"
            return Piece(f"ROUND({quotient}, {places})", "decimal", is_wide=True)
        if kind == "int" and _is_huge(operator, left, right):
            name = "DIV" if operator == "DIV" else "MOD"
            return Piece(f"{name}({left.sql}, {divisor})", "int", is_wide=True, n_unsigned_bits=64)
        if kind == "int" or kind == "bool":
            shown = "/" if operator == "DIV" else "%"
            return Piece(f"{_wide(left)} {shown} {divisor}", "int", is_atomic=False, is_wide=True)
        exact = f"CAST({left.sql} AS NUMERIC)", f"CAST({divisor} AS NUMERIC)"
        if operator == "DIV":
            return Piece(f"CAST(TRUNC({exact[0]} / {exact[1]}) AS BIGINT)", "int", is_wide=True)
        rest = f"MOD({exact[0]}, {exact[1]})"
        return Piece(f"CAST({rest} AS DOUBLE PRECISION)" if kind == "float" else rest, kind, is_wide=True)

    def _scale(self, piece: Piece) -> str:
        """SQL for the decimal places of an exact number."""
        if piece.scale is not None:
            return piece.scale
        if isinstance(piece.constant, str):
            return str(len(piece.constant.partition(".")[2]))
        return f"SCALE({piece.sql})" if piece.kind == "decimal" else "0"

    def _joint_scale(self, operator: str, left: Piece, right: Piece) -> str | None:
        if left.scale is None and right.scale is None:
            return None
        scales = self._scale(left), self._scale(right)
        if all(scale.isdigit() for scale in scales):
            numbers = [int(scale) for scale in scales]
            return str(sum(numbers) if operator == "*" else max(numbers))
        return f"{scales[0]} + {scales[1]}" if operator == "*" else f"GREATEST({scales[0]}, {scales[1]})"


def _is_huge(operator: str, left: Piece, right: Piece) -> bool:
    """Say whether whole numbers may leave 64 bits where they do not on MySQL."""
    n_bits = left.n_unsigned_bits, right.n_unsigned_bits
    return 64 in n_bits or (operator == "*" and 0 not in n_bits)


def _wide(piece: Piece) -> str:
    """Make an integer 64 bits wide: MySQL computes with no less, PostgreSQL with the type of the column."""
    if piece.kind in ("int", "bool") and not piece.is_wide and piece.constant is None:
        return f"CAST({piece.sql} AS BIGINT)"
    return piece.operand


def _plus(scale: str, more: int) -> str:
    return str(int(scale) + more) if scale.isdigit() else f"{scale} + {more}"
