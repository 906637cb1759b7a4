"""What a catalog holds of one schema, and how its attributes are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dj_schema.codecs.chain import chain_of
from dj_schema.errors import DataJointError, DefinitionError
from dj_schema.heading import Attribute
from dj_schema.table_info import TableInfo
from dj_schema.types import CodecType, TypeSpec, parse_type

LINEAGE = "~lineage"


@dataclass
class SchemaCatalog:
    """The tables of one schema, in the order in which they were declared.

    Threads share it: what changes is replaced, never changed in place.
    """

    schema: str
    tables: dict[str, TableInfo] = field(default_factory=dict)
    lineage: dict[tuple[str, str], str] | None = None


def parsed_or_none(text: str) -> TypeSpec | None:
    """Return a recorded type, or None for text that is no type of ours."""
    try:
        return parse_type(text)
    except DefinitionError:
        return None


def make_attribute(
    name: str, type_: TypeSpec, *, storage: TypeSpec | None = None, **fields: Any
) -> Attribute:
    """Return an attribute, its storage type unless given the one at the end of its codec chain."""
    storage = storage or type_
    if isinstance(storage, CodecType):
        try:
            storage = parse_type(chain_of(str(type_)).dtype)
        except DataJointError:
            storage = None  # the codec is not registered here; fetching it says so
    hidden = name.startswith("_")
    return Attribute(name=name, type=type_, kind=type_.kind, storage=storage, is_hidden=hidden, **fields)
