"""`.proj()`: what stays, what is renamed, what is computed."""

from __future__ import annotations

from typing import Any

import pytest

import datajoint as dj
from dj_schema.errors import UnknownAttributeError
from tests.support.lab import Lab


@pytest.mark.rule("operators", "projection")
@pytest.mark.rule("query-algebra", "3.1", "3.2", "3.3", "3.5", "3.6", "3.7")
@pytest.mark.parametrize(
    ("attributes", "named", "names"),
    [
        ((), {}, ["subject_id"]),
        ((...,), {}, ["subject_id", "species", "sex", "weight"]),
        (("sex",), {}, ["subject_id", "sex"]),
        (("weight", "species"), {}, ["subject_id", "species", "weight"]),
        (("subject_id",), {}, ["subject_id"]),
        ((..., "-sex"), {}, ["subject_id", "species", "weight"]),
        ((..., "-sex", "-weight"), {}, ["subject_id", "species"]),
        ((), {"kind": "species"}, ["subject_id", "kind"]),
        ((...,), {"kind": "species"}, ["subject_id", "kind", "sex", "weight"]),
        (("species",), {"kind": "species"}, ["subject_id", "species", "kind"]),
        (("species",), {"kind": "(species)"}, ["subject_id", "species", "kind"]),
        ((), {"kind": "( species )"}, ["subject_id", "kind"]),
        ((), {"mouse_id": "subject_id"}, ["mouse_id"]),
        ((...,), {"mouse_id": "subject_id"}, ["mouse_id", "species", "sex", "weight"]),
        ((), {"again": "(subject_id)"}, ["subject_id", "again"]),
        (("sex",), {"heavy": "weight > 20", "kind": "species"}, ["subject_id", "kind", "sex", "heavy"]),
        ((), {"sex": "species", "species": "sex"}, ["subject_id", "sex", "species"]),
        ((), {"one": "1"}, ["subject_id", "one"]),
    ],
)
def test_attributes_of_the_result_in_order(
    lab: Lab, attributes: tuple[Any, ...], named: dict[str, str], names: list[str]
) -> None:
    query = lab.Subject.proj(*attributes, **named)
    assert query.heading.names == names
    assert query.primary_key == names[:1]
    assert len(query) == 5
    assert all(list(row) == names for row in query.to_dicts())


@pytest.mark.rule("query-algebra", "3.3")
def test_renamed_attribute_has_the_values_of_the_old(lab: Lab) -> None:
    rows = (lab.Subject.proj(kind="species", mouse_id="subject_id") & {"mouse_id": 3}).to_dicts()
    assert rows == [{"mouse_id": 3, "kind": "rat"}]


def test_attributes_can_change_names(lab: Lab) -> None:
    query = lab.Subject.proj(sex="species", species="sex") & {"subject_id": 3}
    assert query.to_dicts() == [{"subject_id": 3, "sex": "rat", "species": "F"}]


def test_renamed_attribute_keeps_its_origin_and_a_computed_one_has_none(lab: Lab) -> None:
    heading = lab.Subject.proj(mouse_id="subject_id", next_id="subject_id + 1").heading
    assert heading["mouse_id"].lineage == lab.Subject.heading["subject_id"].lineage
    assert heading["next_id"].lineage is None


@pytest.mark.rule("operators", "projection")
@pytest.mark.rule("query-algebra", "3.4")
def test_computed_attributes_of_the_pages(lab: Lab) -> None:
    query = lab.Session.proj(year="YEAR(session_date)", long="duration > 40") & {
        "subject_id": 1,
        "session": 2,
    }
    row = query.fetch1()
    assert row["year"] == 2025
    assert row["long"] == 1


@pytest.mark.rule("query-algebra", "3.4")
def test_computed_attribute_of_a_computed_attribute(lab: Lab) -> None:
    query = lab.Trial.proj(seconds="rt / 1000").proj(minutes="seconds / 60") & {"subject_id": 1, "session": 1}
    values = (query & "trial = 2").to_arrays("minutes")
    assert float(values[0]) == pytest.approx(0.005)


def test_projection_of_a_projection_names_what_is_left(lab: Lab) -> None:
    with pytest.raises(UnknownAttributeError):
        lab.Subject.proj("sex").proj("species")


def test_projection_of_an_aggregation(lab: Lab) -> None:
    counted = lab.Subject.aggr(lab.Session, n="count(session)")
    assert (counted.proj(m="n + 1") & {"subject_id": 1}).fetch1("m") == 3


def test_projection_keeps_the_order_of_top(lab: Lab) -> None:
    heaviest = lab.Subject & dj.Top(3, "weight DESC")
    assert heaviest.proj("species").to_arrays("subject_id").tolist() == [4, 1, 2]
    assert heaviest.proj("weight", heavy="weight + 1").to_arrays("subject_id").tolist() == [4, 1, 2]


@pytest.mark.rule("query-algebra", "3.8")
@pytest.mark.parametrize("attributes", [("nothing",), ("-nothing",), (..., "-nothing")])
def test_unknown_attribute_is_refused(lab: Lab, attributes: tuple[Any, ...]) -> None:
    with pytest.raises(UnknownAttributeError, match="nothing"):
        lab.Subject.proj(*attributes)


@pytest.mark.rule("query-algebra", "3.8")
@pytest.mark.parametrize("text", ["nothing", "(nothing)", "nothing + 1"])
def test_unknown_attribute_in_a_named_one_is_refused(lab: Lab, text: str) -> None:
    with pytest.raises(UnknownAttributeError, match="nothing"):
        lab.Subject.proj(new=text)


@pytest.mark.rule("query-algebra", "3.6", "3.8")
def test_primary_key_cannot_be_left_out(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match="primary key"):
        lab.Subject.proj(..., "-subject_id")


@pytest.mark.rule("query-algebra", "3.8")
@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        (("sex",), {"sex": "species"}),
        (("sex",), {"sex": "weight + 1"}),
        ((), {"subject_id": "weight + 1"}),
        ((...,), {"sex": "(species)"}),
    ],
)
def test_name_given_twice_is_refused(lab: Lab, attributes: tuple[Any, ...], named: dict[str, str]) -> None:
    with pytest.raises(dj.DataJointError, match="two attributes would have the name"):
        lab.Subject.proj(*attributes, **named)


@pytest.mark.parametrize("bad", [5, None, ["sex"], dj.Manual])
def test_what_is_no_name_is_refused(lab: Lab, bad: Any) -> None:
    with pytest.raises(dj.DataJointError):
        lab.Subject.proj(bad)
    with pytest.raises(dj.DataJointError):
        lab.Subject.proj(new=bad)


def test_hidden_name_for_a_new_attribute_is_refused(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match="begin|letter"):
        lab.Subject.proj(_new="sex")


def test_aggregate_in_a_projection_is_refused(lab: Lab) -> None:
    with pytest.raises(dj.DataJointError, match=r"\.aggr\(\)"):
        lab.Subject.proj(n="count(*)")
