"""The contents of lookup tables, the first time and after they changed."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Callable
from types import ModuleType

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from tests.conformance.structure.tables import table_class

NewSchema = Callable[..., Schema]
DEFINITION = "method : varchar(9)\n---\nlimit_ = 0.1 : float32\nn = null : int8\nnote = '' : varchar(20)"


@pytest.mark.rule("define-tables", "contents")
def test_rows_that_are_new_in_the_contents_are_inserted_and_others_stay(
    new_schema: NewSchema, dj: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    schema = new_schema()
    first = schema(
        table_class(dj, "Method", DEFINITION, "Lookup", contents=[("a", 0.3, 1, "x"), ("b", 0.1, None, "")])
    )
    assert len(first) == 2
    changed = [
        {"method": "a", "limit_": 0.3},  # a part of what is there
        {"method": "b", "n": 5},
        {"method": "c", "note": "new"},
    ]
    with caplog.at_level(logging.WARNING, "datajoint.lookup"):
        again = schema(table_class(dj, "Method", DEFINITION, "Lookup", contents=changed))
    rows = {row["method"]: row for row in again.to_dicts()}
    assert rows.keys() == {"a", "b", "c"}
    assert rows["b"]["n"] is None
    assert rows["c"]["note"] == "new"
    (message,) = (r.message for r in caplog.records if r.name == "datajoint.lookup")
    assert "holds n=None for {'method': 'b'}, and the contents of its class say 5" in message
    caplog.clear()
    with caplog.at_level(logging.WARNING, "datajoint.lookup"):  # what is gone from the contents stays too
        schema(table_class(dj, "Method", DEFINITION, "Lookup", contents=[("c", 0.1, None, "new")]))
    assert len(again) == 3
    assert not [r for r in caplog.records if r.name == "datajoint.lookup"]


def test_contents_that_are_there_write_nothing(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    schema = new_schema()
    key = uuid.uuid4()
    columns = (
        ("u : uuid", str(key), key),
        ("d : date", "2020-01-01", dt.date(2020, 1, 2)),
        ("t : datetime(3)", "2020-01-01 10:00:00.5", dt.datetime(2020, 1, 1)),
        ("x : float64", 0.1, 3),
        ("p : decimal(5,2)", "1.50", 1.5),
        ("f : bool", True, 0),
        ("c : char(3)", "a", "ab"),
        ("e : enum('a','b')", "b", "a"),
        ("---", None, None),
        ("g = null : float32", 0.1, None),
        ("q = null : decimal(4,1)", 2.5, None),
        ("w = null : datetime", "2020-01-01", None),
        ("j = null : json", {"k": 1}, None),
        ("b = null : <blob>", [1], None),
    )
    definition = "\n".join(line for line, _, _ in columns)
    contents = [tuple(c[i] for c in columns if c[0] != "---") for i in (1, 2)]
    schema(table_class(dj, "Rich", definition, "Lookup", contents=contents))
    with caplog.at_level(logging.DEBUG, "datajoint.lookup"), connection.transaction:
        n = connection.n_statements
        schema(table_class(dj, "Rich", definition, "Lookup", contents=lambda _: iter(contents)))
        assert connection.n_statements - n == 1
    assert not [r for r in caplog.records if r.name == "datajoint.lookup"]
    assert len(schema["Rich"]) == 2


def test_contents_may_be_rows_of_any_kind(new_schema: NewSchema, dj: ModuleType) -> None:
    import pandas as pd

    schema = new_schema()
    frame = pd.DataFrame({"k": [1, 2], "x": [3, 4]})
    many = ((i, i) for i in range(1200))
    for i, contents in enumerate((frame, many, [], (), iter(()), lambda _: [(1, 2)], [{"k": 5, "x": 6}])):
        cls = schema(table_class(dj, f"Kind{i}", "k : int16\n---\nx : int16", "Lookup", contents=contents))
        assert len(cls) == (2, 1200, 0, 0, 0, 1, 1)[i]
    counted = table_class(
        dj, "Counted", "k : int auto_increment\n---\nx : int8", "Lookup", contents=[{"x": 1}]
    )
    assert schema(counted).fetch1() == {"k": 1, "x": 1}


def test_contents_that_do_not_fit_are_refused_with_the_table_named(
    new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    for i, contents in enumerate(([(1,)], [{"k": 1, "zz": 2}], [5], [(1000, 1)])):
        with pytest.raises(DataJointError, match=f"wrong{i}|'k'|a row is a dict"):
            schema(table_class(dj, f"Wrong{i}", "k : int8\n---\nx : int8", "Lookup", contents=contents))
        assert f"Wrong{i}" not in schema  # what was declared for them alone does not stay
