"""Random schemas with their rows: each a number, so that a failure names the one that it happened in."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.support.reference import Column, Relation, Row

TYPES = {
    "int": "int32", "string": "varchar(6)", "bool": "bool", "date": "date", "decimal": "decimal(5,2)",
    "float": "float64", "uuid": "uuid", "datetime": "datetime(3)",
}  # fmt: skip
# Not in the order of the alphabet, as enums sort by their place, and compare as texts.
ENUMS = [("b", "a", "B", ""), ("c", "a", "b")]
# Few values of each kind, so that rows meet: letters of either case, nothing, what differs by a little.
VALUES: Mapping[str, list[Any]] = {
    "int": [0, 1, 2, 3],
    "string": ["a", "B", "b", "", "a "],
    "bool": [False, True],
    "date": [dt.date(2024, 2, 29), dt.date(2024, 3, 1), dt.date(1999, 12, 31)],
    "decimal": [Decimal("0.50"), Decimal("1.25"), Decimal("-3.00")],
    "float": [0.5, -1.25, 3.0],
    "uuid": [UUID(int=15), UUID(int=15 << 120), UUID(int=1 << 100)],
    "datetime": [
        dt.datetime(2024, 2, 29),
        dt.datetime(2024, 2, 29, 23, 59, 59, 250_000),
        dt.datetime(1999, 12, 31, 12),
    ],
}
_OWN = ["p", "q", "r", "s"]  # the same in several tables, so that namesakes clash


@dataclass
class TableOfWorld:
    """One table: its columns, its definition and its rows."""

    name: str
    columns: list[Column] = field(default_factory=list)
    lines: dict[bool, list[str]] = field(default_factory=lambda: {True: [], False: []})
    rows: list[Row] = field(default_factory=list)
    parents: list[tuple[TableOfWorld, dict[str, str], bool]] = field(default_factory=list)

    @property
    def definition(self) -> str:
        return "\n".join([*self.lines[True], "---", *self.lines[False]])

    @property
    def key(self) -> list[Column]:
        return [c for c in self.columns if c.in_key]

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    def relation(self) -> Relation:
        columns = tuple(sorted(self.columns, key=lambda c: not c.in_key))
        rows = tuple({c.name: row[c.name] for c in columns} for row in self.rows)
        return Relation(columns, rows)


def values_of(column: Column) -> Sequence[Any]:
    """Return what the rows of a column hold, and what it is compared with."""
    return column.labels or VALUES[column.kind]


def make_world(number: int) -> list[TableOfWorld]:
    """Return the tables of a schema, parents first."""
    chance = random.Random(number)
    tables: list[TableOfWorld] = []
    for name in "ABCDEF"[: chance.randint(4, 6)]:
        table = TableOfWorld(name)
        if tables and chance.random() < 0.6:
            _refer(chance, table, chance.choice(tables), in_key=True)
        if not table.columns or chance.random() < 0.5:
            _own(chance, table, f"k_{name.lower()}", in_key=True)
        if tables and chance.random() < 0.5:
            _refer(chance, table, chance.choice(tables), in_key=False)
        for attribute in chance.sample(_OWN, chance.randint(1, 3)):
            _own(chance, table, attribute, in_key=False)
        _fill(chance, table)
        tables.append(table)
    return tables


def _own(chance: random.Random, table: TableOfWorld, name: str, in_key: bool) -> None:
    of_keys = ["int", "int", "string", "date", "uuid", "datetime", "enum"]
    kind = chance.choice(of_keys if in_key else [*TYPES, "enum"])
    labels = chance.choice(ENUMS) if kind == "enum" else ()
    type_ = f"enum({', '.join(map(repr, labels))})" if labels else TYPES[kind]
    is_nullable = not in_key and chance.random() < 0.7
    lineage = f"{table.name.lower()}.{name}" if in_key else None
    table.columns.append(Column(name, in_key, lineage, "string" if labels else kind, is_nullable, labels))
    table.lines[in_key].append(f"{name}{' = null' if is_nullable else ''} : {type_}")


def _refer(chance: random.Random, table: TableOfWorld, parent: TableOfWorld, in_key: bool) -> None:
    renames = {c.name: c.name for c in parent.key}
    for name in renames:
        if name in table.names or chance.random() < 0.25:
            renames[name] = f"{name}_{len(table.columns)}"
    is_nullable = not in_key and chance.random() < 0.5
    changed = ", ".join(f"{new}='{old}'" for old, new in renames.items() if new != old)
    option = "[nullable] " if is_nullable else ""
    table.lines[in_key].append(f"-> {option}{parent.name}{f'.proj({changed})' if changed else ''}")
    table.columns += [
        Column(renames[c.name], in_key, c.lineage, c.kind, is_nullable, c.labels) for c in parent.key
    ]
    table.parents.append((parent, renames, is_nullable))


def _fill(chance: random.Random, table: TableOfWorld) -> None:
    seen = set()
    for _ in range(chance.randint(3, 9)):
        row: Row = {}
        for parent, renames, is_nullable in table.parents:
            origin = chance.choice(parent.rows)
            is_null = is_nullable and chance.random() < 0.3
            row.update({new: None if is_null else origin[old] for old, new in renames.items()})
        for column in table.columns:
            if column.name not in row:
                is_null = column.is_nullable and chance.random() < 0.25
                # the key of a row does not end in a space
                values = [v for v in values_of(column) if not (column.in_key and str(v).endswith(" "))]
                row[column.name] = None if is_null else chance.choice(values)
        key = tuple(row[c.name] for c in table.key)
        if key not in seen:
            seen.add(key)
            table.rows.append(row)
