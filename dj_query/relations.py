"""How a table stands to others: the references to its parents and from its children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from dj_schema.graph.dependencies import load_dependencies
from dj_schema.table_info import ForeignKey, TableInfo, TableName

if TYPE_CHECKING:
    from dj_query.table import Table


def references(
    table: Table, direction: Literal["parents", "children"], primary: bool | None
) -> list[tuple[TableName, ForeignKey]]:
    """Return the tables next to one, with the foreign key between, once for each foreign key.

    Parameters
    ----------
    primary : bool, optional
        True for foreign keys whose attributes are all in the child's primary key, False for the others.
    """
    graph = load_dependencies(table.connection, [table.database])
    name = table.table_id
    if direction == "parents":
        found = [(fk.parent, fk) for fk in graph.edges_to_parents(name)]
    else:
        found = [(fk.child, fk) for fk in graph.edges_to_children(name)]
    if primary is None:
        return found
    return [(other, fk) for other, fk in found if is_primary(_child(table, fk), fk) == primary]


def is_primary(child: TableInfo, fk: ForeignKey) -> bool:
    """Whether all attributes of a foreign key are in the primary key of its child."""
    return all(child.heading.by_name[name].in_key for name, _ in fk.pairs)


def covers_key(child: TableInfo, fk: ForeignKey) -> bool:
    """Whether a foreign key is the whole primary key of its child: one row at most for each of the parent."""
    return {name for name, _ in fk.pairs} == set(child.heading.key_columns)


def foreign_key_info(table: Table, fk: ForeignKey) -> dict[str, Any]:
    """Describe a foreign key in a dict.

    ``primary``: all of it is in the child's primary key. ``multi``: a row of the parent may have several
    children. ``aliased``: an attribute has another name. ``attr_map``: the parent's names by the child's.
    """
    child = _child(table, fk)
    return {
        "primary": is_primary(child, fk),
        "attr_map": dict(fk.pairs),
        "aliased": fk.is_renamed,
        "multi": not covers_key(child, fk),
    }


def _child(table: Table, fk: ForeignKey) -> TableInfo:
    return table.connection.catalog.table(*fk.child)
