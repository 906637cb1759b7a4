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
    "SQL above": ("text > 'a'", [2, 3, 4]),
    "SQL from": ("text >= 'a '", [2, 3, 4]),
    "SQL below": ("'a ' > text", [1, 5, 7, 8]),
    "SQL to": ("text <= 'a'", [1, 5, 7, 8]),
    "SQL between": ("text BETWEEN 'a ' AND 'a  '", [2, 3]),
    "SQL texts": ("CONCAT(text, ' ') > text", [1, 2, 3, 4, 5, 7, 8]),
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
    for table in (parent, child):  # a key is not found by one with other spaces either
        assert len(table & {"name": "a "}) == len(table & [{"name": "a "}, {"name": "b"}]) == 0
        assert len(table - {"name": "a "}) == len(table())
    assert len(parent & [{"name": "a"}, {"name": "others "}, {"name": "b "}]) == 2
    assert (parent & {"name": "others "}).fetch1("name") == "others "
    (parent & {"name": "a  "}).delete(prompt=False)
    child.insert1({"name": "others ", "k": 1})
    assert sorted(child().to_arrays("name").tolist()) == ["a", "others "]


def test_no_query_and_no_update_refers_to_a_parent_of_other_spaces(
    tables: tuple[Any, Any], new_schema: Any, dj: Any
) -> None:
    note, _ = tables
    schema = new_schema()
    parent = schema(type("Parent", (dj.Manual,), {"definition": "name : varchar(9)"}))
    child = schema(
        type("Child", (dj.Manual,), {"definition": "n : int32\n---\n-> [nullable] Parent"}),
        context={"Parent": parent},
    )
    parent.insert([{"name": "a"}, {"name": "b"}, {"name": ""}])
    with pytest.raises(dj.errors.IntegrityError, match="nsert the parent first"):
        child.insert(note.proj(name="text"))
    assert not len(child())
    child.insert((note & ["text = 'a'", "text IN ('b', '')"]).proj(name="text"))
    child.insert((note & "text IS NULL").proj(name="text"))
    assert sorted(child().to_arrays("n").tolist()) == [1, 4, 6, 7]
    with pytest.raises(dj.errors.IntegrityError, match="nsert the parent first"):
        child.update1({"n": 1, "name": "a "})
    with pytest.raises(dj.errors.IntegrityError, match="nsert the parent first"):
        child.update1({"n": 1, "name": "c"})
    child.update1({"n": 1, "name": "b"})
    child.update1({"n": 4, "name": None})
    assert child.to_arrays("name", order_by="n").tolist() == ["b", None, None, ""]


@pytest.mark.rule("fetch-api", "order_by")
def test_a_text_comes_before_the_same_with_spaces(tables: tuple[Any, Any], dj: Any) -> None:
    note, _ = tables
    in_order = [6, 7, 8, 5, 1, 2, 3, 4]
    assert note.to_arrays("n", order_by="text").tolist() == in_order
    assert note.to_arrays("n", order_by="text DESC").tolist() == in_order[::-1]
    assert (note & dj.Top(3, "text DESC, KEY")).proj().to_arrays("n").tolist() == [4, 3, 2]
    assert (dj.U("text") & note).to_arrays("text", order_by="text").tolist()[1:] == [
        "", " ", " a", "a", "a ", "a  ", "b",
    ]  # fmt: skip


@pytest.mark.rule("query-algebra", "8.2")
def test_groups_are_told_apart_by_spaces(tables: tuple[Any, Any], dj: Any) -> None:
    note, _ = tables
    texts = [None, "", " ", " a", "a", "a ", "a  ", "b"]
    note.insert([(9, "a "), (10, "b"), (11, None)])
    universe = dj.U("text") & note
    assert len(universe) == 8
    assert sorted(universe.to_arrays("text"), key=str) == sorted(texts, key=str)
    assert sorted((dj.U("text", "n") & note).to_arrays("n").tolist()) == list(range(1, 12))
    assert len(dj.U("short") & note.proj(short="LEFT(text, 2)")) == 7
    assert len(universe & {"text": "a "}) == len(universe & "text = 'a '") == 1
    assert len((universe & dj.Top(5, "text DESC")).to_dicts()) == 5
    assert len(universe.to_dicts(order_by="text", limit=3, offset=1)) == 3
    counts = dj.U("text").aggr(note, number="count(*)", last="max(n)")
    expected = {None: (2, 11), "": (1, 7), " ": (1, 8), " a": (1, 5), "a": (1, 1), "a ": (2, 9),
                "a  ": (1, 3), "b": (2, 10)}  # fmt: skip
    assert {r["text"]: (r["number"], r["last"]) for r in counts} == expected
    assert len(counts) == 8
    assert len(counts & "number = 2") == 3
    assert (counts & {"text": "a "}).fetch1("last") == 9


