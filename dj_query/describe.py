"""The definition of a declared table, written back from what the database holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_schema.definition.printer import print_definition
from dj_schema.definition.spec import AttributeSpec, ForeignKeySpec, IndexSpec, Item, TableSpec
from dj_schema.names import class_name_of, master_of

if TYPE_CHECKING:
    from dj_schema.connection import Connection
    from dj_schema.table_info import ForeignKey, TableInfo


def describe(connection: Connection, info: TableInfo) -> str:
    """Return the definition that declares the same table."""
    return print_definition(spec_of(info))


def spec_of(info: TableInfo) -> TableSpec:
    """Return the spec of a declared table: foreign keys where their first attribute stands."""
    by_first = {fk.pairs[0][0]: fk for fk in reversed(info.foreign_keys)}
    inherited = {child for fk in info.foreign_keys for child, _ in fk.pairs}
    written: set[ForeignKey] = set()
    sections: dict[bool, list[Item]] = {True: [], False: []}
    for a in info.heading.all:
        if a.is_hidden:
            continue
        fks = [fk for fk in info.foreign_keys if fk not in written and _is_due(fk, a.name, by_first, info)]
        for fk in fks:
            written.add(fk)
            sections[_in_key(fk, info)].append(_foreign_key(fk, info))
        if a.name not in inherited:
            assert a.type is not None
            sections[a.in_key].append(AttributeSpec(a.name, a.type, a.default, a.comment))
    automatic = {tuple(c for c, _ in fk.pairs) for fk in info.foreign_keys}
    indexes = [IndexSpec(i.columns, i.is_unique) for i in info.indexes if i.columns not in automatic]
    return TableSpec(info.heading.comment, tuple(sections[True]), (*sections[False], *indexes))


def _in_key(fk: ForeignKey, info: TableInfo) -> bool:
    return all(info.heading.by_name[child].in_key for child, _ in fk.pairs)


def _is_due(fk: ForeignKey, name: str, by_first: dict[str, ForeignKey], info: TableInfo) -> bool:
    """A foreign key is written at the last of its attributes that stands in its own section."""
    own = [c for c, _ in fk.pairs if info.heading.by_name[c].in_key == _in_key(fk, info)] or [fk.pairs[0][0]]
    return name == own[0]


def _foreign_key(fk: ForeignKey, info: TableInfo) -> ForeignKeySpec:
    schema, name = fk.parent
    master = master_of(name)
    if info.master == fk.parent:
        target = "master"
    else:
        target = f"{class_name_of(master)}.{class_name_of(name)}" if master else class_name_of(name)
        target = target if schema == info.schema else f"{schema}.{target}"
    renames = tuple((child, parent) for child, parent in fk.pairs if child != parent)
    return ForeignKeySpec(target, renames, is_nullable=fk.is_nullable, is_unique=fk.is_unique)
