"""The SQL that users write: parsed once as MySQL's, its names checked, rendered for the server (ruling 8).

Steps: `scan` refuses what is not one expression and tells attributes from keywords; `parse` makes a tree;
`operators` and `render` walk it, with what differs (`server`) in `mysql` and `postgres`; `passthrough` takes
what the parser does not know.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from dj_query.user_sql.kinds import AttributeKind, Dialect, Kind, Piece
from dj_query.user_sql.mysql import MariaDBRenderer, MySQLRenderer
from dj_query.user_sql.operators import NotKnownError
from dj_query.user_sql.parse import parse
from dj_query.user_sql.passthrough import pass_through
from dj_query.user_sql.render import Renderer
from dj_query.user_sql.scan import Sort, Token, scan, scan_list
from dj_schema.errors import QuerySyntaxError

__all__ = [
    "Dialect",
    "Kind",
    "OrderTerm",
    "UserExpression",
    "compile_condition",
    "compile_order",
    "compile_value",
]

Entry = TypeVar("Entry")


def _renderer(dialect: Dialect, attributes: Mapping[str, AttributeKind], strings: list[str]) -> Renderer:
    if dialect == "postgresql":
        # many modules, which a program on another server need not load
        from dj_query.user_sql.postgres import PostgresRenderer

        return PostgresRenderer(attributes, strings)
    return (MySQLRenderer if dialect == "mysql" else MariaDBRenderer)(attributes, strings)


@dataclass(frozen=True, slots=True)
class UserExpression:
    """One expression, ready to stand in a statement.

    Attributes
    ----------
    sql : str
        Text for the server, ``%`` doubled for drivers that bind by ``%s``.
    names : frozenset of str
        The attributes it refers to.
    is_aggregate : bool
        It aggregates over the group; a window function does not count.
    """

    sql: str
    kind: Kind
    names: frozenset[str]
    is_aggregate: bool
    is_nullable: bool = True


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One term of an ORDER BY.

    Attributes
    ----------
    sql : str
        The whole term: expression, direction, and where NULL goes (first when ascending, as on MySQL).
    attribute : str or None
        The attribute, where the term is just that.
    """

    sql: str
    expression: UserExpression
    is_descending: bool
    attribute: str | None = None


def compile_condition(text: str, attributes: Mapping[str, AttributeKind], dialect: Dialect) -> UserExpression:
    """Render a condition for WHERE or HAVING, bracketed where it is not one operand.

    Raises
    ------
    QuerySyntaxError
        It is not one expression, or computes with what cannot be computed with.
    UnknownAttributeError
        It names an attribute that is not in `attributes`.
    """
    return _cached(text, attributes, dialect, is_condition=True)


def compile_value(text: str, attributes: Mapping[str, AttributeKind], dialect: Dialect) -> UserExpression:
    """Render a computed attribute; errors as for `compile_condition`."""
    return _cached(text, attributes, dialect, is_condition=False)


def compile_order(
    text: str, attributes: Mapping[str, AttributeKind], dialect: Dialect
) -> tuple[OrderTerm, ...]:
    """Render the terms of an ordering, such as ``"score DESC, date"``; errors as for `compile_condition`."""
    key = (text, dialect, frozenset(attributes.items()))
    terms = _orders.get(key)
    if terms is None:
        terms = tuple(
            _order_term(text, tokens, attributes, dialect) for tokens in scan_list(text, attributes)
        )
        _orders.put(key, terms)
    return terms


def _order_term(
    text: str, tokens: list[Token], attributes: Mapping[str, AttributeKind], dialect: Dialect
) -> OrderTerm:
    direction = tokens[-1].value.upper() if tokens and tokens[-1].sort is Sort.WORD else ""
    if direction in ("ASC", "DESC"):
        tokens = tokens[:-1]
    if not tokens:
        raise QuerySyntaxError(f'The ordering {text!r} has an empty term. Write it as "score DESC, date".')
    attribute = tokens[0].value if len(tokens) == 1 and tokens[0].sort is Sort.NAME else None
    is_descending = direction == "DESC"
    expression = _compile(tokens, attributes, dialect, is_condition=False)
    operand = expression.sql if attribute is not None else f"({expression.sql})"
    nulls = _renderer(dialect, attributes, []).order_nulls(is_descending)
    sql = f"{operand}{' DESC' if is_descending else ''}{nulls}"
    return OrderTerm(sql, expression, is_descending, attribute)


# -- the cache --


class _Cache(Generic[Entry]):
    """The last entries, by text, heading and dialect; shared by the threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[tuple[object, ...], Entry] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[object, ...]) -> Entry | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def put(self, key: tuple[object, ...], entry: Entry) -> None:
        with self._lock:
            self._entries[key] = entry
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)


_expressions: _Cache[UserExpression] = _Cache(2048)
_orders: _Cache[tuple[OrderTerm, ...]] = _Cache(512)


def _cached(
    text: str, attributes: Mapping[str, AttributeKind], dialect: Dialect, *, is_condition: bool
) -> UserExpression:
    key = (is_condition, text, dialect, frozenset(attributes.items()))
    entry = _expressions.get(key)
    if entry is None:
        entry = _compile(scan(text, attributes), attributes, dialect, is_condition=is_condition)
        _expressions.put(key, entry)
    return entry


def _compile(
    tokens: list[Token], attributes: Mapping[str, AttributeKind], dialect: Dialect, *, is_condition: bool
) -> UserExpression:
    strings = [token.value for token in tokens if token.sort is Sort.STRING]
    renderer = _renderer(dialect, attributes, strings)
    try:
        piece = _rendered(tokens, renderer)
    except RecursionError:
        raise QuerySyntaxError(
            f"An SQL expression of {len(tokens)} words is nested too deeply. Restrict by a list in place of "
            "a long OR, by dj.AndList in place of a long AND."
        ) from None
    kind: Kind = "bool" if is_condition else "string" if piece.kind == "enum" else piece.kind
    return UserExpression(
        sql=(renderer.truth(piece).operand if is_condition else piece.sql).replace("%", "%%"),
        kind=kind,
        names=frozenset(renderer.names),
        is_aggregate=renderer.is_aggregate,
        is_nullable=piece.is_nullable,
    )


def _rendered(tokens: list[Token], renderer: Renderer) -> Piece:
    tree = parse(tokens)
    if tree is not None:
        try:
            return renderer.render(tree)
        except NotKnownError:
            renderer.names.clear()
    return pass_through(tokens, renderer)
