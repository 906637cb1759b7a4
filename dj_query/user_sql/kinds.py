"""What an attribute or an expression is, and a rendered expression that knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dj_schema.heading import KindInSql

Kind = Literal[
    "bool",
    "int",
    "float",
    "decimal",
    "string",
    "enum",
    "date",
    "datetime",
    "time",
    "json",
    "bytes",
    "uuid",
    "unknown",
]
AttributeKind = Kind | KindInSql
Dialect = Literal["postgresql", "mysql", "mariadb"]

EXACT = frozenset({"bool", "int", "decimal"})
NUMBERS = EXACT | {"float"}
TEXTS = frozenset({"string", "enum"})
MOMENTS = frozenset({"date", "datetime"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an expression, rendered for one server.

    Attributes
    ----------
    constant : str, bool or None
        The value of a string literal, the text of a number, or a truth value; None if not constant.
    is_atomic : bool
        No brackets are needed around it in any place.
    is_column : bool
        A column, whose type on the server may be narrower than its kind says: a text may be an enum type.
    is_wide : bool
        An integer of 64 bits, so that arithmetic does not leave its type where MySQL's would not.
    n_unsigned_bits : int
        32 or 64 for an integer without a sign that may use them all, else 0: PostgreSQL has it in a numeric.
    scale : str or None
        SQL for the decimal places to which MySQL rounds the value; not yet rounded where this is set.
    seconds_digits : int
        Of an attribute that is a moment: its text has so many behind the seconds.
    is_bits : bool
        Bits of a signed number, which MySQL shows as an unsigned one; not yet converted where this is set.
    """

    sql: str
    kind: Kind
    constant: str | bool | None = None
    is_atomic: bool = True
    is_wide: bool = False
    is_column: bool = False
    is_null: bool = False
    is_nullable: bool = True
    n_unsigned_bits: int = 0
    scale: str | None = None
    is_bits: bool = False
    seconds_digits: int = 0

    @property
    def is_text_constant(self) -> bool:
        return self.kind == "string" and isinstance(self.constant, str)

    @property
    def operand(self) -> str:
        """The text to stand beside an operator."""
        return self.sql if self.is_atomic else f"({self.sql})"


def joint_kind(pieces: list[Piece]) -> Kind:
    """Return the kind of a value that is one of `pieces`, as CASE and COALESCE of MySQL have it."""
    kinds = {piece.kind for piece in pieces if not piece.is_null}
    if not kinds or "unknown" in kinds:
        return "unknown"
    if len(kinds) == 1:
        kind = kinds.pop()
        return "string" if kind == "enum" else kind
    if kinds <= NUMBERS:
        return "float" if "float" in kinds else "decimal" if "decimal" in kinds else "int"
    return "datetime" if kinds <= MOMENTS else "string"
