"""A tree of user SQL rendered for a server: names, operators and structure; a subclass has what differs."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from dj_query.user_sql.kinds import MOMENTS, NUMBERS, Kind, Piece, joint_kind
from dj_query.user_sql.literals import clock_of, moment_of, number_of, uuid_of
from dj_query.user_sql.names import unknown_attribute
from dj_query.user_sql.parse import PLACEHOLDER, PREFIX
from dj_query.user_sql.scan import UNITS
from dj_query.user_sql.signatures import FUNCTIONS, SCALARS, Signature
from dj_schema.errors import QuerySyntaxError

if TYPE_CHECKING:
    from sqlglot import exp

_COMPARISONS = {"EQ": "=", "NEQ": "<>", "GT": ">", "GTE": ">=", "LT": "<", "LTE": "<=", "NullSafeEQ": "<=>"}
_ARITHMETIC = {"Add": "+", "Sub": "-", "Mul": "*"}
_BITS = {
    "BitwiseAnd": "&",
    "BitwiseOr": "|",
    "BitwiseXor": "^",
    "BitwiseLeftShift": "<<",
    "BitwiseRightShift": ">>",
}
_LOGIC = {"And": "AND", "Or": "OR", "Xor": "XOR"}
_TYPES = {
    "BIGINT": "SIGNED",
    "UBIGINT": "UNSIGNED",
    "INT": "SIGNED",
    "UINT": "UNSIGNED",
    "CHAR": "CHAR",
    "VARCHAR": "CHAR",
    "TEXT": "CHAR",
    "DECIMAL": "DECIMAL",
    "DATE": "DATE",
    "DATETIME": "DATETIME",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMPTZ": "DATETIME",
    "TIME": "TIME",
    "FLOAT": "DOUBLE",
    "DOUBLE": "DOUBLE",
    "JSON": "JSON",
    "BINARY": "BINARY",
    "CHARACTER_SET": "CHAR",
}
CAST_KINDS: dict[str, Kind] = {
    "SIGNED": "int",
    "UNSIGNED": "int",
    "CHAR": "string",
    "DECIMAL": "decimal",
    "DATE": "date",
    "DATETIME": "datetime",
    "TIME": "time",
    "DOUBLE": "float",
    "JSON": "json",
    "BINARY": "bytes",
}


class NotKnownError(Exception):
    """The tree has a node that is not rendered here; the text passes through as written."""


@dataclass(slots=True)
class Call:
    """A function call: its arguments rendered, and the window that it runs over."""

    name: str
    arguments: list[Piece]
    nodes: list[exp.Expr] = field(default_factory=list)
    is_distinct: bool = False
    over: str = ""


class Renderer(ABC):
    """Renders one expression; holds what was met on the way: names, aggregates."""

    def __init__(self, attributes: Mapping[str, Kind], strings: list[str]) -> None:
        self.attributes = attributes
        self.strings = strings
        self.names: set[str] = set()
        self.is_aggregate = False
        self._over = ""

    # -- what a server does its own way --

    @abstractmethod
    def quote_name(self, name: str) -> str: ...
    @abstractmethod
    def quote_string(self, value: str) -> str: ...
    @abstractmethod
    def fitted_constant(self, value: str, kind: Kind) -> Piece:
        """Render the text of a constant as a value of a date, time, uuid or json kind."""

    @abstractmethod
    def matched(self, left: Piece, right: Piece) -> tuple[Piece, Piece]:
        """Give both sides of a comparison types that the server compares as MySQL would."""

    @abstractmethod
    def truth(self, piece: Piece) -> Piece:
        """Return what WHERE, AND and NOT accept."""

    @abstractmethod
    def numeric(self, piece: Piece) -> Piece:
        """Return a number made of a piece that is no constant."""

    @abstractmethod
    def text(self, piece: Piece) -> Piece: ...
    @abstractmethod
    def operation(self, operator: str, left: Piece, right: Piece) -> Piece:
        """Render arithmetic and operators on bits; both sides are numbers."""

    @abstractmethod
    def inverted(self, piece: Piece) -> Piece:
        """Render the operator ~."""

    @abstractmethod
    def hex_string(self, digits: str) -> Piece: ...
    @abstractmethod
    def logic(self, operator: str, left: Piece, right: Piece) -> str: ...
    @abstractmethod
    def null_safe(self, left: Piece, right: Piece) -> str: ...
    @abstractmethod
    def regexp(self, value: Piece, pattern: Piece) -> str: ...
    @abstractmethod
    def cast_to(self, piece: Piece, target: str, sizes: list[str]) -> Piece: ...
    @abstractmethod
    def shifted(self, moment: Piece, amount: Piece, unit: str, sign: str) -> Piece:
        """Add an interval to a date or datetime, or subtract it."""

    @abstractmethod
    def json_at(self, document: Piece, path: str, *, as_text: bool) -> Piece: ...
    @abstractmethod
    def json_value(self, document: Piece, path: str, target: str | None, sizes: list[str]) -> Piece: ...
    @abstractmethod
    def group_concat(
        self, parts: list[Piece], order: list[tuple[Piece, bool]], separator: str, is_distinct: bool
    ) -> Piece: ...
    @abstractmethod
    def trim(self, value: Piece, what: Piece | None, side: str) -> Piece: ...
    @abstractmethod
    def order_nulls(self, is_descending: bool) -> str: ...
    @abstractmethod
    def call(self, call: Call, signature: Signature | None, written: str) -> Piece: ...
    @abstractmethod
    def unified(self, pieces: list[Piece], kind: Kind) -> list[Piece]:
        """Give the branches of CASE and COALESCE one type."""

    def finished(self, piece: Piece) -> Piece:
        """Round what MySQL would have rounded, where the value leaves the arithmetic."""
        return piece

    # -- the walk --

    def render(self, node: exp.Expr) -> Piece:
        """Render a node whose value is used as it is."""
        return self.finished(self.raw(node))

    def raw(self, node: exp.Expr) -> Piece:
        """Render a node inside of arithmetic, not rounded yet."""
        name = type(node).__name__
        if name in _COMPARISONS:
            return self.compare(_COMPARISONS[name], *self._sides(node))
        if name in _LOGIC:
            left, right = (self.truth(side) for side in self._sides(node))
            return Piece(self.logic(_LOGIC[name], left, right), "bool", is_atomic=False)
        if name in _ARITHMETIC or name in ("Div", "IntDiv", "Mod"):
            return self._arithmetic(
                node, _ARITHMETIC.get(name, {"Div": "/", "IntDiv": "DIV", "Mod": "%"}.get(name, ""))
            )
        if name in _BITS:
            _check_bit_precedence(node)
            left, right = (self.number(self.raw(side)) for side in (node.this, node.expression))
            return self.operation(_BITS[name], left, right)
        method: Callable[[Any], Piece] | None = getattr(self, f"_node_{name.lower()}", None)
        if method is None:
            raise NotKnownError(name)
        return method(node)

    def _sides(self, node: exp.Expr) -> tuple[Piece, Piece]:
        return self.render(node.this), self.render(node.expression)

    # -- names and constants --

    def _node_column(self, node: exp.Column) -> Piece:
        if node.table:
            raise QuerySyntaxError(f"{node.sql()} names a table. Name attributes alone.")
        return self.attribute(node.name)

    def attribute(self, name: str) -> Piece:
        """Render an attribute, checked against the heading."""
        if name not in self.attributes:
            raise unknown_attribute(name, self.attributes)
        self.names.add(name)
        return Piece(self.quote_name(name), self.attributes[name], is_column=True)

    def _node_literal(self, node: exp.Literal) -> Piece:
        if node.is_string:
            return self.string(self.literal_text(node))
        text = node.this
        kind: Kind = "float" if "e" in text.lower() else "decimal" if "." in text else "int"
        return self.number_constant(text, kind)

    def literal_text(self, node: exp.Expr) -> str:
        """Return the text that a placeholder stands for, or the number that the parser made a string."""
        content = node.this if isinstance(node.this, str) else node.expressions[-1].this
        if not content.startswith(PLACEHOLDER):
            return str(content)
        return self.strings[int(content[len(PLACEHOLDER) :])]

    def string(self, value: str) -> Piece:
        return Piece(self.quote_string(value), "string", constant=value, is_nullable=False)

    def number_constant(self, text: str, kind: Kind) -> Piece:
        return Piece(text, kind, constant=text, is_nullable=False, is_atomic=not text.startswith("-"))

    def _node_boolean(self, node: exp.Boolean) -> Piece:
        return Piece("TRUE" if node.this else "FALSE", "bool", constant=bool(node.this), is_nullable=False)

    def _node_null(self, node: exp.Null) -> Piece:
        return Piece("NULL", "unknown", is_null=True)

    def _node_paren(self, node: exp.Paren) -> Piece:
        return self.raw(node.this)

    # -- numbers --

    def number(self, piece: Piece) -> Piece:
        """Return a piece that arithmetic can use; a date is refused, for MySQL's answer would surprise."""
        if piece.is_text_constant:
            text = number_of(str(piece.constant))
            return self.number_constant(text, "float")
        check_number(piece)
        return self.numeric(piece)

    def _arithmetic(self, node: exp.Expr, operator: str) -> Piece:
        sides = node.this, node.expression
        for index, side in enumerate(sides):
            if (
                type(side).__name__ == "Interval"
                and operator in ("+", "-")
                and (index == 1 or operator == "+")
            ):
                amount, unit = self.interval(side)
                return self.shifted(self.moment(self.render(sides[1 - index])), amount, unit, operator)
        left, right = (self.number(self.raw(side)) for side in sides)
        return self.operation(operator, left, right)

    def _node_neg(self, node: exp.Neg) -> Piece:
        piece = self.number(self.raw(node.this))
        if isinstance(piece.constant, str):
            text = piece.constant
            return self.number_constant(
                text[1:] if text.startswith("-") else "-" + text.lstrip("+"), piece.kind
            )
        return replace(piece, sql=f"-{piece.operand}", constant=None, is_atomic=False)

    def _node_bitwisenot(self, node: exp.BitwiseNot) -> Piece:
        return self.inverted(self.number(self.raw(node.this)))

    def _node_hexstring(self, node: exp.HexString) -> Piece:
        digits = str(node.this)
        return self.hex_string(digits if len(digits) % 2 == 0 else "0" + digits)

    # -- conditions --

    def compare(self, operator: str, left: Piece, right: Piece) -> Piece:
        left, right = self.aligned(left, right)
        if operator == "<=>":
            return Piece(self.null_safe(left, right), "bool", is_atomic=False, is_nullable=False)
        return Piece(f"{left.operand} {operator} {right.operand}", "bool", is_atomic=False)

    def aligned(self, left: Piece, right: Piece) -> tuple[Piece, Piece]:
        """Read each constant as the kind of the other side, then match the types."""
        return self.matched(self._fitted(left, right), self._fitted(right, left))

    def _fitted(self, piece: Piece, other: Piece) -> Piece:
        if piece.is_text_constant and other.constant is None:
            if other.kind in NUMBERS:
                return self.number(piece)
            if other.kind in MOMENTS or other.kind in ("time", "uuid", "bytes"):
                return self.constant_as(str(piece.constant), other.kind)
        if other.kind in MOMENTS and piece.kind in NUMBERS and not isinstance(piece.constant, bool):
            if isinstance(piece.constant, str) and re.fullmatch(r"\d{8}", piece.constant):
                return self.constant_as(piece.constant, other.kind)
            raise QuerySyntaxError(
                f"{other.sql} is a {other.kind} and is compared with the number {piece.sql}. Compare it with"
                " a date such as '2024-01-31', or with CURDATE() - INTERVAL 30 DAY."
            )
        return piece

    def constant_as(self, text: str, kind: Kind) -> Piece:
        """Render a string literal as a value of another kind."""
        if kind in MOMENTS:
            moment = moment_of(text)
            is_date = type(moment).__name__ == "date"
            return self.fitted_constant(str(moment), "date" if is_date else "datetime")
        if kind == "time":
            return self.fitted_constant(str(clock_of(text)), kind)
        return self.fitted_constant(str(uuid_of(text)) if kind == "uuid" else text, kind)

    def moment(self, piece: Piece) -> Piece:
        """Return a piece that functions of dates can use."""
        if piece.is_text_constant:
            return self.constant_as(str(piece.constant), "datetime")
        if piece.kind in NUMBERS:
            raise QuerySyntaxError(f"{piece.sql} is a number and stands where a date is needed.")
        return piece

    def _node_not(self, node: exp.Not) -> Piece:
        inner = self.truth(self.render(node.this))
        return Piece(f"NOT {inner.operand}", "bool", is_atomic=False)

    def _node_is(self, node: exp.Is) -> Piece:
        what = type(node.expression).__name__
        piece = self.render(node.this)
        if what not in ("Null", "Boolean"):
            raise NotKnownError("Is")
        if what == "Null":
            return Piece(f"{piece.operand} IS NULL", "bool", is_atomic=False, is_nullable=False)
        truth = "TRUE" if node.expression.this else "FALSE"
        return Piece(f"{self.truth(piece).operand} IS {truth}", "bool", is_atomic=False, is_nullable=False)

    def _node_between(self, node: exp.Between) -> Piece:
        value, low, high = (
            self.render(node.this),
            self.render(node.args["low"]),
            self.render(node.args["high"]),
        )
        above, low = self.aligned(value, low)
        below, high = self.aligned(value, high)
        if above.sql == below.sql:
            return Piece(f"{above.operand} BETWEEN {low.operand} AND {high.operand}", "bool", is_atomic=False)
        sql = f"({above.operand} >= {low.operand}) AND ({below.operand} <= {high.operand})"
        return Piece(sql, "bool", is_atomic=False)

    def _node_in(self, node: exp.In) -> Piece:
        if not node.expressions:
            raise NotKnownError("In")
        if type(node.this).__name__ == "Tuple":
            return self._tuples_in(node)
        value = self.render(node.this)
        pairs = [self.aligned(value, self.render(member)) for member in node.expressions]
        if len({left.sql for left, _ in pairs}) == 1:
            members = ", ".join(right.sql for _, right in pairs)
            return Piece(f"{pairs[0][0].operand} IN ({members})", "bool", is_atomic=False)
        return Piece(" OR ".join(f"({a.operand} = {b.operand})" for a, b in pairs), "bool", is_atomic=False)

    def _tuples_in(self, node: exp.In) -> Piece:
        values = [self.render(value) for value in node.this.expressions]
        options = []
        for member in node.expressions:
            if len(member.expressions) != len(values):
                raise QuerySyntaxError(f"IN compares {len(values)} attributes with a row of another length.")
            pairs = zip(values, (self.render(part) for part in member.expressions), strict=True)
            options.append("(" + " AND ".join(self.compare("=", a, b).operand for a, b in pairs) + ")")
        return Piece(" OR ".join(options), "bool", is_atomic=False)

    def _node_like(self, node: exp.Like, escape: str = "") -> Piece:
        value, pattern = self.text(self.render(node.this)), self.text(self.render(node.expression))
        negation = "NOT " if node.args.get("negate") else ""
        return Piece(f"{value.operand} {negation}LIKE {pattern.operand}{escape}", "bool", is_atomic=False)

    def _node_escape(self, node: exp.Escape) -> Piece:
        if type(node.this).__name__ != "Like":
            raise NotKnownError("Escape")
        return self._node_like(cast("exp.Like", node.this), f" ESCAPE {self.render(node.expression).sql}")

    def _node_regexplike(self, node: exp.RegexpLike) -> Piece:
        value, pattern = self._sides(node)
        return Piece(self.regexp(self.text(value), self.text(pattern)), "bool", is_atomic=False)

    # -- branches --

    def _node_if(self, node: exp.If) -> Piece:
        truth = self.truth(self.render(node.this))
        otherwise = node.args.get("false")
        if otherwise is None:
            raise QuerySyntaxError("IF takes 3 arguments: IF(condition, value, otherwise).")
        return self.choice([(truth.sql, self.render(node.args["true"]))], self.render(otherwise), "")

    def _node_case(self, node: exp.Case) -> Piece:
        subject = self.render(node.this) if node.this else None
        branches = []
        for branch in node.args["ifs"]:
            when = self.render(branch.this)
            test = self.compare("=", subject, when) if subject else self.truth(when)
            branches.append((test.sql, self.render(branch.args["true"])))
        default = node.args.get("default")
        return self.choice(
            branches, self.render(default) if default else Piece("NULL", "unknown", is_null=True), ""
        )

    def choice(self, branches: list[tuple[str, Piece]], default: Piece, _: str) -> Piece:
        """Render CASE over conditions that are rendered already."""
        pieces = [piece for _, piece in branches] + [default]
        kind = joint_kind(pieces)
        *values, last = self.unified(pieces, kind)
        whens = " ".join(
            f"WHEN {test} THEN {value.sql}" for (test, _), value in zip(branches, values, strict=True)
        )
        return Piece(f"CASE {whens} ELSE {last.sql} END", kind)

    # -- functions --

    def _node_anonymous(self, node: exp.Anonymous) -> Piece:
        over, self._over = self._over, ""
        written = str(node.this).removeprefix(PREFIX)
        name = written.upper()
        signature = FUNCTIONS.get(name)
        nodes, is_distinct = list(node.expressions), False
        if len(nodes) == 1 and type(nodes[0]).__name__ == "Distinct":
            nodes, is_distinct = list(nodes[0].expressions), True
        if signature and not signature.at_least <= len(nodes) <= signature.at_most:
            raise QuerySyntaxError(
                f"The function {name} is given {len(nodes)} arguments, {_arity(signature)}."
            )
        if is_distinct and name in SCALARS:
            raise QuerySyntaxError(f"DISTINCT has no meaning in {name}; it is for aggregates such as COUNT.")
        if signature and signature.is_aggregate and not over:
            self.is_aggregate = True
        special: Callable[[list[exp.Expr]], Piece] | None = getattr(self, f"_call_{name.lower()}", None)
        if special:
            return special(nodes)
        call = Call(name, [self.argument(node) for node in nodes], nodes, is_distinct, over)
        if signature and signature.kind in ("number", "average", "float"):
            for piece in call.arguments:
                check_number(piece)
        return self.call(call, signature, written)

    def argument(self, node: exp.Expr) -> Piece:
        return Piece("*", "unknown") if type(node).__name__ == "Star" else self.render(node)

    def _node_window(self, node: exp.Window) -> Piece:
        if type(node.this).__name__ != "Anonymous" or node.args.get("alias") is not None:
            raise NotKnownError("Window")
        parts = []
        if partition := node.args.get("partition_by"):
            parts.append("PARTITION BY " + ", ".join(self.render(part).sql for part in partition))
        if order := node.args.get("order"):
            parts.append("ORDER BY " + ", ".join(self.ordered(part) for part in order.expressions))
        if spec := node.args.get("spec"):
            parts.append(_frame(spec, self))
        self._over = f" OVER ({' '.join(parts)})"
        return self.render(node.this)

    def ordered(self, node: exp.Expr) -> str:
        """Render one term of an ORDER BY; NULL is the least value, as in MySQL."""
        return self.order_term(self.render(node.this), bool(node.args.get("desc")))

    def order_term(self, piece: Piece, is_descending: bool) -> str:
        return f"{piece.operand}{' DESC' if is_descending else ''}{self.order_nulls(is_descending)}"

    def _node_groupconcat(self, node: exp.GroupConcat) -> Piece:
        self.is_aggregate = True
        inner = node.this
        order: list[tuple[Piece, bool]] = []
        if type(inner).__name__ == "Order":
            order = [(self.render(part.this), bool(part.args.get("desc"))) for part in inner.expressions]
            inner = inner.this
        is_distinct = type(inner).__name__ == "Distinct"
        parts = list(inner.expressions) if is_distinct else [inner]
        separator = node.args.get("separator")
        text = self.literal_text(separator) if separator is not None else ","
        return self.group_concat([self.render(part) for part in parts], order, text, is_distinct)

    def _node_concat(self, node: exp.Concat) -> Piece:
        parts = [self.render(part) for part in node.expressions]
        return self.call(Call("CONCAT", parts), FUNCTIONS["CONCAT"], "CONCAT")

    def _node_cast(self, node: exp.Cast) -> Piece:
        target, sizes = cast_target(node.args["to"])
        return self.cast_to(self.render(node.this), target, sizes)

    def _node_trim(self, node: exp.Trim) -> Piece:
        what = self.text(self.render(node.expression)) if node.args.get("expression") else None
        return self.trim(
            self.text(self.render(node.this)), what, (node.args.get("position") or "BOTH").upper()
        )

    def _node_substring(self, node: exp.Substring) -> Piece:
        nodes = [
            part for part in (node.this, node.args.get("start"), node.args.get("length")) if part is not None
        ]
        return self.call(Call("SUBSTR", [self.render(part) for part in nodes]), FUNCTIONS["SUBSTR"], "SUBSTR")

    def _node_strposition(self, node: exp.StrPosition) -> Piece:
        arguments = [self.render(node.args["substr"]), self.render(node.this)]
        return self.call(Call("LOCATE", arguments), FUNCTIONS["LOCATE"], "LOCATE")

    def _node_extract(self, node: exp.Extract) -> Piece:
        unit = node.this.name.upper()
        if unit not in UNITS:
            raise QuerySyntaxError(f"EXTRACT knows {', '.join(sorted(UNITS))}, not {unit}.")
        return self.call(Call(unit, [self.render(node.expression)]), FUNCTIONS[unit], unit)

    # -- dates --

    def interval(self, node: exp.Expr) -> tuple[Piece, str]:
        """Return the amount and the unit of an INTERVAL."""
        unit = node.args.get("unit")
        name = unit.name.upper() if unit is not None else ""
        if name not in UNITS or node.this is None:
            raise QuerySyntaxError(f"INTERVAL knows {', '.join(sorted(UNITS))}, not {name or 'nothing'}.")
        if type(node.this).__name__ == "Literal":
            text = number_of(self.literal_text(node.this))
            return self.number_constant(text, "decimal" if "." in text else "int"), name
        return self.number(self.render(node.this)), name

    def _shift(self, nodes: list[exp.Expr], sign: str) -> Piece:
        moment = self.moment(self.render(nodes[0]))
        if type(nodes[1]).__name__ == "Interval":
            return self.shifted(moment, *self.interval(nodes[1]), sign)
        return self.shifted(moment, self.number(self.render(nodes[1])), "DAY", sign)

    def _call_date_add(self, nodes: list[exp.Expr]) -> Piece:
        return self._shift(nodes, "+")

    def _call_date_sub(self, nodes: list[exp.Expr]) -> Piece:
        return self._shift(nodes, "-")

    _call_adddate = _call_date_add
    _call_subdate = _call_date_sub

    def _call_timestampadd(self, nodes: list[exp.Expr]) -> Piece:
        amount, moment = self.number(self.render(nodes[1])), self.moment(self.render(nodes[2]))
        return self.shifted(moment, amount, self._unit(nodes[0]), "+")

    def _call_timestampdiff(self, nodes: list[exp.Expr]) -> Piece:
        start, end = (self.moment(self.render(node)) for node in nodes[1:])
        return self.difference(self._unit(nodes[0]), start, end)

    @abstractmethod
    def difference(self, unit: str, start: Piece, end: Piece) -> Piece:
        """Count the whole units from start to end, as TIMESTAMPDIFF does."""

    def _unit(self, node: exp.Expr) -> str:
        unit = node.name.upper().removeprefix("SQL_TSI_")
        if unit not in UNITS:
            raise QuerySyntaxError(
                f"{unit or node.sql()} is no unit of time. Use one of {', '.join(sorted(UNITS))}."
            )
        return unit

    # -- JSON --

    def _path(self, node: exp.Expr) -> str:
        if type(node).__name__ not in ("JSONPath", "Literal"):
            raise QuerySyntaxError("The path into JSON must be written out, such as '$.length'.")
        return self.literal_text(node)

    def _node_jsonextract(self, node: exp.JSONExtract) -> Piece:
        return self.json_at(self.render(node.this), self._path(node.expression), as_text=False)

    def _node_jsonextractscalar(self, node: exp.JSONExtractScalar) -> Piece:
        return self.json_at(self.render(node.this), self._path(node.expression), as_text=True)

    def _call_json_extract(self, nodes: list[exp.Expr]) -> Piece:
        return self.json_at(self.render(nodes[0]), self._path(nodes[1]), as_text=False)

    def _call_json_unquote(self, nodes: list[exp.Expr]) -> Piece:
        inner = nodes[0]
        if type(inner).__name__ == "JSONExtract":
            return self.json_at(self.render(inner.this), self._path(inner.expression), as_text=True)
        if type(inner).__name__ == "Anonymous" and str(inner.this).upper() == f"{PREFIX}JSON_EXTRACT".upper():
            document, path = inner.expressions[:2]
            return self.json_at(self.render(document), self._path(path), as_text=True)
        return self.json_at(self.render(inner), "$", as_text=True)

    def _node_jsonvalue(self, node: exp.JSONValue) -> Piece:
        if node.args.get("on_condition"):
            raise NotKnownError("JSONValue")
        returning = node.args.get("returning")
        target, sizes = cast_target(returning) if returning else (None, [])
        return self.json_value(self.render(node.this), self._path(node.args["path"]), target, sizes)


