"""A table as the database holds it: heading, foreign keys and indexes, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from dj_schema.heading import Heading
from dj_schema.names import Tier, master_of, tier_of

TableName = tuple[str, str]
"""(schema, table) as the database names them."""


@dataclass(frozen=True, slots=True)
class Index:
    """Columns in order; one in brackets is an SQL expression."""

    columns: tuple[str, ...]
    is_unique: bool


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference of a child to the whole primary key of its parent.

    Attributes
    ----------
    pairs : tuple of (child attribute, parent attribute)
    """

    child: TableName
    parent: TableName
    pairs: tuple[tuple[str, str], ...]
    is_nullable: bool = False
    is_unique: bool = False

    @property
    def renames(self) -> dict[str, str]:
        """Child attributes by parent attribute, where the names differ."""
        return {parent: child for child, parent in self.pairs if child != parent}

    @property
    def is_renamed(self) -> bool:
        return any(child != parent for child, parent in self.pairs)


@dataclass(frozen=True)
class TableInfo:
    """One table."""

    schema: str
    name: str
    heading: Heading
    foreign_keys: tuple[ForeignKey, ...] = ()
    indexes: tuple[Index, ...] = field(default=())

    @cached_property
    def full_name(self) -> TableName:
        return self.schema, self.name

    @cached_property
    def tier(self) -> Tier | None:
        return tier_of(self.name)

    @cached_property
    def master(self) -> TableName | None:
        master = master_of(self.name)
        return (self.schema, master) if master else None
