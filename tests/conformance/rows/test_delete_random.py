"""Deletes on random pipelines, against an evaluator in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples

N_TABLES = 6
Row = dict[str, Any]


@dataclass(frozen=True)
class Reference:
    """A foreign key: `column` of the child is the `id` of a row of `parent`."""

    parent: int
    column: str
    is_nullable: bool


REFERENCES: dict[int, list[Reference]] = {
    0: [],
    1: [Reference(0, "id0", False)],
    2: [Reference(0, "r0", True), Reference(1, "r1", True)],
    3: [Reference(1, "id1", False), Reference(1, "second", True)],
    4: [Reference(2, "r2", True), Reference(3, "id3", False)],
    5: [Reference(4, "r4", False), Reference(3, "id3", False), Reference(0, "id0", True)],
}


@pytest.fixture
def tables(new_schema: Any, dj: Any) -> list[Any]:
    """Declare the tables, in two schemas, turn and turn about."""
    schemas = [new_schema(), new_schema()]
    classes: dict[str, Any] = {}
    for i, references in REFERENCES.items():
        lines = [
            f"-> {'[nullable] ' if r.is_nullable else ''}T{r.parent}"
            + (f".proj({r.column}='id{r.parent}')" if r.column != f"id{r.parent}" else "")
            for r in references
        ]
        definition = "\n".join([f"id{i} : int32", "---", *lines, "x : int32"])
        schema = dj.Schema(schemas[i % 2].database, connection=schemas[0].connection, context=classes)
        classes[f"T{i}"] = schema(type(f"T{i}", (dj.Manual,), {"definition": definition}))
    return list(classes.values())


@st.composite
def pipelines(draw: st.DrawFn) -> list[list[Row]]:
    rows: list[list[Row]] = []
    for i in range(N_TABLES):
        found = []
        for n in range(draw(st.integers(0, 6))):
            row: Row = {f"id{i}": n, "x": draw(st.integers(0, 2))}
            for r in REFERENCES[i]:
                choices: list[Any] = [p[f"id{r.parent}"] for p in rows[r.parent]]
                if r.is_nullable:
                    choices.append(None)
                if not choices:
                    break
                row[r.column] = draw(st.sampled_from(choices))
            else:
                found.append(row)
        rows.append(found)
    return rows


def survivors(rows: list[list[Row]], start: int, goes: Callable[[Row], bool]) -> tuple[int, list[list[Row]]]:
    """Return how many rows of a table go when those that `goes` names do, and what is left of all."""
    gone: list[set[int]] = [set() for _ in rows]
    gone[start] = {row[f"id{start}"] for row in rows[start] if goes(row)}
    n = len(gone[start])
    for i in range(start + 1, N_TABLES):
        for row in rows[i]:
            if any(row[r.column] in gone[r.parent] for r in REFERENCES[i] if row[r.column] is not None):
                gone[i].add(row[f"id{i}"])
    return n, [[row for row in found if row[f"id{i}"] not in gone[i]] for i, found in enumerate(rows)]


@pytest.mark.rule("data-manipulation", "4.2")
def test_delete_leaves_what_the_evaluator_leaves(tables: list[Any], connection: Any) -> None:
    @examples(30)
    @given(rows=pipelines(), start=st.integers(0, N_TABLES - 1), x=st.integers(0, 2), way=st.integers(0, 6))
    def check(rows: list[list[Row]], start: int, x: int, way: int) -> None:
        for table in reversed(tables):
            table.delete_quick()
        for table, found in zip(tables, rows, strict=True):
            table.insert(found)
        table, key = tables[start], f"id{start}"
        query = [
            lambda: table & {"x": x},
            lambda: table & f"x = {x}",
            lambda: table - (table - {"x": x}).proj(),
            lambda: table & (table & {"x": x}).keys(),
            lambda: table & f"{key} <= {x}",
            lambda: table - f"{key} > {x}",
            lambda: table & [{key: n} for n in range(x + 1)],
        ][way]()
        n, left = survivors(rows, start, lambda row: bool(row["x"] == x if way < 4 else row[key] <= x))
        assert query.delete() == n
        for table, expected in zip(tables, left, strict=True):
            assert table.to_dicts(order_by="KEY") == [
                {name: row[name] for name in table.heading.names} for row in expected
            ]

    check()
