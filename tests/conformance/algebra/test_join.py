"""`*`, `.join()` and `.extend()`: partners, primary keys, order of attributes, left joins."""

from __future__ import annotations

from typing import Any

import pytest

import datajoint as dj
from tests.support.lab import Lab


@pytest.mark.rule(
    "primary-keys",
    "a-determines-b",
    "b-determines-a",
    "both-determine",
    "neither-determines",
    "attribute-order",
)
@pytest.mark.rule("query-algebra", "1.2", "4.1", "4.4", "4.5", "4.8")
@pytest.mark.parametrize(
    ("left", "right", "key", "names"),
    [
        # the second refers to the first, so that it determines the first: its key, its attributes first
        ("Session", "Trial", "subject_id session trial", "rt correct experimenter session_date duration"),
        ("Trial", "Session", "subject_id session trial", "rt correct experimenter session_date duration"),
        ("XY", "XZy", "x z", "y"),
        ("XZy", "XY", "x z", "y"),
        # each determines the other: the key of the first
        ("XYz", "YZx", "x y", "z"),
        ("YZx", "XYz", "y z", "x"),
        # the first determines the second, and not the other way round
        ("Session", "Experimenter", "subject_id session", "experimenter session_date duration full_name"),
        ("Experimenter", "Session", "subject_id session", "experimenter session_date duration full_name"),
        # neither does: both keys
        ("XY", "Zx", "x y z", ""),
        ("Zx", "XY", "z x y", ""),
        ("Subject", "Experimenter", "subject_id experimenter", "species sex weight full_name"),
        # the same key on both sides
        ("Mouse", "Rat", "subject_id", "strain cage"),
        ("Rat", "Mouse", "subject_id", "cage strain"),
    ],
)
def test_primary_key_and_order_of_a_join(lab: Lab, left: str, right: str, key: str, names: str) -> None:
    query = getattr(lab, left) * getattr(lab, right)
    assert query.primary_key == key.split()
    assert query.heading.names == key.split() + names.split()
    rows = query.to_dicts()
    assert rows
    assert all(list(row) == query.heading.names for row in rows)


@pytest.mark.rule("primary-keys", "non-commutative")
@pytest.mark.rule("query-algebra", "4.8")
def test_order_of_operands_changes_no_row(lab: Lab) -> None:
    ours = (lab.XY * lab.Zx).to_dicts(order_by="x, y, z")
    theirs = (lab.Zx * lab.XY).to_dicts(order_by="x, y, z")
    assert ours == theirs


@pytest.mark.rule("operators", "join")
@pytest.mark.rule("query-algebra", "4.3")
def test_rows_of_a_join_are_the_partners(lab: Lab) -> None:
    rows = (lab.Session * lab.Trial & "rt > 299").to_dicts(order_by="KEY")
    assert [(r["subject_id"], r["session"], r["trial"], r["duration"]) for r in rows] == [
        (1, 1, 2, 30),
        (1, 2, 1, 45),
    ]


@pytest.mark.rule("query-algebra", "4.3")
def test_join_without_common_attributes_pairs_all_rows(lab: Lab) -> None:
    assert len(lab.X * lab.Y) == 9


def test_join_on_a_nullable_attribute_leaves_null_out(lab: Lab) -> None:
    query = lab.Session * lab.Experimenter
    assert query.primary_key == ["subject_id", "session"]
    assert len(query) == 3


def test_join_on_a_secondary_attribute_of_one_origin(lab: Lab) -> None:
    first = lab.XZy.proj("y", z1="z")
    second = (lab.XYz & "z < 3").proj("z", x2="x", y2="y")
    assert len(first.proj(..., y3="y") * second) == 8
    assert "y" in (lab.XZy * lab.XYz).heading.names


@pytest.mark.rule("operators", "join")
def test_joins_of_joins(lab: Lab) -> None:
    query = lab.Subject * (lab.Session * lab.Trial) * lab.Experimenter & "full_name LIKE 'Alice%'"
    assert query.primary_key == ["subject_id", "session", "trial"]
    assert len(query) == 5
    assert len(lab.Subject * lab.Session * (lab.Mouse * lab.Rat)) == 2


@pytest.mark.rule("operators", "join")
@pytest.mark.rule("query-data", "chain")
def test_restricting_before_or_after_a_join_is_the_same(lab: Lab) -> None:
    before = (lab.Subject & "sex = 'F'") * (lab.Session & "duration > 20")
    after = lab.Subject * lab.Session & "sex = 'F'" & "duration > 20"
    assert before.to_dicts() == after.to_dicts()
    assert len(before) == 1


def test_join_of_an_aggregation(lab: Lab) -> None:
    counted = lab.Subject.aggr(lab.Session, n="count(session)")
    query = lab.Subject * counted & "n = 2"
    assert query.primary_key == ["subject_id"]
    assert set(query.to_arrays("subject_id").tolist()) == {1, 3}
    assert len(counted * lab.Session) == 5


