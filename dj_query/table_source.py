"""The block that reads one table as it is declared."""

from __future__ import annotations

from dj_query.select import Column, Select, TableSource
from dj_schema.table_info import TableInfo


def base_select(info: TableInfo) -> Select:
    """Return the block of all rows of a table; its hidden columns can be named, and are not shown."""
    select: Select = info.heading.memo("base_select", lambda: _base_select(info))
    return select


def _base_select(info: TableInfo) -> Select:
    names = frozenset(a.name for a in info.heading.all)
    return Select(
        TableSource(info.schema, info.name, names), tuple(Column(a, a.name) for a in info.heading.all)
    )
