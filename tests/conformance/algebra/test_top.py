"""`dj.Top`: order, limit, offset; one after the other; and where it may not stand."""

from __future__ import annotations

from typing import Any

import pytest

import datajoint as dj
from dj_schema.errors import UnknownAttributeError
from tests.support.lab import Lab


def ids(query: Any) -> list[int]:
    values: list[int] = query.to_arrays("subject_id").tolist()
    return values


@pytest.mark.rule("operators", "top")
@pytest.mark.rule("query-algebra", "12.1", "12.2", "12.3", "12.7")
@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (dj.Top(), [1]),
        (dj.Top(2), [1, 2]),
        (dj.Top(2, "KEY DESC"), [5, 4]),
        (dj.Top(2, offset=3), [4, 5]),
        (dj.Top(None, offset=3), [4, 5]),
        (dj.Top(0), []),
        (dj.Top(3, "weight DESC"), [4, 1, 2]),
        (dj.Top(None, ["species DESC", "subject_id DESC"]), [4, 3, 2, 1, 5]),
        (dj.Top(None, ("species", "KEY DESC")), [5, 2, 1, 4, 3]),
        (dj.Top(None, "species, KEY ASC"), [5, 1, 2, 3, 4]),
        (dj.Top(2, None), [1, 2]),
        # NULL is smaller than any value
        (dj.Top(None, ["weight", "KEY"]), [3, 5, 2, 1, 4]),
        (dj.Top(None, ["weight DESC", "KEY"]), [4, 1, 2, 3, 5]),
    ],
    ids=repr,
)
def test_rows_in_order(lab: Lab, top: dj.Top, expected: list[int]) -> None:
    query = lab.Subject & top
    assert ids(query) == expected
    assert len(query) == len(expected)
    assert bool(query) == bool(expected)
    assert query.primary_key == ["subject_id"]


@pytest.mark.rule("query-algebra", "8.2", "12.1")
def test_an_offset_counts_distinct_rows(lab: Lab) -> None:
    for distinct in (
        dj.U("sex") & lab.Subject,  # three of five rows
        dj.U("species") & lab.Subject,
        dj.U("sex").aggr(lab.Subject, n="count(*)").proj(),
        dj.U("year") & lab.Session.proj(year="YEAR(session_date)"),
    ):
        n = len(distinct)
        for offset in range(n + 2):
            query = distinct & dj.Top(None, "KEY", offset)
            assert bool(query) is (offset < n)
            assert len(query) == len(query.to_dicts()) == max(0, n - offset)


@pytest.mark.rule("operators", "top")
@pytest.mark.rule("query-algebra", "12.5")
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # another without an order, or with the same, merges: smaller limit, sum of offsets
        (dj.Top(4, "KEY DESC"), dj.Top(2, None), [5, 4]),
        (dj.Top(2, "KEY DESC"), dj.Top(4, None), [5, 4]),
        (dj.Top(4, "KEY", 1), dj.Top(2, None, 1), [3, 4]),
        (dj.Top(4, "KEY"), dj.Top(4, "KEY", 2), [3, 4, 5]),
        (dj.Top(None, "KEY DESC"), dj.Top(2, None), [5, 4]),
        (dj.Top(2, "KEY DESC"), dj.Top(None, None), [5, 4]),
        (dj.Top(4, "subject_id"), dj.Top(2, "KEY"), [1, 2]),
        # one with another order sees what the first left
        (dj.Top(3, "KEY DESC"), dj.Top(2, "KEY"), [3, 4]),
        (dj.Top(3, "weight DESC"), dj.Top(None, "KEY"), [1, 2, 4]),
    ],
    ids=repr,
)
def test_one_top_after_another(lab: Lab, first: dj.Top, second: dj.Top, expected: list[int]) -> None:
    assert ids((lab.Subject & first) & second) == expected


@pytest.mark.rule("query-algebra", "11")
def test_restriction_after_a_top_sees_its_rows(lab: Lab) -> None:
    assert ids(lab.Subject & dj.Top(3) & "sex = 'F'") == [2, 3]
    assert ids(lab.Subject & "sex = 'F'" & dj.Top(1)) == [2]
    assert ids((lab.Subject & dj.Top(3)) - "sex = 'F'") == [1]


@pytest.mark.rule("query-algebra", "12.6")
def test_fetch_limit_keeps_the_order(lab: Lab) -> None:
    query = lab.Subject & dj.Top(None, "subject_id DESC")
    assert query.to_arrays("subject_id", limit=2).tolist() == [5, 4]


@pytest.mark.parametrize("restrict", ["query", "list", "not"])
def test_top_of_a_query_that_restricts(lab: Lab, restrict: str) -> None:
    last = (lab.Subject & dj.Top(2, "KEY DESC")).proj()
    condition = {"query": last, "list": [last, {"subject_id": 1}], "not": dj.Not(last)}[restrict]
    expected = {"query": [4, 5], "list": [1, 4, 5], "not": [1, 2, 3]}[restrict]
    assert sorted(ids(lab.Subject & condition)) == expected


def test_top_by_a_renamed_and_by_a_computed_attribute(lab: Lab) -> None:
    assert ids(lab.Subject.proj(mass="weight") & dj.Top(1, "mass DESC")) == [4]
    assert ids(lab.Subject.proj(minus="-weight") & "minus < 0" & dj.Top(2, "minus")) == [4, 1]


def test_top_of_an_aggregation_a_union_and_a_distinct(lab: Lab) -> None:
    counted = lab.Subject.aggr(lab.Session, n="count(session)")
    assert ids(counted & dj.Top(2, ["n DESC", "KEY"])) == [1, 3]
    assert ids((lab.Mouse + lab.Rat) & dj.Top(2, "KEY DESC")) == [4, 3]
    assert ((dj.U("species") & lab.Subject) & dj.Top(1)).to_dicts() == [{"species": "finch"}]


@pytest.mark.rule("query-algebra", "12.9")
@pytest.mark.parametrize(
    "restriction",
    [[dj.Top(1)], [dj.Top(1), "sex = 'M'"], dj.AndList([dj.Top(1)]), dj.Not(dj.Top(1)), (dj.Top(1),)],
    ids=repr,
)
def test_top_among_other_conditions_is_refused(lab: Lab, restriction: Any) -> None:
    with pytest.raises(dj.DataJointError, match=r"dj\.Top"):
        lab.Subject & restriction


@pytest.mark.rule("operators", "top")
def test_top_after_a_minus_is_refused(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match=r"dj\.Top"):
        lab.Subject - dj.Top(1)


@pytest.mark.parametrize(
    "order", ["nothing", "weight UP", "weight DESC NULLS LAST", "", "weight; DROP TABLE x"]
)
def test_order_by_what_is_no_attribute_is_refused(lab: Lab, order: str) -> None:
    with pytest.raises(UnknownAttributeError):
        lab.Subject & dj.Top(1, order)


@pytest.mark.rule("query-algebra", "12.9")
@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": "1"},
        {"limit": 1.5},
        {"limit": True},
        {"order_by": 5},
        {"order_by": [5]},
        {"offset": None},
        {"offset": "1"},
    ],
    ids=repr,
)
def test_argument_of_another_type_is_a_type_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        dj.Top(**arguments)
