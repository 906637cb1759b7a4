"""Headings: the attributes of a table or an expression, in order, and where each comes from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, cast

from dj_schema.definition.spec import Default
from dj_schema.errors import DefinitionError, UnknownAttributeError
from dj_schema.types import CodecType, CoreType, Kind, NativeType, TypeSpec

KindInSql = (
    Kind
    | Literal["enum", "uint32", "uint64"]
    | Literal["datetime1", "datetime2", "datetime3", "datetime4", "datetime5", "datetime6"]
)
"""Of an attribute in user SQL: these integers do not fit, or their products do not, in 64 bits with a sign;
moments have so many digits behind their seconds, also where these are zeros."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a heading.

    Attributes
    ----------
    type : TypeSpec or None
        As declared; None for a computed attribute.
    kind : Kind
        What its values are in Python terms.
    storage : TypeSpec or None
        The core or native type at the end of a codec's chain; `type` itself for all others, but for a
        `datetime` whose column keeps more digits than it says, as the peer's do on PostgreSQL.
    is_hidden : bool
        Kept out of what a query shows, unless it is named; names of such columns start with ``_``.
    lineage : str or None
        ``schema.table.attribute`` where it was first defined; None for what has no origin.
    is_inherited : bool
        It came with a foreign key, not with a line of its own: its column records no type.
    """

    name: str
    type: TypeSpec | None
    kind: Kind
    in_key: bool = False
    is_nullable: bool = False
    default: Default | None = None
    comment: str = ""
    is_auto_increment: bool = False
    storage: TypeSpec | None = None
    lineage: str | None = None
    is_hidden: bool = False
    is_inherited: bool = field(default=False, compare=False)

    @property
    def is_codec(self) -> bool:
        return isinstance(self.type, CodecType)

    @property
    def is_enum(self) -> bool:
        """Whether the server holds one of a list of labels, which is no text to PostgreSQL."""
        return isinstance(self.storage, CoreType) and self.storage.name == "enum"

    @property
    def seconds_digits(self) -> int:
        """Digits of a second that its column keeps: six where its type is native and does not say."""
        stored = self.storage
        if isinstance(stored, CoreType) and stored.name == "datetime":
            return int(stored.args[0]) if stored.args else 0
        digits = re.search(r"\(\s*([0-6])\s*\)", str(stored))
        return int(digits[1]) if digits and self.kind in ("datetime", "time") else 6

    @property
    def decimal_digits(self) -> tuple[int, int] | None:
        """Precision and scale of a decimal; None for other types, and where the type does not say them."""
        stored = self.storage
        if isinstance(stored, CoreType) and stored.name == "decimal":
            return int(stored.args[0]), int(stored.args[1])
        return stored.decimal_digits if isinstance(stored, NativeType) else None

    @property
    def is_required(self) -> bool:
        """Whether an insert must give a value."""
        return not (self.is_nullable or self.is_auto_increment or self.default is not None)


@dataclass(frozen=True)
class Heading:
    """Attributes in order, visible and hidden.

    Attributes
    ----------
    all : tuple of Attribute
        Every attribute; hidden ones (``_name``) too.
    lineage_available : bool
        Whether origins are known, so that semantic matching can be checked.
    """

    all: tuple[Attribute, ...]
    comment: str = ""
    lineage_available: bool = True
    _memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """The visible attributes by name."""
        return {a.name: a for a in self.all if not a.is_hidden}

    @cached_property
    def by_name(self) -> dict[str, Attribute]:
        """All attributes by name, the hidden ones too."""
        return {a.name: a for a in self.all}

    @cached_property
    def names(self) -> list[str]:
        return list(self.attributes)

    @cached_property
    def primary_key(self) -> list[str]:
        return [n for n, a in self.attributes.items() if a.in_key]

    @cached_property
    def key_columns(self) -> list[str]:
        """The columns of the primary key in the database; a singleton table has a hidden one."""
        return [a.name for a in self.all if a.in_key]

    @cached_property
    def secondary_attributes(self) -> list[str]:
        return [n for n, a in self.attributes.items() if not a.in_key]

    @cached_property
    def kinds(self) -> dict[str, KindInSql]:
        """Names and kinds, hidden attributes too: what user SQL is checked against."""
        return {a.name: _kind_in_sql(a) for a in self.all}

    @cached_property
    def json_names(self) -> frozenset[str]:
        """The attributes that hold JSON, which paths can lead into."""
        return frozenset(a.name for a in self.all if a.kind == "json")

    def memo(self, key: Any, make: Callable[[], Any]) -> Any:
        """Keep what was derived from this heading, once for all expressions that share it."""
        try:
            return self._memo[key]
        except KeyError:
            value = self._memo[key] = make()
            return value

    def __getitem__(self, name: str) -> Attribute:
        try:
            return self.by_name[name]
        except KeyError:
            raise unknown_attribute(name, self.names) from None

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def select(self, attributes: Mapping[str, Attribute]) -> Heading:
        """A heading of other attributes with the same comment and lineage state."""
        return replace(self, all=tuple(attributes.values()), _memo={})

    def __str__(self) -> str:
        from dj_schema.definition.display import heading_text

        return heading_text(self)

    __repr__ = __str__


def unknown_attribute(name: str, names: list[str], of: str = "") -> UnknownAttributeError:
    """Return the error for a name that is not there, with the closest ones that are."""
    from difflib import get_close_matches

    close = get_close_matches(name, names, 3)
    there = ", ".join(names) or "none"
    hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"There are: {there}."
    return UnknownAttributeError(f"there is no attribute {name!r}{f' in {of}' if of else ''}. {hint}")


def not_stored(attribute: Attribute) -> DefinitionError:
    """Return the error for an attribute of a codec that nobody has registered."""
    what = f"{attribute.name!r} is stored by a codec {attribute.type} that is not known here"
    if "@" in str(attribute.type) or str(attribute.type) == "<attach>":
        return DefinitionError(f"{what}: this version stores no files and nothing outside of the database.")
    return DefinitionError(f"{what}; import the module that defines it first.")


def _kind_in_sql(attribute: Attribute) -> KindInSql:
    if attribute.is_enum:
        return "enum"
    if attribute.kind == "int":
        match str(attribute.storage):
            case "uint32":
                return "uint32"
            case "uint64" | "None":  # what is computed has no type, and may be as large
                return "uint64"
    if attribute.kind == "datetime" and isinstance(attribute.storage, CoreType) and attribute.seconds_digits:
        return cast("KindInSql", f"datetime{attribute.seconds_digits}")
    return attribute.kind
