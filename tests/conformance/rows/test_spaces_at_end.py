"""Texts that differ in spaces at their end alone are different texts, also where collations pad."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def tables(new_schema: Any, dj: Any) -> tuple[Any, Any]:
    schema = new_schema()
    note = schema(type("Note", (dj.Manual,), {"definition": "n : int32\n---\ntext = null : varchar(9)"}))
    child = schema(type("Child", (dj.Manual,), {"definition": "-> Note\nk : int32"}), context={"Note": note})
    texts = {1: "a", 2: "a ", 3: "a  ", 4: "b", 5: " a", 6: None, 7: "", 8: " "}
    note.insert([{"n": n, "text": text} for n, text in texts.items()])
    child.insert([{"n": n, "k": 0} for n in texts])
    return note, child


CASES: dict[str, tuple[Any, list[int]]] = {
    "dict": ({"text": "a"}, [1]),
    "dict with a space": ({"text": "a "}, [2]),
    "empty": ({"text": ""}, [7]),
    "one space": ({"text": " "}, [8]),
    "with a key": ({"n": 2, "text": "a"}, []),
    "NULL": ({"text": None}, [6]),
    "list": ([{"text": "a"}, {"text": "b"}], [1, 4]),
    "list with spaces": ([{"text": "a  "}, {"text": "b"}], [3, 4]),
    "rows": ([{"n": 1, "text": "a"}, {"n": 2, "text": "a"}, {"n": 4, "text": "b"}], [1, 4]),
    "long list": ([{"text": f"{n}"} for n in range(300)] + [{"text": "a"}], [1]),
    "long list with spaces": ([{"text": f"{n}"} for n in range(300)] + [{"text": "a "}], [2]),
    "SQL": ("text = 'a'", [1]),
    "SQL with a space": ("'a ' = text", [2]),
    "SQL unequal": ("text <> 'a'", [2, 3, 4, 5, 7, 8]),
    "SQL list": ("text IN ('a', 'b')", [1, 4]),
    "SQL list with NULL": ("text NOT IN ('a', NULL)", []),
}


@pytest.mark.parametrize("case", CASES)
def test_a_text_is_found_to_its_last_space(tables: tuple[Any, Any], case: str) -> None:
    note, child = tables
    restriction, expected = CASES[case]
    everything = list(range(1, 9))
    others = [n for n in everything if n not in expected]
    assert sorted((note & restriction).to_arrays("n").tolist()) == expected
    assert sorted((note - restriction).to_arrays("n").tolist()) == others
    assert sorted((child & (note & restriction)).to_arrays("n").tolist()) == expected
    assert len(note & restriction) == len(expected)


@pytest.mark.parametrize("case", ["dict", "list", "list with spaces", "SQL", "SQL list"])
def test_a_delete_takes_no_text_of_other_spaces(tables: tuple[Any, Any], case: str) -> None:
    note, child = tables
    restriction, expected = CASES[case]
    left = [n for n in range(1, 9) if n not in expected]
    (child & (note & restriction)).delete(prompt=False)
    assert sorted(child().to_arrays("n").tolist()) == left
    (note & restriction).delete(prompt=False)
    assert sorted(note().to_arrays("n").tolist()) == left
    (note - restriction).delete(prompt=False)
    assert not len(note())


def test_the_same_condition_with_other_spaces_has_other_rows(tables: tuple[Any, Any]) -> None:
    note, _ = tables
    for _ in range(2):  # the text of a query is kept
        for text, n in (("a", 1), ("a  ", 3), ("a ", 2), ("b", 4)):
            assert (note & {"text": text}).keys() == [{"n": n}]
            assert (note & [{"text": text}, {"text": "zz"}]).keys() == [{"n": n}]


def test_a_row_refers_to_a_parent_of_the_same_spaces(new_schema: Any, dj: Any, connection: Any) -> None:
    schema = new_schema()
    parent = schema(type("Parent", (dj.Manual,), {"definition": "name : varchar(9)"}))
    child = schema(
        type("Child", (dj.Manual,), {"definition": "-> Parent\nk : int32"}), context={"Parent": parent}
    )
    parent.insert1({"name": "a"})
    for n in (1, 60):
        rows = [*({"name": "a", "k": k} for k in range(n - 1)), {"name": "a ", "k": n}]
        with pytest.raises(dj.errors.IntegrityError, match="parent"):
            child.insert(rows)
        assert not len(child())
    child.insert1({"name": "a", "k": 1})
    column = f"{connection.dialect.quote}name{connection.dialect.quote}"
    connection.query(f"INSERT INTO {parent.full_table_name} ({column}) VALUES ('others ')")
    child.insert1({"name": "others ", "k": 1})
    assert sorted(child().to_arrays("name").tolist()) == ["a", "others "]


def test_a_label_does_not_end_in_a_space(new_schema: Any, dj: Any) -> None:
    definition = "n : int32\n---\nside : enum('left', 'right ')"
    with pytest.raises(dj.errors.DefinitionError, match="'side' ends in a space"):
        new_schema()(type("Side", (dj.Manual,), {"definition": definition}))
