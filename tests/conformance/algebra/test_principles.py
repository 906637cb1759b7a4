"""What holds for every operator: nothing is sent, nothing is changed, and the key is what the rules say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import datajoint as dj
from tests.support.lab import Lab

OPERATORS: dict[str, tuple[Callable[[Lab], Any], list[str]]] = {
    "restrict": (lambda t: t.Session & "duration > 20", ["subject_id", "session"]),
    "anti-restrict": (lambda t: t.Session - t.Trial, ["subject_id", "session"]),
    "project": (lambda t: t.Session.proj("duration", hours="duration / 60"), ["subject_id", "session"]),
    "rename the key": (lambda t: t.Session.proj(number="session"), ["subject_id", "number"]),
    "join": (lambda t: t.Session * t.Trial, ["subject_id", "session", "trial"]),
    "aggregate": (lambda t: t.Session.aggr(t.Trial, n="count(*)"), ["subject_id", "session"]),
    "extend": (lambda t: t.Session.extend(t.Experimenter), ["subject_id", "session"]),
    "unite": (lambda t: t.Mouse + t.Rat, ["subject_id"]),
    "unique values": (lambda t: dj.U("species") & t.Subject, ["species"]),
    "aggregate all": (lambda t: dj.U().aggr(t.Subject, n="count(*)"), []),
    "aggregate by": (lambda t: dj.U("sex").aggr(t.Subject, n="count(*)"), ["sex"]),
    "top": (lambda t: t.Subject & dj.Top(2, "weight DESC"), ["subject_id"]),
}


@pytest.mark.rule("query-algebra", "1.2", "12.8", "14")
@pytest.mark.rule("primary-keys", "by-operator")
@pytest.mark.parametrize(("make", "key"), OPERATORS.values(), ids=OPERATORS)
def test_key_of_the_result(lab: Lab, make: Callable[[Lab], Any], key: list[str]) -> None:
    query = make(lab)
    assert query.primary_key == key
    assert query.heading.names[: len(key)] == key
    assert all(list(row) == query.heading.names for row in query.to_dicts())


@pytest.mark.rule("query-algebra", "1.1", "1.3")
@pytest.mark.parametrize(("make", "key"), OPERATORS.values(), ids=OPERATORS)
def test_composing_sends_nothing_and_changes_no_operand(
    lab: Lab, make: Callable[[Lab], Any], key: list[str]
) -> None:
    tables = [lab.Subject, lab.Session, lab.Trial, lab.Experimenter, lab.Mouse, lab.Rat]
    before = [(table.make_sql(), table.heading.names) for table in tables]
    sent = lab.connection.n_statements
    query = make(lab)
    assert query.heading.names
    assert query.make_sql()
    assert lab.connection.n_statements == sent
    query.to_dicts()
    assert lab.connection.n_statements == sent + 1
    assert [(table.make_sql(), table.heading.names) for table in tables] == before


@pytest.mark.rule("query-algebra", "10")
@pytest.mark.rule("operators", "precedence")
def test_operators_have_the_precedence_of_python(lab: Lab) -> None:
    condition = "sex = 'M'"
    joined_first = lab.Subject * lab.Session & condition
    assert joined_first.make_sql() == ((lab.Subject * lab.Session) & condition).make_sql()
    united_first = lab.Mouse + lab.Rat & "cage > 7"
    assert united_first.make_sql() == ((lab.Mouse + lab.Rat) & "cage > 7").make_sql()
    assert [row["subject_id"] for row in united_first.to_dicts()] == [4]
    subtracted_first = lab.Subject - lab.Mouse & lab.Rat
    assert [row["subject_id"] for row in subtracted_first.to_dicts()] == [4]


@pytest.mark.rule("query-algebra", "9.1")
@pytest.mark.rule("semantic-matching", "lineage", "secondary-foreign-key")
def test_origin_of_attributes(lab: Lab) -> None:
    schema = lab.schema.database
    lineage = {name: lab.Trial.heading[name].lineage for name in lab.Trial.heading.names}
    assert lineage == {
        "subject_id": f"{schema}.subject.subject_id",
        "session": f"{schema}.session.session",
        "trial": f"{schema}.trial.trial",
        "rt": None,
        "correct": None,
    }
    assert lab.Session.heading["experimenter"].lineage == f"{schema}.experimenter.experimenter"
    assert lab.Session.proj(x="duration + 1").heading["x"].lineage is None


@pytest.mark.rule("query-data", "chain")
def test_operators_in_a_row(lab: Lab) -> None:
    query = ((lab.Subject & "sex = 'M'") * lab.Session & "duration > 30").proj("species", "duration")
    assert query.heading.names == ["subject_id", "session", "duration", "species"]
    assert query.to_dicts() == [{"subject_id": 1, "session": 2, "duration": 45, "species": "mouse"}]
    with pytest.raises(dj.DataJointError, match=r"parentheses: \(A & condition\) \* B"):
        lab.Subject & "sex = 'M'" * lab.Session & "duration > 30"


@pytest.mark.rule("query-data", "make_sql")
def test_text_that_is_shown_is_the_text_that_is_sent(lab: Lab) -> None:
    query = lab.Subject & "weight > 18.5" & {"sex": "M"}
    rows = lab.connection.query(query.make_sql(), ("M",))
    assert [row[0] for row in rows] == [1]
