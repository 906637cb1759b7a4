"""A tree of user SQL rendered for a server: names, constants, operators and conditions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from dj_query.user_sql.kinds import MOMENTS, NUMBERS, Kind, Piece, joint_kind
from dj_query.user_sql.literals import clock_of, moment_of, number_of, uuid_of
from dj_query.user_sql.names import unknown_attribute
from dj_query.user_sql.parse import PLACEHOLDER
from dj_query.user_sql.server import ServerRules
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


class NotKnownError(Exception):
    """The tree has a node that is not rendered here; the text passes through as written."""


class OperatorRenderer(ServerRules):
    """The walk through a tree, and its operators."""

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
        kind = self.attributes[name]
        if kind == "uint32" or kind == "uint64":
            return Piece(self.quote_name(name), "int", is_column=True, n_unsigned_bits=int(kind[4:]))
        if kind.startswith("datetime") and kind != "datetime":
            digits = int(kind.removeprefix("datetime"))
            return Piece(self.quote_name(name), "datetime", is_column=True, seconds_digits=digits)
        return Piece(self.quote_name(name), cast(Kind, kind), is_column=True)

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
        kind: Kind = "int" if piece.kind == "bool" else piece.kind
        return replace(piece, sql=f"-{piece.operand}", kind=kind, constant=None, is_atomic=False)

    def _node_bitwisenot(self, node: exp.BitwiseNot) -> Piece:
        return self.inverted(self.number(self.raw(node.this)))

    def _node_hexstring(self, node: exp.HexString) -> Piece:
        digits = str(node.this)
        return self.hex_string(digits if len(digits) % 2 == 0 else "0" + digits)

    # -- conditions --

    def compare(self, operator: str, left: Piece, right: Piece) -> Piece:
        left, right = self.aligned(left, right)
        alike = self.spaces_alike(left, right) if operator in ("=", "<>", "<=>") else None
        if operator == "<=>":
            text = self.null_safe(left, right)
            text = f"({text}) AND ({alike}) IS NOT FALSE" if alike else text
            return Piece(text, "bool", is_atomic=False, is_nullable=False)
        text = f"{left.operand} {operator} {right.operand}"
        if operator[0] in "<>" and operator != "<>":
            text = self.exact_order(operator, left, right) or text
        if alike:
            text += f" OR NOT ({alike})" if operator == "<>" else f" AND {alike}"
        return Piece(text, "bool", is_atomic=False)

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
            return Piece(self.is_null(piece), "bool", is_atomic=False, is_nullable=False)
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
        if self.exact_order(">=", above, low):
            first, last = self.compare(">=", above, low), self.compare("<=", below, high)
            return Piece(f"{first.operand} AND {last.operand}", "bool", is_atomic=False)
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
        known = [right for _, right in pairs if not right.is_null]
        alike = self.spaces_alike(pairs[0][0], *known) if known else None
        if alike and len(known) < len(pairs):  # a NULL among them makes a FALSE of these unknown
            options = [self.compare("=", value, self.render(member)) for member in node.expressions]
            return Piece(" OR ".join(option.operand for option in options), "bool", is_atomic=False)
        if len({left.sql for left, _ in pairs}) == 1:
            members = ", ".join(right.sql for _, right in pairs)
            text = f"{pairs[0][0].operand} IN ({members})"
            return Piece(f"{text} AND {alike}" if alike else text, "bool", is_atomic=False)
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
        return self.choice([(truth.sql, self.render(node.args["true"]))], self.render(otherwise))

    def _node_case(self, node: exp.Case) -> Piece:
        subject = self.render(node.this) if node.this else None
        branches = []
        for branch in node.args["ifs"]:
            when = self.render(branch.this)
            test = self.compare("=", subject, when) if subject else self.truth(when)
            branches.append((test.sql, self.render(branch.args["true"])))
        default = node.args.get("default")
        return self.choice(
            branches, self.render(default) if default else Piece("NULL", "unknown", is_null=True)
        )

    def choice(self, branches: list[tuple[str, Piece]], default: Piece) -> Piece:
        """Render CASE over conditions that are rendered already."""
        pieces = [piece for _, piece in branches] + [default]
        kind = joint_kind(pieces)
        *values, last = self.unified(pieces, kind)
        whens = " ".join(
            f"WHEN {test} THEN {value.sql}" for (test, _), value in zip(branches, values, strict=True)
        )
        return Piece(f"CASE {whens} ELSE {last.sql} END", kind)


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


def check_number(piece: Piece) -> None:
    """Refuse a date, a UUID or bytes where a number is needed: MySQL's answer would surprise."""
    if piece.kind in MOMENTS or piece.kind in ("time", "uuid", "bytes"):
        raise QuerySyntaxError(
            f"{piece.sql} is of kind {piece.kind} and stands where a number is needed. For times use"
            " DATEDIFF(a, b), TIMESTAMPDIFF(SECOND, a, b) or `+ INTERVAL 1 DAY`."
        )
