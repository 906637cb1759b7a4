"""What each server does its own way, for the renderers to fill in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dj_query.user_sql.kinds import AttributeKind, Kind, Piece
from dj_query.user_sql.signatures import Signature

if TYPE_CHECKING:
    from sqlglot import exp

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


@dataclass(slots=True)
class Call:
    """A function call: its arguments rendered, and the window that it runs over."""

    name: str
    arguments: list[Piece]
    nodes: list[exp.Expr] = field(default_factory=list)
    is_distinct: bool = False
    over: str = ""


class ServerRules(ABC):
    """What differs between servers, and what is met on the way: names, aggregates."""

    def __init__(self, attributes: Mapping[str, AttributeKind], strings: list[str]) -> None:
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
    def spaces_alike(self, value: Piece, *others: Piece) -> str | None:
        """Return what tells that a value found equal to another is so to the last space, if `=` does not."""
        return None

    def exact_order(self, operator: str, left: Piece, right: Piece) -> str | None:
        """Return `<`, `>`, `<=` or `>=` of texts to the last space, if the server's own is not."""
        return None

    def grouped(self, piece: Piece) -> str:
        """Return what tells groups of equal values apart, if the value alone does not."""
        return piece.sql

    def is_null(self, piece: Piece) -> str:
        return f"{piece.operand} IS NULL"

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
    def member_of(self, value: Piece, document: Piece) -> Piece:
        """Render MEMBER OF: whether a value is an element of an array, or the document itself."""

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

    @abstractmethod
    def difference(self, unit: str, start: Piece, end: Piece) -> Piece:
        """Count the whole units from start to end, as TIMESTAMPDIFF does."""

    # -- what the walk gives to them --

    @abstractmethod
    def render(self, node: exp.Expr) -> Piece:
        """Render a node whose value is used as it is."""

    @abstractmethod
    def interval(self, node: exp.Expr) -> tuple[Piece, str]:
        """Return the amount and the unit of an INTERVAL."""
