"""The source of a module that declares the tables of a schema, written back from the database."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from dj_query.describe import describe, module_name_of
from dj_schema.errors import DataJointError, DefinitionError
from dj_schema.graph.dependencies import Dependencies
from dj_schema.names import Tier, class_name_of, table_name_of
from dj_schema.table_info import ForeignKey, TableInfo

if TYPE_CHECKING:
    from dj_query.schema import Schema
    from dj_schema.connection import Connection

log = logging.getLogger("datajoint.schema")
_TAKEN = ("dj", "schema")


def save_source(schema: Schema, filename: str | Path | None) -> str:
    """Return the source, and write it to a new file where one is named."""
    source = module_source(schema)
    if filename is not None:
        try:
            with Path(filename).open("x", encoding="utf-8") as file:
                file.write(source)
        except FileExistsError:
            raise DataJointError(
                f"{str(filename)!r} is there and is not overwritten; remove it, or name another file."
            ) from None
    return source


def module_source(schema: Schema) -> str:
    """Return the source of a module with a class for each table, parts inside their masters.

    What no class declares, such as a view or a name that comes from no class name, is a comment instead.
    """
    connection = schema.connection
    connection.catalog.forget(schema.name)
    tables = connection.catalog.schema(schema.name).tables
    ours = {n: tables[n] for n in sorted(tables) if not n.startswith("~")}
    named = {name: info for name, info in ours.items() if _comes_from_a_class(info, ours)}
    modules = _modules(schema.name, named)
    blocks = [
        f"# The tables of the schema {schema.name!r}, as they are in the database.",
        "import datajoint as dj",
        f"schema = dj.Schema({schema.name!r})",
    ]
    if modules:
        blocks.append("\n".join(f"{m} = dj.VirtualModule({m!r}, {s!r})" for s, m in modules.items()))
    source = "\n\n".join(blocks) + "\n"
    for name in _in_order(named):
        parts = [i for i in named.values() if i.master == (schema.name, name)]
        source += f"\n\n@schema\n{_class(connection, named[name], parts, modules)}"
    for name in (n for n in ours if n not in named):
        log.warning("table %r of schema %r is not in the source: no class declares it", name, schema.name)
        source += f"\n\n# No class declares the table {name!r}; schema[{name!r}] is it.\n"
    return source


def _comes_from_a_class(info: TableInfo, tables: Mapping[str, TableInfo]) -> bool:
    master = info.master[1] if info.master else None
    if master is not None and not (master in tables and _comes_from_a_class(tables[master], tables)):
        return False
    if info.tier is None or not info.heading.key_columns:  # a view, or a table of another program
        return False
    try:
        return table_name_of(class_name_of(info.name), info.tier, master) == info.name
    except DefinitionError:
        return False


def _modules(own: str, tables: Mapping[str, TableInfo]) -> dict[str, str]:
    """Return the names of the modules of other schemas that these tables refer to."""
    classes = {class_name_of(name) for name in tables}
    found: dict[str, str] = {}
    for schema in dict.fromkeys(fk.parent[0] for info in tables.values() for fk in info.foreign_keys):
        if schema != own:
            name = module_name_of(schema)
            while name in _TAKEN or name in classes or name in found.values():
                name += "_"
            found[schema] = name
    return found


def _in_order(tables: Mapping[str, TableInfo]) -> list[str]:
    """Return the masters so that each comes after what it and its parts refer to.

    Raises
    ------
    DataJointError
        Where a part refers to what depends on its master: no order of classes declares that.
    """
    masters = [info.full_name for info in tables.values() if info.tier is not Tier.PART]
    edges = []
    for info in tables.values():
        for fk in info.foreign_keys:
            child, parent = info.master or info.full_name, fk.parent
            known = tables.get(parent[1]) if parent[0] == info.schema else None
            parent = (known.master or parent) if known is not None else parent
            if known is not None and parent != child:
                edges.append(ForeignKey(child, parent, fk.pairs))
    return [name for _, name in Dependencies(masters, edges).in_order(masters)]


def _class(
    connection: Connection, info: TableInfo, parts: list[TableInfo], modules: Mapping[str, str]
) -> str:
    assert info.tier is not None
    base = info.tier.name.capitalize()
    text = describe(connection, info, modules).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    body = f'definition = """\n{text}\n"""\n'
    graph = Dependencies([p.full_name for p in parts], [fk for p in parts for fk in p.foreign_keys])
    by_name = {part.full_name: part for part in parts}
    for name in graph.in_order(by_name):
        body += f"\n{_class(connection, by_name[name], [], modules)}"
    return f"class {class_name_of(info.name)}(dj.{base}):\n{indent(body, '    ')}"
