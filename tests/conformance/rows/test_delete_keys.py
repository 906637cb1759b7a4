"""Deletes by an evaluator: foreign keys renamed, composite, several to one table, in keys, and of parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_schema.errors import DataJointError
from tests.support.examples import examples

Row = dict[str, Any]
Rows = dict[str, list[Row]]

DEFINITIONS = {
    "A": "a : int8\n---\nx : int8",
    "B": "-> A\nb : int8\n---\nx : int8",
    "Pair": "-> A.proj(left='a')\n-> A.proj(right='a')\n---\nx : int8",
    "Both": "-> B\n-> Pair.proj(a='left')\n---\nx : int8",  # a diamond that shares an attribute
    "Master": "-> B.proj(ma='a', mb='b')\n---\nx : int8",
    "Other": "other : int8\n---\nx : int8\n"
    "-> [nullable] B.proj(oa='a', ob='b')\n-> [nullable] B.proj(pa='a', pb='b')",
}
PARTS = {"Piece": "-> master\npiece : int8\n---\n-> [nullable] Other\nx : int8"}
KEYS = {
    "A": ["a"], "B": ["a", "b"], "Pair": ["left", "right"], "Both": ["a", "b", "right"],
    "Master": ["ma", "mb"], "Other": ["other"], "Piece": ["ma", "mb", "piece"],
}  # fmt: skip
# Child, parent, and the attributes of the child that hold the key of the parent.
REFERENCES = [
    ("B", "A", ["a"]), ("Pair", "A", ["left"]), ("Pair", "A", ["right"]), ("Both", "B", ["a", "b"]),
    ("Both", "Pair", ["a", "right"]), ("Master", "B", ["ma", "mb"]), ("Other", "B", ["oa", "ob"]),
    ("Other", "B", ["pa", "pb"]), ("Piece", "Master", ["ma", "mb"]), ("Piece", "Other", ["other"]),
]  # fmt: skip
ORDER = list(KEYS)


@pytest.fixture
def tables(new_schema: Any, dj: Any) -> dict[str, Any]:
    """Declare the tables, in two schemas, turn and turn about."""
    schemas = [new_schema(), new_schema()]
    classes: dict[str, Any] = {}
    for i, (name, definition) in enumerate(DEFINITIONS.items()):
        members: dict[str, Any] = {"definition": definition}
        if name == "Master":
            continue
        schema = dj.Schema(schemas[i % 2].database, connection=schemas[0].connection, context=classes)
        classes[name] = schema(type(name, (dj.Manual,), members))
    piece = type("Piece", (dj.Part,), {"definition": PARTS["Piece"]})
    members = {"definition": DEFINITIONS["Master"], "Piece": piece}
    schema = dj.Schema(schemas[0].database, connection=schemas[0].connection, context=classes)
    classes["Master"] = schema(type("Master", (dj.Manual,), members))
    return {**classes, "Piece": classes["Master"].Piece}


@st.composite
def contents(draw: st.DrawFn) -> Rows:
    """Draw rows of each table whose parents are there."""
    rows: Rows = {}
    values = st.integers(0, 2)
    for table in ORDER:
        references = [(parent, names) for child, parent, names in REFERENCES if child == table]
        found: dict[tuple[Any, ...], Row] = {}
        for _ in range(draw(st.integers(0, 5))):
            row: Row = {}
            for parent, names in references:
                given_ = {n: row[n] for n in names if n in row}
                fitting = [
                    p for p in rows[parent]
                    if all(p[k] == given_.get(n, p[k]) for n, k in zip(names, KEYS[parent], strict=True))
                ]  # fmt: skip
                is_optional = not set(names) & set(KEYS[table])
                if is_optional and (not fitting or draw(st.booleans())):
                    row |= dict.fromkeys(names)
                elif fitting:
                    chosen = draw(st.sampled_from(fitting))
                    row |= {n: chosen[k] for n, k in zip(names, KEYS[parent], strict=True)}
                else:
                    break
            else:
                row |= {name: draw(values) for name in KEYS[table] if name not in row}
                row["x"] = draw(values)
                found.setdefault(tuple(row[k] for k in KEYS[table]), row)
        rows[table] = list(found.values())
    return rows


def _key(table: str, row: Row) -> tuple[Any, ...]:
    return tuple(row[k] for k in KEYS[table])


def downstream(rows: Rows, start: dict[str, set[Any]]) -> dict[str, set[Any]]:
    """Return the keys of the rows that go with some, by table."""
    gone = {table: set(start.get(table, ())) for table in ORDER}
    for table in ORDER:
        for child, parent, names in REFERENCES:
            if child == table:
                gone[table] |= {
                    _key(table, row) for row in rows[table] if tuple(row[n] for n in names) in gone[parent]
                }
    return gone


def outcome(rows: Rows, table: str, x: int, part_integrity: str) -> dict[str, set[Any]] | None:
    """Return the keys that a delete takes, by table; None where it is refused."""
    if table == "Piece" and part_integrity == "enforce":
        return None
    start = {table: {_key(table, row) for row in rows[table] if row["x"] == x}}
    while True:
        gone = downstream(rows, start)
        masters = {key[:2] for key in gone["Piece"]} - gone["Master"]
        if not masters or part_integrity == "ignore":
            return gone
        if part_integrity == "enforce":
            return None
        start["Master"] = start.get("Master", set()) | masters


@contextmanager
def _answers_no(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr("builtins.input", lambda _: "no")
        yield


@pytest.mark.rule("data-manipulation", "4.1", "4.2", "4.4", "4.6")
@pytest.mark.rule("delete-data", "cascade", "parts", "count", "prompt")
def test_delete_takes_what_the_evaluator_takes_and_shows_it_before(
    tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    @examples(40)
    @given(
        rows=contents(),
        table=st.sampled_from(ORDER),
        x=st.integers(0, 2),
        part_integrity=st.sampled_from(["enforce", "ignore", "cascade"]),
    )
    def check(rows: Rows, table: str, x: int, part_integrity: str) -> None:
        for name in reversed(ORDER):
            tables[name].delete_quick()
        for name in ORDER:
            tables[name].insert(rows[name])
        expected = outcome(rows, table, x, part_integrity)
        query = tables[table] & {"x": x}

        def delete(prompt: bool = False) -> Any:
            return query.delete(part_integrity=part_integrity, prompt=prompt)

        if expected is None:
            with pytest.raises(DataJointError, match="part_integrity"):
                delete()
            _check_left(tables, rows, {})
            return
        capsys.readouterr()
        with _answers_no(monkeypatch):
            assert delete(prompt=True) == 0
        _check_shown(capsys.readouterr().out, tables, expected)
        _check_left(tables, rows, {})
        assert delete() == len(expected[table])
        _check_left(tables, rows, expected)

    check()


def _check_left(tables: dict[str, Any], rows: Rows, gone: dict[str, set[Any]]) -> None:
    for name in ORDER:
        expected = [row for row in rows[name] if _key(name, row) not in gone.get(name, ())]
        assert sorted(map(str, (tables[name]().to_dicts()))) == sorted(
            str({n: row[n] for n in tables[name].heading.names}) for row in expected
        )


def _check_shown(shown: str, tables: dict[str, Any], gone: dict[str, set[Any]]) -> None:
    """See that the preview names the rows of each table that go."""
    for name, keys in gone.items():
        if keys:
            assert f"{len(keys)} rows from {tables[name].database}.{tables[name].table_name}\n" in shown


def test_the_evaluator_sees_a_refusal_and_a_cascade() -> None:
    rows: Rows = {table: [] for table in ORDER}
    rows["A"] = [{"a": 0, "x": 0}]
    rows["B"] = [{"a": 0, "b": b, "x": b} for b in range(2)]
    rows["Master"] = [{"ma": 0, "mb": 0, "x": 0}]
    rows["Other"] = [{"other": 1, "oa": 0, "ob": 1, "pa": None, "pb": None, "x": 2}]
    rows["Piece"] = [{"ma": 0, "mb": 0, "piece": 0, "other": 1, "x": 0}]
    decide: Callable[[str], Any] = lambda policy: outcome(rows, "Other", 2, policy)  # noqa: E731
    assert decide("enforce") is None
    assert decide("ignore")["Master"] == set()
    assert decide("cascade")["Master"] == {(0, 0)}
