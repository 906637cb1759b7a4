"""What a definition says, as values. Nothing here knows a server or a table that exists."""

from __future__ import annotations

from dataclasses import dataclass, field

from dj_schema.types import TypeSpec


@dataclass(frozen=True, slots=True)
class Literal:
    """A default that is a value: a string, a number or a boolean, as Python holds it."""

    value: str | int | float | bool

    # 1 == True == 1.0 in Python, but not as defaults of a table.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and (type(self.value), self.value) == (type(other.value), other.value)

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Null:
    """The default NULL, which makes an attribute nullable."""


@dataclass(frozen=True, slots=True)
class CurrentTimestamp:
    """The server's time at the insert."""


Default = Literal | Null | CurrentTimestamp


@dataclass(frozen=True, slots=True)
class AttributeSpec:
    """One attribute line. `default is None` means that a value must be given."""

    name: str
    type: TypeSpec
    default: Default | None = None
    comment: str = ""
    line_number: int | None = field(default=None, compare=False)

    @property
    def is_nullable(self) -> bool:
        return isinstance(self.default, Null)


@dataclass(frozen=True, slots=True)
class ForeignKeySpec:
    """One `->` line.

    Attributes
    ----------
    target : str
        The dotted name as written: ``Session``, ``lab.Session``, ``Session.Trial`` or ``master``.
    renames : tuple of (new, old)
        From ``.proj(new='old')``.
    """

    target: str
    renames: tuple[tuple[str, str], ...] = ()
    is_nullable: bool = False
    is_unique: bool = False
    comment: str = ""
    line_number: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """`index(...)` or `unique index(...)`; a column in brackets of its own is an SQL expression, kept with them."""

    columns: tuple[str, ...]
    is_unique: bool = False
    line_number: int | None = field(default=None, compare=False)


KeyItem = AttributeSpec | ForeignKeySpec
Item = AttributeSpec | ForeignKeySpec | IndexSpec


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A whole definition: the lines above `---` and those below it, in order."""

    comment: str = ""
    primary: tuple[Item, ...] = ()
    secondary: tuple[Item, ...] = ()
