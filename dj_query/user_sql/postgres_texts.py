"""Texts: MySQL's functions in PostgreSQL's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_query.user_sql.kinds import Kind, Piece
from dj_query.user_sql.postgres_numbers import NUMBERS
from dj_query.user_sql.server import Call
from dj_query.user_sql.translation import Translation
from dj_schema.errors import QuerySyntaxError

if TYPE_CHECKING:
    from dj_query.user_sql.postgres import PostgresRenderer


def _texts(r: PostgresRenderer, call: Call) -> list[str]:
    return [r.text(part).operand for part in call.arguments]


def _concat(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    parts = [f"CAST({part} AS TEXT)" if part == "NULL" else part for part in _texts(r, call)]
    return Piece(" || ".join(parts), "string", is_atomic=len(parts) == 1)


def _text_call(name: str) -> Translation:
    return lambda r, call, kind: Piece(f"{name}({', '.join(r.text(a).sql for a in call.arguments)})", kind)


def _n_bytes(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    part = call.arguments[0]
    return Piece(f"OCTET_LENGTH({part.sql if part.kind == 'bytes' else r.text(part).sql})", kind)


def _ascii(r: PostgresRenderer, call: Call, kind: Kind) -> Piece:
    """The first byte, not the first character."""
    text = r.text(call.arguments[0]).operand
    first = f"GET_BYTE(CONVERT_TO(LEFT({text}, 1), 'UTF8'), 0)"
    return Piece(f"CASE WHEN {text} = '' THEN 0 ELSE {first} END", kind)


def _regexp_replace(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    return Piece(f"REGEXP_REPLACE({', '.join(_texts(r, call))}, 'g')", "string")  # every match


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
    return Piece(
        f"CASE WHEN {empty} THEN LEFT({text}, 0) ELSE SUBSTRING({text} FROM {place}{size}) END", "string"
    )


def _insert(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    text, new = (r.text(call.arguments[i]).operand for i in (0, 3))
    at, count = (f"CAST({r.number(call.arguments[i]).sql} AS INT)" for i in (1, 2))
    length = f"CHAR_LENGTH({text})"
    rest = f"CASE WHEN {count} < 0 OR {at} + {count} > {length} THEN {length} + 1 ELSE {at} + {count} END"
    changed = f"LEFT({text}, {at} - 1) || {new} || SUBSTRING({text} FROM {rest})"
    return Piece(
        f"CASE WHEN {new} IS NULL OR {count} IS NULL THEN NULL WHEN {at} < 1 OR {at} > {length} THEN {text} "
        f"ELSE {changed} END",
        "string",
    )


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


def _sha1(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    raise QuerySyntaxError(f"{call.name} cannot be done on PostgreSQL. Use MD5(text) or SHA2(text, 256).")


def _format(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    digits = str(call.arguments[1].constant)
    if not digits.isdigit() or int(digits) > 30:
        raise QuerySyntaxError("FORMAT needs its digits after the point written out, from 0 to 30.")
    pattern = "FM" + "999," * 20 + "990" + ("." + "0" * int(digits) if int(digits) else "")
    number = r.number(call.arguments[0])
    if number.kind == "float":  # whose halves MySQL rounds to even
        number = NUMBERS["ROUND"](r, Call("ROUND", call.arguments), "float")
    return Piece(f"TO_CHAR(ROUND(CAST({number.sql} AS NUMERIC), {digits}), '{pattern}')", "string")


def _bytes(r: PostgresRenderer, piece: Piece) -> str:
    return piece.sql if piece.kind == "bytes" else f"CONVERT_TO({r.text(piece).sql}, 'UTF8')"


def _unhex(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    text = r.text(call.arguments[0]).operand
    digits = f"REPEAT('0', CHAR_LENGTH({text}) % 2) || {text}"  # an odd one stands for a byte of its own
    return Piece(f"CASE WHEN {text} ~ '^[0-9A-Fa-f]*$' THEN DECODE({digits}, 'hex') END", "bytes")


def _from_base64(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    text = r.text(call.arguments[0]).operand
    is_sound = f"{text} ~ '^[A-Za-z0-9+/[:space:]]*=?=?[[:space:]]*$'"
    return Piece(f"CASE WHEN {is_sound} THEN DECODE({text}, 'base64') END", "bytes")


def _char(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    """Characters by their bytes in UTF-8, several of them in one number; NULL is passed over."""
    parts = []
    for part in call.arguments:
        digits = f"TO_HEX(CAST({r.number(part).sql} AS BIGINT))"
        parts.append(f"REPEAT('0', CHAR_LENGTH({digits}) % 2) || {digits}")
    return Piece(f"CONVERT_FROM(DECODE(CONCAT({', '.join(parts)}), 'hex'), 'UTF8')", "string")


def _substring_index(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    text, mark = _texts(r, call)[:2]
    n, count = call.arguments[2].constant, r.number(call.arguments[2]).operand
    if not call.arguments[1].constant:  # nothing is before or after an empty mark
        text = f"CASE WHEN {mark} = '' THEN LEFT({text}, 0) ELSE {text} END"
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


TEXTS: dict[str, Translation] = {
    "CONCAT": _concat,
    "CONCAT_WS": _text_call("CONCAT_WS"),
    **{name: _text_call("UPPER") for name in ("UPPER", "UCASE")},
    **{name: _text_call("LOWER") for name in ("LOWER", "LCASE")},
    **{name: _text_call(name) for name in ("LTRIM", "RTRIM", "REVERSE", "MD5", "REPLACE", "BIT_LENGTH")},
    "ASCII": _ascii,
    "REGEXP_REPLACE": _regexp_replace,
    **dict.fromkeys(("LENGTH", "OCTET_LENGTH"), _n_bytes),
    **{name: _text_call("CHAR_LENGTH") for name in ("CHAR_LENGTH", "CHARACTER_LENGTH")},
    **{name: _text_and_count(name) for name in ("LEFT", "RIGHT", "REPEAT", "LPAD", "RPAD")},
    "SPACE": lambda r, call, _: Piece(
        f"REPEAT(' ', CAST({r.number(call.arguments[0]).sql} AS INT))", "string"
    ),
    **dict.fromkeys(("SUBSTR", "MID"), _substring),
    "INSERT": _insert,
    "LOCATE": _locate,
    "INSTR": _instr,
    "HEX": _hex,
    "SHA2": _sha2,
    **dict.fromkeys(("SHA1", "SHA"), _sha1),
    "FORMAT": _format,
    "UNHEX": _unhex,
    "TO_BASE64": lambda r, call, _: Piece(f"ENCODE({_bytes(r, call.arguments[0])}, 'base64')", "string"),
    "FROM_BASE64": _from_base64,
    "UUID": lambda r, call, _: Piece("CAST(GEN_RANDOM_UUID() AS TEXT)", "string"),
    "CHAR": _char,
    "SUBSTRING_INDEX": _substring_index,
    "FIELD": _field,
    "ELT": _elt,
    "STRCMP": _strcmp,
    "FIND_IN_SET": _find_in_set,
}
