"""User SQL for PostgreSQL: comparisons, casts and JSON. Arithmetic and functions have files of their own."""

from __future__ import annotations

from dataclasses import replace

from dj_query.user_sql.json_values import typed_value
from dj_query.user_sql.kinds import NUMBERS, TEXTS, Kind, Piece
from dj_query.user_sql.literals import is_number_text, postgres_string
from dj_query.user_sql.mysql import result_kind
from dj_query.user_sql.postgres_arithmetic import PostgresArithmetic
from dj_query.user_sql.postgres_functions import TRANSLATIONS
from dj_query.user_sql.postgres_json import json_found, json_steps, member_of
from dj_query.user_sql.server import CAST_KINDS, Call
from dj_query.user_sql.signatures import Signature
from dj_schema.errors import QuerySyntaxError

# What MySQL reads of a text as a number: the longest start that is one, else 0. The replacement puts
# a 0 between the sign and the digits, so that a text without digits becomes 0.
_NUMBER_PREFIX = postgres_string(r"^\s*(?:([+-]?)((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))?.*$")
_INTEGER_PREFIX = postgres_string(r"^\s*(?:([+-]?)([0-9]+))?.*$")
_SIGN_ZERO_DIGITS = postgres_string(r"\10\2")
_LONG_FLOAT = 1e15  # from which on MySQL writes exponents
_CAST_TYPES = {
    "SIGNED": "BIGINT",
    "CHAR": "TEXT",
    "DECIMAL": "NUMERIC",
    "DATE": "DATE",
    "DATETIME": "TIMESTAMP",
    "TIME": "TIME",
    "DOUBLE": "DOUBLE PRECISION",
    "JSON": "JSONB",
}


