"""What goes with a deleted row, and what stays."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest


def _ids(table: Any, name: str) -> list[Any]:
    return sorted(row[name] for row in table.proj(name).to_dicts())


@pytest.fixture
def lab(new_schema: Any, dj: Any) -> SimpleNamespace:
    """Four levels, a diamond, renamed and nullable references, in two schemas."""
    schema, other = new_schema(), new_schema()

    @schema
    class A(dj.Manual):
        definition = "a : int32\n---\nv = 0 : int32"

    @schema
    class B(dj.Manual):
        definition = "-> A\nb : int32"

    @schema
    class C(dj.Manual):
        definition = "-> A\nc : int32"

    @schema
    class Diamond(dj.Manual):
        definition = "-> B\n-> C\n---\nw = 0 : int32"

    @other
    class Far(dj.Manual):
        definition = "-> Diamond\nf : int32"

    @schema
    class Pair(dj.Manual):
        definition = "pair : int32\n---\n-> A.proj(first='a')\n-> [nullable] A.proj(second='a')"

    @schema
    class Single(dj.Manual):
        definition = "---\n-> A"

    A.insert([{"a": a, "v": a % 2} for a in range(4)])
    B.insert([{"a": a, "b": b} for a in range(4) for b in range(2)])
    C.insert([{"a": a, "c": c} for a in range(4) for c in range(2)])
    Diamond.insert([{"a": a, "b": b, "c": c} for a in range(4) for b in range(2) for c in range(2)])
    Far.insert([{"a": a, "b": b, "c": 0, "f": f} for a in range(4) for b in range(2) for f in range(2)])
    Pair.insert([(0, 0, 1), (1, 1, None), (2, 2, 0), (3, 2, 3)])
    return SimpleNamespace(A=A, B=B, C=C, Diamond=Diamond, Far=Far, Pair=Pair, Single=Single)


@pytest.mark.rule("data-manipulation", "4.1", "4.2")
@pytest.mark.rule("delete-data", "basic", "cascade", "count")
def test_all_that_depends_on_a_row_goes_with_it(lab: Any) -> None:
    lab.Single.insert1({"a": 1})
    assert (lab.A & {"a": 0}).delete() == 1
    assert _ids(lab.A, "a") == [1, 2, 3]
    assert [len(t()) for t in (lab.B, lab.C, lab.Diamond, lab.Far)] == [6, 6, 12, 12]
    assert _ids(lab.Pair, "pair") == [1, 3]
    assert len(lab.Single()) == 1
    assert (lab.A & "a = 1").delete() == 1
    assert len(lab.Single()) == 0
    assert _ids(lab.Pair, "pair") == [3]


@pytest.mark.parametrize(
    "restrict",
    [
        lambda lab, dj: lab.A & "v = 1",
        lambda lab, dj: lab.A & {"v": 1},
        lambda lab, dj: lab.A & [{"a": 1}, "a = 3"],
        lambda lab, dj: lab.A & (lab.B & "a in (1, 3)"),
        lambda lab, dj: lab.A & (lab.Far & "mod(a, 2) = 1").proj(),
        lambda lab, dj: lab.A - (lab.C & "a in (0, 2)"),
        lambda lab, dj: lab.A - (lab.A & "v = 0").proj(),
        lambda lab, dj: lab.A & (lab.A & "v = 1").proj(x="v"),
        lambda lab, dj: lab.A & (lab.B * lab.C & "a in (1, 3)"),
        lambda lab, dj: lab.A & dj.AndList(["a > 0", dj.Not({"a": 2})]),
        lambda lab, dj: (lab.A & "a > 0") & (dj.U("a") & (lab.Diamond & "a <> 2")),
    ],
)
@pytest.mark.rule("data-manipulation", "4.3")
@pytest.mark.rule("delete-data", "patterns")
def test_rows_are_chosen_by_any_restriction(lab: Any, dj: Any, restrict: Any) -> None:
    assert restrict(lab, dj).delete() == 2
    assert _ids(lab.A, "a") == [0, 2]
    assert {r["a"] for t in (lab.B, lab.C, lab.Diamond, lab.Far) for r in t.to_dicts()} == {0, 2}
    assert _ids(lab.Pair, "pair") == [2]


def test_rows_are_chosen_by_top(lab: Any, dj: Any) -> None:
    assert (lab.A & dj.Top(1, "a DESC")).delete() == 1
    assert _ids(lab.A, "a") == [0, 1, 2]
    assert (lab.B & dj.Top(2, "KEY")).delete() == 2
    assert len(lab.B()) == 4
    assert len(lab.Diamond()) == 8


@pytest.mark.rule("data-manipulation", "4.3")
@pytest.mark.rule("delete-data", "patterns")
def test_everything_goes_and_nothing_goes(lab: Any) -> None:
    assert (lab.A & "a > 10").delete() == 0
    assert len(lab.Far()) == 16
    assert lab.A.delete() == 4
    assert not any(len(t()) for t in (lab.A, lab.B, lab.C, lab.Diamond, lab.Far, lab.Pair))


@pytest.mark.rule("data-manipulation", "4.5", "7.2")
@pytest.mark.rule("delete-data", "transaction")
def test_delete_is_part_of_an_open_transaction(lab: Any, connection: Any) -> None:
    with pytest.raises(ZeroDivisionError), connection.transaction:  # noqa: PT012
        assert (lab.A & "a = 0").delete(transaction=False) == 1
        assert (lab.A & "a = 1").delete() == 1
        assert len(lab.A()) == 2
        1 / 0  # noqa: B018
    assert len(lab.A()) == 4
    assert len(lab.Far()) == 16


@pytest.mark.rule("data-manipulation", "4.4")
@pytest.mark.rule("delete-data", "prompt")
def test_prompt_shows_what_goes_and_asks(
    lab: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, config: Any
) -> None:
    asked: list[str] = []

    def answer(text: str) -> Any:
        def input_(question: str) -> str:
            asked.append(question)
            return text

        return input_

    config["safemode"] = True
    for refusal in ("no", "", "y"):
        monkeypatch.setattr("builtins.input", answer(refusal))
        assert (lab.A & "a = 0").delete() == 0
    assert len(lab.A()) == 4
    assert len(asked) == 3
    shown = capsys.readouterr().out
    assert f"1 rows from {lab.A.database}.a" in shown
    assert "2 rows from" in shown
    assert "4 rows from" in shown
    monkeypatch.setattr("builtins.input", answer("yes"))
    assert (lab.A & "a = 0").delete() == 1
    assert (lab.A & "a = 1").delete(prompt=False) == 1
    assert len(asked) == 4
    assert len(lab.A()) == 2


@pytest.mark.rule("data-manipulation", "4.7")
@pytest.mark.rule("delete-data", "quick")
def test_delete_quick_takes_the_rows_alone(lab: Any, dj: Any) -> None:
    assert lab.Far.delete_quick() is None
    assert (lab.Diamond & "a < 2").delete_quick(get_count=True) == 8
    assert (lab.Diamond & "a > 10").delete_quick(get_count=True) == 0
    with pytest.raises(dj.errors.IntegrityError, match=r"delete\(\) takes them along"):
        lab.A.delete_quick()
    assert len(lab.A()) == 4
    assert (lab.Diamond & dj.Top(1, "KEY")).delete_quick(get_count=True) == 1
    assert (lab.Diamond & (lab.Diamond & "b = 1").proj()).delete_quick(get_count=True) == 4


def test_what_is_no_table_is_not_written_to(lab: Any, dj: Any) -> None:
    queries = [
        lab.A.proj(),
        lab.A * lab.B,
        lab.A.aggr(lab.B, n="count(*)"),
        lab.A.proj() + lab.A.proj(),
        dj.U("v") & lab.A,
        dj.U("v"),
        (lab.A & "a > 1").proj(...) & dj.Top(1),
    ]
    calls: dict[str, tuple[Any, ...]] = {
        "delete": (),
        "delete_quick": (),
        "update1": ({"a": 1, "v": 7},),
        "insert": ([(9, 9)],),
        "insert1": ((9, 9),),
        "drop": (),
        "alter": (),
        "describe": (),
    }
    for query in queries:
        for name, args in calls.items():
            assert not hasattr(query, name)
            with pytest.raises(dj.errors.NotATableError, match=f"{name}.*not a table. .*[Tt]able") as e:
                getattr(query, name)(*args)
            assert isinstance(e.value, dj.DataJointError)
    assert _ids(lab.A, "v") == [0, 0, 1, 1]
    assert (lab.A & (lab.A.proj() & "a > 1")).delete() == 2
    assert (lab.A & dj.Top(1, "a DESC")).delete() == 1
    assert _ids(lab.A, "a") == [0]


def test_many_rows_go_by_key(new_schema: Any, dj: Any) -> None:
    schema = new_schema()

    @schema
    class A(dj.Manual):
        definition = "a : int32\nb : varchar(8)"

    @schema
    class B(dj.Manual):
        definition = "-> A\nc : int32"

    A.insert([{"a": i, "b": f"x{i % 3}"} for i in range(3000)])
    B.insert([{"a": i, "b": f"x{i % 3}", "c": 0} for i in range(3000)])
    assert (A & (B & "a < 2500")).delete() == 2500
    assert len(A()) == len(B()) == 500


# -- references of a table to itself ---------------------------------------------------------------


def _self_referring(dj: Any, schema: Any, connection: Any) -> tuple[Any, Any]:
    """Declare a table, give it a reference to itself, and a child of it."""

    @schema
    class Person(dj.Manual):
        definition = "person : int32\n---\nboss = null : int32\nmentor = null : int32"

    name, q = Person.full_table_name, connection.dialect.quote
    for column in ("boss", "mentor"):
        connection.query(
            f"ALTER TABLE {name} ADD FOREIGN KEY ({q}{column}{q}) REFERENCES {name} ({q}person{q}) "
            "ON DELETE RESTRICT ON UPDATE CASCADE"
        )

    @schema
    class Desk(dj.Manual):
        definition = "-> Person\ndesk : int32"

    return Person, Desk


def test_rows_that_refer_to_rows_of_their_own_table_go(new_schema: Any, dj: Any, connection: Any) -> None:
    Person, Desk = _self_referring(dj, new_schema(), connection)
    #      1 ─┬─ 2 ─── 4 ── 6      mentor of 5 is 4, of 7 is 3
    #         └─ 3 ─── 5           8 is alone, its own boss
    people = [
        (1, None, None),
        (2, 1, None),
        (3, 1, None),
        (4, 2, None),
        (5, 3, 4),
        (6, 4, None),
        (7, None, 3),
        (8, 8, None),
    ]
    Person.insert(people)
    Desk.insert([{"person": p, "desk": d} for p in range(1, 9) for d in range(2)])
    assert (Person & "person = 2").delete() == 4
    assert _ids(Person, "person") == [1, 3, 7, 8]
    assert _ids(Desk, "person") == [1, 1, 3, 3, 7, 7, 8, 8]
    assert (Person & {"person": 8}).delete() == 1
    assert (Person & (Desk & "person = 1")).delete() == 3
    assert not len(Person())
    assert not len(Desk())


# -- parts -----------------------------------------------------------------------------------------


@pytest.fixture
def parts(new_schema: Any, dj: Any) -> SimpleNamespace:
    schema = new_schema()

    @schema
    class Stimulus(dj.Manual):
        definition = "stimulus : int32"

    @schema
    class Session(dj.Manual):
        definition = "session : int32"

        class Trial(dj.Part):
            definition = "-> master\ntrial : int32\n---\n-> Stimulus"

        class Note(dj.Part):
            definition = "-> master\nnote : int32"

    Stimulus.insert([{"stimulus": i} for i in range(4)])
    Session.insert([{"session": i} for i in range(3)])
    Session.Trial.insert([{"session": s, "trial": t, "stimulus": s} for s in range(3) for t in range(2)])
    Session.Note.insert([{"session": s, "note": 0} for s in range(3)])
    return SimpleNamespace(Stimulus=Stimulus, Session=Session)


@pytest.mark.rule("data-manipulation", "6.2")
def test_parts_go_with_their_master(parts: Any) -> None:
    assert (parts.Session & "session = 1").delete() == 1
    assert _ids(parts.Session.Trial, "session") == [0, 0, 2, 2]
    assert _ids(parts.Session.Note, "session") == [0, 2]


@pytest.mark.rule("data-manipulation", "4.6")
@pytest.mark.rule("delete-data", "parts")
def test_parts_do_not_go_without_their_master(parts: Any, dj: Any) -> None:
    for query in (parts.Session.Trial, parts.Session.Trial & "session = 1", parts.Stimulus & "stimulus = 1"):
        with pytest.raises(dj.DataJointError, match="(?i)part.*master"):
            query.delete()
    with pytest.raises(dj.DataJointError, match="enforce"):
        parts.Stimulus.delete(part_integrity="sometimes")
    assert len(parts.Session.Trial()) == 6
    assert len(parts.Stimulus()) == 4


def test_no_part_is_in_the_way_where_none_would_go(parts: Any) -> None:
    assert (parts.Stimulus & "stimulus = 3").delete() == 1


@pytest.mark.rule("data-manipulation", "4.6")
@pytest.mark.rule("delete-data", "parts")
def test_part_integrity_can_be_ignored(parts: Any) -> None:
    assert (parts.Session.Trial & "session = 1").delete(part_integrity="ignore") == 2
    assert (parts.Stimulus & "stimulus = 0").delete(part_integrity="ignore") == 1
    assert _ids(parts.Session.Trial, "session") == [2, 2]
    assert len(parts.Session()) == 3


@pytest.mark.rule("data-manipulation", "4.6")
@pytest.mark.rule("delete-data", "parts")
def test_the_masters_of_parts_can_go_too(parts: Any) -> None:
    assert (parts.Session.Trial & "session = 1 and trial = 0").delete(part_integrity="cascade") == 2
    assert _ids(parts.Session, "session") == [0, 2]
    assert _ids(parts.Session.Trial, "session") == [0, 0, 2, 2]
    assert (parts.Stimulus & "stimulus in (0, 3)").delete(part_integrity="cascade") == 2
    assert _ids(parts.Session, "session") == [2]
    assert _ids(parts.Session.Note, "session") == [2]
    assert _ids(parts.Stimulus, "stimulus") == [1, 2]


def test_drop_takes_dependents_and_parts(lab: Any, parts: Any, dj: Any, connection: Any) -> None:
    with pytest.raises(dj.DataJointError, match="restricted"):
        (lab.B & "a = 0").drop()
    with pytest.raises(dj.DataJointError, match="Part"):
        parts.Session.Trial.drop()
    lab.B.drop()
    assert not lab.B().is_declared
    assert not lab.Diamond().is_declared
    assert not lab.Far().is_declared
    assert lab.A().is_declared
    assert lab.C().is_declared
    assert (lab.A & "a = 0").delete() == 1
    parts.Session.drop()
    assert not parts.Session.Trial().is_declared
    assert parts.Stimulus().is_declared


def test_drop_asks(lab: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "no")
    lab.Diamond.drop(prompt=True)
    assert lab.Diamond().is_declared
    assert "16 rows" in capsys.readouterr().out
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    lab.Diamond.drop(prompt=True)
    assert not lab.Diamond().is_declared
