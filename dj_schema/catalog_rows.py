"""What a server's catalog says of a schema, in neutral rows: the seam between dialects and `catalog.py`."""

from __future__ import annotations

from dataclasses import dataclass

from dj_schema.definition.spec import Default


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """One column. `type_text` is the server's own word for its type."""

    table: str
    name: str
    type_text: str
    is_nullable: bool
    default: Default | None
    comment: str
    is_auto_increment: bool
    key_position: int | None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexRow:
    table: str
    name: str
    columns: tuple[str, ...]
    is_unique: bool
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ForeignKeyRow:
    """One foreign key; `pairs` holds (child attribute, parent attribute) in order."""

    name: str
    child: tuple[str, str]
    parent: tuple[str, str]
    pairs: tuple[tuple[str, str], ...]
