"""Each core type in each form that rows come out in, with NULL and without."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pytest


class Form(NamedTuple):
    """A type, a value of it, and what holds it: numpy and pandas without and with NULL, arrow, polars."""

    type: str
    value: Any
    array: str
    array_with_null: str
    frame: str
    frame_with_null: str
    arrow: str
    polars: str


def _int(name: str, value: int) -> Form:
    wide, nullable = ("uint64", "UInt64") if name == "uint64" else ("int64", "Int64")
    return Form(
        name, value, wide, "object", wide, nullable, name, name.replace("int", "Int").replace("uI", "UI")
    )


_object = ("object",) * 4
FORMS = {
    "i8": _int("int8", -128),
    "i16": _int("int16", -(2**15)),
    "i32": _int("int32", 2**31 - 1),
    "i64": _int("int64", -(2**63)),
    "u8": _int("uint8", 255),
    "u16": _int("uint16", 2**16 - 1),
    "u32": _int("uint32", 2**32 - 1),
    "u64": _int("uint64", 2**64 - 1),
    "f32": Form("float32", np.float32(0.1).item(), *("float32",) * 4, "float", "Float32"),
    "f64": Form("float64", 0.1, *("float64",) * 4, "double", "Float64"),
    "b": Form("bool", True, "bool", "object", "bool", "boolean", "bool", "Boolean"),
    "dec": Form("decimal(7,3)", Decimal("-1234.500"), *_object, "decimal128(7, 3)", "Decimal"),
    "c": Form("char(3)", "abc", *_object, "string", "String"),
    "s": Form("varchar(20)", "naïve 😀", *_object, "string", "String"),
    "e": Form("enum('x', 'y')", "y", *_object, "string", "String"),
    "d": Form("date", dt.date(2024, 2, 29), *_object, "date32[day]", "Date"),
    "t": Form(
        "datetime(6)", dt.datetime(2024, 2, 29, 1, 2, 3, 400), "object", "object", *("datetime64[us]",) * 2,
        "timestamp[us]", "Datetime",
    ),
    "j": Form("json", {"a": [1, None, "é"]}, *_object, "string", "String"),
    "u": Form("uuid", uuid.UUID("6c2c5e1e-0000-4000-8000-0000000000ab"), *_object, "string", "String"),
    "raw": Form("bytes", b"\x00\xff", *_object, "binary", "Binary"),
}  # fmt: skip


@pytest.fixture
def table(new_schema: Any, dj: Any) -> Any:
    lines = [f"{name} = null : {form.type}" for name, form in FORMS.items()]
    table = new_schema()(type("Forms", (dj.Manual,), {"definition": "\n".join(["k : int32", "---", *lines])}))
    values = {name: form.value for name, form in FORMS.items()}
    table.insert([{"k": 0, **values}, {"k": 1, **values}, {"k": 2}])
    return table


def _same(value: Any, expected: Any) -> bool:
    if expected is None:
        return value is None or value != value
    return bool(value == expected)


@pytest.mark.rule("fetch-api", "to_dicts", "to_arrays", "to_pandas")
@pytest.mark.parametrize("has_null", [False, True])
def test_values_and_dtypes_of_dicts_arrays_and_frames(table: Any, has_null: bool) -> None:
    query = table & ("k > 0" if has_null else "k = 1")
    row = query.to_dicts(order_by="k")[0]
    structured, frame = query.to_arrays(order_by="k"), query.to_pandas(order_by="k")
    for name, form in FORMS.items():
        expected = [form.value, None] if has_null else [form.value]
        column = query.to_arrays(name, order_by="k")
        dtype = form.array_with_null if has_null else form.array
        assert type(row[name]) is type(form.value), name
        assert (row[name], column.dtype, structured.dtype[name]) == (form.value, dtype, dtype), name
        assert str(frame[name].dtype) in (form.frame_with_null if has_null else form.frame, "str"), name
        for values in (column.tolist(), structured[name].tolist()):
            assert all(map(_same, values, expected)), name
        assert frame[name].isna().tolist() == [False, True][: len(expected)], name
        if form.type != "datetime(6)":
            assert frame[name].iloc[0] == form.value or form.type == "float32", name


def test_a_frame_has_the_same_dtypes_of_texts_and_moments_with_rows_and_without(table: Any) -> None:
    names = [name for name, form in FORMS.items() if isinstance(form.value, (str, dt.datetime))]
    assert len(names) >= 3
    filled, of_nulls, empty = (
        (table & f"k {condition}").to_pandas()[names] for condition in ("= 0", "= 2", "= 9")
    )
    assert (len(filled), len(of_nulls), len(empty)) == (1, 1, 0)
    assert of_nulls.isna().all(axis=None)
    assert filled.dtypes.to_dict() == of_nulls.dtypes.to_dict() == empty.dtypes.to_dict()


@pytest.mark.rule("fetch-api", "to_arrow", "to_polars")
def test_values_and_types_of_arrow_and_polars(table: Any, connection: Any) -> None:
    found, frame = table.to_arrow(order_by="k"), table.to_polars(order_by="k")
    for name, form in FORMS.items():
        value = {"uuid": str(form.value), "json": '{"a": [1, null, "é"]}'}.get(form.type, form.value)
        assert str(found.schema.field(name).type) == form.arrow, name
        assert found[name].to_pylist() == [value, value, None], name
        assert str(frame.schema[name]).startswith(form.polars), name
        assert frame[name].to_list() == [value, value, None], name


QUERIES: dict[str, Any] = {
    "all": lambda t, dj: t(),
    "none": lambda t, dj: t & False,
    "some attributes": lambda t, dj: t.proj("u", "dec", n="i64"),
    "by SQL": lambda t, dj: t & "s LIKE 'na%' AND k < 5",
    "by int and text": lambda t, dj: t & {"k": 1, "s": FORMS["s"].value},
    "by what only the ordinary way binds": lambda t, dj: t & {"e": "y", "d": FORMS["d"].value},
    "in order": lambda t, dj: t & dj.Top(2, "k DESC"),
    "computed": lambda t, dj: t.proj(a="i32 + 1", b="CONCAT(s, '%')", c="dec * 2", d1="YEAR(d)", e1="k > 1"),
    "aggregated": lambda t, dj: dj.U("b").aggr(t, n="count(*)", total="sum(i32)", mean="avg(k)"),
    "unsigned": lambda t, dj: dj.U().aggr(t, most="max(u64)"),
}


@pytest.mark.rule("fetch-api", "to_arrow")
@pytest.mark.parametrize("make", QUERIES.values(), ids=QUERIES)
def test_driver_and_the_ordinary_way_give_the_same_arrow(
    table: Any, connection: Any, dj: Any, make: Any
) -> None:
    query = make(table, dj)
    order = {"order_by": "KEY"} if query.primary_key else {}
    direct = query.to_arrow(**order)
    with connection.transaction:  # whose rows no other session sees
        assert query.to_arrow(**order).equals(direct)
    assert direct.num_rows == len(query)


def test_arrow_inside_a_transaction_has_its_rows(table: Any, connection: Any) -> None:
    before = table.to_arrow().num_rows
    with connection.transaction:
        table.insert1({"k": 7})
        assert table.to_arrow().num_rows == before + 1
    assert table.to_arrow().num_rows == before + 1


def test_arrow_is_asked_of_the_driver(table: Any, connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = []
    ask = type(connection).fetch_arrow

    def seen(self: Any, text: str, params: Any) -> Any:
        wanted.append(ask(self, text, params) is not None)
        return None

    monkeypatch.setattr(type(connection), "fetch_arrow", seen)
    plain = table.proj(..., "-j")
    for query in (plain & "k > 0", plain & {"k": 1}, plain & {"s": "x"}):
        query.to_arrow()
    assert wanted == [True] * 3
