"""A tree of user SQL rendered for a server: functions, windows, intervals, JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from dj_query.user_sql.kinds import Kind, Piece
from dj_query.user_sql.literals import number_of
from dj_query.user_sql.operators import NotKnownError, OperatorRenderer, check_number
from dj_query.user_sql.parse import PREFIX
from dj_query.user_sql.server import CAST_KINDS, Call
from dj_query.user_sql.signatures import FUNCTIONS, SCALARS, Signature
from dj_query.user_sql.words import UNITS
from dj_schema.errors import QuerySyntaxError

if TYPE_CHECKING:
    from sqlglot import exp

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


CLOCK = re.compile(r"-?\d{1,3}:\d\d(:\d\d(\.\d+)?)?")
SPAN = re.compile(r"-?(\d+ )?\d{1,3}:\d\d(:\d\d(\.\d+)?)?")


class Renderer(OperatorRenderer):
    """Renders one expression."""

    def _node_anonymous(self, node: exp.Anonymous) -> Piece:
        over, self._over = self._over, ""
        written = str(node.this).removeprefix(PREFIX)
        name = written.upper()
        signature = FUNCTIONS.get(name)
        nodes, is_distinct = list(node.expressions), False
        if len(nodes) == 1 and type(nodes[0]).__name__ == "Distinct":
            nodes, is_distinct = list(nodes[0].expressions), True
        if signature:
            _check_arity(name, signature, len(nodes))
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
            parts.append("PARTITION BY " + ", ".join(self.grouped(self.render(part)) for part in partition))
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
        _check_arity("SUBSTRING", FUNCTIONS["SUBSTR"], len(nodes))
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

    def _call_regexp_like(self, nodes: list[exp.Expr]) -> Piece:
        value, pattern = (self.text(self.render(node)) for node in nodes)
        return Piece(self.regexp(value, pattern), "bool", is_atomic=False)

    def _call_timestampadd(self, nodes: list[exp.Expr]) -> Piece:
        amount, moment = self.number(self.render(nodes[1])), self.moment(self.render(nodes[2]))
        return self.shifted(moment, amount, self._unit(nodes[0]), "+")

    def _call_timestampdiff(self, nodes: list[exp.Expr]) -> Piece:
        start, end = (self.moment(self.render(node)) for node in nodes[1:])
        return self.difference(self._unit(nodes[0]), start, end)

    def _call_str_to_date(self, nodes: list[exp.Expr]) -> Piece:
        text, pattern = (self.render(node) for node in nodes)
        kind = kind_of_format(str(pattern.constant)) if pattern.is_text_constant else "datetime"
        return self.call(
            Call("STR_TO_DATE", [self.text(text), pattern], nodes), Signature(kind, 2, 2), "STR_TO_DATE"
        )

    def _call_addtime(self, nodes: list[exp.Expr], name: str = "ADDTIME") -> Piece:
        moment, span = (self.render(node) for node in nodes)
        if moment.is_text_constant:
            is_time = CLOCK.fullmatch(str(moment.constant))
            moment = self.cast_to(moment, "TIME" if is_time else "DATETIME", [])
        is_span = span.kind == "time" or (span.is_text_constant and SPAN.fullmatch(str(span.constant)))
        if moment.kind not in ("datetime", "time") or not is_span:
            raise QuerySyntaxError(
                f"{name} takes a datetime or a time, and a time such as '01:30:00'. Add other amounts by "
                "`+ INTERVAL 90 MINUTE`."
            )
        return self.call(Call(name, [moment, span], nodes), Signature(moment.kind, 2, 2), name)

    def _call_subtime(self, nodes: list[exp.Expr]) -> Piece:
        return self._call_addtime(nodes, "SUBTIME")

    def _unit(self, node: exp.Expr) -> str:
        unit = node.name.upper().removeprefix("SQL_TSI_")
        if unit not in UNITS:
            raise QuerySyntaxError(
                f"{unit or node.sql()} is no unit of time. Use one of {', '.join(sorted(UNITS))}."
            )
        return unit

    # -- JSON --

    def _node_jsonarraycontains(self, node: exp.JSONArrayContains) -> Piece:
        return self.member_of(self.render(node.this), self.render(node.expression))

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


def kind_of_format(pattern: str) -> Kind:
    """Return what STR_TO_DATE makes by a format: a date, a time, or both."""
    codes = {pattern[i + 1] for i in range(len(pattern) - 1) if pattern[i] == "%"}
    times = codes & set("HhIikSsfplTr")
    return "date" if not times else "datetime" if codes - times - {"%"} else "time"


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


def _check_arity(name: str, signature: Signature, n_arguments: int) -> None:
    if not signature.at_least <= n_arguments <= signature.at_most:
        raise QuerySyntaxError(f"The function {name} is given {n_arguments} arguments, {_arity(signature)}.")


def _arity(signature: Signature) -> str:
    if signature.at_least == signature.at_most:
        return f"and takes {signature.at_least}"
    if signature.at_most > 9:
        return f"and takes {signature.at_least} or more"
    return f"and takes {signature.at_least} to {signature.at_most}"
