"""What a block asks of its rows: conditions on names of its source, as values. No SQL text here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dj_schema.heading import Attribute

if TYPE_CHECKING:
    from dj_query.select import Select
    from dj_query.user_sql import UserExpression


def may_end_in_spaces(attribute: Attribute) -> bool:
    """Whether spaces at the end of a value count: a char has none, and what has an origin is a key's."""
    is_text = attribute.kind == "string" and attribute.lineage is None
    return is_text and not attribute.is_enum and not str(attribute.storage).startswith("char(")


@dataclass(frozen=True, slots=True)
class Equals:
    """Each name has its value; None means NULL.

    Attributes
    ----------
    texts : tuple of str
        The names whose spaces at the end count, where the server's own comparison passes over them.
    """

    names: tuple[str, ...]
    values: tuple[Any, ...]
    texts: tuple[str, ...] = ()

    @property
    def spaces(self) -> tuple[tuple[str, int], ...]:
        """Each of `texts` that is not NULL, with the length of a value that ends in a space, else 0."""
        values = dict(zip(self.names, self.values, strict=True))
        return tuple(
            (n, len(values[n]) if values[n].endswith(" ") else 0) for n in self.texts if values[n] is not None
        )


@dataclass(frozen=True, slots=True)
class OneOf:
    """The attributes, as a row, are one of the rows; no value is None."""

    attributes: tuple[Attribute, ...]
    rows: tuple[tuple[Any, ...], ...]
    texts: tuple[str, ...] = ()  # as of `Equals`

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(a.name for a in self.attributes)

    @property
    def has_space_at_end(self) -> bool:
        """Whether a value of `texts` ends in one."""
        places = [i for i, a in enumerate(self.attributes) if a.name in self.texts]
        return any(row[i].endswith(" ") for row in self.rows for i in places)

    def apart(self) -> tuple[Equals, ...]:
        """The rows one by one."""
        return tuple(Equals(self.names, row, self.texts) for row in self.rows)


@dataclass(frozen=True, slots=True)
class UserCondition:
    """A condition that a user wrote as SQL, parsed and rendered for the server."""

    expression: UserExpression


@dataclass(frozen=True, slots=True)
class Exists:
    """There is a row in another query with the same values of `names`; `texts` of them compare as texts."""

    select: Select
    names: tuple[str, ...]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """The condition is false or unknown."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool


@dataclass(frozen=True, slots=True)
class JsonEquals:
    """The value at a path inside a JSON attribute; None means that nothing, or null, is there.

    Attributes
    ----------
    typed : UserExpression or None
        The value as the type that was asked for; without one, documents are compared.
    """

    name: str
    steps: tuple[str | int, ...]
    value: Any
    typed: UserExpression | None = None


Condition = Equals | OneOf | UserCondition | Exists | AnyOf | AllOf | Negated | Constant | JsonEquals


def names_in(condition: Condition) -> Collection[str]:
    """The names of the source that a condition looks at."""
    match condition:
        case Equals() | OneOf() | Exists():
            return condition.names
        case UserCondition(expression=expression):
            return expression.names
        case AnyOf(conditions=parts) | AllOf(conditions=parts):
            return frozenset().union(*map(names_in, parts))
        case Negated(condition=inner):
            return names_in(inner)
        case JsonEquals(name=name):
            return frozenset((name,))
    return frozenset()
