"""What a definition says, as values. Nothing here knows a server or a table that exists."""

from __future__ import annotations

from dataclasses import dataclass, field

from dj_schema.types import TypeSpec


@dataclass(frozen=True, slots=True)
class Literal:
    """A default that is a value.

    Each type keeps one Python type, in one form, so that two definitions and a server's catalog can be
    compared (`defaults.fit_default` brings any literal to it):

    ========================  ===========================================================
    bool                      ``bool``
    integers                  ``int``
    float32, float64          ``float``
    decimal(p,s)              ``str`` with exactly `s` digits after the point: ``'1.50'``
    char, varchar, enum       ``str``
    date                      ``str``, ``'2020-01-31'``
    datetime                  ``str``, ``'2020-01-31 10:00:00'``, then ``.500000`` unless the second is whole
    ========================  ===========================================================
    """

    value: str | int | float | bool

    # 1 == True == 1.0 in Python, but not as defaults of a table.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and (type(self.value), self.value) == (
            type(other.value),
            other.value,
        )

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Null:
    """The default NULL, which makes an attribute nullable."""


@dataclass(frozen=True, slots=True)
class CurrentTimestamp:
    """The server's time at the insert, in UTC, with as many digits as the attribute's type keeps."""


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
        From ``.proj(new='old')``. Every other attribute of the parent's primary key keeps its name.
    """

    target: str
    renames: tuple[tuple[str, str], ...] = ()
    is_nullable: bool = False
    is_unique: bool = False
    comment: str = ""
    line_number: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """`index(...)` or `unique index(...)`.

    Attributes
    ----------
    columns : tuple of str
        Each one an attribute's name; or a path into JSON, ``car.length:decimal(4,1)``; or an SQL
        expression in the MySQL flavour, which is kept with its brackets: ``(YEAR(birth_date))``.
    """

    columns: tuple[str, ...]
    is_unique: bool = False
    line_number: int | None = field(default=None, compare=False)


KeyItem = AttributeSpec | ForeignKeySpec
Item = AttributeSpec | ForeignKeySpec | IndexSpec


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A whole definition: the lines above `---` and those below it, in order; a singleton has none above."""

    comment: str = ""
    primary: tuple[Item, ...] = ()
    secondary: tuple[Item, ...] = ()
