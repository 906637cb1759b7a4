"""Rows that cannot be: insert, validate and update1 refuse each, say why, and write nothing."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dj_schema.errors import DataJointError


class Weird:
    """What cannot be written as text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        return "Weird()"


_YEAR_10000 = np.datetime64("10000-01-01")  # later than Python's dates


def _nested() -> list[Any]:
    """A list in a list, and so on: deeper than Python writes it."""
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


Case = tuple[Callable[[], Any], str, str]
"""What is inserted, the class of its error, and some of the error's text."""

ROWS: list[Case] = [
    (lambda: 5, "DataJointError", "insert takes an iterable of rows, not"),
    (lambda: None, "DataJointError", "insert takes an iterable of rows, not"),
    (lambda: ["abc"], "DataJointError", "a row is a dict, a sequence or a numpy"),
    (lambda: [(1, 2)], "DataJointError", ", which has 11 attributes: person,"),
    (lambda: [tuple(range(30))], "DataJointError", ", which has 11 attributes: person,"),
    (lambda: [5], "DataJointError", "a row is a dict, a sequence or a numpy"),
    (lambda: [None], "DataJointError", "a row is a dict, a sequence or a numpy"),
    (lambda: [object()], "DataJointError", "a row is a dict, a sequence or a numpy"),
    (lambda: [{1, 2}], "DataJointError", "a row is a dict, a sequence or a numpy"),
    (lambda: b"abc", "DataJointError", "insert takes an iterable of rows, not"),
    (lambda: {"person": 9, "name": "x"}, "DataJointError", "insert takes several rows; use insert1"),
    (lambda: [{"name": "x"}], "MissingAttributeError", "has no default and must be given."),
    (lambda: [{"person": 9}], "MissingAttributeError", "has no default and must be given."),
    (lambda: [{}], "MissingAttributeError", "has no default and must be given."),
    (
        lambda: [{"person": 9, "name": "x", "zzz": 1}],
        "UnknownAttributeError",
        ". There are: person, name, born,",
    ),
    (lambda: [{5: 1}], "UnknownAttributeError", ". There are: person, name, born,"),
    (
        lambda: [{None: 1, "person": 9, "name": "x"}],
        "UnknownAttributeError",
        ". There are: person, name, born,",
    ),
    (lambda: [{"person": None, "name": "x"}], "MissingAttributeError", "cannot be NULL and has no default."),
    (lambda: [{"person": 9, "name": None}], "MissingAttributeError", "cannot be NULL and has no default."),
    (lambda: [{"person": "nine", "name": "x"}], "DataError", "'nine' does not fit attribute"),
    (lambda: [{"person": 9.5, "name": "x"}], "DataError", "9.5 does not fit attribute"),
    (lambda: [{"person": float("nan"), "name": "x"}], "DataError", "nan does not fit attribute"),
    (lambda: np.array((9,), dtype=[("person", int)]), "DataJointError", "insert1 for one"),
    (lambda: np.array(9), "DataJointError", "insert1 for one"),
    (lambda: [{"person": float("inf"), "name": "x"}], "DataError", "inf does not fit attribute"),
    (lambda: [{"person": 2**31, "name": "x"}], "DataError", "2147483648 does not fit"),
    (lambda: [{"person": 10**400, "name": "x"}], "DataError", "does not fit"),
    (lambda: [{"person": [9], "name": "x"}], "DataError", "[9] does not fit attribute"),
    (lambda: [{"person": {}, "name": "x"}], "DataError", "{} does not fit attribute"),
    (lambda: [{"person": b"9", "name": "x"}], "DataError", "b'9' does not fit attribute"),
    (lambda: [{"person": np.arange(2), "name": "x"}], "DataError", "array([0, 1]) does not fit"),
    (lambda: [{"person": 9, "name": "x", "weight": 1j}], "DataError", "1j does not fit attribute"),
    (lambda: [{"person": 9, "name": "x" * 21}], "DataError", "'xxxxxxxxxxxxxxxxxxxxx' does not"),
    (lambda: [{"person": 9, "name": b"x"}], "DataError", "b'x' does not fit attribute"),
    (lambda: [{"person": 9, "name": ["x"]}], "DataError", "['x'] does not fit attribute"),
    (lambda: [{"person": 9, "name": "a\0b"}], "DataError", "'a\\x00b' does not fit attribute"),
    (lambda: [{"person": 9, "name": "\ud800"}], "DataError", "'\\ud800' does not fit attribute"),
    (lambda: [{"person": 9, "name": Weird()}], "DataError", "Weird() does not fit attribute"),
    (
        lambda: [{"person": 9, "name": "x", "born": "yesterday"}],
        "DataError",
        "'yesterday' does not fit",
    ),
    (
        lambda: [{"person": 9, "name": "x", "born": "2024-02-31"}],
        "DataError",
        "'2024-02-31' does not fit",
    ),
    (lambda: [{"person": 9, "name": "x", "born": 5}], "DataError", "5 does not fit attribute 'born'"),
    *(
        (lambda v=v: [{"person": 9, "name": "x", "born": v}], "DataError", "a date has no time of day")
        for v in (dt.datetime(2024, 1, 2, 3), "2024-01-02 00:00:00.5", np.datetime64("2024-01-02T05:00"))
    ),
    *(
        (lambda v=v: [{"person": 9, "name": "x", "facts": v}], "DataError", why)
        for v, why in (
            ({"a": "x\0y"}, "null character"),
            (["\\", {"\0": 1}], "null character"),
            ({"a": [2**64]}, "has more than 64 bits"),
            ({"a": -(2**63) - 1}, "has more than 64 bits"),
            (10**400, "has more than 64 bits"),
        )
    ),
    (
        lambda: [{"person": 9, "name": "x", "born": dt.time(1)}],
        "DataError",
        "datetime.time(1, 0) does not fit",
    ),
    (
        lambda: [{"person": 9, "name": "x", "weight": "heavy"}],
        "DataError",
        "'heavy' does not fit attribute",
    ),
    (lambda: [{"person": 9, "name": "x", "weight": []}], "DataError", "[] does not fit attribute"),
    (
        lambda: [{"person": 9, "name": "x", "level": "middle"}],
        "DataError",
        "'middle' does not fit attribute",
    ),
    (lambda: [{"person": 9, "name": "x", "level": 1}], "DataError", "'1' does not fit attribute"),
    (
        lambda: [{"person": 9, "name": "x", "level": "LOW"}],
        "DataError",
        "'LOW' does not fit attribute",
    ),
    (
        lambda: [{"person": 9, "name": "x", "facts": object()}],
        "DataError",
        "does not fit attribute 'facts' of type",
    ),
    (lambda: [{"person": 9, "name": "x", "facts": {1}}], "DataError", "{1} does not fit attribute"),
    (
        lambda: [{"person": 9, "name": "x", "facts": {"a": float("nan")}}],
        "DataError",
        "{'a': nan} does not fit",
    ),
    (
        lambda: [{"person": 9, "name": "x", "facts": b"{}"}],
        "DataError",
        "b'{}' does not fit attribute",
    ),
    (
        lambda: [{"person": 9, "name": "x", "facts": {"a": "\ud800"}}],
        "DataError",
        '\'{"a":"\\ud800"}\' does not fit',
    ),
    (
        lambda: [{"person": 9, "name": "x", "facts": {(1,): 2}}],
        "DataError",
        "{(1,): 2} does not fit attribute",
    ),
    (lambda: [{"person": 9, "name": "x", "badge": "no"}], "DataError", "'no' does not fit attribute"),
    (
        lambda: [{"person": 9, "name": "x", "badge": 5}],
        "DataError",
        "5 does not fit attribute 'badge'",
    ),
    (
        lambda: [{"person": 9, "name": "x", "badge": b"123"}],
        "DataError",
        "b'123' does not fit attribute",
    ),
    (
        lambda: [{"person": 9, "name": "x", "seen": "noon"}],
        "DataError",
        "'noon' does not fit attribute",
    ),
    (lambda: [{"person": 9, "name": "x", "seen": 5}], "DataError", "5 does not fit attribute 'seen'"),
    (
        lambda: [{"person": 9, "name": "x", "seen": "10000-01-01 00:00:00"}],
        "DataError",
        "'10000-01-01 00:00:00' does not",
    ),
    (
        lambda: [{"person": 9, "name": "x", "price": "cheap"}],
        "DataError",
        "'cheap' does not fit attribute",
    ),
    (
        lambda: [{"person": 9, "name": "x", "price": 99999}],
        "DataError",
        "99999 does not fit attribute",
    ),
    (
        lambda: [{"person": 9, "name": "x", "price": float("inf")}],
        "DataError",
        "Decimal('Infinity') does not fit",
    ),
    (
        lambda: [{"person": 9, "name": "x", "price": decimal.Decimal("NaN")}],
        "DataError",
        "Decimal('NaN') does not fit",
    ),
    (
        lambda: [{"person": 9, "name": "x", "is_here": "perhaps"}],
        "DataError",
        "'perhaps' does not fit attribute",
    ),
    (lambda: [{"person": 9, "name": "x", "is_here": 2}], "DataError", "2 does not fit attribute"),
    (lambda: [{"person": 9, "name": "x", "size": 128}], "DataError", "128 does not fit attribute"),
    (lambda: [{"person": 9, "name": "x", "size": -129}], "DataError", "-129 does not fit attribute"),
    (lambda: [{"person": 1, "name": "x"}], "DuplicateError", "a row of this key, or of these values"),
    (
        lambda: [{"person": 9, "name": "x"}, {"person": 9, "name": "y"}],
        "DuplicateError",
        "a row of this key, or of these values",
    ),
    (lambda: [{"person": 9, "name": "x"}, {"person": 10, "name": "x" * 99}], "DataError", "does not fit"),
    (lambda: "/no/such/file.csv", "DataJointError", "there is no file '/no/such/file.csv' to"),
    (lambda: ["a", "b"], "DataJointError", "a row is a dict, a sequence or a numpy"),
    (lambda: [[[1, 2]]], "DataJointError", ", which has 11 attributes: person,"),
    (lambda: int, "DataJointError", "insert takes an iterable of rows, not"),
    (lambda: lambda: 1, "DataJointError", "insert takes an iterable of rows, not"),
    (
        lambda: [{"person": 9, "name": "x", "born) VALUES (1); DROP TABLE x; --": 1}],
        "UnknownAttributeError",
        ". There are: person, name, born,",
    ),
    (lambda: [np.arange(3)], "DataJointError", ", which has 11 attributes: person,"),
    (lambda: np.arange(3), "DataJointError", "a row is a dict, a sequence or a numpy"),
    (lambda: np.zeros((2, 2)), "DataJointError", ", which has 11 attributes: person,"),
    *(
        (
            lambda v=v: [{"person": 9, "name": "x", "weight": v}],
            "DataError",
            "does not fit attribute 'weight'",
        )
        for v in (10**400, -(10**400), decimal.Decimal("1e400"), "1e400", "-1e400")
    ),
    (lambda: [{"person": 9, "name": "x", "facts": _nested()}], "DataError", "list does not fit attribute"),
    *(
        (
            lambda n=n: [{"person": 9, "name": "x", n: _YEAR_10000}],
            "DataError",
            f"does not fit attribute {n!r}",
        )
        for n in ("name", "born", "seen", "size")
    ),
    (
        lambda: pa.table(
            {
                "person": [9, 10],
                "name": ["x", "y"],
                "born": pa.array([0, 3_000_000], pa.int32()).cast(pa.date32()),
            }
        ),
        "DataError",
        "column 'born'",
    ),
    (
        lambda: pd.DataFrame({"person": [9], "name": ["x"]}).set_index("person", drop=False),
        "DataJointError",
        "names 'person' twice",
    ),
]


