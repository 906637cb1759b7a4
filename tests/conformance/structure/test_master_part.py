"""Masters and their parts: the rules of their page that no other test is about."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError, IntegrityError
from tests.conformance.structure.tables import table_class, tables_in

NewSchema = Callable[..., Schema]


@pytest.fixture
def session(new_schema: NewSchema, dj: ModuleType) -> Any:
    class Session(dj.Manual):
        definition = "subject : varchar(16)\nsession : uint8\n---\nday : date"

        class Trial(dj.Part):
            definition = "-> master\ntrial : uint16\n---\nstimulus : varchar(32)\nresponse : varchar(32)"

        class Note(dj.Part):
            definition = "-> Session\nnote : uint16"

    return new_schema()(Session)


def fill(session: Any) -> None:
    session.insert([("M001", 1, "2026-01-08"), ("M001", 2, "2026-01-09")])
    session.Trial.insert(
        [("M001", s, t, "left", "left" if t < 3 else "right") for s in (1, 2) for t in (1, 2, 3)]
    )
    session.Note.insert1(("M001", 1, 1))


@pytest.mark.rule("master-part", "1.4", "2.1", "2.2", "3.1", "3.2")
@pytest.mark.rule("table-declaration", "8.3")
def test_a_master_comes_before_its_parts_and_stays_while_it_has_some(
    session: Any, connection: Connection, dj: ModuleType
) -> None:
    for part in (session.Trial, session.Note):
        assert part.primary_key[:2] == ["subject", "session"]
        assert part.parents(primary=True) == [session.full_table_name]
    with pytest.raises(IntegrityError):
        session.Trial.insert1(("M001", 1, 1, "a", "b"))

    def insert_both() -> None:
        with dj.conn().transaction:
            session.insert1(("M001", 1, "2026-01-08"))
            session.Trial.insert([("M001", 1, 1, "a", "b"), ("M001", 9, 1, "a", "b")])

    with pytest.raises(IntegrityError):
        insert_both()
    assert len(session) == len(session.Trial) == 0
    with dj.conn().transaction:
        fill(session)
    with pytest.raises(IntegrityError):
        (session & {"session": 1}).delete_quick()
    assert len(session) == 2


@pytest.mark.rule("master-part", "3.3")
def test_a_make_inserts_into_its_table_and_its_parts(
    new_schema: NewSchema, session: Any, dj: ModuleType
) -> None:
    fill(session)

    class Processed(dj.Computed):
        definition = "-> Session\n---\nn_trials : uint16"

        class TrialResult(dj.Part):
            definition = "-> master\n-> Session.Trial\n---\nscore : float32"

        def make(self, key: dict[str, Any]) -> None:
            trials = (session.Trial & key).to_dicts()
            self.insert1({**key, "n_trials": len(trials)})
            own = ("subject", "session", "trial")
            self.TrialResult.insert([{**{n: t[n] for n in own}, "score": t["trial"] / 2} for t in trials])

    new_schema()(Processed, context={"Session": session})
    assert Processed.populate()["success"] == 2
    assert Processed.to_arrays("n_trials").tolist() == [3, 3]
    assert len(Processed.TrialResult & "score = 1.5") == 2


@pytest.mark.rule("master-part", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "9")
@pytest.mark.rule("table-declaration", "8.4")
def test_the_matrix_of_deletes(session: Any) -> None:
    fill(session)
    one = {"session": 1, "trial": 1}
    with pytest.raises(DataJointError, match=r"Cannot delete from a Part directly.*'ignore'.*'cascade'"):
        (session.Trial & one).delete(prompt=False)
    with pytest.raises(DataJointError, match="'enforce', 'ignore' or 'cascade'"):
        (session.Trial & one).delete(prompt=False, part_integrity="no")
    assert len(session.Trial) == 6
    assert (session.Trial & one).delete(prompt=False, part_integrity="ignore") == 1
    assert (len(session), len(session.Trial), len(session.Note)) == (2, 5, 1)
    assert (session.Trial & {"session": 1, "trial": 2}).delete(prompt=False, part_integrity="cascade") == 2
    assert (len(session), len(session.Trial), len(session.Note)) == (1, 3, 0)
    assert session.delete(prompt=False) == 1
    assert len(session.Trial) == 0


@pytest.mark.rule("master-part", "5.1", "5.2", "5.3", "9")
@pytest.mark.rule("table-declaration", "8.4")
def test_parts_are_dropped_with_their_master(
    session: Any, new_schema: NewSchema, connection: Connection, dj: ModuleType
) -> None:
    schema = session().database
    for part_integrity in ("enforce", "cascade"):
        with pytest.raises(DataJointError, match=r"Cannot drop a Part directly.*'ignore'"):
            session.Trial.drop(prompt=False, part_integrity=part_integrity)
    session.Note.drop(prompt=False, part_integrity="ignore")
    assert tables_in(connection, schema) == {"~lineage", "session", "session__trial"}
    session.drop(prompt=False)
    assert tables_in(connection, schema) == {"~lineage"}
    part = table_class(dj, "Piece", "-> master\np : int8", "Part")
    other = new_schema()
    other(table_class(dj, "Whole", "w : int8", Piece=part))
    other.drop(prompt=False)
    assert tables_in(connection, other.name) == set()


@pytest.mark.rule("master-part", "6.1", "6.2", "6.3", "7.4")
def test_parts_are_queried_as_other_tables(session: Any, new_schema: NewSchema, dj: ModuleType) -> None:
    fill(session)
    assert session().Trial is session.Trial
    joined = (session & {"session": 1}) * session.Trial
    assert len(joined) == 3
    assert "day" in joined.heading
    counts = session.aggr(
        session.Trial, n_trials="count(trial)", n_correct="sum(response = stimulus)"
    ).to_dicts(order_by="KEY")
    assert [(row["n_trials"], int(row["n_correct"])) for row in counts] == [(3, 2), (3, 2)]
    event = new_schema()(
        table_class(dj, "TrialEvent", "-> Session.Trial\nevent : uint8\n---\nat : float32"),
        context={"Session": session},
    )
    event.insert1(("M001", 1, 1, 1, 0.5))
    (session & {"session": 1}).delete(prompt=False)
    assert len(event) == 0
    deep = table_class(dj, "Deep", "-> master\nd : int8", "Part")
    middle = table_class(dj, "Middle", "-> master\nm : int8", "Part", Deep=deep)
    with pytest.raises(DataJointError, match="Middle is a part and cannot have parts"):
        new_schema()(table_class(dj, "Top", "t : int8", Middle=middle))
