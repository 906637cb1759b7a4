"""The foreign keys among schemas as a graph: parents, children, and the order between tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from dj_schema.errors import DataJointError
from dj_schema.table_info import ForeignKey, TableName

if TYPE_CHECKING:
    from dj_schema.connection import Connection


class Dependencies:
    """A directed graph of tables, from parent to child.

    Edges are foreign keys; two tables may have several between them, and a table some to itself.
    """

    def __init__(self, tables: Iterable[TableName], edges: Iterable[ForeignKey]) -> None:
        self.edges = tuple(edges)
        names = dict.fromkeys(tables)
        for edge in self.edges:
            names.setdefault(edge.parent)
            names.setdefault(edge.child)
        self.tables: tuple[TableName, ...] = tuple(names)
        self._out: dict[TableName, list[ForeignKey]] = {t: [] for t in names}
        self._in: dict[TableName, list[ForeignKey]] = {t: [] for t in names}
        for edge in self.edges:
            self._out[edge.parent].append(edge)
            self._in[edge.child].append(edge)

    def edges_to_children(self, table: TableName) -> list[ForeignKey]:
        return self._out.get(table, [])

    def edges_to_parents(self, table: TableName) -> list[ForeignKey]:
        return self._in.get(table, [])

    def children(self, table: TableName) -> list[TableName]:
        return list(dict.fromkeys(e.child for e in self.edges_to_children(table)))

    def parents(self, table: TableName) -> list[TableName]:
        return list(dict.fromkeys(e.parent for e in self.edges_to_parents(table)))

    def descendants(self, table: TableName) -> list[TableName]:
        """The table and all that depend on it, parents before children."""
        return self._reached(table, self.children)

    def ancestors(self, table: TableName) -> list[TableName]:
        """All that the table depends on, and itself, parents before children."""
        return self._reached(table, self.parents)

    def _reached(self, start: TableName, step: Callable[[TableName], list[TableName]]) -> list[TableName]:
        seen, todo = {start}, [start]
        while todo:
            for table in step(todo.pop()):
                if table not in seen:
                    seen.add(table)
                    todo.append(table)
        return self.in_order(seen)

    def in_order(self, tables: Iterable[TableName] | None = None) -> list[TableName]:
        """Return tables so that each comes after its parents; ties in the order of declaration.

        Raises
        ------
        DataJointError
            Where tables depend on each other in a circle.
        """
        wanted = set(self.tables if tables is None else tables)
        sorter: TopologicalSorter[TableName] = TopologicalSorter()
        for table in self.tables:
            if table in wanted:
                sorter.add(table, *(p for p in self.parents(table) if p in wanted and p != table))
        for table in wanted - set(self.tables):
            sorter.add(table)
        try:
            return list(sorter.static_order())
        except CycleError as e:
            circle = " -> ".join(".".join(t) for t in e.args[1])
            raise DataJointError(f"tables depend on each other in a circle: {circle}") from None


def load_dependencies(connection: Connection, schemas: Iterable[str]) -> Dependencies:
    """Read the foreign keys of these schemas and of all that they reach, in either direction.

    One statement for each step outwards, whatever the number of tables.
    """
    known: set[str] = set()
    todo = set(schemas)
    tables = [
        (s, t) for s in sorted(todo) for t in connection.catalog.table_names(s) if not t.startswith("~")
    ]
    edges: dict[tuple[str, TableName, tuple[tuple[str, str], ...]], ForeignKey] = {}
    while todo:
        rows = connection.dialect.catalog.foreign_keys(
            lambda statement: connection.execute(statement, is_read=True), sorted(todo)
        )
        known |= todo
        for row in rows:
            edges[row.name, row.child, row.pairs] = ForeignKey(row.child, row.parent, row.pairs)
        todo = {schema for e in edges.values() for schema in (e.child[0], e.parent[0])} - known
    return Dependencies(tables, edges.values())
