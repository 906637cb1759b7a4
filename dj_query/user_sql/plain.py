"""The trees of plain conditions and aggregates, such as ``score > 5 AND name = 'x'`` or ``avg(rt)``.

They are most of what users write. A program that writes no other SQL need not load the parser for the rest,
which takes longer than all else of a short program. The tree is the one that the parser would have made, and
a test compares the two.
"""

from __future__ import annotations

import re
from typing import Any

from dj_query.user_sql.scan import Sort, Token

_AGGREGATES = frozenset({"AVG", "COUNT", "MAX", "MIN", "SUM"})
_NUMBER = re.compile(r"\d+(\.\d+)?")


class Node:
    """A node with the fields that renderers look at; its class has the name of the parser's."""

    def __init__(
        self, this: Any = None, expression: Node | None = None, expressions: tuple[Node, ...] = ()
    ) -> None:
        self.this = this
        self.name = this
        self.expression = expression
        self.expressions = expressions
        self.table = ""
        self.is_string = False
        self.args: dict[str, Any] = {}


class Column(Node): ...


class Literal(Node): ...


class Neg(Node): ...


class Paren(Node): ...


class Anonymous(Node): ...


class Star(Node): ...


class And(Node): ...


class Or(Node): ...


class EQ(Node): ...


class NEQ(Node): ...


class LT(Node): ...


class LTE(Node): ...


class GT(Node): ...


class GTE(Node): ...


_COMPARISONS: dict[str, type[Node]] = {
    "=": EQ,
    "!=": NEQ,
    "<>": NEQ,
    "<": LT,
    "<=": LTE,
    ">": GT,
    ">=": GTE,
}


class _NotPlainError(Exception):
    """There is more in the text than is known here."""


def parse_plain(tokens: list[Token], function_prefix: str, string_prefix: str) -> Node | None:
    """Return the tree of one plain expression, or None for any other.

    Functions and strings get the names that they have for the parser.
    """
    reader = _Reader(tokens, function_prefix, string_prefix)
    try:
        tree = reader.either()
    except _NotPlainError:
        return None
    return tree if reader.at == len(tokens) else None


class _Reader:
    def __init__(self, tokens: list[Token], function_prefix: str, string_prefix: str) -> None:
        self._tokens = tokens
        self._function_prefix = function_prefix
        self._string_prefix = string_prefix
        self._n_strings = 0
        self.at = 0

    def _takes(self, sort: Sort, value: str) -> bool:
        """Step over a word or a symbol, if it comes next."""
        if self.at < len(self._tokens):
            token = self._tokens[self.at]
            if token.sort is sort and token.value.upper() == value:
                self.at += 1
                return True
        return False

    def _next(self) -> Token:
        if self.at == len(self._tokens):
            raise _NotPlainError
        self.at += 1
        return self._tokens[self.at - 1]

    def either(self) -> Node:
        tree = self._both()
        while self._takes(Sort.WORD, "OR"):
            tree = Or(tree, self._both())
        return tree

    def _both(self) -> Node:
        tree = self._comparison()
        while self._takes(Sort.WORD, "AND"):
            tree = And(tree, self._comparison())
        return tree

    def _comparison(self) -> Node:
        left = self._operand()
        if self.at < len(self._tokens) and self._tokens[self.at].sort is Sort.SYMBOL:
            comparison = _COMPARISONS.get(self._tokens[self.at].value)
            if comparison is not None:
                self.at += 1
                return comparison(left, self._operand())
        return left

    def _operand(self) -> Node:
        token = self._next()
        if token.sort is Sort.NAME:
            return Column(token.value)
        if token.sort is Sort.NUMBER:
            return _number(token)
        if token.sort is Sort.STRING:
            literal = Literal(f"{self._string_prefix}{self._n_strings}")
            literal.is_string = True
            self._n_strings += 1
            return literal
        if token.sort is Sort.FUNCTION and token.value.upper() in _AGGREGATES:
            return self._aggregate(token.value)
        if token.sort is Sort.SYMBOL and token.value == "-":
            return Neg(_number(self._next()))
        if token.sort is Sort.SYMBOL and token.value == "(":
            inner = Paren(self.either())
            if self._takes(Sort.SYMBOL, ")"):
                return inner
        raise _NotPlainError

    def _aggregate(self, name: str) -> Node:
        self._takes(Sort.SYMBOL, "(")
        argument = Star() if self._takes(Sort.SYMBOL, "*") else self._operand()
        if not self._takes(Sort.SYMBOL, ")"):
            raise _NotPlainError
        return Anonymous(self._function_prefix + name, expressions=(argument,))


def _number(token: Token) -> Node:
    if token.sort is not Sort.NUMBER or not _NUMBER.fullmatch(token.value):
        raise _NotPlainError
    return Literal(token.value)
