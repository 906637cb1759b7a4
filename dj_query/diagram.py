"""Diagrams of tables and their references: which tables, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dj_query.describe import describe
from dj_query.relations import covers_key, is_primary
from dj_query.schema import Schema
from dj_query.table import Table
from dj_query.user_table import UserTable
from dj_schema.errors import DataJointError, MissingTableError
from dj_schema.graph.dependencies import Dependencies, load_dependencies
from dj_schema.graph.dot import NO_GRAPHVIZ, dot_text, draw, has_graphviz
from dj_schema.graph.mermaid import mermaid_text
from dj_schema.graph.picture import COLLAPSED, Arrow, Node, Picture, Reference
from dj_schema.names import Tier, class_name_of, master_of
from dj_schema.table_info import ForeignKey, TableInfo, TableName

if TYPE_CHECKING:
    from dj_schema.connection import Connection

_DRAWN = ("svg", "png", "pdf")
_TEXTS = ("dot", "mmd")


class Diagram:
    """Tables of one schema or several, and how they refer to each other.

    ``diagram + 2`` adds what depends on its tables, two steps down, and ``diagram - 1`` what they depend on,
    one step up; ``a + b``, ``a - b`` and ``a * b`` are union, difference and intersection.

    Parameters
    ----------
    source : Schema, module with a `schema`, table class, table, or Diagram
        What to show.
    """

    def __init__(self, source: Any) -> None:
        if isinstance(source, Diagram):
            self.__dict__.update(source.__dict__)
            return
        connection, tables, schema = _start(source)
        self._connection: Connection = connection
        self._graph: Dependencies = load_dependencies(connection, [schema])
        self._tables: frozenset[TableName] = frozenset(tables)
        self._collapsed: frozenset[TableName] = frozenset()

    @classmethod
    def from_sequence(cls, sources: Iterable[Any]) -> Diagram:
        """Return the union of the diagrams of several sources."""
        diagrams = [cls(source) for source in sources]
        if not diagrams:
            raise DataJointError("a diagram needs at least one schema, module or table.")
        total = diagrams[0]
        for diagram in diagrams[1:]:
            total = total + diagram
        return total

    def _of(self, tables: Iterable[TableName], other: Diagram | None = None) -> Diagram:
        """Return a diagram of these tables, with the graph of this one and of another."""
        new = object.__new__(Diagram)
        new._connection = self._connection
        new._graph = self._graph
        new._collapsed = self._collapsed
        new._tables = frozenset(tables)
        if other is not None:
            if other._connection is not self._connection:
                raise DataJointError("diagrams of two connections cannot be put together.")
            if other._graph is not self._graph:
                edges = {(fk.child, fk.parent, fk.pairs): fk for g in (self, other) for fk in g._graph.edges}
                new._graph = Dependencies((*self._graph.tables, *other._graph.tables), edges.values())
            shown = (self._tables - self._collapsed) | (other._tables - other._collapsed)
            new._collapsed = (self._collapsed | other._collapsed) - shown
        return new

    # -- which tables ------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Diagram:
        if (steps := _steps(other)) is not None:
            return self._grown(self._graph.children, steps)
        other = _as_diagram(other)
        return self._of(self._tables | other._tables, other)

    def __sub__(self, other: Any) -> Diagram:
        if (steps := _steps(other)) is not None:
            return self._grown(self._graph.parents, steps)
        other = _as_diagram(other)
        return self._of(self._tables - other._tables)

    def __mul__(self, other: Any) -> Diagram:
        other = _as_diagram(other)
        return self._of(self._tables & other._tables, other)

    def _grown(self, step: Any, n: int) -> Diagram:
        tables, edge = set(self._tables), set(self._tables)
        for _ in range(n):
            edge = {other for table in edge for other in step(table)} - tables
            tables |= edge
        return self._of(tables)

    def add_parts(self) -> Diagram:
        """Add the parts of all tables here."""
        parts = [
            (schema, name)
            for schema, name in self._graph.tables
            if (schema, master_of(name)) in self._tables and not name.startswith("~")
        ]
        return self._of(self._tables | set(parts))

    def collapse(self) -> Diagram:
        """Show each schema as one box; in a union, tables that the other diagram shows stay tables."""
        new = self._of(self._tables)
        new._collapsed = self._tables
        return new

    @property
    def tables(self) -> list[TableName]:
        """The tables as (schema, name), parents before children."""
        return self._graph.in_order(self._tables)

    def __iter__(self) -> Iterator[TableName]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __contains__(self, table: object) -> bool:
        name = table().table_id if isinstance(table, type) and issubclass(table, UserTable) else table
        return (name.table_id if isinstance(name, Table) else name) in self._tables

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Diagram):
            return NotImplemented
        return (self._tables, self._collapsed) == (other._tables, other._collapsed)

    def __hash__(self) -> int:
        return hash((self._tables, self._collapsed))

    # -- how they are shown ------------------------------------------------------------------------

    @cached_property
    def picture(self) -> Picture:
        """The nodes and arrows, as values."""
        nodes: dict[str, Node] = {}
        place: dict[TableName, str] = {}
        for table in self.tables:
            try:
                node = self._node(table)
            except MissingTableError:
                continue  # another session has dropped it since
            place[table] = node.name
            nodes.setdefault(node.name, node)
        arrows: dict[Arrow, None] = {}
        for fk in self._graph.edges:
            parent, child = place.get(fk.parent), place.get(fk.child)
            if parent is not None and child is not None and (parent != child or fk.parent == fk.child):
                is_whole = not {fk.parent, fk.child} & self._collapsed
                if parent != child or is_whole:
                    arrows.setdefault(self._arrow(fk, parent, child, is_whole))
        return Picture(tuple(nodes.values()), tuple(arrows))

    def _info(self, table: TableName) -> TableInfo:
        return self._connection.catalog.table(*table)

    def _node(self, table: TableName) -> Node:
        schema, name = table
        if table in self._collapsed:
            n = sum(t[0] == schema for t in self._collapsed)
            return Node(f"{schema}.*", f"{schema} ({n} table{'s' * (n != 1)})", COLLAPSED, f"{schema}.*")
        info = self._info(table)
        master = master_of(name)
        label = name if info.tier is None else class_name_of(name)
        label = f"{class_name_of(master)}.{label}" if master else label
        inherited = {child for fk in info.foreign_keys for child, _ in fk.pairs}
        is_dimension = any(key not in inherited for key in info.heading.primary_key)
        tooltip = describe(self._connection, info)
        return Node(f"{schema}.{name}", label, info.tier or Tier.MANUAL, schema, tooltip, is_dimension)

    def _arrow(self, fk: ForeignKey, parent: str, child: str, is_whole: bool) -> Arrow:
        info = self._info(fk.child)
        if not is_primary(info, fk):
            kind = Reference.ATTRIBUTE
        else:
            kind = Reference.EXTENSION if covers_key(info, fk) else Reference.CONTAINMENT
        if not is_whole:
            return Arrow(parent, child, Reference.CONTAINMENT)
        renames = tuple(f"{new}={old}" for new, old in fk.pairs if new != old)
        is_nullable = any(info.heading.by_name[name].is_nullable for name, _ in fk.pairs)
        return Arrow(parent, child, kind, renames, is_nullable)

    def make_dot(self) -> str:
        """Return the diagram as text for Graphviz."""
        return dot_text(self.picture)

    def make_mermaid(self) -> str:
        """Return the diagram as text for Mermaid; Graphviz is not needed."""
        return mermaid_text(self.picture)

    def make_svg(self) -> str:
        """Return the diagram as SVG."""
        return draw(self.make_dot(), "svg").decode()

    def make_png(self) -> bytes:
        """Return the diagram as PNG."""
        return draw(self.make_dot(), "png")

    def save(self, filename: str | Path, format: str | None = None) -> None:
        """Write the diagram to a file.

        Parameters
        ----------
        format : {"svg", "png", "pdf", "dot", "mmd"}, optional
            By default what the name of the file ends with; ``mmd`` is Mermaid. The last two need no Graphviz.
        """
        path = Path(filename)
        wanted = (format or path.suffix).lower().lstrip(".")
        wanted = {"mermaid": "mmd", "gv": "dot"}.get(wanted, wanted)
        if wanted == "mmd":
            path.write_text(self.make_mermaid(), encoding="utf-8")
        elif wanted == "dot":
            path.write_text(self.make_dot(), encoding="utf-8")
        elif wanted in _DRAWN:
            path.write_bytes(draw(self.make_dot(), wanted))
        else:
            raise DataJointError(
                f"a diagram cannot be saved as {wanted or str(path)!r}; the formats are "
                f"{', '.join((*_DRAWN, *_TEXTS))}."
            )

    def draw(self) -> None:
        """Show the diagram: in a notebook, else in a window of matplotlib.

        Raises
        ------
        DataJointError
            Where Graphviz or matplotlib is not installed.
        """
        from dj_query.show import show_picture

        show_picture(self)

    def _repr_svg_(self) -> str | None:
        return self.make_svg() if has_graphviz() else None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if has_graphviz():
            return {"text/plain": repr(self), "image/svg+xml": self.make_svg()}
        text = self.make_mermaid()
        return {"text/plain": f"%% {NO_GRAPHVIZ}\n{text}", "text/vnd.mermaid": text}

    def __str__(self) -> str:
        return self.make_mermaid()

    def __repr__(self) -> str:
        names = ", ".join(node.label for node in self.picture.nodes)
        return f"Diagram({names})"


def _start(source: Any) -> tuple[Connection, list[TableName], str]:
    """Return the connection, the tables, and the schema where the graph begins."""
    if isinstance(source, ModuleType):
        source = getattr(source, "schema", source)
    if isinstance(source, Schema):
        names = [(source.name, name) for name in source.list_tables()]
        return source.connection, names, source.name
    if isinstance(source, type) and issubclass(source, UserTable):
        source = source()
    if isinstance(source, Table):
        source.connection.catalog.forget(source.database)
        source.connection.catalog.table(*source.table_id)  # another session may have dropped it
        return source.connection, [source.table_id], source.database
    raise DataJointError(
        f"no diagram can be made of {source!r}; give a schema, a module with a `schema`, or a table."
    )


def _steps(other: Any) -> int | None:
    """Return the number of steps that was asked for; None for what is no number."""
    if not isinstance(other, int) or isinstance(other, bool):
        return None
    if other < 0:
        raise DataJointError(f"a diagram grows by a number of steps from 0, not by {other}; - n goes up.")
    return other


def _as_diagram(other: Any) -> Diagram:
    return other if isinstance(other, Diagram) else Diagram(other)
