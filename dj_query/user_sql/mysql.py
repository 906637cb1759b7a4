"""User SQL for MySQL and MariaDB: mostly as written; where the two differ, a form that both take."""

from __future__ import annotations

from dataclasses import replace

from dj_query.user_sql.json_values import Found, typed_value
from dj_query.user_sql.kinds import EXACT, MOMENTS, NUMBERS, TEXTS, Kind, Piece, joint_kind
from dj_query.user_sql.literals import mysql_string
from dj_query.user_sql.mysql_comparing import COMPARING
from dj_query.user_sql.operators import check_number
from dj_query.user_sql.render import Renderer
from dj_query.user_sql.server import CAST_KINDS, Call
from dj_query.user_sql.signatures import Signature
from dj_schema.json_text import json_path_parts

_BIT_OPERATORS = ("&", "|", "^", "<<", ">>")
_JSON_BUILDERS = frozenset(
    {
        "JSON_ARRAY",
        "JSON_OBJECT",
        "JSON_ARRAYAGG",
        "JSON_OBJECTAGG",
        "JSON_SET",
        "JSON_INSERT",
        "JSON_REPLACE",
    }
)
_SPREADS = frozenset({"STD", "STDDEV", "STDDEV_POP", "STDDEV_SAMP", "VARIANCE", "VAR_POP", "VAR_SAMP"})

_EXTREMES = frozenset({"MIN", "MAX", "LEAST", "GREATEST"})
_END = r"'\0'"  # no text holds it, and it is smaller than a space


