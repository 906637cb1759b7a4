"""JSON: MySQL's paths and functions in PostgreSQL's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dj_query.user_sql.json_values import Found
from dj_query.user_sql.kinds import MOMENTS, TEXTS, Kind, Piece
from dj_query.user_sql.literals import postgres_string
from dj_query.user_sql.translation import Translation, whole
from dj_schema.errors import QuerySyntaxError

if TYPE_CHECKING:
    from dj_query.user_sql.postgres import PostgresRenderer
    from dj_query.user_sql.server import Call

_STEP = re.compile(r'\.\s*(?:"((?:[^"\\]|\\.)*)"|([^\W\d][\w$]*))|\[\s*(\d+|last(?:\s*-\s*\d+)?)\s*\]')


def json_steps(path: str) -> list[str]:
    """Return the elements of a PostgreSQL path array for a MySQL path such as ``$.lights[0].side``."""
    if not path.startswith("$"):
        raise QuerySyntaxError(f"The path {path!r} into JSON does not start with $. Write it as '$.length'.")
    steps, at = [], 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise QuerySyntaxError(f"The path {path!r} into JSON is not understood from {path[at:]!r} on.")
        quoted, plain, index = match.groups()
        if index is not None:
            back = index.replace(" ", "").removeprefix("last")
            steps.append(index if index.isdigit() else str(int(back or 0) - 1))
        else:
            name = plain if plain is not None else re.sub(r"\\(.)", r"\1", quoted)
            steps.append('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"')
        at = match.end()
    return steps


def json_found(r: PostgresRenderer, document: str, text: str) -> Found:
    """Return what there is to know of the value at a path, given as document and as text."""

    def cast(sql: str, target: str, sizes: list[str]) -> str:
        if target in ("SIGNED", "UNSIGNED"):  # a number, and one of 64 bits
            return f"CAST({sql} AS BIGINT)" if target == "SIGNED" else sql
        if target == "DOUBLE":
            return f"CAST({sql} AS DOUBLE PRECISION)"
        kind: Kind = "decimal" if target == "DECIMAL" else "string"
        return r.cast_to(Piece(sql, kind), target, sizes).sql

    return Found(
        text,
        is_number=f"JSONB_TYPEOF({document}) = 'number'",
        is_bool=f"JSONB_TYPEOF({document}) = 'boolean'",
        exact=f"CAST({text} AS NUMERIC)",
        matches=lambda pattern: f"{text} ~ {postgres_string(pattern)}",
        cast=cast,
    )


def _json(r: PostgresRenderer, piece: Piece) -> str:
    return piece.operand if piece.kind in ("json", "unknown") else f"CAST({piece.sql} AS JSONB)"


def _json_length(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    document = call.arguments[0]
    if len(call.arguments) > 1:
        document = r.json_at(document, str(call.arguments[1].constant), as_text=False)
    sql = _json(r, document)
    keys = f"(SELECT COUNT(*) FROM JSONB_OBJECT_KEYS({sql}))"
    cases = f"WHEN 'array' THEN JSONB_ARRAY_LENGTH({sql}) WHEN 'object' THEN {keys}"
    return whole(f"CASE JSONB_TYPEOF({sql}) {cases} ELSE CHAR_LENGTH(LEFT(CAST({sql} AS TEXT), 1)) END")


def _json_contains(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    document = call.arguments[0]
    if len(call.arguments) > 2:
        document = r.json_at(document, str(call.arguments[2].constant), as_text=False)
    return Piece(f"{_json(r, document)} @> {_json(r, call.arguments[1])}", "bool", is_atomic=False)


def _elements(sql: str) -> str:
    """The elements of an array; of anything else, itself alone."""
    array = f"CASE WHEN JSONB_TYPEOF({sql}) = 'array' THEN {sql} ELSE JSONB_BUILD_ARRAY({sql}) END"
    return f"JSONB_ARRAY_ELEMENTS({array})"


def member_of(r: PostgresRenderer, value: Piece, document: Piece) -> Piece:
    """Render MEMBER OF; NULL where either is."""
    sql, value = _json(r, document), r.unbooled(value)
    wanted = value.sql if value.kind == "json" else f"TO_JSONB({value.sql})"
    if value.kind in TEXTS:
        wanted = f"TO_JSONB({r.text(value).sql})"
        wanted = f"TO_JSONB(CAST({value.sql} AS TEXT))" if value.constant is not None else wanted
    found = f"EXISTS (SELECT 1 FROM {_elements(sql)} AS element WHERE element = {wanted})"
    return Piece(f"CASE WHEN {sql} IS NOT NULL AND {value.operand} IS NOT NULL THEN {found} END", "bool")


def _json_overlaps(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    a, b = (_json(r, part) for part in call.arguments)
    pairs = f"JSONB_EACH({a}) AS one JOIN JSONB_EACH({b}) AS other ON one = other"
    elements = f"{_elements(a)} AS one JOIN {_elements(b)} AS other ON one = other"
    both = " AND ".join(f"JSONB_TYPEOF({sql}) = 'object'" for sql in (a, b))
    return Piece(
        f"CASE WHEN {both} THEN EXISTS (SELECT 1 FROM {pairs}) "
        f"WHEN {a} IS NOT NULL AND {b} IS NOT NULL THEN EXISTS (SELECT 1 FROM {elements}) END",
        "bool",
    )


def _json_contains_path(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    document, mode, *paths = call.arguments
    word = str(mode.constant).lower()
    if word not in ("one", "all"):
        raise QuerySyntaxError("JSON_CONTAINS_PATH takes 'one' or 'all' before the paths.")
    if not all(path.is_text_constant for path in paths):
        raise QuerySyntaxError("JSON_CONTAINS_PATH needs its paths written out, such as '$.length'.")
    found = [
        f"{r.json_at(document, str(path.constant), as_text=False).operand} IS NOT NULL" for path in paths
    ]
    either = (" OR " if word == "one" else " AND ").join(found)
    return Piece(f"CASE WHEN {_json(r, document)} IS NOT NULL THEN {either} END", "bool")


def _json_type(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    sql = _json(r, call.arguments[0])
    number = f"CASE WHEN CAST({sql} AS TEXT) ~ '^-?[0-9]+$' THEN 'INTEGER' ELSE 'DOUBLE' END"
    return Piece(
        f"CASE JSONB_TYPEOF({sql}) WHEN 'number' THEN {number} ELSE UPPER(JSONB_TYPEOF({sql})) END", "string"
    )


def _json_keys(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    document = call.arguments[0]
    if len(call.arguments) > 1:
        document = r.json_at(document, str(call.arguments[1].constant), as_text=False)
    sql = _json(r, document)
    keys = f"(SELECT COALESCE(JSONB_AGG(key), '[]') FROM JSONB_OBJECT_KEYS({sql}) AS key)"
    return Piece(f"CASE WHEN JSONB_TYPEOF({sql}) = 'object' THEN {keys} END", "json")


def _inside(r: PostgresRenderer, piece: Piece) -> str:
    """A value as it goes into a document: a bool column is a number to MySQL, a moment a text."""
    if piece.kind == "bool" and piece.is_column:
        return r.numeric(piece).sql
    return r.text(piece).sql if piece.kind in MOMENTS or piece.kind in ("time", "uuid") else piece.sql


def _json_build(name: str) -> Translation:
    return lambda r, call, kind: Piece(
        f"{name}({', '.join(_inside(r, a) for a in call.arguments)}){call.over}", "json"
    )


def _array(path: Piece) -> str:
    if not path.is_text_constant or not (steps := json_steps(str(path.constant))):
        raise QuerySyntaxError("The path into JSON must be written out and lead into it, such as '$.length'.")
    return postgres_string("{" + ",".join(steps) + "}")


def _json_change(is_wanted: str, may_be_new: str = "TRUE") -> Translation:
    """JSON_SET and the like; `is_wanted` is a condition on ``{found}``, what is at the path already."""

    def translate(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
        document, *pairs = call.arguments
        if len(pairs) % 2:
            raise QuerySyntaxError(f"{call.name} takes a document, then paths and values in turn.")
        sql = _json(r, document)
        for path, value in zip(pairs[::2], pairs[1::2], strict=True):
            inside = f"CAST({value.sql} AS TEXT)" if value.is_text_constant else _inside(r, value)
            new = "'null'" if value.is_null else f"COALESCE(TO_JSONB({inside}), 'null')"
            changed = f"JSONB_SET({sql}, {_array(path)}, {new}, {may_be_new})"
            wanted = is_wanted.format(found=f"{sql} #> {_array(path)}")
            sql = f"CASE WHEN {wanted} THEN {changed} ELSE {sql} END" if wanted else changed
            sql = f"({sql})"
        return Piece(sql, "json")

    return translate


def _json_remove(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    document, *paths = call.arguments
    return Piece(" #- ".join([_json(r, document), *map(_array, paths)]), "json", is_atomic=False)


def _no_translation(r: PostgresRenderer, call: Call, _: Kind) -> Piece:
    raise QuerySyntaxError(f"{call.name} cannot be done on PostgreSQL.")


JSON: dict[str, Translation] = {
    "JSON_LENGTH": _json_length,
    "JSON_CONTAINS": _json_contains,
    "JSON_TYPE": _json_type,
    "JSON_OVERLAPS": _json_overlaps,
    "JSON_CONTAINS_PATH": _json_contains_path,
    "JSON_QUOTE": lambda r, call, _: Piece(
        f"CAST(TO_JSONB({r.text(call.arguments[0]).operand}::TEXT) AS TEXT)", "string"
    ),
    "JSON_KEYS": _json_keys,
    "JSON_SEARCH": _no_translation,
    "JSON_SET": _json_change(""),
    "JSON_INSERT": _json_change("{found} IS NULL"),
    "JSON_REPLACE": _json_change("", may_be_new="FALSE"),
    "JSON_REMOVE": _json_remove,
    "JSON_ARRAY": _json_build("JSONB_BUILD_ARRAY"),
    "JSON_OBJECT": _json_build("JSONB_BUILD_OBJECT"),
    "JSON_ARRAYAGG": _json_build("JSONB_AGG"),
    "JSON_OBJECTAGG": _json_build("JSONB_OBJECT_AGG"),
}