@pytest.mark.rule("semantic-matching", "join", "restrict")
def test_texts_of_other_spaces_are_not_joined(tables: tuple[Any, Any], new_schema: Any, dj: Any) -> None:
    note, _ = tables
    definition = "m : int32\n---\ntext = null : varchar(20)"
    word = new_schema()(type("Word", (dj.Manual,), {"definition": definition}))
    word.insert([(1, "a"), (2, "a "), (3, "b"), (4, "b "), (5, None), (6, "")])
    pairs = note.join(word, semantic_check=False)
    assert sorted((r["n"], r["m"]) for r in pairs.to_dicts()) == [(1, 1), (2, 2), (4, 3), (7, 6)]
    assert pairs.heading.names == ["n", "m", "text"]
    again = (note & "n < 5").proj("text").join(word.proj(text="LEFT(text, 2)"), semantic_check=False)
    assert len(again & "m = 4") == 0
    assert len(again) == 3
    left = note.join(word.proj("text"), semantic_check=False, left=True, allow_nullable_pk=True)
    assert sorted(r["n"] for r in left.to_dicts() if r["m"] is None) == [3, 5, 6, 8]
    assert sorted(note.restrict(word, semantic_check=False).to_arrays("n").tolist()) == [1, 2, 4, 7]
    found = note.restrict(dj.U("text") & word, semantic_check=False)
    assert sorted(found.to_arrays("n").tolist()) == [1, 2, 4, 7]


@pytest.mark.rule("query-algebra", "8.3")
def test_aggregates_tell_texts_apart_by_spaces(tables: tuple[Any, Any], dj: Any) -> None:
    note, _ = tables
    note.insert([(9, "a "), (10, "b"), (11, None)])
    row = (
        dj.U()
        .aggr(
            note,
            number="count(DISTINCT text)",
            pairs="count(DISTINCT text, n)",
            listed="GROUP_CONCAT(DISTINCT text ORDER BY text SEPARATOR '|')",
        )
        .fetch1()
    )
    assert (row["number"], row["pairs"]) == (7, 9)
    assert sorted(row["listed"].split("|")) == ["", " ", " a", "a", "a ", "a  ", "b"]
    windows = note.proj("text", together="COUNT(*) OVER (PARTITION BY text)").to_dicts(order_by="n")
    assert [w["together"] for w in windows] == [1, 2, 1, 2, 1, 2, 1, 1, 2, 2, 2]


def test_a_label_does_not_end_in_a_space(new_schema: Any, dj: Any) -> None:
    definition = "n : int32\n---\nside : enum('left', 'right ')"
    with pytest.raises(dj.errors.DefinitionError, match="'side' ends in a space"):
        new_schema()(type("Side", (dj.Manual,), {"definition": definition}))


@pytest.mark.rule("query-algebra", "8.3")
def test_the_least_and_the_greatest_of_texts_count_their_spaces(tables: tuple[Any, Any], dj: Any) -> None:
    note, _ = tables
    some = note & [{"n": n} for n in (3, 1, 2)]
    row = dj.U().aggr(some, low="MIN(text)", high="MAX(text)").fetch1()
    assert row == {"low": "a", "high": "a  "}
    assert dj.U().aggr(note & "n < 0", low="MIN(text)").fetch1("low") is None
    listed = dj.U().aggr(note, texts="GROUP_CONCAT(text ORDER BY text DESC SEPARATOR '|')").fetch1("texts")
    assert listed == "b|a  |a |a| a| |"
    query = note.proj(
        low="LEAST(text, 'a ')",
        high="GREATEST('a ', text, ' ')",
        place="RANK() OVER (ORDER BY text)",
        last="FIRST_VALUE(text) OVER (PARTITION BY n > 3 ORDER BY text DESC)",
        lowest="MIN(text) OVER (PARTITION BY text LIKE 'a%')",
    )
    rows = {r.pop("n"): tuple(r.values()) for r in query.to_dicts()}
    assert rows == {
        1: ("a", "a ", 5, "a  ", "a"),
        2: ("a ", "a ", 6, "a  ", "a"),
        3: ("a ", "a  ", 7, "a  ", "a"),
        4: ("a ", "b", 8, "b", ""),
        5: (" a", "a ", 4, "b", ""),
        6: (None, None, 1, "b", None),
        7: ("", "a ", 2, "b", ""),
        8: (" ", "a ", 3, "b", ""),
    }


@pytest.mark.rule("fetch-api", "order_by")
def test_texts_in_json_are_ordered_by_their_spaces(new_schema: Any, dj: Any) -> None:
    definition = "n : int32\n---\ndoc : json"
    table = new_schema()(type("Doc", (dj.Manual,), {"definition": definition}))
    table.insert([(n, {"x": text}) for n, text in enumerate(["b", "a  ", "a", "a "])])
    for path in ("doc.x", "doc.x:varchar(5)"):
        assert table.to_arrays("n", order_by=path).tolist() == [2, 3, 1, 0]
        assert table.to_arrays("n", order_by=f"{path} DESC").tolist() == [0, 1, 3, 2]
        assert (table & dj.Top(2, path)).proj().to_arrays("n").tolist() in ([2, 3], [3, 2])
