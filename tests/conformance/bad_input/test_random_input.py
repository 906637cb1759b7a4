"""Random texts and objects where a definition, a condition, a name or a row is expected."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dj_schema.errors import DataJointError
from tests.conformance.structure.tables import table_class
from tests.support.examples import examples

LIMITS = examples(60)
# Pieces of what is right, in any order, and characters that are special somewhere.
_WORDS = """person name born facts a 1 0 -1 1.5 'x' "x" NULL AND OR NOT IN LIKE BETWEEN IS = < >= + - * / %
    ( ) , -> ->> '$.a' CASE WHEN THEN END count( sum( concat( CAST( AS INTERVAL DAY DATE ; -- /* */ ' " `
    \\ %s @x ? : [ ] \0 é \ud800"""
WORDS = st.sampled_from(_WORDS.split())
_LINES = """a : int32|b : varchar(5)|c = 5 : int8|---|-> Person|-> [nullable] Person|index(a)|unique index(b)
|d : enum('x','y')|e = null : json|# comment|-> master|f : <blob>|g = 'x|a|:|-> |index(|h : decimal(3,
|i : int32 # it's|_j : bool|a : int64|k = NOW : datetime"""
LINES = st.sampled_from(_LINES.split("|"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.dates()
    | st.datetimes()
    | st.uuids()
    | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
TEXTS = st.lists(WORDS, max_size=7).map(" ".join) | st.text(max_size=20)
NAMES = ["person", "name", "born", "weight", "level", "facts", "badge", "seen", "price", "is_here", "size"]


def test_a_random_condition_is_answered_or_refused(lab: Any, unchanged: Any) -> None:
    @LIMITS
    @given(text=TEXTS)
    def check(text: str) -> None:
        for ask in (
            lambda: (lab.Person & text).to_dicts(),
            lambda: lab.Person.proj(x=text).to_dicts(),
            lambda: lab.Person.aggr(lab.Pet, x=text).to_dicts(),
            lambda: lab.Person.to_dicts(order_by=text),
        ):
            _of_ours(ask)

    with unchanged():
        check()


def test_a_random_value_is_compared_or_refused(lab: Any, unchanged: Any) -> None:
    @LIMITS
    @given(value=VALUES, name=st.sampled_from([*NAMES, "facts.a", "facts.a.b", "x y", ""]))
    def check(value: Any, name: str) -> None:
        _of_ours(lambda: (lab.Person & {name: value}).to_dicts())
        _of_ours(lambda: (lab.Person & value).to_dicts())
        _of_ours(lambda: (lab.Person - [{name: value}]).to_dicts())

    with unchanged():
        check()


def test_a_random_row_is_inserted_as_it_is_or_refused(lab: Any, connection: Any) -> None:
    @LIMITS
    @given(row=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5), is_full=st.booleans())
    def check(row: dict[str, Any], is_full: bool) -> None:
        row = {"person": 100, "name": "x", **row} if is_full else row
        before = len(lab.Person())
        is_in = _of_ours(lambda: lab.Person.insert1(row))
        assert len(lab.Person()) == before + is_in
        if is_in:
            assert lab.Person.validate([row])
            (lab.Person & "person NOT IN (0, 1, 2)").delete_quick()
        changes = {**row, "person": 1}
        if _of_ours(lambda: lab.Person.update1(changes)):
            assert len(lab.Person()) == before

    check()
    assert sorted(lab.Person.to_arrays("person")) == [0, 1, 2]


def test_a_random_definition_is_declared_whole_or_not_at_all(lab: Any, dj: Any, connection: Any) -> None:
    text = st.lists(LINES, min_size=1, max_size=6).map("\n".join) | st.text(
        alphabet=string.ascii_lowercase + ":-># =()\n'", max_size=40
    )

    @examples(30)
    @given(text=text)
    def check(text: str) -> None:
        before = lab.schema.list_tables()
        table = table_class(dj, "Random", text)
        if _of_ours(lambda: lab.schema(table, context={"Person": lab.Person})):
            assert set(lab.schema.list_tables()) == {*before, "random"}
            table.drop(prompt=False)
        assert lab.schema.list_tables() == before

    check()


def _of_ours(ask: Any) -> bool:
    """Return whether something was done; an error that is not of ours is raised."""
    try:
        ask()
    except DataJointError as e:
        assert str(e)
        return False
    return True
