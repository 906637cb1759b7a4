"""`+`: rows of both, NULL where one has no such attribute."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest

import datajoint as dj
from tests.support.lab import Lab


@pytest.mark.rule("operators", "union")
@pytest.mark.rule("query-algebra", "7.1", "7.3", "7.4")
def test_union_pads_with_null_and_merges_common_keys(lab: Lab) -> None:
    query = lab.Mouse + lab.Rat
    assert query.primary_key == ["subject_id"]
    assert query.heading.names == ["subject_id", "strain", "cage"]
    assert query.to_dicts(order_by="subject_id") == [
        {"subject_id": 1, "strain": "C57", "cage": None},
        {"subject_id": 2, "strain": "BALB", "cage": None},
        {"subject_id": 3, "strain": "odd", "cage": 7},
        {"subject_id": 4, "strain": None, "cage": 8},
    ]


@pytest.mark.rule("query-algebra", "7.3", "7.4")
def test_union_of_keys_has_each_once(lab: Lab) -> None:
    query = lab.Mouse.proj() + lab.Rat.proj()
    assert sorted(query.to_arrays("subject_id").tolist()) == [1, 2, 3, 4]
    assert len(query) == 4


@pytest.mark.rule("query-algebra", "7.4")
def test_union_of_one_with_attributes_and_one_without(lab: Lab) -> None:
    query = lab.Rat.proj() + lab.Mouse
    assert query.heading.names == ["subject_id", "strain"]
    assert {r["subject_id"]: r["strain"] for r in query.to_dicts()} == {
        1: "C57",
        2: "BALB",
        3: "odd",
        4: None,
    }


@pytest.mark.rule("query-algebra", "7.6")
def test_union_has_the_same_rows_in_either_order_and_grouping(lab: Lab) -> None:
    def rows(query: object) -> list[tuple[object, ...]]:
        return [
            (r["subject_id"], r["strain"], r["cage"], r["species"])
            for r in query.to_dicts(order_by="subject_id")  # type: ignore[attr-defined]
        ]

    others = lab.Subject.proj("species") & "subject_id > 3"
    assert rows(lab.Mouse + lab.Rat + others) == rows(lab.Mouse + (lab.Rat + others))
    assert rows(lab.Mouse + lab.Rat + others) == rows(others + lab.Rat + lab.Mouse)


def test_union_can_be_restricted_joined_and_summarised(lab: Lab) -> None:
    both = lab.Mouse + lab.Rat
    assert len(both & "cage > 7") == 1
    assert len(both & {"strain": None}) == 1
    assert len(both * lab.Session) == 5
    assert dj.U().aggr(both, n="count(strain)").fetch1("n") == 3


def test_union_of_restricted_and_cut_queries(lab: Lab) -> None:
    query = (lab.Mouse & "strain = 'C57'").proj() + (lab.Rat & dj.Top(1, "cage DESC")).proj()
    assert sorted(query.to_arrays("subject_id").tolist()) == [1, 4]


@pytest.mark.rule("query-algebra", "7.2", "7.7")
def test_union_of_other_keys_is_refused(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match="same primary key"):
        lab.Subject + lab.Session


@pytest.mark.rule("query-algebra", "7.2", "7.7")
def test_union_with_a_secondary_attribute_of_both_is_refused(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match=r"\['strain'\]"):
        lab.Mouse + lab.Mouse


@pytest.mark.rule("semantic-matching", "union")
@pytest.mark.rule("query-algebra", "7.7")
def test_union_of_keys_of_different_origin_is_refused(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match="different lineages"):
        lab.Subject.proj() + lab.Stray.proj()


def test_a_date_in_the_key_of_a_union_is_never_null(new_schema: Any) -> None:
    # MySQL asks a date that is NOT NULL for 0000-00-00 where it is asked for NULL, and then refuses that
    days = new_schema()(type("Day", (dj.Manual,), {"definition": "day : date\n---\nn : int32"}))
    days.insert([("2025-01-01", 1), ("2026-01-01", 2)])
    united = days.proj() + (days & "n > 1").proj()
    for condition in ("day IS NULL", "ISNULL(day)", {"day": None}):
        for query in (united, days()):
            assert len(query & condition) == 0
            assert len(query - condition) == 2
    assert len(united & "day IS NOT NULL") == 2


@pytest.mark.rule("query-algebra", "7.3")
def test_labels_of_a_union_are_in_the_order_of_their_enum(new_schema: Any) -> None:
    schema = new_schema()
    key = {"definition": "e : enum('c','it''s','a\\b','B')\n---\nx : int8"}
    one = schema(type("One", (dj.Manual,), key))
    other = schema(type("Other", (dj.Manual,), {"definition": "-> One\n---\nn : int8"}), context={"One": one})
    one.insert([(label, 1) for label in ("B", "c", "it's", "a\\b")])
    other.insert([("B", 1), ("it's", 3)])
    both = one + other
    for query in (one, both, both & "x < 9", dj.U("e") & both, both * other.proj(), both.proj("n")):
        found = query.to_arrays("e", order_by="KEY").tolist()
        assert found == [label for label in ("c", "it's", "a\\b", "B") if label in found]
        assert query.to_arrays("e", order_by="e DESC", limit=1).tolist() == ["B"]


@pytest.mark.rule("query-algebra", "7.3", "7.6")
def test_text_of_a_union_of_many_grows_with_their_number(lab: Lab) -> None:
    """A sum of sixteen, as a loop makes it, once had a text of ten megabytes."""

    def sum_of(n_parts: int) -> Any:
        query: Any = lab.Subject.proj() & {"subject_id": 0}
        for i in range(1, n_parts):
            query = query + (lab.Subject.proj() & {"subject_id": i % 3 + 1})
        return query

    assert [r["subject_id"] for r in sum_of(16).to_dicts(order_by="KEY")] == [1, 2, 3]
    name = lab.Subject.full_table_name
    assert sum_of(16).make_sql().count(name) == 16


@pytest.mark.rule("query-algebra", "7.4", "7.6")
@pytest.mark.parametrize("n_parts", [3, 40, 300])
def test_a_sum_of_many_parts_has_the_attributes_of_each(lab: Lab, n_parts: int) -> None:
    """MySQL nests 63 blocks, and joins 61 tables; PostgreSQL planned for minutes."""
    each = [
        (lab.Mouse if i % 2 else lab.Rat)().proj(**{f"a{i}": ("cage", "strain")[i % 2]})
        for i in range(n_parts)
    ]
    keys: Any = lab.Subject.proj() & {"subject_id": 0}
    query = each[0]
    for i, part in enumerate(each[1:]):
        query = query + part
        keys = keys + (lab.Subject.proj() & {"subject_id": i % 3 + 1})
    expected = [
        {"subject_id": k, **{f"a{i}": (strain if i % 2 else cage) for i in range(n_parts)}}
        for k, strain, cage in [(1, "C57", None), (2, "BALB", None), (3, "odd", 7), (4, None, 8)]
    ]
    assert query.to_dicts(order_by="KEY") == expected
    assert (len(query), len(query & "a0 = 8"), len(lab.Subject - query)) == (4, 1, 1)
    assert [r["subject_id"] for r in keys.to_dicts(order_by="KEY")] == [1, 2, 3][: n_parts - 1]
    assert (lab.Subject.proj("sex") * query & "a1 = 'odd'").fetch1("sex", f"a{n_parts - 1}") == (
        "F",
        7 if n_parts % 2 else "odd",
    )


def test_parts_of_a_sum_keep_what_came_before_them(lab: Lab) -> None:
    """Each key once, with the values of every part: also where a part is restricted, renamed or cut off."""
    one = (lab.Mouse + lab.Rat) & "subject_id < 4"
    two = (lab.Mouse + lab.Rat).proj("cage") & dj.Top(2, "subject_id DESC")
    three = (lab.Mouse + lab.Rat).proj(number="subject_id").proj(subject_id="number")
    assert [r["subject_id"] for r in (one.proj() + two).to_dicts(order_by="KEY")] == [1, 2, 3, 4]
    assert (two + one.proj("strain")).to_dicts(order_by="KEY") == [
        {"subject_id": 1, "cage": None, "strain": "C57"},
        {"subject_id": 2, "cage": None, "strain": "BALB"},
        {"subject_id": 3, "cage": 7, "strain": "odd"},
        {"subject_id": 4, "cage": 8, "strain": None},
    ]
    assert [r["subject_id"] for r in (three + lab.Mouse + lab.Rat).to_dicts(order_by="KEY")] == [1, 2, 3, 4]


def test_names_that_are_exchanged_in_a_part_of_a_sum_stay_so(lab: Lab) -> None:
    exchanged = (lab.Mouse + lab.Rat).proj(strain="cage", cage="strain")
    query = exchanged + lab.Subject.proj()
    assert {r["subject_id"]: (r["cage"], r["strain"]) for r in query.to_dicts() if r["subject_id"] < 5} == {
        1: ("C57", None),
        2: ("BALB", None),
        3: ("odd", 7),
        4: (None, 8),
    }


def test_null_in_the_keys_of_a_sum_stays_apart(lab: Lab) -> None:
    """It equals nothing, neither in two parts of a sum nor in more, and keeps what stands beside it."""
    seen = dj.U("experimenter") & lab.Session
    first = dj.U("experimenter").aggr(lab.Session, n="count(session)")
    last = dj.U("experimenter").aggr(lab.Session, latest="max(session)")
    sums = [(seen + last, 2), (first + last, 2), (first + seen + last, 3), (seen + (first + last), 3)]
    for query, n_parts in sums:
        rows = [row for row in query.to_dicts() if row["experimenter"] is None]
        assert len(rows) == n_parts
        assert {row.get("n") for row in rows} <= {2, None}
        assert 2 in {row["latest"] for row in rows}
        assert len(query) == len(rows) + 2


def test_what_is_too_much_for_a_server_is_told_with_what_to_do(lab: Lab) -> None:
    """PostgreSQL joins seventy tables; MySQL and MariaDB join sixty-one."""
    query = lab.Subject.proj()
    for i in range(70):
        query = query * lab.Subject.proj(**{f"a{i}": "species"})
    if lab.connection.dialect.name == "postgresql":
        assert len(query) == 5
    else:
        with pytest.raises(dj.errors.QueryError, match="joins too many tables.*restrict the rest by them"):
            len(query)


def test_types_of_a_union_are_those_of_its_attributes(new_schema: Any) -> None:
    values: dict[str, Any] = {
        "int8": -(2**7), "int64": -(2**63), "uint8": 2**8 - 1, "uint32": 2**32 - 1, "uint64": 2**64 - 1,
        "float32": 0.5, "float64": 0.1, "bool": True, "decimal(20,0)": Decimal(10**20 - 1),
        "datetime(6)": dt.datetime(2026, 1, 1, 0, 0, 0, 1), "date": dt.date(2026, 1, 1), "varchar(9)": "é ",
        "uuid": uuid.UUID(int=1), "json": [1, {"a": None}], "bytes": b"\xff", "<blob>": {1, 2},
        "enum('x','y')": "y", "bigint unsigned": 2**64 - 1, "int": -1,
    }  # fmt: skip
    row = {f"a{i}": value for i, value in enumerate(values.values())}
    lines = [f"a{i} = null : {type_}" for i, type_ in enumerate(values)]
    schema = new_schema()
    key = schema(type("Key", (dj.Manual,), {"definition": "k : int32"}))
    full = schema(
        type("Full", (dj.Manual,), {"definition": "\n".join(["-> Key", "---", *lines])}), context={"Key": key}
    )
    key.insert([(0,), (1,)])
    full.insert1({"k": 1, **row})
    for query in (full + key, key + full, full + key + key.proj(), (full + key & "k < 9") + key):
        found = query.to_dicts(order_by="k")
        assert found == [dict.fromkeys(row) | {"k": 0}, {"k": 1, **row}]
        assert {n: type(v) for n, v in found[1].items() if n != "k"} == {n: type(v) for n, v in row.items()}