def test_join_of_projections_whose_hidden_sources_share_names(lab: Lab) -> None:
    # both sources have `experimenter` and `duration`, and neither is matched
    first = lab.Session.proj(who="experimenter") & "who = 'alice'"
    second = (lab.Session & "duration > 20").proj(minutes="duration", later="session")
    query = first * second
    assert query.primary_key == ["subject_id", "session", "later"]
    rows = query.to_dicts(order_by="KEY")
    assert [(r["subject_id"], r["session"], r["later"], r["who"], r["minutes"]) for r in rows] == [
        (1, 1, 1, "alice", 30),
        (1, 1, 2, "alice", 45),
        (3, 1, 1, "alice", 60),
    ]


def test_join_with_an_attribute_that_was_projected_away(lab: Lab) -> None:
    kinds = lab.Stray.proj(stray_id="subject_id") * lab.Subject
    assert len(kinds) == 10
    assert "species" in kinds.heading.names


def test_join_with_itself_under_another_name(lab: Lab) -> None:
    pairs = lab.Session * lab.Session.proj(other="session") & "session < other"
    assert pairs.primary_key == ["subject_id", "session", "other"]
    assert len(pairs) == 2


@pytest.mark.rule("query-algebra", "11")
def test_join_of_computed_attributes(lab: Lab) -> None:
    query = lab.Trial.proj(seconds="rt / 1000") * lab.Session.proj(hours="duration / 60") & "hours >= 1"
    assert len(query) == 2
    assert query.heading.names == ["subject_id", "session", "trial", "seconds", "hours"]


def test_join_of_distinct_and_of_top(lab: Lab) -> None:
    assert len((dj.U("subject_id") & lab.Trial) * lab.Subject) == 2
    assert len((lab.Trial & dj.Top(2, "rt DESC")) * lab.Session) == 2


# -- left joins ----------------------------------------------------------------------------------------


@pytest.mark.rule("query-algebra", "4.2", "4.6")
def test_left_join_keeps_rows_without_partner(lab: Lab) -> None:
    query = lab.Session.join(lab.Experimenter, left=True)
    assert query.primary_key == ["subject_id", "session"]
    names = query.to_dicts(order_by="KEY")
    assert [r["full_name"] for r in names] == ["Alice A.", "Bob B.", None, "Alice A.", None]


@pytest.mark.rule("primary-keys", "extension")
@pytest.mark.rule("operators", "extension")
@pytest.mark.rule("query-algebra", "6.1", "6.2", "6.4", "6.5")
def test_extend_is_a_left_join(lab: Lab) -> None:
    extended = lab.Session.extend(lab.Experimenter)
    assert extended.make_sql() == lab.Session.join(lab.Experimenter, left=True).make_sql()
    assert extended.heading["full_name"].is_nullable


def test_left_join_with_a_restricted_operand(lab: Lab) -> None:
    query = lab.Session.extend(lab.Experimenter & "full_name LIKE 'B%'")
    assert [r["full_name"] for r in query.to_dicts(order_by="KEY")] == [None, "Bob B.", None, None, None]
    assert len(lab.Session.extend(lab.Experimenter) & "full_name IS NULL") == 2


@pytest.mark.rule("primary-keys", "left-join")
@pytest.mark.rule("query-algebra", "4.6", "4.9", "6.3", "6.6")
@pytest.mark.parametrize("combine", ["join", "extend"])
def test_left_join_needs_the_left_operand_to_determine_the_right(lab: Lab, combine: str) -> None:
    arguments: dict[str, Any] = {"left": True} if combine == "join" else {}
    with pytest.raises(dj.DataJointError, match=r"Left join requires .*\['trial'\]"):
        getattr(lab.Session, combine)(lab.Trial, **arguments)
    with pytest.raises(dj.DataJointError, match=r"\['z'\]"):
        getattr(lab.XY, combine)(lab.XZy, **arguments)


@pytest.mark.rule("primary-keys", "nullable-key")
def test_left_join_with_a_nullable_key_has_both_keys(lab: Lab) -> None:
    query = lab.Session.join(lab.Trial, left=True, allow_nullable_pk=True)
    assert query.primary_key == ["subject_id", "session", "trial"]
    assert query.heading.names[3:] == ["experimenter", "session_date", "duration", "rt", "correct"]
    assert len(query) == 8
    assert len(query & "trial IS NULL") == 2


# -- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [5, "Session", None, {"subject_id": 1}, [1]])
def test_join_with_what_is_no_query_is_refused(lab: Lab, other: Any) -> None:
    for combine in (
        lambda: lab.Subject * other,
        lambda: lab.Subject + other,
        lambda: lab.Subject.aggr(other),
    ):
        with pytest.raises(dj.DataJointError, match="a table or a query is needed"):
            combine()


def test_same_expression_gives_the_same_text(lab: Lab) -> None:
    def text() -> str:
        query = (lab.Subject * lab.Session & lab.Mouse).aggr(lab.Trial, n="count(trial)") & "n > 0"
        return query.make_sql()

    assert text() == text()
