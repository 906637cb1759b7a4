"""The foreign keys among schemas as a graph: parents, children, and the order between tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, TypeVar

from dj_schema.errors import DataJointError, MissingTableError
from dj_schema.names import master_of
from dj_schema.table_info import ForeignKey, TableName

if TYPE_CHECKING:
    from dj_schema.connection import Connection

T = TypeVar("T")
_MOST_READINGS = 3


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
        """Return tables so that each comes after all that it needs, also through tables that are not given.

        Where that leaves a choice, parts come next to their master, and else the order is that in which
        the tables were given.

        Raises
        ------
        DataJointError
            Where tables depend on each other in a circle.
        """
        wanted = set(self.tables if tables is None else tables)
        position = {table: i for i, table in enumerate([*self.tables, *sorted(wanted - set(self.tables))])}
        above = {t: self._next_above(t, wanted) for t in wanted}
        below: dict[TableName, list[TableName]] = {t: [] for t in wanted}
        for table, parents in above.items():
            for parent in parents:
                below[parent].append(table)
        ready = [_rank(t, position) for t in wanted if not above[t]]
        heapify(ready)
        ordered: list[TableName] = []
        while ready:
            table = heappop(ready)[-1]
            ordered.append(table)
            for child in below[table]:
                above[child].discard(table)
                if not above[child]:
                    heappush(ready, _rank(child, position))
        if len(ordered) < len(wanted):
            raise DataJointError(
                f"tables depend on each other in a circle: {_circle(above, wanted - set(ordered))}. "
                "Drop one of these foreign keys (ALTER TABLE ... DROP CONSTRAINT), or one of the tables."
            )
        return ordered

    def _next_above(self, table: TableName, wanted: set[TableName]) -> set[TableName]:
        """The nearest of the wanted tables on each way up."""
        found: set[TableName] = set()
        seen, todo = {table}, [table]
        while todo:
            for parent in self.parents(todo.pop()):
                if parent not in seen:
                    seen.add(parent)
                    (found.add if parent in wanted else todo.append)(parent)
        return found


def _rank(table: TableName, position: Mapping[TableName, int]) -> tuple[bool, int, TableName]:
    return master_of(table[1]) is None, position[table], table


def _circle(above: Mapping[TableName, set[TableName]], stuck: set[TableName]) -> str:
    """Walk up among the tables that never got ready until one comes again."""
    walk = [min(stuck)]
    while (up := min(above[walk[-1]])) not in walk:
        walk.append(up)
    return " -> ".join(".".join(t) for t in reversed([*walk[walk.index(up) :], up]))


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


def settled(read: Callable[[], T]) -> T:
    """Return what is read of foreign keys and the tables at their ends.

    It is read anew where somebody has dropped a table between the two: of another schema, say.

    Raises
    ------
    MissingTableError
        Where a table is missing each time.
    """
    for _ in range(_MOST_READINGS - 1):
        with suppress(MissingTableError):
            return read()
    return read()
