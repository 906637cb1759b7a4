"""Computed attributes come as the same values, of the same Python types, from every server."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tests.conformance.test_user_sql_values import ROWS
from tests.conformance.user_sql_cases import CASES

DEFINITION = """
id : int32
---
small = null : uint8
n = null : int32
big = null : int64
x = null : float64
f = null : float32
amount = null : decimal(5,2)
ok = null : bool
sex = null : enum('M','F')
name = null : varchar(40)
code = null : varchar(10)
d = null : date
t = null : datetime
car = null : json
u = null : uuid
"""
CLASSES = {
    "int": int, "bool": bool, "float": float, "decimal": Decimal, "string": str, "date": dt.date,
    "datetime": dt.datetime, "uuid": uuid.UUID,
}  # fmt: skip


@pytest.mark.rule("query-algebra", "2.3", "3.4")
def test_user_sql_in_a_query_has_the_values_and_types_of_its_kind(new_schema: Any, dj: Any) -> None:
    import json

    table = new_schema()(type("Odd", (dj.Manual,), {"definition": DEFINITION}))
    table.insert([(*row[:13], row[13] and json.loads(row[13]), row[14]) for row in ROWS])
    wrong = {}
    for text, expected in CASES.items():
        query = table.proj(v=text) if len(expected) == 3 else dj.U().aggr(table, v=text)
        found = query.to_arrays("v", order_by="KEY").tolist()
        kind = query.heading["v"].kind
        classes = {type(v) for v in found if not _is_null(v)}
        same = [_is_null(v) if e is None else _equals(v, e) for v, e in zip(found, expected, strict=True)]
        if not all(same) or not classes <= {CLASSES.get(kind, v) for v in classes}:
            wrong[text] = (kind, found, expected)
    assert wrong == {}


def _is_null(value: Any) -> bool:
    return value is None or value != value


def _equals(value: Any, expected: Any) -> bool:
    if isinstance(value, float) or isinstance(expected, float):
        return float(value) == pytest.approx(float(expected), abs=1e-8)
    return bool(value == expected)


@pytest.mark.rule("query-algebra", "3.4")
def test_a_float32_in_sql_keeps_all_of_its_digits(new_schema: Any, dj: Any) -> None:
    table = new_schema()(type("Single", (dj.Manual,), {"definition": "id : int32\n---\nf : float32"}))
    table.insert1((1, 33.333332))
    as_stored = table.fetch1("f")
    for text in ("max(f)", "min(f)", "any_value(f)"):
        assert dj.U().aggr(table, m=text).fetch1("m") == pytest.approx(33.333332, abs=1e-6), text
        assert table.proj().aggr(table, m=text).proj(n="m").fetch1("n") == pytest.approx(as_stored, rel=1e-7)
    for text in (
        "coalesce(f, 0)", "if(id, f, 0)", "ifnull(f, 0)", "case id when 1 then f end", "greatest(f, 1)",
        "least(f, 99)", "nullif(f, 1)",
    ):  # fmt: skip
        assert table.proj(v=text).fetch1("v") == pytest.approx(33.333332, abs=1e-6), text
        assert (dj.U("v") & table.proj(v=text)).fetch1("v") == pytest.approx(33.333332, abs=1e-6), text
    assert table.proj(v="pi()").fetch1("v") == 3.141592653589793


@pytest.mark.rule("query-algebra", "3.4")
def test_a_uuid_in_sql_stays_one(new_schema: Any, dj: Any) -> None:
    table = new_schema()(type("Tagged", (dj.Manual,), {"definition": "k : int32\n---\nu = null : uuid"}))
    low, high = uuid.UUID(int=15), uuid.UUID(int=15 << 120)
    table.insert([(1, high), (2, low), (3, None)])
    assert dj.U().aggr(table, first="min(u)", last="max(u)").fetch1() == {"first": low, "last": high}
    for text in ("coalesce(u, u)", "if(k < 9, u, null)", "case when k < 9 then u end", "nullif(u, null)"):
        query = table.proj(v=text)
        assert query.heading["v"].kind == "uuid", text
        assert query.to_arrays("v", order_by="KEY").tolist() == [high, low, None], text
        assert query.to_arrow(order_by="KEY")["v"].to_pylist() == [str(high), str(low), None], text
        assert (query & {"v": low}).keys() == [{"k": 2}], text


@pytest.mark.rule("query-algebra", "3.4")
def test_the_text_of_a_moment_has_the_digits_of_its_attribute(new_schema: Any, dj: Any) -> None:
    definition = "k : int32\n---\nt : datetime\nt3 : datetime(3)\nt6 = null : datetime(6)"
    table = new_schema()(type("Moment", (dj.Manual,), {"definition": definition}))
    table.insert1((1, "2024-02-29 10:00:00", "2024-02-29 10:00:00.25", "2024-02-29 10:00:00"))
    table.insert1((2, "2024-02-29 10:00:01", "2024-02-29 10:00:01", None))
    texts = {
        "concat(t, '')": "2024-02-29 10:00:00",
        "concat(t3, '!')": "2024-02-29 10:00:00.250!",
        "ifnull(t6, 'none')": "2024-02-29 10:00:00.000000",
        "char_length(t3)": 23,
        "year(t3)": 2024,
    }
    for text, expected in texts.items():
        assert (table & "k = 1").proj(v=text).fetch1("v") == expected, text
    assert (table & "k = 2").proj(v="ifnull(t6, 'none')").fetch1("v") == "none"
    assert (table & "t3 LIKE '%.250'").keys() == [{"k": 1}]
    assert (table & "t3 = '2024-02-29 10:00:00.25'" & "t3 > t").keys() == [{"k": 1}]
    assert dj.U().aggr(table, last="max(t3)").fetch1("last") == dt.datetime(2024, 2, 29, 10, 0, 1)


@pytest.mark.rule("query-algebra", "5.4")
def test_the_largest_label_is_that_of_texts_also_in_an_index(new_schema: Any, dj: Any) -> None:
    definition = "e : enum('c','a','b')\n---\nf = null : enum('c','a','b')\nindex(f)"
    table = new_schema()(type("Labelled", (dj.Manual,), {"definition": definition}))
    table.insert([(label, label) for label in "bca"])
    asked = {"last": "max(e)", "first": "min(e)", "f_last": "max(f)", "f_first": "min(f)"}
    found = dj.U().aggr(table, **asked).fetch1()
    assert found == {"last": "c", "first": "a", "f_last": "c", "f_first": "a"}


@pytest.mark.rule("query-algebra", "4.7", "2.9")
def test_enums_of_other_labels_match_by_name_as_texts(new_schema: Any, dj: Any) -> None:
    schema, other = new_schema(), new_schema()
    mine = schema(type("Mine", (dj.Manual,), {"definition": "a : int32\n---\ne = null : enum('y','x')"}))
    theirs = {
        "other labels": schema(
            type("Theirs", (dj.Manual,), {"definition": "b : int32\n---\ne = null : enum('x','z')"})
        ),
        "of another schema": other(
            type("Mine", (dj.Manual,), {"definition": "b : int32\n---\ne = null : enum('y','x')"})
        ),
        "a text": schema(type("Text", (dj.Manual,), {"definition": "b : int32\n---\ne = null : varchar(4)"})),
    }
    mine.insert([(1, "x"), (2, "y"), (3, None)])
    for what, table in theirs.items():
        table.insert([(7, "x"), (8, None)])
        assert mine.join(table, semantic_check=False).to_dicts() == [{"a": 1, "b": 7, "e": "x"}], what
        assert mine().restrict(table, semantic_check=False).keys() == [{"a": 1}], what
        assert mine().restrict(dj.Not(table), semantic_check=False).keys(order_by="a") == [{"a": 2}, {"a": 3}]
        left = mine.join(table.proj("e", b_="b"), semantic_check=False, left=True, allow_nullable_pk=True)
        assert left.to_arrays("e", order_by="a").tolist() == ["x", "y", None], what


@pytest.mark.rule("query-algebra", "3.4")
def test_integers_without_a_sign_use_all_of_their_bits(new_schema: Any, dj: Any) -> None:
    definition = "k : int32\n---\nu : uint64\nv : uint32\nraw = null : bytes"
    table = new_schema()(type("Big", (dj.Manual,), {"definition": definition}))
    table.insert1((1, 2**64 - 1, 2**32 - 1, b"\xff\x00\xfe"))
    cases = {
        "u": 2**64 - 1, "u + 0": 2**64 - 1, "u - 1": 2**64 - 2, "u % 10": 5, "mod(u, 10)": 5,
        "u div 2": 2**63 - 1, "u & 1": 1, "u ^ 1": 2**64 - 2, "u >> 60": 15,
        "~u": 0, "v * v": (2**32 - 1) ** 2,
        "v + 1": 2**32, "u div 2 + v": 2**63 + 2**32 - 2, "coalesce(u, 0) - 1": 2**64 - 2,
        "if(k, u, 0) - 5": 2**64 - 6,
        "cast(u as signed)": -1, "cast(u as unsigned)": 2**64 - 1, "greatest(u, 1) - 1": 2**64 - 2,
        "u div 0": None,
        "length(raw)": 3, "octet_length(raw)": 3,
    }  # fmt: skip
    for text, expected in cases.items():
        query = table.proj(v=text)
        assert query.fetch1("v") == expected, text
        if expected is not None:
            assert type(query.fetch1("v")) in (int, np.int64, np.uint64), text
            assert query & {"v": expected}, text
    assert table.proj(w="u - 1").proj(x="w - 1").fetch1("x") == 2**64 - 3
    assert table & "u - 1 = 18446744073709551614"
    assert dj.U().aggr(table, m="max(u) - 1", n="sum(v) div 2").fetch1() == {"m": 2**64 - 2, "n": 2**31 - 1}
