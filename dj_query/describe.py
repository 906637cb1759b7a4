"""The definition of a declared table, written back from what the database holds."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dj_schema.definition.printer import print_definition
from dj_schema.definition.spec import AttributeSpec, ForeignKeySpec, IndexSpec, Item, TableSpec
from dj_schema.names import class_name_of, master_of

if TYPE_CHECKING:
    from dj_schema.connection import Connection
    from dj_schema.table_info import ForeignKey, TableInfo


def describe(connection: Connection, info: TableInfo, modules: Mapping[str, str] | None = None) -> str:
    """Return the definition that declares the same table.

    Parameters
    ----------
    modules : mapping, optional
        What the modules of other schemas are called; by default as the schema, as far as Python allows.
    """
    return print_definition(spec_of(info, modules or {}))


def module_name_of(schema: str) -> str:
    """Return a name for Python that is like the name of a schema."""
    name = re.sub(r"\W", "_", schema, flags=re.ASCII)
    return f"_{name}" if name[:1].isdigit() or keyword.iskeyword(name) else name


def spec_of(info: TableInfo, modules: Mapping[str, str]) -> TableSpec:
    """Return the spec of a declared table, each foreign key where the first attribute of its own stands."""
    sections: dict[bool, list[Item]] = {True: [], False: []}
    for a in info.heading.all:
        if a.is_hidden:
            continue
        if not a.is_inherited:
            assert a.type is not None
            sections[a.in_key].append(AttributeSpec(a.name, a.type, a.default, a.comment))
        for fk in info.foreign_keys:
            if a.name == _place(fk, info):
                sections[a.in_key].append(_foreign_key(fk, info, modules))
    automatic = {tuple(c for c, _ in fk.pairs) for fk in info.foreign_keys}
    indexes = [IndexSpec(i.columns, i.is_unique) for i in info.indexes if i.columns not in automatic]
    return TableSpec(info.heading.comment, tuple(sections[True]), (*sections[False], *indexes))


def _place(fk: ForeignKey, info: TableInfo) -> str:
    """Return the attribute at which a foreign key is written: below the key if one of its attributes is."""
    secondary = [child for child, _ in fk.pairs if not info.heading.by_name[child].in_key]
    return (secondary or [child for child, _ in fk.pairs])[0]


def _foreign_key(fk: ForeignKey, info: TableInfo, modules: Mapping[str, str]) -> ForeignKeySpec:
    schema, name = fk.parent
    master = master_of(name)
    if info.master == fk.parent:
        target = "master"
    else:
        target = f"{class_name_of(master)}.{class_name_of(name)}" if master else class_name_of(name)
        if schema != info.schema:
            target = f"{modules.get(schema) or module_name_of(schema)}.{target}"
    renames = tuple((child, parent) for child, parent in fk.pairs if child != parent)
    return ForeignKeySpec(target, renames, is_nullable=fk.is_nullable, is_unique=fk.is_unique)
