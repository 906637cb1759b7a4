"""Numbers in other bases, and check sums: MySQL's functions in PostgreSQL's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_query.user_sql.kinds import Kind, Piece
from dj_query.user_sql.translation import Translation, whole
from dj_schema.errors import QuerySyntaxError

if TYPE_CHECKING:
    from dj_query.user_sql.postgres import PostgresRenderer
    from dj_query.user_sql.server import Call

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TWO_TO_63, _TWO_TO_64 = 2**63, 2**64
_POLYNOMIAL = 0xEDB88320  # of CRC-32, its bits in reverse
_ALL_ONES = 0xFFFFFFFF


def _base(piece: Piece) -> int:
    text = str(piece.constant)
    if not text.lstrip("-").isdigit() or not 2 <= abs(int(text)) <= 36:
        raise QuerySyntaxError(
            "CONV needs its bases written out: numbers from 2 to 36, or below zero for signs."
        )
    return int(text)


def _converted(text: str, source: int, target: int) -> Piece:
    """Digits of one base in another: of 64 bits, without a sign unless the target is below zero."""
    known = _DIGITS[: abs(source)]
    digits = f"SUBSTRING(UPPER({text}) FROM '^\\s*-?([{known}]*)')"
    place = f"POWER({abs(source)}::NUMERIC, CHAR_LENGTH({digits}) - i)"
    value = (
        f"(SELECT COALESCE(SUM((STRPOS('{_DIGITS}', SUBSTR({digits}, i, 1)) - 1) * {place}), 0) "
        f"FROM GENERATE_SERIES(1, CHAR_LENGTH({digits})) AS i)"
    )
    value = f"LEAST({value}, {_TWO_TO_64 - 1}) * CASE WHEN {text} ~ '^\\s*-' THEN -1 ELSE 1 END"
    if target > 0:
        value = f"MOD({value} + {_TWO_TO_64}, {_TWO_TO_64})"
    else:
        value = f"MOD({value} + {_TWO_TO_64 + _TWO_TO_63}, {_TWO_TO_64}) - {_TWO_TO_63}"
    power = f"POWER({abs(target)}::NUMERIC, i)"
    digit = f"SUBSTR('{_DIGITS}', CAST(MOD(DIV(ABS(v), {power}), {abs(target)}) AS INT) + 1, 1)"
    shown = (
        f"(SELECT MAX(CASE WHEN v < 0 THEN '-' ELSE '' END) || STRING_AGG({digit}, '' ORDER BY i DESC) "
        f"FROM (SELECT {value} AS v) AS given, GENERATE_SERIES(0, 63) AS i WHERE i = 0 OR ABS(v) >= {power})"
    )
    return Piece(f"CASE WHEN {text} IS NOT NULL THEN {shown} END", "string")


def _conv(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    text, source, target = call.arguments
    return _converted(r.text(text).operand, _base(source), _base(target))


def _in_base(base: int) -> Translation:
    return lambda r, call, _: _converted(r.text(call.arguments[0]).operand, 10, base)


def _crc32(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    text = f"CONVERT_TO({r.text(call.arguments[0]).sql}, 'UTF8')"
    byte = f"CASE WHEN i % 8 = 0 THEN v # GET_BYTE({text}, i / 8) ELSE v END"
    steps = (
        f"SELECT i + 1, CASE WHEN x & 1 = 1 THEN (x >> 1) # {_POLYNOMIAL} ELSE x >> 1 END "
        f"FROM (SELECT i, {byte} AS x FROM crc WHERE i < 8 * OCTET_LENGTH({text})) AS bits"
    )
    crc = f"WITH RECURSIVE crc(i, v) AS (SELECT 0, {_ALL_ONES}::BIGINT UNION ALL {steps})"
    found = f"({crc} SELECT v # {_ALL_ONES} FROM crc ORDER BY i DESC LIMIT 1)"
    return whole(f"CASE WHEN {text} IS NOT NULL THEN {found} END")


DIGITS: dict[str, Translation] = {
    "CONV": _conv,
    "BIN": _in_base(2),
    "OCT": _in_base(8),
    "CRC32": _crc32,
}
