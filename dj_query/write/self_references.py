"""Rows of a table that refers to itself: all that depend on some of them, and in what order they can go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dj_query.plan import plan_of
from dj_query.select import Column, Select
from dj_query.table_source import base_select
from dj_query.where import AnyOf, Condition, Exists, OneOf

if TYPE_CHECKING:
    from dj_schema.connection import Connection
    from dj_schema.table_info import ForeignKey, TableInfo

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Family:
    """Rows of a table that refers to itself.

    Attributes
    ----------
    generations : list of list of key
        All of them, those that nobody refers to first.
    circular : list of key
        Those that refer to themselves, or to each other in a circle, and can go only after they let go.
    holding : tuple of str
        The attributes that can be set to NULL to let go.
    """

    generations: list[list[Key]]
    circular: list[Key]
    holding: tuple[str, ...]

    @property
    def keys(self) -> list[Key]:
        return [key for generation in self.generations for key in generation]


def rows_of(connection: Connection, info: TableInfo, select: Select, names: tuple[str, ...]) -> list[Key]:
    """Return attributes of the rows of a block over one table, hidden ones too."""
    from dj_query.expression import QueryExpression

    plan = plan_of(QueryExpression.of(select, info.heading, connection), names)
    return [tuple(row) for row in plan.decoding.rows(connection.run(plan.text, plan.params).rows)]


def keyed(info: TableInfo, keys: Sequence[Key]) -> Select:
    """Return the block of the rows with these primary keys."""
    attributes = tuple(info.heading[name] for name in info.heading.key_columns)
    return replace(base_select(info), where=(OneOf(attributes, tuple(keys)),))


def refers_to(edge: ForeignKey, parent: Select) -> Condition:
    """Return the condition on a child that a foreign key leads to one of the parent's rows."""
    attributes = {c.attribute.name: c.attribute for c in parent.columns}
    columns = tuple(Column(replace(attributes[p], name=c), p) for c, p in edge.pairs)
    return Exists(replace(parent, columns=columns), tuple(c for c, _ in edge.pairs))


def family_of(connection: Connection, info: TableInfo, select: Select, loops: Sequence[ForeignKey]) -> Family:
    """Return the rows of a block and all rows of its table that refer to them, over any number of steps."""
    key = tuple(info.heading.key_columns)
    names = tuple(dict.fromkeys((*key, *(child for edge in loops for child, _ in edge.pairs))))
    found: dict[Key, dict[str, Any]] = {}
    new = select
    while rows := rows_of(connection, info, new, names):
        young = [dict(zip(names, row, strict=True)) for row in rows]
        fresh = {k: row for row in young if (k := tuple(row[n] for n in key)) not in found}
        if not fresh:
            break
        found |= fresh
        referred = keyed(info, list(fresh))
        conditions = tuple(refers_to(edge, referred) for edge in loops)
        new = replace(base_select(info), where=(AnyOf(conditions),))
    parents = {own: {_target(row, edge, key) for edge in loops} & found.keys() for own, row in found.items()}
    order, left = _peeled(parents)
    circular = [own for own in found if own in parents[own]] + left
    by_name = info.heading.by_name
    holding = tuple(n for n in names if n not in key and by_name[n].is_nullable)
    return Family([*order, left] if left else order, circular, holding)


def _peeled(parents: Mapping[Key, set[Key]]) -> tuple[list[list[Key]], list[Key]]:
    """Take away the rows that nobody refers to, again and again; return them, and what is left in circles."""
    n_children = dict.fromkeys(parents, 0)
    for own, targets in parents.items():
        for target in targets - {own}:
            n_children[target] += 1
    order: list[list[Key]] = []
    leaves = [own for own, n in n_children.items() if not n]
    while leaves:
        order.append(leaves)
        above = []
        for leaf in leaves:
            del n_children[leaf]
            for target in parents[leaf] - {leaf}:
                n_children[target] -= 1
                if not n_children[target]:
                    above.append(target)
        leaves = above
    return order, list(n_children)


def _target(row: dict[str, Any], edge: ForeignKey, key: tuple[str, ...]) -> Key:
    to = {parent: row[child] for child, parent in edge.pairs}
    return tuple(to.get(name) for name in key)
