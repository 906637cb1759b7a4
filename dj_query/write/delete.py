"""Deleting with all that depends on it, in one transaction, children first."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dj_query.compile import where_clause
from dj_query.select import AnyOf, Column, Condition, Exists, OneOf, Select, TableSource
from dj_query.table_source import base_select
from dj_schema.errors import DataJointError
from dj_schema.graph.dependencies import Dependencies, load_dependencies
from dj_schema.names import Tier, master_of, tier_of
from dj_schema.sql import Ident, sql
from dj_schema.table_info import ForeignKey, TableName

if TYPE_CHECKING:
    from dj_query.table import Table
    from dj_schema.connection import Connection

log = logging.getLogger("datajoint.delete")
PartIntegrity = Literal["enforce", "ignore", "cascade"]


@dataclass
class Cascade:
    """What a delete takes with it: for each table the block of its rows that go, parents first."""

    connection: Connection
    graph: Dependencies
    selects: dict[TableName, Select]

    def counts(self) -> dict[TableName, int]:
        from dj_query.compile import count_statement

        dialect = self.connection.dialect
        return {
            table: int(self.connection.execute(count_statement(select, dialect), is_read=True).rows[0][0])
            for table, select in self.selects.items()
        }

    def delete(self) -> dict[TableName, int]:
        """Delete from the last child up; return how many rows each table lost."""
        deleted: dict[TableName, int] = {}
        for table in reversed(self.selects):
            deleted[table] = delete_block(self.connection, table, self.selects[table])
        return deleted


def delete_block(connection: Connection, table: TableName, select: Select) -> int:
    """Delete the rows of a block over one table; return how many."""
    return connection.execute(_delete_statement(connection, table, select)).n_rows


def _delete_statement(connection, table, select):  # type: ignore[no-untyped-def]
    return sql("DELETE FROM {}{}", Ident(*table), where_clause(select, connection.dialect))


def cascade_of(table: Table, part_integrity: PartIntegrity) -> Cascade:
    """Return what deleting the rows of a restricted table takes with it.

    Raises
    ------
    DataJointError
        Where parts would go without their master, unless `part_integrity` allows it.
    """
    connection = table.connection
    graph = load_dependencies(connection, [table.database])
    start = {table.table_id: _own_rows(table)}
    while True:
        selects = _downstream(connection, graph, start)
        orphaned = _parts_without_master(graph, selects)
        if not orphaned or part_integrity == "ignore":
            return Cascade(connection, graph, selects)
        part, master = orphaned[0]
        if part_integrity == "enforce":
            raise DataJointError(
                f"Attempt to delete part {'.'.join(part)} before its master {'.'.join(master)}. Delete from the "
                "master, or use part_integrity='cascade' to delete it too, or part_integrity='ignore'."
            )
        up = _rows_of_master(connection, graph, part, master, selects[part])
        known = start.get(master)
        start[master] = _either(known, up) if known else up


def _own_rows(table: Table) -> Select:
    select = table.select
    if not isinstance(select.source, TableSource) or select.window is not None:
        # a block that is not one table's WHERE is matched by its primary key
        base = base_select(table.info)
        return _restricted(base, Exists(select, tuple(table.heading.key_columns)))
    return select


def _restricted(select: Select, condition: Condition) -> Select:
    from dataclasses import replace

    return replace(select, where=(*select.where, condition))


def _either(a: Select, b: Select) -> Select:
    from dataclasses import replace

    from dj_query.select import AllOf

    return replace(a, where=(AnyOf((AllOf(a.where), AllOf(b.where))),))


def _downstream(
    connection: Connection, graph: Dependencies, start: dict[TableName, Select]
) -> dict[TableName, Select]:
    reached = {t for table in start for t in graph.descendants(table)}
    selects: dict[TableName, Select] = {}
    for table in graph.in_order(reached):
        conditions: list[Condition] = []
        own = start.get(table)
        edges = [e for e in graph.edges_to_parents(table) if e.parent in selects and e.parent != table]
        if own is not None and not edges:
            selects[table] = own
            continue
        base = base_select(connection.catalog.table(*table))
        if own is not None:
            from dj_query.select import AllOf

            conditions.append(AllOf(own.where))
        conditions += [_refers_to(edge, selects[edge.parent]) for edge in edges]
        selects[table] = _restricted(
            base, conditions[0] if len(conditions) == 1 else AnyOf(tuple(conditions))
        )
    for table in list(selects):
        loops = [e for e in graph.edges_to_parents(table) if e.parent == table]
        if loops:
            selects[table] = _closed_over(connection, table, selects[table], loops)
    return selects


def _refers_to(edge: ForeignKey, parent: Select) -> Exists:
    """The condition on a child that a foreign key leads to one of the parent's rows."""
    from dataclasses import replace

    attributes = {c.attribute.name: c.attribute for c in parent.columns}
    columns = tuple(Column(replace(attributes[p], name=c), p) for c, p in edge.pairs)
    return Exists(replace(parent, columns=columns), tuple(c for c, _ in edge.pairs))


def _closed_over(connection: Connection, table: TableName, select: Select, loops: list[ForeignKey]) -> Select:
    """Follow a table's references to itself, generation by generation, by primary key."""
    from dataclasses import replace

    from dj_query.expression import QueryExpression

    info = connection.catalog.table(*table)
    key = tuple(info.heading.key_columns)
    base = base_select(info)

    def keys(block: Select) -> set[tuple[object, ...]]:
        rows = QueryExpression.of(block, info.heading, connection).proj().to_dicts()
        return {tuple(r[k] for k in key) for r in rows}

    found = generation = keys(select)
    while generation:
        parents = replace(base, where=(OneOf(key, tuple(generation)),))
        children: set[tuple[object, ...]] = set()
        for edge in loops:
            children |= keys(_restricted(base, _refers_to(edge, parents)))
        generation = children - found
        found |= generation
    if not found:
        return select
    return replace(base, where=(OneOf(key, tuple(sorted(found, key=repr))),))


def _parts_without_master(
    graph: Dependencies, selects: dict[TableName, Select]
) -> list[tuple[TableName, TableName]]:
    found = []
    for schema, name in selects:
        if tier_of(name) is Tier.PART:
            master = (schema, master_of(name) or "")
            if master in graph.tables and master not in selects:
                found.append(((schema, name), master))
    return found


def _rows_of_master(
    connection: Connection, graph: Dependencies, part: TableName, master: TableName, select: Select
) -> Select:
    """The masters of the parts that go."""
    from dataclasses import replace

    edge = next(e for e in graph.edges_to_parents(part) if e.parent == master)
    attributes = {c.attribute.name: c.attribute for c in select.columns}
    columns = tuple(Column(replace(attributes[c], name=p), c) for c, p in edge.pairs)
    base = base_select(connection.catalog.table(*master))
    return _restricted(base, Exists(replace(select, columns=columns), tuple(p for _, p in edge.pairs)))
