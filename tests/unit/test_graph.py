"""The graph of tables, without a database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_schema.errors import DataJointError
from dj_schema.graph.dependencies import Dependencies
from dj_schema.table_info import ForeignKey, TableName


def edge(parent: str, child: str, schema: str = "s") -> ForeignKey:
    return ForeignKey((schema, child), (schema, parent), (("k", "k"),))


def names(tables: list[TableName]) -> list[str]:
    return [name for _, name in tables]


def test_relatives_in_order() -> None:
    graph = Dependencies([], [edge("a", "b"), edge("b", "c"), edge("a", "c"), edge("x", "c"), edge("b", "b")])
    assert names(graph.parents(("s", "c"))) == ["b", "a", "x"]
    assert names(graph.children(("s", "a"))) == ["b", "c"]
    assert names(graph.children(("s", "b"))) == ["c", "b"]
    assert names(graph.descendants(("s", "a"))) == ["a", "b", "c"]
    assert set(names(graph.ancestors(("s", "c")))) == {"a", "b", "c", "x"}
    assert names(graph.ancestors(("s", "c")))[-1] == "c"
    assert graph.descendants(("s", "unknown")) == [("s", "unknown")]


def test_order_follows_ways_through_tables_that_are_not_asked_for() -> None:
    graph = Dependencies(
        [("s", "c"), ("s", "a")], [edge("a", "b"), edge("b", "c"), edge("x", "y"), edge("y", "x")]
    )
    assert names(graph.in_order([("s", "c"), ("s", "a")])) == ["a", "c"]
    assert names(graph.in_order([("s", "y")])) == ["y"]  # a circle elsewhere


def test_two_keys_to_one_parent_are_two_edges_and_one_child() -> None:
    graph = Dependencies([], [edge("a", "b"), edge("a", "b")])
    assert len(graph.edges_to_children(("s", "a"))) == 2
    assert names(graph.children(("s", "a"))) == ["b"]


def test_parts_come_next_to_their_master() -> None:
    tables = [("s", n) for n in ("__result", "session", "session__trial", "other")]
    graph = Dependencies(tables, [edge("session", "session__trial"), edge("session", "__result")])
    assert names(graph.in_order()) == ["session", "session__trial", "__result", "other"]


def test_a_circle_is_named() -> None:
    graph = Dependencies([], [edge("a", "b"), edge("b", "c"), edge("c", "b"), edge("c", "d")])
    with pytest.raises(
        DataJointError, match=r"circle: (s\.b -> s\.c -> s\.b|s\.c -> s\.b -> s\.c)\. Drop one"
    ):
        graph.in_order()
    assert names(graph.in_order([("s", "a"), ("s", "d")])) == ["a", "d"]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40), st.randoms())
def test_each_table_comes_after_its_parents(pairs: list[tuple[int, int]], random: st.DataObject) -> None:
    edges = [edge(f"t{min(p)}", f"t{max(p)}") for p in pairs]
    random.shuffle(edges)  # type: ignore[attr-defined]
    graph = Dependencies([], edges)
    order = graph.in_order()
    assert sorted(order) == sorted(graph.tables)
    position = {table: i for i, table in enumerate(order)}
    assert all(position[e.parent] <= position[e.child] for e in edges)
    assert order == graph.in_order()