class MySQLRenderer(Renderer):
    """MySQL 8.0 and later."""

    def quote_name(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def quote_string(self, value: str) -> str:
        return mysql_string(value)

    def fitted_constant(self, value: str, kind: Kind) -> Piece:
        if kind == "uuid":
            return Piece("X'" + value.replace("-", "") + "'", kind, constant=value, is_nullable=False)
        return Piece(mysql_string(value), kind, constant=value, is_nullable=False)

    def matched(self, left: Piece, right: Piece) -> tuple[Piece, Piece]:
        if "json" in (left.kind, right.kind):
            return self.json_matched(left, right), self.json_matched(right, left)
        if left.kind != right.kind and "uuid" in (left.kind, right.kind):
            return self.text(left), self.text(right)
        return left, right

    def json_matched(self, piece: Piece, other: Piece) -> Piece:
        # A JSON true equals neither 1 nor TRUE on every server; MariaDB keeps the quotes of a JSON string.
        if isinstance(other.constant, bool) and piece.kind == "json":
            return self.unquoted(piece)
        if isinstance(piece.constant, bool) and other.kind == "json":
            return self.string("true" if piece.constant else "false")
        return self.unquoted(piece) if piece.kind == "json" and other.kind in TEXTS else piece

    def unquoted(self, piece: Piece) -> Piece:
        return Piece(f"JSON_UNQUOTE({piece.sql})", "string")

    def truth(self, piece: Piece) -> Piece:
        if piece.is_text_constant:
            return self.number(piece)
        check_number(piece)
        return piece

    def numeric(self, piece: Piece) -> Piece:
        if piece.kind in ("string", "enum", "json"):
            return Piece(f"({piece.operand} + 0e0)", "float")
        return piece

    def text(self, piece: Piece) -> Piece:
        if piece.kind == "uuid" and not piece.is_null:
            return Piece(self.uuid_text(piece), "string")
        return piece

    def uuid_text(self, piece: Piece) -> str:
        return f"BIN_TO_UUID({piece.sql})"

    def operation(self, operator: str, left: Piece, right: Piece) -> Piece:
        kind: Kind = joint_kind([left, right])
        if operator == "/" and kind in ("int", "bool"):
            kind = "decimal"
        elif operator == "DIV" or operator in _BIT_OPERATORS or kind == "bool":
            kind = "int"
        if operator in ("+", "-", "*") and kind == "int" and _may_be_negative(operator, left, right):
            # MySQL refuses a negative result where one of two integers is unsigned.
            left = Piece(f"CAST({left.sql} AS DECIMAL(20))", "int")
        sql = f"{left.operand} {operator} {right.operand}"
        return Piece(sql, kind, is_atomic=False, is_wide=operator not in _BIT_OPERATORS)

    def inverted(self, piece: Piece) -> Piece:
        return Piece(f"~{piece.operand}", "int", is_atomic=False)

    def hex_string(self, digits: str) -> Piece:
        return Piece(f"X'{digits}'", "bytes", constant=digits, is_nullable=False)

    def logic(self, operator: str, left: Piece, right: Piece) -> str:
        return f"{left.operand} {operator} {right.operand}"

    def null_safe(self, left: Piece, right: Piece) -> str:
        return f"{left.operand} <=> {right.operand}"

    def spaces_alike(self, value: Piece, *others: Piece) -> str | None:
        # Its collations pad: 'a' = 'a '. An enum has no such label, and what is no text no such space.
        if {piece.kind for piece in (value, *others)} != {"string"}:
            return None
        if len(others) == 1 and value.is_text_constant:
            value, others = others[0], (value,)
        if value.is_text_constant:
            return None
        constants = [str(other.constant) for other in others if other.is_text_constant]
        if len(constants) == len(others) and not any(text.endswith(" ") for text in constants):
            return f"{value.operand} NOT LIKE '% '"
        same = (
            f"{value.operand} = {o.operand} AND CHAR_LENGTH({value.sql}) = CHAR_LENGTH({o.sql})"
            for o in others
        )
        return "(" + " OR ".join(same) + ")"

    def exact_order(self, operator: str, left: Piece, right: Piece) -> str | None:
        if not left.kind == right.kind == "string" or (left.is_text_constant and right.is_text_constant):
            return None
        a, b = (
            str(len(str(piece.constant))) if piece.is_text_constant else f"CHAR_LENGTH({piece.sql})"
            for piece in (left, right)
        )
        outer, inner = operator[0] + "=", operator[0]  # the first can be looked up in an index
        return (
            f"{left.operand} {outer} {right.operand} AND "
            f"({left.operand} {inner} {right.operand} OR {a} {operator} {b})"
        )

    def grouped(self, piece: Piece) -> str:
        if piece.kind != "string" or piece.constant is not None:
            return piece.sql
        return f"{piece.sql}, CHAR_LENGTH({piece.sql})"

    def order_term(self, piece: Piece, is_descending: bool) -> str:
        is_text = piece.kind == "string" and piece.constant is None
        return super().order_term(_ended(piece) if is_text else piece, is_descending)

    def is_null(self, piece: Piece) -> str:
        if piece.kind in MOMENTS:  # `IS NULL` would ask a date that is NOT NULL for 0000-00-00
            return f"{piece.operand} <=> NULL"
        return super().is_null(piece)

    def regexp(self, value: Piece, pattern: Piece) -> str:
        return f"{value.operand} REGEXP {pattern.operand}"

    def cast_to(self, piece: Piece, target: str, sizes: list[str]) -> Piece:
        if target == "CHAR":
            piece = self.text(piece)
        if target == "JSON":
            return self.as_json(piece)
        size = f"({', '.join(sizes)})" if sizes else ""
        return Piece(f"CAST({piece.sql} AS {target}{size})", CAST_KINDS[target])

    def as_json(self, piece: Piece) -> Piece:
        return Piece(f"CAST({piece.sql} AS JSON)", "json")

    def shifted(self, moment: Piece, amount: Piece, unit: str, sign: str) -> Piece:
        kind: Kind = moment.kind
        if kind == "date" and unit in ("HOUR", "MINUTE", "SECOND", "MICROSECOND"):
            kind = "datetime"
        return Piece(f"{moment.operand} {sign} INTERVAL {amount.operand} {unit}", kind, is_atomic=False)

    def difference(self, unit: str, start: Piece, end: Piece) -> Piece:
        return Piece(f"TIMESTAMPDIFF({unit}, {start.sql}, {end.sql})", "int")

    def json_at(self, document: Piece, path: str, *, as_text: bool) -> Piece:
        sql = document.sql
        for part in json_path_parts(path) if path != "$" else ():
            sql = f"JSON_EXTRACT({sql}, {mysql_string(part)})"
        return self.unquoted(Piece(sql, "json")) if as_text else Piece(sql, "json")

    def member_of(self, value: Piece, document: Piece) -> Piece:
        return Piece(f"{value.operand} MEMBER OF({document.sql})", "bool", is_atomic=False)

    def json_value(self, document: Piece, path: str, target: str | None, sizes: list[str]) -> Piece:
        found = self.json_at(document, path, as_text=False).sql
        # JSON_VALUE without a type cuts at 512 characters, and MariaDB's writes true as 1
        text = f"IF(JSON_TYPE({found}) = 'NULL', NULL, JSON_UNQUOTE({found}))"
        match target:
            case None:
                return Piece(text, "string")
            case "JSON":
                return Piece(found, "json")
            case "BINARY":
                return self.cast_to(Piece(text, "string"), target, sizes)
        return Piece(self.json_typed(document, path, text, target, sizes), CAST_KINDS[target])

    def json_typed(self, document: Piece, path: str, text: str, target: str, sizes: list[str]) -> str:
        if target == "CHAR":  # in the collation of all texts
            return typed_value(self.json_found(document, path, text), target, sizes)
        size = f"({', '.join(sizes)})" if sizes else ""
        *parts, last = json_path_parts(path)
        sql = document.sql
        for part in parts:
            sql = f"JSON_EXTRACT({sql}, {mysql_string(part)})"
        return f"JSON_VALUE({sql}, {mysql_string(last)} RETURNING {target}{size})"

    def json_found(self, document: Piece, path: str, text: str) -> Found:
        type_ = f"JSON_TYPE({self.json_at(document, path, as_text=False).sql})"
        return Found(
            text,
            is_number=f"{type_} IN ('INTEGER', 'DOUBLE')",
            is_bool=f"{type_} = 'BOOLEAN'",
            exact=f"CAST({text} AS DECIMAL(65,30))",
            matches=lambda pattern: f"{text} REGEXP {mysql_string(pattern)}",
            cast=lambda sql, target, sizes: self.cast_to(Piece(sql, "string"), target, sizes).sql,
        )

    def group_concat(
        self, parts: list[Piece], order: list[tuple[Piece, bool]], separator: str, is_distinct: bool
    ) -> Piece:
        distinct = "DISTINCT " if is_distinct else ""
        ordering = f" ORDER BY {', '.join(self.order_term(*term) for term in order)}" if order else ""
        texts = [self.text(part) for part in parts]
        has_spaces = is_distinct and any(part.kind == "string" for part in texts)
        inner = ", ".join(f"CAST({part.sql} AS BINARY)" if has_spaces else part.sql for part in texts)
        sql = f"GROUP_CONCAT({distinct}{inner}{ordering} SEPARATOR {mysql_string(separator)})"
        return Piece(f"CAST({sql} AS CHAR)" if has_spaces else sql, "string")

    def trim(self, value: Piece, what: Piece | None, side: str) -> Piece:
        return Piece(f"TRIM({side} {what.sql if what else ''} FROM {value.sql})".replace("  ", " "), "string")

    def order_nulls(self, is_descending: bool) -> str:
        return ""

    def unified(self, pieces: list[Piece], kind: Kind) -> list[Piece]:
        return [self.text(piece) for piece in pieces] if kind == "string" else pieces

    def call(self, call: Call, signature: Signature | None, written: str) -> Piece:
        arguments = call.arguments
        if call.name == "ISNULL":
            return Piece(self.is_null(arguments[0]), "bool", is_atomic=False, is_nullable=False)
        if signature is None:
            return Piece(f"{written}({', '.join(part.sql for part in arguments)}){call.over}", "unknown")
        kind = result_kind(signature, arguments)
        if call.name in ("COALESCE", "IFNULL", "LEAST", "GREATEST", "NULLIF"):
            arguments = self.unified(arguments, kind)
        elif signature.kind == "string" and call.name != "HEX":
            arguments = [self.text(part) for part in arguments]
        elif call.name in _JSON_BUILDERS:
            arguments = [self._inside_json(part) for part in arguments]
        elif call.name in _SPREADS and kind != "unknown" and arguments[0].kind != "float":
            # MariaDB rounds the deviation of exact numbers to four places.
            arguments = [Piece(f"{self.number(arguments[0]).operand} + 0e0", "float")]
        if call.name in COMPARING:
            return COMPARING[call.name](self, arguments, kind)
        # An enum too: MySQL and MariaDB take the largest of an indexed one by its place among the labels.
        if call.name in _EXTREMES and all(part.kind in TEXTS for part in arguments):
            ended = ", ".join(_ended(part).sql for part in arguments)
            return Piece(f"TRIM(TRAILING {_END} FROM {call.name}({ended}){call.over})", kind)
        name = "MIN" if call.name == "ANY_VALUE" else call.name
        distinct = "DISTINCT " if call.is_distinct else ""
        using = " USING utf8mb4" if name == "CHAR" else ""  # without it the value is binary
        parts = [
            self.grouped(part) if call.is_distinct and name == "COUNT" else part.sql for part in arguments
        ]
        return Piece(f"{name}({distinct}{', '.join(parts)}{using}){call.over}", kind)

    def _inside_json(self, piece: Piece) -> Piece:
        """A moment as a text: MySQL adds a fraction of zeros to one in a document, and no other server."""
        if piece.kind in MOMENTS or piece.kind == "time":
            return Piece(f"CAST({piece.sql} AS CHAR)", "string")
        return self.text(piece)


class MariaDBRenderer(MySQLRenderer):
    """MariaDB 10.6 and later: no BIN_TO_UUID, no cast to JSON, no type in JSON_VALUE."""

    def uuid_text(self, piece: Piece) -> str:
        digits = f"LOWER(HEX({piece.sql}))"
        parts = ", ".join(
            f"SUBSTR({digits}, {at}, {n})" for at, n in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        )
        return f"CONCAT({parts})".replace("), SUBSTR", "), '-', SUBSTR")

    def call(self, call: Call, signature: Signature | None, written: str) -> Piece:
        piece = super().call(call, signature, written)
        if call.name == "TIME_TO_SEC":  # which has a fraction here
            return replace(piece, sql=f"CAST(TRUNCATE({piece.sql}, 0) AS SIGNED)")
        if call.name == "STR_TO_DATE" and piece.kind in MOMENTS:  # a sum is NULL where there is no such day
            return replace(piece, sql=f"({piece.sql} + INTERVAL 0 DAY)")
        return piece

    def as_json(self, piece: Piece) -> Piece:
        return Piece(f"JSON_EXTRACT({piece.sql}, '$')", "json")

    def member_of(self, value: Piece, document: Piece) -> Piece:
        wanted = f"JSON_QUOTE({value.sql})" if value.kind in TEXTS else value.sql
        return Piece(f"JSON_CONTAINS({document.sql}, {wanted})", "bool")

    def json_typed(self, document: Piece, path: str, text: str, target: str, sizes: list[str]) -> str:
        return typed_value(self.json_found(document, path, text), target, sizes)

    def operation(self, operator: str, left: Piece, right: Piece) -> Piece:
        # MySQL computes on with the rounded quotient, MariaDB with more places than it shows.
        result = super().operation(operator, _rounded(left), _rounded(right))
        return replace(result, scale="4") if operator == "/" and left.kind in ("int", "bool") else result


def _ended(piece: Piece) -> Piece:
    """Return a text that is sorted to its last space, though collations fill the shorter of two."""
    return Piece(f"CONCAT({piece.sql}, {_END})", "string")


def _rounded(piece: Piece) -> Piece:
    return Piece(f"ROUND({piece.sql}, {piece.scale})", piece.kind) if piece.scale else piece


def _may_be_negative(operator: str, left: Piece, right: Piece) -> bool:
    """Say whether unsigned columns could meet a negative number here; not if the cast is made already."""
    if left.is_wide or right.is_wide:
        return False
    constants = [str(piece.constant) for piece in (left, right) if piece.constant is not None]
    return operator == "-" or not constants or constants[0].startswith("-")


def result_kind(signature: Signature, arguments: list[Piece]) -> Kind:
    """Return the kind of a function's value, given those of its arguments."""
    match signature.kind:
        case "joint":
            return joint_kind(arguments)
        case "first":
            kind = arguments[0].kind
            return "string" if kind == "enum" else kind
        case "least":
            return (
                "int"
                if arguments[0].kind == "bool"
                else "string"
                if arguments[0].kind == "enum"
                else arguments[0].kind
            )
        case "average":
            kind = joint_kind(arguments)
            return "decimal" if kind in EXACT else kind if kind == "unknown" else "float"
        case "number":
            kind = joint_kind(arguments[:1])
            return (
                "int"
                if kind == "bool"
                else kind
                if kind in NUMBERS
                else "unknown"
                if kind == "unknown"
                else "float"
            )
    return signature.kind  # type: ignore[return-value]  # the rest of the table's words are kinds