@pytest.mark.rule("data-manipulation", "7.1", "8.1", "8.2")
def test_what_is_no_row_is_refused_and_nothing_is_written(lab: Any, unchanged: Any) -> None:
    with unchanged():
        wrong = [found for case in ROWS if (found := _refusal(case, lab.Person.insert)) is not None]
    assert wrong == []


def _refusal(case: Case, insert: Callable[[Any], Any]) -> str | None:
    """Return what is wrong with the refusal of rows; None where all is well."""
    make, kind, fragment = case
    try:
        insert(make())
        return f"line {make.__code__.co_firstlineno} was inserted"
    except DataJointError as e:
        is_right = kind in [c.__name__ for c in type(e).__mro__] and fragment in str(e)
        return None if is_right else f"line {make.__code__.co_firstlineno}: {type(e).__name__}: {e}"


@pytest.mark.rule("data-manipulation", "5.1", "5.3")
def test_what_insert_refuses_of_a_value_validate_and_update1_refuse_too(lab: Any, unchanged: Any) -> None:
    with unchanged():
        for make, kind, fragment in ROWS:
            rows = make()
            if kind == "DataError" and len(rows) == 1:
                result = lab.Person.validate(rows)
                assert fragment in result.summary()
                values = {**rows[0], "person": 1}
                if values != {"person": 1, "name": "x"}:  # a wrong key is another matter
                    with pytest.raises(DataJointError, match=r"does not fit|cannot"):
                        lab.Person.update1(values)