class PostgresRenderer(PostgresArithmetic):
    """PostgreSQL 14 and later."""

    def quote_name(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def quote_string(self, value: str) -> str:
        return postgres_string(value)

    def fitted_constant(self, value: str, kind: Kind) -> Piece:
        if kind == "uuid":
            sql = f"CAST('{value}' AS UUID)"
        elif kind == "bytes":
            sql = f"DECODE('{value.encode().hex()}', 'hex')"
        else:
            sql = {"date": "DATE", "datetime": "TIMESTAMP", "time": "TIME"}[kind] + f" '{value}'"
        return Piece(sql, kind, constant=value, is_nullable=False)

    # -- types --

    def matched(self, left: Piece, right: Piece) -> tuple[Piece, Piece]:
        kinds = {left.kind, right.kind}
        if len(kinds) == 1 or left.is_null or right.is_null or "unknown" in kinds:
            both_are_columns = left.is_column and right.is_column and kinds <= TEXTS
            return (self.text(left), self.text(right)) if both_are_columns else (left, right)
        if "json" in kinds:
            return self._json_matched(left, right), self._json_matched(right, left)
        if "bool" in kinds and kinds & NUMBERS - {"bool"}:
            return self._bool_matched(left, right)
        if kinds <= TEXTS:  # an enum with a text
            return self.text(left), self.text(right)
        if kinds & NUMBERS:
            return self.number(left), self.number(right)
        if kinds & TEXTS and kinds & {"date", "datetime"}:
            return self.as_moment(left), self.as_moment(right)
        return (self.text(left), self.text(right)) if kinds & TEXTS else (left, right)

    def _bool_matched(self, left: Piece, right: Piece) -> tuple[Piece, Piece]:
        def literal(piece: Piece) -> Piece:
            if piece.kind == "int" and piece.constant in ("0", "1"):
                return Piece(
                    "TRUE" if piece.constant == "1" else "FALSE", "bool", constant=piece.constant == "1"
                )
            return piece

        left, right = literal(left), literal(right)
        return (left, right) if left.kind == right.kind else (self.numeric(left), self.numeric(right))

    def _json_matched(self, piece: Piece, other: Piece) -> Piece:
        if isinstance(other.constant, bool) and piece.kind == "json":
            return self.text(piece)
        if isinstance(piece.constant, bool) and other.kind == "json":
            return self.string("true" if piece.constant else "false")
        if other.kind in TEXTS and piece.kind == "json":
            return Piece(f"{piece.operand} #>> '{{}}'", "string", is_atomic=False)
        if piece.kind in NUMBERS and other.kind == "json":
            return Piece(f"TO_JSONB({piece.sql})", "json")
        return self.text(piece) if piece.kind in TEXTS else piece

    def truth(self, piece: Piece) -> Piece:
        if piece.is_null:
            return Piece("CAST(NULL AS BOOLEAN)", "bool")
        if piece.kind in ("bool", "unknown"):
            return piece
        if piece.constant in ("0", "1") and piece.kind == "int":
            return Piece("TRUE" if piece.constant == "1" else "FALSE", "bool", constant=piece.constant == "1")
        return Piece(f"{self.number(piece).operand} <> 0", "bool", is_atomic=False)

    def numeric(self, piece: Piece) -> Piece:
        if piece.kind == "bool":
            if isinstance(piece.constant, bool):
                return self.number_constant("1" if piece.constant else "0", "int")
            return Piece(f"CAST({piece.sql} AS INT)", "int")
        if piece.kind == "json":
            piece = self.text(piece)
        if piece.kind in TEXTS:
            digits = f"REGEXP_REPLACE({self.text(piece).sql}, {_NUMBER_PREFIX}, {_SIGN_ZERO_DIGITS})"
            return Piece(f"CAST({digits} AS DOUBLE PRECISION)", "float")
        return piece

    def text(self, piece: Piece) -> Piece:
        if piece.kind == "string" and not piece.is_column:
            return piece
        if piece.kind == "bool":
            piece = self.numeric(piece)
        if piece.kind == "bytes":
            return Piece(f"CONVERT_FROM({piece.sql}, 'UTF8')", "string")
        if piece.kind == "float":  # 1e20, which PostgreSQL writes 1e+20, and out as a constant
            is_large = isinstance(piece.constant, str) and abs(float(piece.constant)) >= _LONG_FLOAT
            double = f"CAST({piece.sql} AS DOUBLE PRECISION)" if is_large else piece.sql
            return Piece(f"REPLACE(REPLACE(CAST({double} AS TEXT), 'e+', 'e'), 'e-0', 'e-')", "string")
        if piece.seconds_digits:  # a cast leaves zeros at the end out
            return Piece(f"TO_CHAR({piece.sql}, 'YYYY-MM-DD HH24:MI:SS.FF{piece.seconds_digits}')", "string")
        return Piece(f"CAST({piece.sql} AS TEXT)", "string")

    def as_moment(self, piece: Piece) -> Piece:
        piece = self.moment(piece)
        return Piece(f"CAST({piece.sql} AS TIMESTAMP)", "datetime") if piece.kind in TEXTS else piece

    def as_float(self, piece: Piece) -> str:
        return f"CAST({self.number(piece).sql} AS DOUBLE PRECISION)"

    def unified(self, pieces: list[Piece], kind: Kind) -> list[Piece]:
        if kind == "string":
            return [piece if piece.is_null else self.text(piece) for piece in pieces]
        if kind in NUMBERS and kind != "bool":
            return [piece if piece.is_null else self.numeric(piece) for piece in pieces]
        return pieces

    # -- operators --

    def logic(self, operator: str, left: Piece, right: Piece) -> str:
        return f"{left.operand} {operator.replace('XOR', '<>')} {right.operand}"

    def null_safe(self, left: Piece, right: Piece) -> str:
        return f"{left.operand} IS NOT DISTINCT FROM {right.operand}"

    def regexp(self, value: Piece, pattern: Piece) -> str:
        return f"{value.operand} ~ {pattern.operand}"

    def hex_string(self, digits: str) -> Piece:
        return Piece(f"DECODE('{digits}', 'hex')", "bytes", constant=digits, is_nullable=False)

    def order_nulls(self, is_descending: bool) -> str:
        return " NULLS LAST" if is_descending else " NULLS FIRST"

    # -- casts and JSON --

    def cast_to(self, piece: Piece, target: str, sizes: list[str]) -> Piece:
        kind = CAST_KINDS[target]
        if target == "CHAR":
            text = self.text(piece)
            return (
                replace(text, sql=f"LEFT({text.sql}, {sizes[0]})", is_atomic=True, constant=None)
                if sizes
                else text
            )
        if target == "BINARY":
            return Piece(f"CONVERT_TO({self.text(piece).sql}, 'UTF8')", kind)
        if target in ("SIGNED", "UNSIGNED"):
            return self._cast_to_int(piece, target)
        if target == "DECIMAL":
            return self._cast_to_decimal(piece, *[*sizes, "0"][:2] if sizes else ("10", "0"))
        if target == "DOUBLE":
            piece = self.number(piece)
        size = f"({', '.join(sizes)})" if sizes else "(0)" if target in ("DATETIME", "TIME") else ""
        return Piece(f"CAST({piece.sql} AS {_CAST_TYPES[target]}{size})", kind, is_wide=True)

    def _cast_to_decimal(self, piece: Piece, precision: str, scale: str) -> Piece:
        """A decimal; the largest that there is where the number is larger."""
        is_number = not piece.is_text_constant or is_number_text(str(piece.constant))
        number = self.number(piece) if is_number else self.numeric(piece)
        rounded = f"ROUND(CAST({number.sql} AS NUMERIC), {int(scale)})"
        most = "9" * (int(precision) - int(scale)) + "." + "9" * int(scale)
        sql = f"LEAST(GREATEST({rounded}, -{most}), {most})"
        sql = f"CASE WHEN {rounded} IS NOT NULL THEN {sql} END"
        return Piece(f"CAST({sql} AS NUMERIC({precision}, {scale}))", "decimal", is_wide=True)

    def _cast_to_int(self, piece: Piece, target: str) -> Piece:
        if piece.kind in TEXTS:  # MySQL reads the digits that the text starts with
            digits = f"REGEXP_REPLACE({self.text(piece).sql}, {_INTEGER_PREFIX}, {_SIGN_ZERO_DIGITS})"
            sql = f"CAST({digits} AS BIGINT)"
        else:
            piece = self.number(piece)
            if piece.n_unsigned_bits == 64:
                return replace(piece, constant=None) if target == "UNSIGNED" else self.bits(piece)
            sql = f"CAST({piece.sql} AS BIGINT)"
        if target == "UNSIGNED":
            sql = f"CASE WHEN {sql} < 0 THEN {sql} + 18446744073709551616 ELSE {sql} END"
        return Piece(sql, "int", is_wide=True)

    def json_at(self, document: Piece, path: str, *, as_text: bool) -> Piece:
        steps = json_steps(path)
        sql = self._as_json(document)
        if steps:
            sql = f"{sql} #> {postgres_string('{' + ','.join(steps) + '}')}"
        if not as_text:
            return Piece(sql, "json", is_atomic=not steps)
        # A JSON null becomes the text null, as JSON_UNQUOTE has it.
        found = f"({sql})" if steps else sql
        return Piece(f"COALESCE({found} #>> '{{}}', CAST({sql} AS TEXT))", "string")

    def member_of(self, value: Piece, document: Piece) -> Piece:
        return member_of(self, value, document)

    def _as_json(self, piece: Piece) -> str:
        return piece.operand if piece.kind in ("json", "unknown") else f"CAST({piece.sql} AS JSONB)"

    def json_value(self, document: Piece, path: str, target: str | None, sizes: list[str]) -> Piece:
        if target == "JSON":
            return self.json_at(document, path, as_text=False)
        array = postgres_string("{" + ",".join(json_steps(path)) + "}")
        text = f"({self._as_json(document)} #>> {array})"
        if target is None or target == "BINARY":
            piece = Piece(text, "string")
            return self.cast_to(piece, target, sizes) if target else piece
        found = json_found(self, f"({self._as_json(document)} #> {array})", text)
        return Piece(typed_value(found, target, sizes), CAST_KINDS[target], is_wide=True)

    # -- functions --

    def difference(self, unit: str, start: Piece, end: Piece) -> Piece:
        first, last = (f"CAST({piece.sql} AS TIMESTAMP)" for piece in (start, end))
        if unit in ("YEAR", "QUARTER", "MONTH"):
            years = f"EXTRACT(YEAR FROM AGE({last}, {first}))"
            if unit == "YEAR":
                return Piece(f"CAST({years} AS BIGINT)", "int", is_wide=True)
            months = f"{years} * 12 + EXTRACT(MONTH FROM AGE({last}, {first}))"
            sql = months if unit == "MONTH" else f"TRUNC(({months}) / 3)"
            return Piece(f"CAST({sql} AS BIGINT)", "int", is_wide=True)
        size = {
            "WEEK": "/ 604800",
            "DAY": "/ 86400",
            "HOUR": "/ 3600",
            "MINUTE": "/ 60",
            "MICROSECOND": "* 1000000",
        }
        seconds = f"EXTRACT(EPOCH FROM {last} - {first}) {size.get(unit, '')}".rstrip()
        return Piece(f"CAST(TRUNC({seconds}) AS BIGINT)", "int", is_wide=True)

    def shifted(self, moment: Piece, amount: Piece, unit: str, sign: str) -> Piece:
        moment = self.as_moment(moment)
        one = {"QUARTER": "3 MONTH"}.get(unit, f"1 {unit}")
        count = amount.operand if unit == "SECOND" or amount.kind == "int" else f"ROUND({amount.sql})"
        sql = f"{moment.operand} {sign} {count} * INTERVAL '{one}'"
        if moment.kind == "date" and unit not in ("HOUR", "MINUTE", "SECOND", "MICROSECOND"):
            return Piece(f"CAST({sql} AS DATE)", "date")
        return Piece(sql, "datetime" if moment.kind == "date" else moment.kind, is_atomic=False)

    def group_concat(
        self, parts: list[Piece], order: list[tuple[Piece, bool]], separator: str, is_distinct: bool
    ) -> Piece:
        text = " || ".join(self.text(part).operand for part in parts)
        mark = postgres_string(separator)
        terms = [self.order_term(self.unbooled(piece), is_descending) for piece, is_descending in order]
        ordering = f" ORDER BY {', '.join(terms)}" if order else ""
        if not is_distinct:
            return Piece(f"STRING_AGG({text}, {mark}{ordering})", "string")
        # DISTINCT goes with ORDER BY the same expression alone, so order the values, not their texts.
        value = text if len(parts) > 1 else self.unbooled(parts[0]).sql
        array = f"ARRAY_AGG(DISTINCT {value}{ordering}) FILTER (WHERE {text} IS NOT NULL)"
        return Piece(f"ARRAY_TO_STRING({array}, {mark})", "string")

    def unbooled(self, piece: Piece) -> Piece:
        return self.numeric(piece) if piece.kind == "bool" else piece

    def trim(self, value: Piece, what: Piece | None, side: str) -> Piece:
        if what is None:
            return Piece(f"TRIM({side} ' ' FROM {value.sql})", "string")
        if what.constant is None or len(str(what.constant)) != 1:
            raise QuerySyntaxError(
                "TRIM of more than one character cannot be done on PostgreSQL. Use REPLACE."
            )
        return Piece(f"TRIM({side} {what.sql} FROM {value.sql})", "string")

    def call(self, call: Call, signature: Signature | None, written: str) -> Piece:
        translate = TRANSLATIONS.get(call.name)
        if translate is not None and signature is not None:
            piece = translate(self, call, result_kind(signature, call.arguments))
            return self._as_huge(piece, call.arguments)
        distinct = "DISTINCT " if call.is_distinct else ""
        sql = f"{written}({distinct}{', '.join(part.sql for part in call.arguments)}){call.over}"
        return Piece(sql, result_kind(signature, call.arguments) if signature else "unknown")

    def choice(self, branches: list[tuple[str, Piece]], default: Piece) -> Piece:
        return self._as_huge(super().choice(branches, default), [*(piece for _, piece in branches), default])

    def _as_huge(self, piece: Piece, parts: list[Piece]) -> Piece:
        """Return a value that may be as large as those that it is made of."""
        if piece.kind != "int" or piece.is_bits:
            return piece
        n_bits = max([piece.n_unsigned_bits, *(part.n_unsigned_bits for part in parts)])
        return replace(piece, n_unsigned_bits=n_bits)
