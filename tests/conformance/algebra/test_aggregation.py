"""`.aggr()` and `dj.U`: groups, what they keep, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

import datajoint as dj
from dj_schema.errors import UnknownAttributeError
from tests.support.lab import Lab


def by_key(query: Any, *names: str) -> dict[Any, Any]:
    key = query.primary_key
    rows = query.to_dicts()
    return {tuple(r[k] for k in key): tuple(r[n] for n in names) for r in rows}


@pytest.mark.rule("primary-keys", "aggregation")
@pytest.mark.rule("operators", "aggregation")
@pytest.mark.rule("query-algebra", "5.2", "5.7")
def test_rows_without_partner_are_kept_and_counted_by_their_key(lab: Lab) -> None:
    query = lab.Session.aggr(lab.Trial, n="count(trial)", stars="count(*)")
    assert query.primary_key == ["subject_id", "session"]
    assert query.heading.names == ["subject_id", "session", "n", "stars"]
    assert by_key(query, "n", "stars") == {
        (1, 1): (3, 3), (1, 2): (1, 1), (2, 1): (0, 1), (3, 1): (2, 2), (3, 2): (0, 1),
    }  # fmt: skip


@pytest.mark.rule("operators", "aggregation")
@pytest.mark.rule("query-algebra", "5.2", "5.7")
def test_rows_without_partner_can_be_left_out(lab: Lab) -> None:
    query = lab.Session.aggr(lab.Trial, n="count(trial)", exclude_nonmatching=True)
    assert by_key(query, "n") == {(1, 1): (3,), (1, 2): (1,), (3, 1): (2,)}


@pytest.mark.rule("query-algebra", "5.1", "5.8")
def test_attributes_of_the_grouping_query_are_kept_where_named(lab: Lab) -> None:
    query = lab.Subject.aggr(lab.Session, "species", n="count(session)")
    assert query.heading.names == ["subject_id", "species", "n"]
    assert by_key(query, "species", "n")[(3,)] == ("rat", 2)
    everything = lab.Subject.aggr(lab.Session, ..., n="count(session)")
    assert everything.heading.names == ["subject_id", "species", "sex", "weight", "n"]
    assert len(everything) == 5
    assert lab.Subject.aggr(lab.Session, ..., "-sex").heading.names == ["subject_id", "species", "weight"]


def test_attribute_of_the_grouping_query_can_be_renamed_and_computed_with(lab: Lab) -> None:
    query = lab.Session.aggr(
        lab.Trial, minutes="duration", rate="count(trial) / duration", double="duration * 2"
    )
    row = (query & {"subject_id": 1, "session": 1}).fetch1()
    assert row["minutes"] == 30
    assert float(row["rate"]) == pytest.approx(0.1)
    assert row["double"] == 60


def test_restriction_of_the_grouped_query_comes_before_the_summary(lab: Lab) -> None:
    query = lab.Session.aggr(lab.Trial & "rt > 240", n="count(trial)")
    assert by_key(query, "n") == {(1, 1): (2,), (1, 2): (1,), (2, 1): (0,), (3, 1): (0,), (3, 2): (0,)}


@pytest.mark.rule("query-algebra", "5.6")
def test_restriction_of_the_grouping_query_leaves_groups_out(lab: Lab) -> None:
    query = (lab.Session & "YEAR(session_date) = 2026").aggr(lab.Trial, n="count(trial)")
    assert by_key(query, "n") == {(3, 1): (2,), (3, 2): (0,)}


@pytest.mark.rule("query-algebra", "5.6")
def test_restriction_by_an_aggregate_comes_after_it(lab: Lab) -> None:
    query = lab.Session.aggr(lab.Trial, n="count(trial)") & "n > 1"
    assert by_key(query, "n") == {(1, 1): (3,), (3, 1): (2,)}
    assert by_key(query & {"subject_id": 3}, "n") == {(3, 1): (2,)}
    assert len(lab.Session.aggr(lab.Trial, n="count(trial)") - "n > 1") == 3


@pytest.mark.rule("operators", "aggregates")
@pytest.mark.rule("query-algebra", "5.4")
def test_aggregates_of_the_pages(lab: Lab) -> None:
    aggregates = {
        "n": "count(*)", "known": "count(rt)", "total": "sum(rt)", "mean": "avg(rt)", "spread": "std(rt)",
        "best": "min(rt)", "worst": "max(rt)", "right": "sum(correct)", "right_too": "sum(correct = 1)",
        "wrong": "sum(NOT correct)", "times": "group_concat(rt ORDER BY rt)",
    }  # fmt: skip
    query = lab.Session.aggr(lab.Trial, **aggregates)
    row = (query & {"subject_id": 1, "session": 1}).fetch1()
    numbers = {name: row[name] if name == "times" else float(row[name]) for name in aggregates}
    assert numbers == {
        "n": 3, "known": 2, "total": 550, "mean": 275, "spread": 25, "best": 250, "worst": 300, "right": 2,
        "right_too": 2, "wrong": 1, "times": "250,300",
    }  # fmt: skip
    empty = (query & {"subject_id": 2}).fetch1()
    assert (empty["n"], empty["known"]) == (1, 0)
    assert {empty[name] for name in aggregates if name not in ("n", "known")} == {None}


def test_aggregation_of_a_join_and_of_an_aggregation(lab: Lab) -> None:
    counted = lab.Session.aggr(lab.Trial, n="count(trial)")
    assert by_key(lab.Subject.aggr(counted, most="max(n)"), "most") == {
        (1,): (3,), (2,): (0,), (3,): (2,), (4,): (None,), (5,): (None,),
    }  # fmt: skip
    joined = lab.Subject.aggr(lab.Session * lab.Trial, n="count(trial)", exclude_nonmatching=True)
    assert by_key(joined, "n") == {(1,): (4,), (3,): (2,)}


def test_aggregation_by_a_query_that_is_ordered_or_computed(lab: Lab) -> None:
    heavy = (lab.Subject & dj.Top(2, "weight DESC")).proj(double="weight * 2")
    query = heavy.aggr(lab.Session, "double", n="count(session)")
    assert by_key(query, "double", "n") == {(4,): (602.5, 0), (1,): (41.0, 2)}


@pytest.mark.rule("primary-keys", "aggregation")
@pytest.mark.rule("query-algebra", "5.3", "5.9")
def test_grouped_query_needs_the_key_of_the_grouping_one(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match=r"lacks \['trial'\]"):
        lab.Trial.aggr(lab.Session, n="count(*)")


def test_unknown_attribute_in_an_aggregate_is_refused(lab: Lab) -> None:
    with pytest.raises(UnknownAttributeError, match="rtt"):
        lab.Session.aggr(lab.Trial, n="sum(rtt)")


def test_value_that_differs_within_a_group_is_refused(lab: Lab) -> None:
    for text in ("rt", "(rt)", "rt + 1"):
        with pytest.raises(dj.DataJointError, match="several values in a group"):
            lab.Session.aggr(lab.Trial, n=text)


def test_aggregate_with_the_name_of_a_kept_attribute_is_refused(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match="two attributes would have the name"):
        lab.Session.aggr(lab.Trial, "duration", duration="sum(rt)")


# -- dj.U ----------------------------------------------------------------------------------------------


@pytest.mark.rule("operators", "universal")
@pytest.mark.rule("query-algebra", "8.2", "8.5")
def test_distinct_values_become_a_key(lab: Lab) -> None:
    query = dj.U("species") & lab.Subject
    assert query.primary_key == ["species"]
    assert sorted(query.to_arrays("species").tolist()) == ["finch", "mouse", "rat"]
    assert len(query) == 3
    assert len(query & "species LIKE '%t'") == 1
    assert len(dj.U("species", "sex") & lab.Subject) == 5


@pytest.mark.rule("operators", "universal")
@pytest.mark.rule("query-algebra", "8.2")
def test_distinct_values_of_computed_attributes(lab: Lab) -> None:
    query = dj.U("year") & lab.Session.proj(year="YEAR(session_date)")
    assert sorted(query.to_arrays("year").tolist()) == [2025, 2026]


@pytest.mark.rule("primary-keys", "universal-homology")
@pytest.mark.rule("semantic-matching", "universal")
@pytest.mark.rule("query-algebra", "8.2")
def test_universal_set_keeps_the_origin_of_attributes(lab: Lab) -> None:
    query = dj.U("subject_id") & lab.Session
    assert query.heading["subject_id"].lineage == lab.Subject.heading["subject_id"].lineage
    assert len(query * lab.Subject) == 3
    assert len(lab.Subject - query) == 2


@pytest.mark.rule("query-algebra", "8.1", "8.5")
def test_distinct_of_nothing_is_one_row_or_none(lab: Lab) -> None:
    assert (dj.U() & lab.Subject).to_dicts() == [{}]
    assert (dj.U() & lab.Subject).primary_key == []
    assert len(dj.U() & lab.Subject) == 1
    assert len(dj.U() & (lab.Subject & False)) == 0


@pytest.mark.rule("operators", "universal")
@pytest.mark.rule("query-algebra", "8.1", "8.3", "8.5")
def test_summary_of_a_whole_query(lab: Lab) -> None:
    query = dj.U().aggr(lab.Subject, n="count(*)", known="count(weight)")
    assert query.primary_key == []
    assert query.to_dicts() == [{"n": 5, "known": 3}]
    assert query.fetch1("n") == 5
    assert len(query) == 1
    assert dj.U().aggr(lab.Subject & False, n="count(*)").fetch1("n") == 0
    assert len(query & "n > 5") == 0


@pytest.mark.rule("operators", "universal")
@pytest.mark.rule("query-algebra", "8.4", "8.5")
def test_summary_by_any_attributes(lab: Lab) -> None:
    query = dj.U("species").aggr(lab.Subject, n="count(*)")
    assert by_key(query, "n") == {("mouse",): (2,), ("rat",): (2,), ("finch",): (1,)}
    months = lab.Session.proj(year="YEAR(session_date)", month="MONTH(session_date)")
    assert by_key(dj.U("year", "month").aggr(months, n="count(*)"), "n") == {
        (2025, 3): (2,), (2025, 4): (1,), (2026, 1): (2,),
    }  # fmt: skip


@pytest.mark.rule("query-algebra", "8.6", "8.7")
def test_universal_set_of_unknown_attributes_is_refused(lab: Lab) -> None:
    with pytest.raises(UnknownAttributeError, match="nothing"):
        dj.U("nothing") & lab.Subject
    with pytest.raises(dj.DataJointError, match="nothing"):
        dj.U("nothing").aggr(lab.Subject, n="count(*)")


@pytest.mark.rule("primary-keys", "universal-invalid")
@pytest.mark.rule("semantic-matching", "universal", "removed-universal-join")
@pytest.mark.rule("query-algebra", "8.7")
def test_what_a_universal_set_cannot_do(lab: Lab) -> None:
    for combine in (lambda: dj.U("sex") * lab.Subject, lambda: lab.Subject * dj.U("sex")):
        with pytest.raises(dj.DataJointError, match=r"no longer supported.*Use dj\.U\(\.\.\.\) & table"):
            combine()
    with pytest.raises(dj.DataJointError, match="infinite set"):
        dj.U("sex") - lab.Subject
    with pytest.raises(dj.DataJointError, match="cannot keep"):
        dj.U("sex").aggr(lab.Subject, n="count(*)", exclude_nonmatching=False)
    for other in (dj.U("sex"), "sex = 'M'", {"sex": "M"}, 5):
        with pytest.raises(dj.DataJointError):
            dj.U("sex") & other
    with pytest.raises(dj.DataJointError):
        lab.Subject + dj.U("sex")
    with pytest.raises(dj.DataJointError):
        dj.U(5)
