"""Queries that cannot be: each is refused with an error of ours that says what to do, and changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dj_schema.errors import DataJointError


class Weird:
    """What cannot be written as text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        return "Weird()"


def _nested() -> list[Any]:
    """A list in a list, and so on: deeper than Python writes it."""
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


Case = tuple[Callable[[Any, Any], Any], str, str]
"""The query, the class of its error, and some of the error's text."""

RESTRICTIONS: list[Case] = [
    (
        lambda lab, dj: lab.Person & "nmae = 1",
        "UnknownAttributeError",
        "The expression has no attribute 'nmae'.",
    ),
    (lambda lab, dj: lab.Person & "name = 'x", "QuerySyntaxError", "opens a quote (')"),
    (lambda lab, dj: lab.Person & 'name = "x', "QuerySyntaxError", 'opens a quote (")'),
    (lambda lab, dj: lab.Person & "(person = 1", "QuerySyntaxError", "has an unbalanced bracket '('."),
    (lambda lab, dj: lab.Person & "person = 1)", "QuerySyntaxError", "has an unbalanced bracket ')'."),
    (lambda lab, dj: lab.Person & "person = 1; DROP TABLE person", "QuerySyntaxError", "has a semico"),
    (lambda lab, dj: lab.Person & "person = 1 -- x", "QuerySyntaxError", "has a comment"),
    (lambda lab, dj: lab.Person & "person = 1 /* x */", "QuerySyntaxError", "has a comment at positi"),
    (lambda lab, dj: lab.Person & "person = 1 # x", "QuerySyntaxError", "has a comment"),
    (lambda lab, dj: lab.Person & "", "QuerySyntaxError", "The SQL expression is empty. Write a"),
    (lambda lab, dj: lab.Person & "   ", "QuerySyntaxError", "The SQL expression is empty. Write a"),
    (lambda lab, dj: lab.Person & "=", "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person & "person = = 1", "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person & "person =", "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person & "= 1", "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person & "SELECT 1", "QuerySyntaxError", "has SELECT, which belongs to a qu"),
    (lambda lab, dj: lab.Person & "person IN (SELECT person FROM pet)", "QuerySyntaxError", "has SEL"),
    (lambda lab, dj: lab.Person & "1=1 UNION SELECT 2", "QuerySyntaxError", "has UNION, which belong"),
    (lambda lab, dj: lab.Person & "INSERT INTO x VALUES (1)", "QuerySyntaxError", "has INTO, which b"),
    (lambda lab, dj: lab.Person & "person = 1, name = 'x'", "QuerySyntaxError", "has a comma outside"),
    (lambda lab, dj: lab.Person & "*", "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person & "person.name = 'x'", "QuerySyntaxError", "has a name with a dot. N"),
    (lambda lab, dj: lab.Person & "no_such_function(person) = 1", "QuerySyntaxError", "no_such_function"),
    (lambda lab, dj: lab.Person & {"weight": 10**400}, "DataError", "too large"),
    (lambda lab, dj: lab.Person & {"weight": "1e400"}, "DataError", "too large"),
    (lambda lab, dj: lab.Person & {"facts.a": _nested()}, "DataError", "nested too deeply"),
    (lambda lab, dj: lab.Person & {"person": _nested()}, "DataError", "a list cannot be compared"),
    (lambda lab, dj: lab.Person().fetch1(5), "DataJointError", "5 is no name of an attribute"),
    (lambda lab, dj: lab.Person().to_arrays(5), "DataJointError", "5 is no name of an attribute"),
    (lambda lab, dj: lab.Person().to_arrays(["person"]), "DataJointError", "is no name of an attribute"),
    (
        lambda lab, dj: lab.Person & "substring(name) = 'x'",
        "QuerySyntaxError",
        "The function SUBSTRING is given 1",
    ),
    (
        lambda lab, dj: lab.Person & "abs(person, 1, 2) = 1",
        "QuerySyntaxError",
        "The function ABS is given 3 arguments,",
    ),
    (lambda lab, dj: lab.Person & "count(*) > 1", "DataJointError", "the condition 'count(*) > 1'"),
    (lambda lab, dj: lab.Person & "sum(person) > 1", "DataJointError", "the condition 'sum(person) > 1'"),
    (
        lambda lab, dj: lab.Person & "row_number() over (order by person) = 1",
        "QuerySyntaxError",
        "Check the SQL",
    ),
    (lambda lab, dj: lab.Person & "person BETWEEN 1", "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person & "person IN ()", "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person & "CASE WHEN person THEN 1", "QuerySyntaxError", "Check the SQL"),
    (
        lambda lab, dj: lab.Person & "born > 'yesterday'",
        "QuerySyntaxError",
        "The string 'yesterday' stands where a",
    ),
    (lambda lab, dj: lab.Person & {"born": "yesterday"}, "DataError", "yesterday' cannot be compared with"),
    (lambda lab, dj: lab.Person & {"person": "one"}, "DataError", "one' cannot be compared with attribute"),
    (lambda lab, dj: lab.Person & {"person": object()}, "DataError", "cannot be compared with attribute"),
    (
        lambda lab, dj: lab.Person & {"badge": "not a uuid"},
        "DataError",
        "not a uuid' cannot be compared with",
    ),
    (lambda lab, dj: lab.Person & {"badge": 5}, "DataError", "5 cannot be compared with attribute"),
    (lambda lab, dj: lab.Person & {"price": "cheap"}, "DataError", "cheap' cannot be compared with"),
    (lambda lab, dj: lab.Person & {"weight": "heavy"}, "DataError", "heavy' cannot be compared with"),
    (lambda lab, dj: lab.Person & {"is_here": "perhaps"}, "DataError", "perhaps' cannot be compared with"),
    (lambda lab, dj: lab.Person & {"seen": "noon"}, "DataError", "noon' cannot be compared with attribute"),
    (lambda lab, dj: lab.Person & object(), "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Person & 5, "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Person & 1.5, "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Person & b"person = 1", "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Person & Weird(), "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Person & [5], "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Person & [object()], "DataJointError", "Use a dict, an SQL condition"),
    (
        lambda lab, dj: lab.Person & [["person = 1", ["bad ="]]],
        "UnknownAttributeError",
        "The expression has no attribute 'bad'.",
    ),
    (lambda lab, dj: lab.Person & (lambda: 1), "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Person & int, "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Person & math, "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Pet & {"data": [1]}, "DataError", "): a query cannot be restricted by a"),
    (lambda lab, dj: lab.Person & {"facts": {"a": 1}}, "DataError", "{'a': 1} cannot be compared with"),
    (
        lambda lab, dj: lab.Person & {"name.a": 1},
        "UnknownAttributeError",
        "there is no attribute 'name",
    ),
    (lambda lab, dj: lab.Person & lab.Other, "DataJointError", "Cannot restrict on attribute `person`:"),
    (lambda lab, dj: lab.Person - lab.Other, "DataJointError", "Cannot restrict on attribute `person`:"),
    (lambda lab, dj: lab.Person & dj.Top(-1), "DataJointError", "limit and offset of Top cannot be"),
    (
        lambda lab, dj: lab.Person & dj.Top("x"),
        "ArgumentTypeError",
        "limit of Top must be an int or None, not",
    ),
    (
        lambda lab, dj: lab.Person & dj.Top(1, "nmae"),
        "UnknownAttributeError",
        "there is no attribute 'nmae'. Did you",
    ),
    (
        lambda lab, dj: lab.Person & dj.Top(1, "person; DROP TABLE x"),
        "UnknownAttributeError",
        "there is no attribute 'person; DROP",
    ),
    (
        lambda lab, dj: lab.Person & dj.Top(1, "KEY", offset=-1),
        "DataJointError",
        "limit and offset of Top cannot be",
    ),
    (
        lambda lab, dj: lab.Person & dj.Top(1, "KEY", offset="x"),
        "ArgumentTypeError",
        "offset of Top must be an int, not 'x",
    ),
    (
        lambda lab, dj: lab.Person().to_dicts(order_by="nmae"),
        "UnknownAttributeError",
        "there is no attribute 'nmae'. Did you",
    ),
    (
        lambda lab, dj: lab.Person().to_dicts(order_by="person sideways"),
        "UnknownAttributeError",
        "there is no attribute 'person",
    ),
    (
        lambda lab, dj: lab.Person().to_dicts(order_by=5),
        "ArgumentTypeError",
        "order_by of Top must be a str, a list",
    ),
    (lambda lab, dj: lab.Person().to_dicts(limit=-1), "DataJointError", "limit and offset of Top cannot be"),
    (
        lambda lab, dj: lab.Person().to_dicts(limit="many"),
        "ArgumentTypeError",
        "limit of Top must be an int or None,",
    ),
    (
        lambda lab, dj: lab.Person().to_dicts(offset=-1, limit=1),
        "DataJointError",
        "limit and offset of Top cannot be",
    ),
    (
        lambda lab, dj: lab.Person & {"person": float("nan")},
        "DataError",
        "nan cannot be compared with attribute",
    ),
    (lambda lab, dj: lab.Person & {"name": "a\0b"}, "DataError", "a\\x00b' cannot be compared with"),
    (lambda lab, dj: lab.Person & {"name": "\ud800"}, "DataError", "\\ud800' cannot be compared with"),
    (lambda lab, dj: lab.Person & "name = 'a\0b'", "QuerySyntaxError", "has the control character"),
    (lambda lab, dj: lab.Person & "name = '\ud800'", "QuerySyntaxError", "has half of a surrogate pa"),
    (lambda lab, dj: lab.Person & np.arange(3), "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Person & np.array(9), "DataJointError", "Use a dict, an SQL condition"),
    (
        lambda lab, dj: lab.Person & np.array((9,), dtype=[("person", int)]),
        "DataJointError",
        "Use a dict, an SQL condition",
    ),
    (lambda lab, dj: lab.Person & pd.Series([9]), "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Person & np.zeros((2, 2)), "DataJointError", "Use a dict, an SQL condition"),
    (lambda lab, dj: lab.Person & (x for x in ["person ="]), "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person & {"person ="}, "QuerySyntaxError", "Check the SQL"),
    (
        lambda lab, dj: lab.Person & dj.AndList(["person = 1", "bad = 2"]),
        "UnknownAttributeError",
        "The expression has no attribute 'bad'.",
    ),
    (
        lambda lab, dj: lab.Person & dj.Not("bad = 2"),
        "UnknownAttributeError",
        "The expression has no attribute 'bad'.",
    ),
    (lambda lab, dj: lab.Person & dj.Not(object()), "DataJointError", "Use a dict, an SQL condition"),
    (
        lambda lab, dj: lab.Person & "name = %s",
        "UnknownAttributeError",
        "The expression has no attribute 's'. It",
    ),
    (
        lambda lab, dj: lab.Person & "name LIKE 'a%%' AND nmae = 1",
        "UnknownAttributeError",
        "The expression has no attribute 'nmae'.",
    ),
    (lambda lab, dj: lab.Person & "@@version = 1", "QuerySyntaxError", "has a variable"),
    (lambda lab, dj: lab.Person & "@a := 1", "QuerySyntaxError", "has a variable"),
    (
        lambda lab, dj: lab.Person & ("(" * 3000 + "person = 1" + ")" * 3000),
        "QuerySyntaxError",
        "An SQL expression of 6003 words is",
    ),
    (
        lambda lab, dj: lab.Person & {"facts": float("inf")},
        "DataError",
        "inf cannot be compared with attribute",
    ),
    (lambda lab, dj: lab.Person & "CAST(person AS nosuch) = 1", "QuerySyntaxError", "Check the SQL"),
    (
        lambda lab, dj: lab.Person & "born + INTERVAL 1 FORTNIGHT > '2020-01-01'",
        "QuerySyntaxError",
        "INTERVAL knows DAY, HOUR, MICROSECOND,",
    ),
    (lambda lab, dj: lab.Person & "name COLLATE nosuch = 'x'", "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person & "name REGEXP '['", "DataError", ""),
    (lambda lab, dj: lab.Person & {"level": "middle"}, "DataError", "middle' cannot be compared with"),
    (lambda lab, dj: lab.Person & "person * 9223372036854775807 * 99 > 1", "DataError", ""),
    (
        lambda lab, dj: lab.Person & "born = '2024-02-31'",
        "QuerySyntaxError",
        "The string '2024-02-31' stands where a",
    ),
    (lambda lab, dj: lab.Person & "person = 1 OR", "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person & "`person = 1", "QuerySyntaxError", "opens a quote (`)"),
    (
        lambda lab, dj: lab.Person & "`no``such` = 1",
        "UnknownAttributeError",
        "The expression has no attribute",
    ),
]
PROJECTIONS: list[Case] = [
    (
        lambda lab, dj: lab.Person.proj("nmae"),
        "UnknownAttributeError",
        "there is no attribute 'nmae'. Did you",
    ),
    (
        lambda lab, dj: lab.Person.proj(x="nmae"),
        "UnknownAttributeError",
        "The expression has no attribute 'nmae'.",
    ),
    (
        lambda lab, dj: lab.Person.proj(..., "-person"),
        "DataJointError",
        "attribute 'person' cannot be left out:",
    ),
    (
        lambda lab, dj: lab.Person.proj(..., "-nmae"),
        "UnknownAttributeError",
        "there is no attribute 'nmae'. Did you",
    ),
    (lambda lab, dj: lab.Person.proj(5), "DataJointError", "give attribute names and `...`, not 5."),
    (lambda lab, dj: lab.Person.proj(None), "DataJointError", "give attribute names and `...`, not"),
    (lambda lab, dj: lab.Person.proj(object()), "DataJointError", "give attribute names and `...`, not"),
    (lambda lab, dj: lab.Person.proj(["name"]), "DataJointError", "give attribute names and `...`, not"),
    (lambda lab, dj: lab.Person.proj(lab.Pet), "DataJointError", "give attribute names and `...`, not"),
    (lambda lab, dj: lab.Person.proj(b"name"), "DataJointError", "give attribute names and `...`, not"),
    (lambda lab, dj: lab.Person.proj(x=5), "DataJointError", "x=5: give the name of an attribute or"),
    (lambda lab, dj: lab.Person.proj(x=None), "DataJointError", "x=None: give the name of an attribute"),
    (lambda lab, dj: lab.Person.proj(x=lab.Pet), "DataJointError", ".Pe: give the name of an attribute or"),
    (lambda lab, dj: lab.Person.proj(x=""), "QuerySyntaxError", "The SQL expression is empty. Write a"),
    (lambda lab, dj: lab.Person.proj(x="  "), "QuerySyntaxError", "The SQL expression is empty. Write a"),
    (lambda lab, dj: lab.Person.proj(x="person +"), "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person.proj(x="person; DROP TABLE x"), "QuerySyntaxError", "has a semicolon: a se"),
    (lambda lab, dj: lab.Person.proj(x="person -- y"), "QuerySyntaxError", "has a comment"),
    (lambda lab, dj: lab.Person.proj(x="person, name"), "QuerySyntaxError", "has a comma outside of bracke"),
    (lambda lab, dj: lab.Person.proj(x="(select 1)"), "QuerySyntaxError", "has SELECT, which belongs to a"),
    (lambda lab, dj: lab.Person.proj(x="person AS y"), "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person.proj(x="*"), "QuerySyntaxError", "Check the SQL"),
    (lambda lab, dj: lab.Person.proj(x="no_such(person)"), "QuerySyntaxError", "Check the SQL"),
    (
        lambda lab, dj: lab.Person.proj(x="count(*)"),
        "DataJointError",
        "proj(x='count(*)') aggregates rows; use",
    ),
    (
        lambda lab, dj: lab.Person.proj(x="nmae + 1"),
        "UnknownAttributeError",
        "The expression has no attribute 'nmae'.",
    ),
    (
        lambda lab, dj: lab.Person.proj("name", name="person"),
        "DataJointError",
        "two attributes would have the name",
    ),
    (lambda lab, dj: lab.Person.proj(person="name"), "DataJointError", "two attributes would have the name"),
    (
        lambda lab, dj: lab.Person.proj(..., name="person"),
        "DataJointError",
        "two attributes would have the name",
    ),
    (
        lambda lab, dj: lab.Person.proj(**{"a b": "name"}),
        "DataJointError",
        "a b' cannot name an attribute: use a",
    ),
    (
        lambda lab, dj: lab.Person.proj(**{"a`b": "name"}),
        "DataJointError",
        "a`b' cannot name an attribute: use a",
    ),
    (
        lambda lab, dj: lab.Person.proj(**{'a"; DROP TABLE x; --': "name"}),
        "DataJointError",
        "a\"; DROP TABLE x; --' cannot name an",
    ),
    (
        lambda lab, dj: lab.Person.proj(**{"": "name"}),
        "DataJointError",
        "cannot name an attribute: use a letter,",
    ),
    (
        lambda lab, dj: lab.Person.proj(**{"a" * 200: "name"}),
        "DataJointError",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ),
    (
        lambda lab, dj: lab.Person.proj(**{"a\0": "name"}),
        "DataJointError",
        "a\\x00' cannot name an attribute: use a",
    ),
    (
        lambda lab, dj: lab.Person.proj(**{"a%s": "name"}),
        "DataJointError",
        "a%s' cannot name an attribute: use a",
    ),
    (
        lambda lab, dj: lab.Person.proj("name, person"),
        "UnknownAttributeError",
        "there is no attribute 'name, person'.",
    ),
    (
        lambda lab, dj: lab.Person.proj("name AS x"),
        "UnknownAttributeError",
        "there is no attribute 'name AS x'. Did",
    ),
    (
        lambda lab, dj: lab.Person.proj("(name)"),
        "UnknownAttributeError",
        "there is no attribute '(name)'. Did you",
    ),
    (
        lambda lab, dj: lab.Person.proj(x="(nmae)"),
        "UnknownAttributeError",
        "The expression has no attribute 'nmae'.",
    ),
    (lambda lab, dj: lab.Person.proj(x="name.a"), "QuerySyntaxError", "has a name with a dot. Name attribu"),
    (lambda lab, dj: lab.Person.proj(x="facts.a:nosuch"), "QuerySyntaxError", "cannot be of type 'nosuch'"),
    (lambda lab, dj: lab.Person.proj(x="facts.a'b"), "QuerySyntaxError", ""),
    (
        lambda lab, dj: lab.Person.aggr(5, n="count(*)"),
        "DataJointError",
        "cannot aggregate int 5: a table or a",
    ),
    (
        lambda lab, dj: lab.Person.aggr("Pet", n="count(*)"),
        "DataJointError",
        "cannot aggregate str 'Pet': a table or",
    ),
    (
        lambda lab, dj: lab.Person.aggr(lab.Pet, n="count(nmae)"),
        "UnknownAttributeError",
        "The expression has no attribute 'nmae'.",
    ),
    (
        lambda lab, dj: lab.Person.aggr(lab.Pet, n="count("),
        "QuerySyntaxError",
        "has an unbalanced bracket '('. Clos",
    ),
    (
        lambda lab, dj: lab.Person.aggr(lab.Pet, n="pet"),
        "DataJointError",
        "pet' has several values in a group. Use",
    ),
    (
        lambda lab, dj: lab.Person.aggr(lab.Other, n="count(*)"),
        "DataJointError",
        "Cannot join on attribute `person`:",
    ),
    (lambda lab, dj: lab.Person * 5, "DataJointError", "cannot join int 5: a table or a query"),
    (lambda lab, dj: lab.Person * "Pet", "DataJointError", "cannot join str 'Pet': a table or a"),
    (lambda lab, dj: lab.Person * None, "DataJointError", "cannot join NoneType None: a table or a"),
    (lambda lab, dj: lab.Person * lab.Other, "DataJointError", "Cannot join on attribute `person`:"),
    (lambda lab, dj: lab.Person + 5, "DataJointError", "cannot unite int 5: a table or a query"),
    (lambda lab, dj: lab.Person + lab.Pet, "DataJointError", "a union needs the same primary key on"),
    (
        lambda lab, dj: lab.Person().extend(lab.Pet),
        "DataJointError",
        "Left join requires the left operand to",
    ),
    (lambda lab, dj: lab.Person().extend(5), "DataJointError", "cannot join int 5: a table or a query"),
    (
        lambda lab, dj: dj.U("nmae") & lab.Person,
        "UnknownAttributeError",
        "there is no attribute 'nmae'. Did you",
    ),
    (
        lambda lab, dj: dj.U("nmae").aggr(lab.Person, n="count(*)"),
        "UnknownAttributeError",
        "there is no attribute 'nmae'. Did you",
    ),
    (lambda lab, dj: dj.U(5) & lab.Person, "DataJointError", "dj.U takes attribute names, as in"),
    (
        lambda lab, dj: dj.U("name; DROP TABLE x") & lab.Person,
        "UnknownAttributeError",
        "there is no attribute 'name; DROP TABLE",
    ),
    (lambda lab, dj: dj.U("name") * lab.Person, "DataJointError", "dj.U(...) * table is no longer"),
    (lambda lab, dj: dj.U("name").to_dicts(), "NotATableError", "dj.U('name') has no to_dicts: it"),
    (lambda lab, dj: dj.U("name") - lab.Person, "DataJointError", "dj.U(...) - table would be an infinite"),
    (lambda lab, dj: dj.U("name") + lab.Person, "DataJointError", "cannot unite dj.U('name'): it is no"),
    (lambda lab, dj: lab.Person @ lab.Pet, "DataJointError", "The @ operator has been removed in"),
    (lambda lab, dj: lab.Person ^ lab.Pet, "DataJointError", "The ^ operator has been removed in"),
    (
        lambda lab, dj: lab.Person.to_arrays("nmae"),
        "UnknownAttributeError",
        "there is no attribute 'nmae'. Did you",
    ),
    (
        lambda lab, dj: lab.Person.fetch1("nmae"),
        "UnknownAttributeError",
        "there is no attribute 'nmae'. Did you",
    ),
    (lambda lab, dj: lab.Person.fetch1(), "DataJointError", "fetch1 needs exactly one row, and this"),
    (
        lambda lab, dj: (lab.Person & "person = 99").fetch1(),
        "DataJointError",
        "fetch1 needs exactly one row, and this",
    ),
    (
        lambda lab, dj: lab.Person.fetch("nmae"),
        "UnknownAttributeError",
        "there is no attribute 'nmae'. Did you",
    ),
    (
        lambda lab, dj: lab.Person.fetch(format="nosuch"),
        "DataJointError",
        "format is 'array' or 'frame', not",
    ),
    (lambda lab, dj: lab.Person().head(-1), "DataJointError", "limit and offset of Top cannot be"),
    (lambda lab, dj: lab.Person().head("x"), "ArgumentTypeError", "limit of Top must be an int or None, not"),
    (lambda lab, dj: lab.schema["NoSuch"], "MissingTableError", "Table does not exist: 'NoSuch' in schema"),
    (
        lambda lab, dj: lab.schema.get_table("a`b"),
        "MissingTableError",
        "Table does not exist: 'a`b' in schema",
    ),
    (lambda lab, dj: lab.schema.get_table(5), "MissingTableError", "Table does not exist: 5 in schema"),
    (
        lambda lab, dj: dj.FreeTable(lab.connection, "nosuch"),
        "DataJointError",
        "nosuch' is no full table name; write",
    ),
    (
        lambda lab, dj: dj.FreeTable(lab.connection, "a.b.c"),
        "DataJointError",
        "a.b.c' is no full table name; write",
    ),
    (
        lambda lab, dj: dj.FreeTable(lab.connection, f"{lab.schema.database}.nosuch"),
        "MissingTableError",
        ". Declare it first, or check its name",
    ),
    (lambda lab, dj: dj.FreeTable(lab.connection, 5), "DataJointError", "5 is no full table name; write"),
]


@pytest.mark.parametrize("cases", [RESTRICTIONS, PROJECTIONS], ids=["restrictions", "projections"])
def test_what_cannot_be_asked_is_refused_and_changes_nothing(
    cases: list[Case], lab: Any, dj: Any, unchanged: Any
) -> None:
    with unchanged():
        wrong = [found for case in cases if (found := _refusal(case, lab, dj)) is not None]
    assert wrong == []


def _refusal(case: Case, lab: Any, dj: Any) -> str | None:
    """Return what is wrong with the refusal of a query; None where all is well."""
    ask, kind, fragment = case
    try:
        found = ask(lab, dj)
        rows = found.to_dicts() if hasattr(found, "to_dicts") else found
        return f"line {ask.__code__.co_firstlineno} gave {rows}"
    except DataJointError as e:
        is_right = kind in [c.__name__ for c in type(e).__mro__] and fragment in str(e)
        return None if is_right else f"line {ask.__code__.co_firstlineno}: {type(e).__name__}: {e}"
