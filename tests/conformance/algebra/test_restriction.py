"""`&` and `-`: each kind of condition, and what each leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import datajoint as dj
from dj_schema.errors import QuerySyntaxError, UnknownAttributeError
from tests.support.lab import Lab, connect
from tests.support.servers import ServerUnderTest

ALL = {1, 2, 3, 4, 5}


def subjects(query: Any) -> set[int]:
    return set(query.to_arrays("subject_id").tolist())


def name_of(value: Any) -> str:
    """Name a case the same in every process: the order of a set is not."""
    return f"set({sorted(map(repr, value))})" if isinstance(value, set) else repr(value)


@pytest.mark.rule("operators", "restriction")
@pytest.mark.rule("query-algebra", "2.1", "2.2", "2.3", "2.4", "2.6", "2.7")
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("sex = 'M'", {1, 5}),
        ('sex = "M" and weight > 20', {1}),
        ("subject_id IN (1, 2, 9)", {1, 2}),
        # labels that the enum lacks, and their order as texts
        ("sex IN ('F', 'Q')", {2, 3}),
        ("sex < 'G'", {2, 3}),
        ("species LIKE 'm%'", {1, 2}),
        ({"sex": "F"}, {2, 3}),
        ({"sex": "F", "species": "rat"}, {3}),
        ({"weight": None}, {3, 5}),
        ({"no_such_attribute": 1}, ALL),
        ({"no_such_attribute": 1, "sex": "F"}, {2, 3}),
        ({}, ALL),
        ([], set()),
        ((), set()),
        (set(), set()),
        ([{}], ALL),
        ([{"subject_id": 1}, {"subject_id": 4}], {1, 4}),
        ([{"subject_id": 1, "sex": "M"}, {"subject_id": 4, "sex": "M"}], {1}),
        ([{"subject_id": 1}, "weight > 300", {"weight": None}], {1, 3, 4, 5}),
        (({"subject_id": 1}, {"subject_id": 2}), {1, 2}),
        ({"subject_id = 1", "subject_id = 3"}, {1, 3}),
        ([{"weight": None}, {"weight": 18.0}], {2, 3, 5}),
        ([[], {"subject_id": 1}], {1}),
        ([{"sex": "M"}, dj.Not({"species": "mouse"})], {1, 3, 4, 5}),
        (True, ALL),
        (False, set()),
        (np.bool_(False), set()),
        ([False], set()),
        ([False, {"subject_id": 2}], {2}),
        ([True, {"subject_id": 2}], ALL),
        (dj.Not("weight > 20"), {2, 3, 5}),
        (dj.Not(dj.Not("weight > 20")), {1, 4}),
        (dj.Not([]), ALL),
        (dj.Not({}), set()),
        (dj.AndList([]), ALL),
        (dj.AndList(["weight > 1", {"sex": "F"}]), {2}),
        (dj.AndList(["weight > 1", False]), set()),
        (dj.AndList(["weight > 1", [{"sex": "F"}, {"sex": "U"}]]), {2, 4}),
        (np.array([(1, b"x"), (3, b"y")], dtype=[("subject_id", int), ("tag", "S1")]), {1, 3}),
        (np.array([(4,)], dtype=[("subject_id", int)])[0], {4}),
        (pd.DataFrame({"subject_id": [2, 5]}), {2, 5}),
        (pd.DataFrame({"sex": ["F", "M"]}, index=pd.Index([2, 4], name="subject_id")), {2}),
        (pd.DataFrame({"subject_id": []}), set()),
        (pd.DataFrame({"weight": [18.0, None]}), {2, 3, 5}),
        (pd.DataFrame({"sex": ["F", None], "subject_id": [2, 3]}), {2}),
    ],
    ids=name_of,
)
def test_condition_selects_and_its_anti_restriction_gives_the_others(
    lab: Lab, condition: Any, expected: set[int]
) -> None:
    assert subjects(lab.Subject & condition) == expected
    assert subjects(lab.Subject - condition) == ALL - expected
    assert subjects(lab.Subject & dj.Not(condition)) == ALL - expected
    assert subjects(lab.Subject().restrict(condition)) == expected


@pytest.mark.rule("query-algebra", "2.6")
def test_keys_from_a_generator_are_alternatives(lab: Lab) -> None:
    assert subjects(lab.Subject & ({"subject_id": i} for i in (1, 2))) == {1, 2}


@pytest.mark.rule("query-algebra", "2.6")
def test_many_keys_are_one_restriction(lab: Lab) -> None:
    keys = [{"subject_id": i, "session": j} for i in range(1, 20_001) for j in (1, 3)]
    assert len(lab.Session & keys) == 3
    assert len(lab.Session - keys) == 2


@pytest.mark.parametrize(
    ("name", "attribute", "kept"),
    [
        ("Session", "session_date", 5),
        ("Session", "experimenter", 3),
        ("Subject", "sex", 5),
        ("Subject", "weight", 3),
        ("Subject", "species", 5),
        ("Trial", "correct", 6),
    ],
)
def test_many_values_of_each_type_are_one_restriction(lab: Lab, name: str, attribute: str, kept: int) -> None:
    table = getattr(lab, name)
    values = [row for row in table.proj(attribute).to_dicts() if row[attribute] is not None]
    assert len(table & values * 100) == kept
    assert len(table & [{attribute: row[attribute]} for row in values] * 100) == kept


def test_many_values_match_as_they_are(lab: Lab) -> None:
    numbers = [{"subject_id": i + 0.5} for i in range(1000)]
    assert len(lab.Subject & numbers) == 0
    assert subjects(lab.Subject & [*numbers, {"subject_id": 2.0}, {"subject_id": 10**30}]) == {2}
    long = [{"species": "mouse" * n} for n in range(2, 500)]
    assert len(lab.Subject & long) == 0
    heavy = lab.Subject.proj(double="weight * 2")
    assert len(heavy & [{"double": i / 2} for i in range(1300)]) == 3


@pytest.mark.rule("query-algebra", "1.1")
def test_restricting_leaves_the_operand_as_it_was(lab: Lab) -> None:
    everyone = lab.Subject()
    assert len(everyone & "sex = 'M'") == 2
    assert len(everyone) == 5


@pytest.mark.rule("operators", "restriction")
@pytest.mark.rule("query-algebra", "2.8")
def test_restrictions_in_a_row_must_all_hold(lab: Lab) -> None:
    assert subjects(lab.Subject & "weight > 1" & {"species": "mouse"} & "sex = 'F'") == {2}


@pytest.mark.rule("query-algebra", "1.2", "2.10")
def test_restriction_keeps_the_primary_key_and_all_attributes(lab: Lab) -> None:
    query = lab.Subject & "sex = 'M'"
    assert query.primary_key == ["subject_id"]
    assert query.heading.names == lab.Subject.heading.names


@pytest.mark.rule("operators", "restriction", "anti-restriction")
@pytest.mark.rule("query-algebra", "2.5", "2.7")
def test_query_restricts_to_rows_with_a_partner(lab: Lab) -> None:
    assert subjects(lab.Subject & lab.Session) == {1, 2, 3}
    assert subjects(lab.Subject - lab.Session) == {4, 5}
    assert subjects(lab.Subject & (lab.Session & "session_date > '2025-12-31'")) == {3}
    assert subjects(lab.Subject - (lab.Session & "session_date > '2025-12-31'")) == {1, 2, 4, 5}


def test_class_and_instance_restrict_alike(lab: Lab) -> None:
    assert (lab.Subject & lab.Session).make_sql() == (lab.Subject() & lab.Session()).make_sql()


@pytest.mark.rule("query-algebra", "2.6")
def test_list_of_queries_is_an_alternative(lab: Lab) -> None:
    assert subjects(lab.Subject & [lab.Mouse, lab.Rat]) == {1, 2, 3, 4}
    assert subjects(lab.Subject - [lab.Mouse, lab.Rat]) == {5}
    assert subjects(lab.Subject & dj.AndList([lab.Mouse, lab.Rat])) == {3}


@pytest.mark.rule("query-algebra", "2.7")
def test_null_matches_no_partner_and_stays_in_the_anti_restriction(lab: Lab) -> None:
    known = lab.Session & lab.Experimenter
    unknown = lab.Session - lab.Experimenter
    assert len(known) == 3
    assert set(unknown.to_arrays("subject_id").tolist()) == {2, 3}
    assert len(lab.Experimenter - (lab.Session & "experimenter IS NULL")) == 3


def test_query_without_common_attributes_restricts_by_having_rows(lab: Lab) -> None:
    assert len(lab.Subject & lab.Y) == 5
    assert len(lab.Subject & (lab.Y & False)) == 0
    assert len(lab.Subject - lab.Y) == 0
    assert len(lab.Subject - (lab.Y & False)) == 5


def test_universal_set_restricts_nothing(lab: Lab) -> None:
    assert subjects(lab.Subject & dj.U("species")) == ALL
    assert subjects(lab.Subject - dj.U("species")) == set()


def test_restriction_by_renamed_attribute(lab: Lab) -> None:
    query = lab.Subject.proj(kind="species") & "kind = 'rat'"
    assert subjects(query) == {3, 4}
    assert subjects(query & {"kind": "mouse"}) == set()


def test_restriction_by_a_name_that_another_attribute_had(lab: Lab) -> None:
    swapped = lab.XZy.proj(q="y").proj(y="q") & "y = 2"
    assert len(swapped) == 2
    query = lab.Trial.proj(correct="rt", rt="correct") & "correct > 299"
    assert set(query.to_arrays("correct").tolist()) == {300, 410}


@pytest.mark.rule("query-algebra", "2.3", "11")
def test_restriction_by_computed_attribute(lab: Lab) -> None:
    query = lab.Subject.proj(double="weight * 2") & "double > 40"
    assert subjects(query) == {1, 4}
    assert subjects(query & {"double": 41}) == {1}


@pytest.mark.rule("query-algebra", "2.5", "2.9")
def test_restriction_by_query_with_renamed_attribute_matches_the_new_name(lab: Lab) -> None:
    stranger = lab.Subject.proj(other="subject_id") & "other = 3"
    assert len(lab.Subject & stranger) == 5
    assert subjects(lab.Subject & stranger.proj(subject_id="other")) == {3}


def test_restriction_by_aggregation(lab: Lab) -> None:
    busy = lab.Subject.aggr(lab.Session, n="count(session)") & "n > 1"
    assert subjects(lab.Subject & busy) == {1, 3}
    assert subjects(lab.Subject - busy) == {2, 4, 5}


def test_restriction_by_union_and_by_join(lab: Lab) -> None:
    assert subjects(lab.Subject & (lab.Mouse + lab.Rat)) == {1, 2, 3, 4}
    assert subjects(lab.Subject & lab.Session * lab.Trial) == {1, 3}


def test_key_is_in_a_query(lab: Lab) -> None:
    assert {"subject_id": 1} in lab.Subject
    assert {"subject_id": 9} not in lab.Subject()


@pytest.mark.parametrize("value", [np.int64(2), 2.0, "2"])
def test_value_of_another_number_type_is_the_same_value(lab: Lab, value: Any) -> None:
    assert subjects(lab.Subject & {"subject_id": value}) == {2}


@pytest.mark.parametrize("restriction", [None, 5, 2.5, np.int64(5), b"sex = 1", object, [None], dj.Not(None)])
def test_other_objects_are_refused(lab: Lab, restriction: Any) -> None:
    with pytest.raises(dj.DataJointError, match="cannot restrict by"):
        lab.Subject & restriction
    with pytest.raises(dj.DataJointError, match="cannot restrict by"):
        lab.Subject - restriction


@pytest.mark.rule("query-algebra", "2.11")
def test_unknown_attribute_in_sql_names_the_close_one(lab: Lab) -> None:
    with pytest.raises(UnknownAttributeError, match="weight"):
        lab.Subject & "wieght > 1"


@pytest.mark.parametrize(
    "text", ["weight > ", "1; DROP TABLE subject", "(weight > 1", "weight > 1 --", "sex = 'M"]
)
def test_sql_that_is_not_one_condition_is_refused(lab: Lab, text: str) -> None:
    with pytest.raises(QuerySyntaxError):
        (lab.Subject & text).to_dicts()


def test_aggregate_in_a_condition_is_refused(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match=r"\.aggr\(\)"):
        lab.Subject & "count(*) > 1"


def test_percent_sign_in_a_condition_is_itself(lab: Lab) -> None:
    assert subjects(lab.Subject & "species LIKE '%a%'" & {"sex": "U"}) == {4}


def test_value_with_quotes_is_only_a_value(lab: Lab) -> None:
    assert len(lab.Subject & {"species": "' OR 1=1 --"}) == 0


@pytest.mark.rule("query-algebra", "4.9", "7.2", "7.7")
def test_query_of_another_connection_is_refused(lab: Lab, server: ServerUnderTest) -> None:
    with connect(server) as other:
        foreign = dj.FreeTable(other, lab.Session.full_table_name)
        for combine in (
            lambda: lab.Subject & foreign,
            lambda: lab.Subject - foreign,
            lambda: lab.Subject * foreign,
            lambda: lab.Subject + foreign.proj(),
            lambda: lab.Subject.aggr(foreign, n="count(*)"),
        ):
            with pytest.raises(dj.DataJointError, match="different connections"):
                combine()
