"""Every value comes back as it went in, by each of the three ways in: one row, some rows, many rows."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest

UTC_5 = dt.timezone(dt.timedelta(hours=5))
TEXTS = [
    "",
    "plain",
    "ünïcödé ß",
    "emoji 🧠🐭",
    "back\\slash \\n \\",
    "100 % %s %(x)s {}",
    'it\'s "quoted" `too`',
    "new\nline\r\ttab",
    " spaces around ",
    "NULL",
    "\\N",
    "\\.",
    "; DROP TABLE x --",
]
CASES: dict[str, tuple[str, list[Any]]] = {
    "int8": ("int8", [-128, 0, 127]),
    "uint8": ("uint8", [0, 255]),
    "int16": ("int16", [-(2**15), 2**15 - 1]),
    "uint16": ("uint16", [0, 2**16 - 1]),
    "int32": ("int32", [-(2**31), 2**31 - 1]),
    "uint32": ("uint32", [0, 2**32 - 1]),
    "int64": ("int64", [-(2**63), 2**63 - 1]),
    "uint64": ("uint64", [0, 2**63, 2**64 - 1]),
    "float32": ("float32", [0.0, -1.5, 0.25, 2.0**100, -(2.0**-100)]),
    "float64": ("float64", [0.0, 0.1, -1e300, 1e-300, 1 / 3, 5e-324, 1.7976931348623157e308, 2.0**63]),
    "bool": ("bool", [True, False]),
    "decimal": ("decimal(12,4)", [Decimal("0.0000"), Decimal("-12345678.9012"), Decimal("99999999.9999")]),
    "varchar": ("varchar(200)", [*TEXTS, "x" * 200, "🧠" * 200]),
    "char": ("char(6)", ["", "abc", "sechs!", "🐭"]),
    "enum": ("enum('a','B','it''s','100 %')", ["a", "B", "it's", "100 %"]),
    "date": ("date", [dt.date(1000, 1, 1), dt.date(2024, 2, 29), dt.date(9999, 12, 31)]),
    "datetime": ("datetime", [dt.datetime(1000, 1, 1), dt.datetime(2024, 2, 29, 23, 59, 59)]),
    "datetime(3)": ("datetime(3)", [dt.datetime(2024, 2, 29, 23, 59, 59, 123000)]),
    "datetime(6)": ("datetime(6)", [dt.datetime(9999, 12, 31, 23, 59, 59, 999999), dt.datetime(2024, 1, 1)]),
    "json": (
        "json",
        [
            {"a": [1, 2.5, None, True, {"ü": "🧠"}], "s": 'it\'s "q" \\ %s'},
            [],
            {},
            [1, [2, [3]]],
            "text",
            '{"a": 1}',
            "",
            12,
            -0.5,
            True,
            False,
        ],
    ),
    "uuid": ("uuid", [UUID(int=0), UUID("12345678-1234-5678-1234-567812345678"), UUID(int=2**128 - 1)]),
    "bytes": ("bytes", [b"", b"\0", b"\0\xff\\'\"%s\n", bytes(range(256)) * 4]),
    "blob": (
        "<blob>",
        [
            None,
            0,
            -1,
            2**40,
            1.5,
            True,
            "text 🧠",
            b"\0\xff",
            [],
            {},
            (1, "a"),
            {1, 2},
            [1, [2, {"a": None}]],
            {"nested": {"list": [1, 2]}},
            dt.datetime(2024, 1, 2, 3, 4, 5, 6),
            dt.date(2024, 1, 2),
            Decimal("1.50"),
            UUID(int=5),
        ],
    ),
}
WAYS = {"one row": 0, "some rows": 3, "many rows": 120}


@pytest.fixture
def table_of(new_schema: Any, dj: Any) -> Any:
    """Return what declares a table with one nullable attribute of a type."""
    schema = new_schema()
    declared: dict[str, Any] = {}

    def table(type_: str) -> Any:
        if type_ not in declared:
            definition = f"id : int32\nway : int16\n---\nv = null : {type_}"
            name = f"T{len(declared)}"
            declared[type_] = schema(type(name, (dj.Manual,), {"definition": definition}))
        return declared[type_]

    return table


def _insert_by(table: Any, way: str, values: list[Any]) -> list[Any]:
    """Insert the values with NULLs between them, in one way, and return them as fetched."""
    marker = WAYS[way]
    (table & {"way": marker}).delete_quick()
    rows = [{"id": i, "way": marker, "v": v} for i, v in enumerate(values)]
    padding = [{"id": 1000 + i, "way": marker, "v": None} for i in range(marker)]
    if way == "one row":
        for row in rows:
            table.insert1(row)
    else:
        table.insert(rows + padding)
    return [r["v"] for r in (table & {"way": marker} & "id < 1000").to_dicts(order_by="id")]


@pytest.mark.parametrize("name", CASES)
def test_value_comes_back_as_it_went_in(table_of: Any, name: str) -> None:
    type_, values = CASES[name]
    table = table_of(type_)
    for way in WAYS:
        fetched = _insert_by(table, way, values)
        assert fetched == values, way
        assert [type(v) for v in fetched] == [type(v) for v in values], way
    assert table.validate([{"id": 0, "way": 9, "v": v} for v in values])


def test_arrays_come_back_with_dtype_and_shape(table_of: Any) -> None:
    table = table_of("<blob>")
    values = [
        np.arange(6, dtype="uint8").reshape(2, 3),
        np.zeros((0, 4)),
        np.array(3.5),
        np.array([1 + 2j]),
        np.full((3, 1, 2), np.nan, dtype="float32"),
    ]
    for way in WAYS:
        for fetched, value in zip(_insert_by(table, way, values), values, strict=True):
            assert fetched.dtype == value.dtype
            np.testing.assert_array_equal(fetched, value)


SCALARS = {
    "int16": (
        "int16",
        [np.int8(-1), np.uint16(7), np.int64(2), np.float64(3.0), "12", 4.0],
        [-1, 7, 2, 3, 12, 4],
    ),
    "float64": (
        "float64",
        [np.float32(0.5), np.int32(2), "1.5", Decimal("2.5"), 3],
        [0.5, 2.0, 1.5, 2.5, 3.0],
    ),
    "bool": ("bool", [np.bool_(True), 0, 1, "false", np.int8(1)], [True, False, True, False, True]),
    "varchar": ("varchar(200)", [np.str_("np"), 5, UUID(int=1)], ["np", "5", str(UUID(int=1))]),
    "decimal": (
        "decimal(12,4)",
        [1, "2.5", 0.1, np.float64(0.25)],
        [Decimal(s) for s in ("1", "2.5", "0.1", "0.25")],
    ),
    "date": (
        "date",
        ["2024-01-02", dt.datetime(2024, 1, 2), np.datetime64("2024-01-02")],
        [dt.date(2024, 1, 2)] * 3,
    ),
    "datetime(6)": (
        "datetime(6)",
        [
            "2024-01-02 03:04:05.678901",
            "2024-01-02T03:04:05",
            "2024-01-02",
            "2024-01-02 03:04",
            "2024-01-02 03:04:05+05:00",
            dt.datetime(2024, 1, 2, 3, 4, tzinfo=UTC_5),
            dt.date(2024, 1, 2),
            np.datetime64("2024-01-02T03:04:05.5"),
        ],
        [
            dt.datetime(2024, 1, 2, 3, 4, 5, 678901),
            dt.datetime(2024, 1, 2, 3, 4, 5),
            dt.datetime(2024, 1, 2),
            dt.datetime(2024, 1, 2, 3, 4),
            dt.datetime(2024, 1, 1, 22, 4, 5),
            dt.datetime(2024, 1, 1, 22, 4),
            dt.datetime(2024, 1, 2),
            dt.datetime(2024, 1, 2, 3, 4, 5, 500000),
        ],
    ),
    "uuid": ("uuid", [str(UUID(int=9)), UUID(int=9).hex, UUID(int=9).bytes], [UUID(int=9)] * 3),
    "json": ("json", [np.int64(3), np.array([1, 2]), {"a": np.float32(0.5)}], [3, [1, 2], {"a": 0.5}]),
    "bytes": ("bytes", [bytearray(b"a\0"), memoryview(b"b")], [b"a\0", b"b"]),
}


@pytest.mark.parametrize("name", SCALARS)
def test_value_of_a_related_type_is_taken(table_of: Any, name: str) -> None:
    type_, values, expected = SCALARS[name]
    table = table_of(type_)
    for way in WAYS:
        assert _insert_by(table, way, values) == expected, way


@pytest.mark.parametrize("type_", ["int32", "date", "datetime", "varchar(10)"])
def test_missing_values_of_libraries_are_null(table_of: Any, type_: str) -> None:
    import pandas as pd

    table = table_of(type_)
    missing = [pd.NA, pd.NaT, np.datetime64("NaT"), None]
    for way in WAYS:
        assert _insert_by(table, way, missing) == [None] * 4


def test_nan_is_kept_where_the_server_has_one_and_null_elsewhere(table_of: Any, connection: Any) -> None:
    table = table_of("float64")
    for way in WAYS:
        (fetched,) = _insert_by(table, way, [math.nan])
        if connection.dialect.flags.has_nan:
            assert math.isnan(fetched)
        else:
            assert fetched is None


def test_infinity_is_kept_or_refused_never_changed(table_of: Any, connection: Any, dj: Any) -> None:
    table = table_of("float64")
    values = [math.inf, -math.inf]
    for way in WAYS:
        if connection.dialect.flags.has_nan:
            assert _insert_by(table, way, values) == values
        else:
            with pytest.raises(dj.errors.DataError, match="'v'"):
                _insert_by(table, way, values)
    assert len(table()) == (2 * len(WAYS) + 3 + 120 if connection.dialect.flags.has_nan else 0)


@pytest.mark.parametrize("digits", range(7))
def test_datetime_has_its_digits(table_of: Any, digits: int) -> None:
    table = table_of(f"datetime({digits})")
    moment = dt.datetime(2024, 1, 2, 3, 4, 5, 123456)
    for way in WAYS:
        (fetched,) = _insert_by(table, way, [moment])
        assert abs(fetched - moment) <= dt.timedelta(seconds=0.5 * 10**-digits)
        assert fetched.microsecond % 10 ** (6 - digits) == 0


def test_key_of_each_type_finds_its_row(new_schema: Any, dj: Any) -> None:
    schema = new_schema()
    keys = {
        "uint64": 2**64 - 1,
        "varchar(40)": "it's \\ % 🧠",
        "char(4)": "ab",
        "enum('a','B')": "B",
        "date": dt.date(2024, 2, 29),
        "datetime(6)": dt.datetime(2024, 2, 29, 1, 2, 3, 456789),
        "uuid": UUID(int=77),
        "decimal(6,2)": Decimal("12.50"),
        "bool": True,
        "int8": -128,
    }
    for i, (type_, value) in enumerate(keys.items()):
        table = schema(type(f"K{i}", (dj.Manual,), {"definition": f"k : {type_}\n---\nv = 0 : int8"}))
        table.insert1({"k": value, "v": 5})
        assert (table & {"k": value}).fetch1("v") == 5, type_
        assert table.keys() == [{"k": value}], type_
        assert {"k": value} in table, type_
        table.update1({"k": value, "v": 6})
        assert (table & [{"k": value}]).to_dicts() == [{"k": value, "v": 6}], type_
        assert (table & {"k": value}).delete() == 1, type_


def test_a_float32_that_rounds_to_the_largest_is_the_largest(table_of: Any) -> None:
    table = table_of("float32")
    largest = float(np.finfo("f4").max)
    for way in WAYS:
        assert _insert_by(table, way, [3.4028235e38, -3.4028235e38]) == [largest, -largest]
    assert len(table & {"v": 3.4028235e38}) == len(WAYS)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("uuid", UUID(int=5).bytes),
        ("bytes", bytearray(b"a\0%s'")),
        ("bytes", memoryview(b"a\0%s'")),
    ],
    ids=["uuid as bytes", "bytearray", "memoryview"],
)
def test_a_row_is_found_by_the_value_that_was_inserted(table_of: Any, type_: str, value: Any) -> None:
    table = table_of(type_)
    table.insert1({"id": 0, "way": 9, "v": value})
    table.insert1({"id": 1, "way": 9, "v": None})
    assert len(table & {"v": value}) == len(table & [{"v": value}]) == 1
    assert len(table - {"v": value}) == len(table()) - 1