def cast_target(node: exp.Expr) -> tuple[str, list[str]]:
    """Return the MySQL name of a cast's type, and its sizes."""
    name = node.this.name if hasattr(node.this, "name") else str(node.this)
    if name not in _TYPES:
        raise QuerySyntaxError(f"A value cannot be cast to {name}. Use one of {', '.join(CAST_KINDS)}.")
    return _TYPES[name], [str(int(size.name)) for size in node.expressions]


def _frame(spec: exp.Expr, renderer: Renderer) -> str:
    def bound(value: object, side: str | None) -> str:
        text = value if isinstance(value, str) else renderer.render(cast("exp.Expr", value)).sql
        return f"{text} {side}" if side else text

    start = bound(spec.args.get("start"), spec.args.get("start_side"))
    if spec.args.get("end") is None:
        return f"{spec.args['kind']} {start}"
    return f"{spec.args['kind']} BETWEEN {start} AND {bound(spec.args['end'], spec.args.get('end_side'))}"


def _check_bit_precedence(node: exp.Expr) -> None:
    # MySQL binds ^ tighter than *, and has an order among & | <<; others do not agree, nor do readers.
    for side in (node.this, node.expression):
        inner = type(side).__name__
        is_mixed = inner in _BITS and inner != type(node).__name__
        if is_mixed or (
            type(node).__name__ == "BitwiseXor" and inner in (*_ARITHMETIC, "Div", "Mod", "IntDiv", "Neg")
        ):
            raise QuerySyntaxError(
                "Operators on bits are mixed with others: say by brackets which comes first."
            )


def _arity(signature: Signature) -> str:
    if signature.at_least == signature.at_most:
        return f"and takes {signature.at_least}"
    if signature.at_most > 9:
        return f"and takes {signature.at_least} or more"
    return f"and takes {signature.at_least} to {signature.at_most}"


def check_number(piece: Piece) -> None:
    """Refuse a date, a UUID or bytes where a number is needed: MySQL's answer would surprise."""
    if piece.kind in MOMENTS or piece.kind in ("time", "uuid", "bytes"):
        raise QuerySyntaxError(
            f"{piece.sql} is of kind {piece.kind} and stands where a number is needed. For times use"
            " DATEDIFF(a, b), TIMESTAMPDIFF(SECOND, a, b) or `+ INTERVAL 1 DAY`."
        )
