"""A query as a value: one SELECT block and its sources. No SQL text here; its conditions are in `where.py`.

Names inside a block are of its source; `Column` says how they become the attributes of the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from dj_query.recent import Recent
from dj_query.where import Condition, names_in
from dj_schema.heading import Attribute

if TYPE_CHECKING:
    from dj_query.user_sql import UserExpression


@dataclass(frozen=True, slots=True)
class TableSource:
    schema: str
    table: str
    names: frozenset[str]


@dataclass(frozen=True)
class DerivedSource:
    select: Select

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(c.attribute.name for c in self.select.columns)


@dataclass(frozen=True)
class JoinSource:
    left: Source
    right: Source
    using: tuple[str, ...]
    is_left: bool

    @cached_property
    def names(self) -> frozenset[str]:
        return self.left.names | self.right.names


@dataclass(frozen=True)
class UnionSource:
    """The rows of both; the attributes that one lacks are NULL in its rows."""

    left: Select
    right: Select
    attributes: tuple[Attribute, ...]

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(a.name for a in self.attributes)


Source = TableSource | DerivedSource | JoinSource | UnionSource


@dataclass(frozen=True, slots=True)
class Column:
    """An attribute of the result: a name of the source, or an SQL expression over it."""

    attribute: Attribute
    origin: str | UserExpression

    @property
    def is_identity(self) -> bool:
        return self.origin == self.attribute.name


@dataclass(frozen=True, slots=True)
class Ordering:
    """An attribute to sort by, or a value inside of it; NULL is smaller than any value, on every server."""

    name: str
    is_descending: bool = False
    is_nullable: bool = False
    inside: UserExpression | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """What part of the rows, in which order."""

    order: tuple[Ordering, ...]
    limit: int | None
    offset: int


@dataclass(frozen=True, init=False)
class Select:
    """One block.

    Attributes
    ----------
    group : tuple of str or None
        Names of the source to group by; `()` makes one group of all rows, None does not group.
    has_empty_group : bool
        With the group `()`: there is a row of the result even where no row of the source is.
    """

    source: Source
    columns: tuple[Column, ...]
    where: tuple[Condition, ...] = ()
    group: tuple[str, ...] | None = None
    has_empty_group: bool = False
    is_distinct: bool = False
    window: Window | None = None

    def __init__(
        self,
        source: Source,
        columns: tuple[Column, ...],
        where: tuple[Condition, ...] = (),
        group: tuple[str, ...] | None = None,
        has_empty_group: bool = False,
        is_distinct: bool = False,
        window: Window | None = None,
    ) -> None:
        # a query makes several; a frozen dataclass sets each field by a call, which takes twice as long
        self.__dict__.update(
            source=source, columns=columns, where=where, group=group, has_empty_group=has_empty_group,
            is_distinct=is_distinct, window=window,
        )  # fmt: skip

    @property
    def is_plain(self) -> bool:
        """Whether its conditions may still be added to, without a subquery."""
        return self.group is None and self.window is None

    # Kept for those that `and_where` makes of a block, too; `cached_property` takes a lock each time.

    @property
    def identities(self) -> frozenset[str]:
        """The attributes that have the name that they have in the source."""
        found: frozenset[str] | None = self.__dict__.get("_identities")
        if found is None:
            found = _identities.get((self.columns,), None, lambda: _names_that_stay(self.columns))
            self.__dict__["_identities"] = found
        return found

    @property
    def is_computed(self) -> bool:
        """Whether any attribute is more than a name of the source."""
        found: bool | None = self.__dict__.get("_is_computed")
        if found is None:
            found = _computed.get((self.columns,), None, lambda: _has_expression(self.columns))
            self.__dict__["_is_computed"] = found
        return found

    def and_where(self, condition: Condition) -> Select:
        """Return the block with one more condition on names of its source."""
        # what is cached of a block stays true, and copying is four times as fast as `dataclasses.replace`
        new = object.__new__(Select)
        new.__dict__.update(self.__dict__, where=(*self.where, condition))
        return new

    def takes(self, condition: Condition) -> bool:
        """Whether a condition on the result means the same among the conditions of the block.

        It does where it looks at names of the source alone; in a block that groups, at names that are
        the same in all rows of a group.
        """
        if self.window is not None:
            return False
        names = names_in(condition)
        if self.group is not None:
            return bool(self.group) and self.identities.intersection(self.group).issuperset(names)
        return self.identities.issuperset(names)


_identities: Recent[frozenset[str]] = Recent()
_computed: Recent[bool] = Recent()


def _names_that_stay(columns: tuple[Column, ...]) -> frozenset[str]:
    return frozenset(c.attribute.name for c in columns if c.is_identity)


def _has_expression(columns: tuple[Column, ...]) -> bool:
    return any(not isinstance(c.origin, str) for c in columns)


def derived(select: Select, *, visible_only: bool = False) -> Select:
    """Wrap a block, so that its attributes are names of a source."""
    inside, outside = _wrapped.get(
        (select.columns,), visible_only, lambda: _wrap(select.columns, visible_only)
    )
    if inside is not select.columns:
        select = replace(select, columns=inside)
    return Select(DerivedSource(select), outside)


_wrapped: Recent[tuple[tuple[Column, ...], tuple[Column, ...]]] = Recent()


def _wrap(columns: tuple[Column, ...], visible_only: bool) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """The columns of the block inside, and those of the block around it."""
    if visible_only and any(c.attribute.is_hidden for c in columns):
        columns = tuple([c for c in columns if not c.attribute.is_hidden])
    return columns, tuple([Column(c.attribute, c.attribute.name) for c in columns])
