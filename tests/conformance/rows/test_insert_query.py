"""What a query may bring into a table: the server copies, so the types are checked before."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

SOURCE = """
id : int32
---
x = 1.5 : float64
n = 3 : int32
flag = 1 : bool
label = 'a' : enum('a', 'b')
same = 'b' : enum('b', 'c')
name = 'a' : varchar(10)
raw : bytes
day = '2024-01-02' : date
moment = '2024-01-02 03:04:05.6' : datetime(3)
amount = 2.50 : decimal(6,2)
"""


@pytest.fixture
def lab(new_schema: Any, dj: Any) -> SimpleNamespace:
    schema = new_schema()
    source = schema(type("Source", (dj.Manual,), {"definition": SOURCE}))
    source.insert1({"id": 1, "raw": b"abc"})

    def table(type_: str) -> Any:
        name = "T" + "".join(c for c in type_.title() if c.isalnum())
        return schema(type(name, (dj.Manual,), {"definition": f"id : int32\n---\nv : {type_}"}))

    return SimpleNamespace(Source=source, table=table)


def test_types_that_do_not_fit_are_refused_with_what_to_do(lab: Any, dj: Any) -> None:
    for given, type_, advice in (
        ("x", "int32", r"proj\(v='cast\(v as signed\)'\)"),
        ("raw", "<blob>", "to_dicts"),
        ("label", "enum('c', 'd')", "to_dicts"),
        ("name", "enum('a', 'b')", "to_dicts"),
        ("name", "int32", "cast"),
        ("flag", "int32", "cast"),
        ("n", "bool", "v <> 0"),
        ("moment", "datetime", "digits"),
        ("moment", "date", r"date\(v\)"),
        ("n", "json", "to_dicts"),
        ("amount", "decimal(8,1)", r"proj\(v='cast\(v as decimal\(8,1\)\)'\)"),
    ):
        target = lab.table(type_)
        with pytest.raises(dj.errors.DataError, match=f"attribute 'v' is .* in the query.*{advice}"):
            target.insert(lab.Source.proj(v=given))
        assert not len(target()), (given, type_)


def test_a_query_that_is_refused_says_what_to_do(lab: Any, dj: Any, new_schema: Any) -> None:
    target = lab.table("int32")
    query = lab.Source.proj(v="n")
    target.insert(query)
    with pytest.raises(dj.errors.DuplicateError, match="skip_duplicates=True"):
        target.insert(query)
    target.insert(query, skip_duplicates=True)
    child = new_schema()(
        type("Child", (dj.Manual,), {"definition": "-> Parent\n---\nn : int32"}),
        context={"Parent": lab.table("float64")},
    )
    with pytest.raises(dj.errors.IntegrityError, match="insert the parent first"):
        child.insert(lab.Source.proj("n"))
    assert len(target()) == 1


def test_types_that_fit_are_copied(lab: Any) -> None:
    for given, type_, expected in (
        ("x", "float32", 1.5),
        ("n", "float64", 3.0),
        ("n", "decimal(8,2)", Decimal("3.00")),
        ("amount", "float64", 2.5),
        ("amount", "decimal(4,2)", Decimal("2.50")),
        ("amount", "decimal(10,4)", Decimal("2.5000")),
        ("cast(amount as decimal(8,1))", "decimal(8,1)", Decimal("2.5")),
        ("label", "varchar(5)", "a"),
        ("same", "enum('b', 'c')", "b"),
        ("n", "varchar(5)", "3"),
        ("day", "varchar(10)", "2024-01-02"),
        ("day", "datetime", dt.datetime(2024, 1, 2)),
        ("cast(x as signed)", "int16", 2),
        ("n <> 0", "bool", True),
        ("cast(flag as signed)", "int8", 1),
        ("date(moment)", "date", dt.date(2024, 1, 2)),
        ("cast(name as char)", "varchar(20)", "a"),
    ):
        target = lab.table(type_)
        query = lab.Source.proj(v=given)
        target.insert(query, skip_duplicates=True)
        found = target.fetch1("v")
        assert (type(found), found) == (type(expected), expected), (given, type_)
        target.delete(prompt=False)


def test_labels_are_copied_from_another_schema(new_schema: Any, dj: Any) -> None:
    definition = "k : int8\n---\nv = null : enum('b', 'a')\nn = 0 : int8"
    cls = type(dj.Manual)
    source, target = (new_schema()(cls("Labels", (dj.Manual,), {"definition": definition})) for _ in range(2))
    source.insert([(1, "a", 1), (2, None, 2), (3, "b", 3)])
    target.insert(source & dj.Top(2, "k"))
    assert target.to_dicts(order_by="k") == source.to_dicts(order_by="k")[:2]
    source.update1({"k": 1, "v": "b"})
    target.insert(source.proj("v"), skip_duplicates=True)
    assert [row["v"] for row in target.to_dicts(order_by="k")] == ["a", None, "b"]
    target.insert(source, replace=True)
    assert target.to_dicts(order_by="k") == source.to_dicts(order_by="k")


def test_a_moment_is_found_by_the_value_that_was_inserted(new_schema: Any, dj: Any) -> None:
    table = new_schema()(type("Moment", (dj.Manual,), {"definition": "at : datetime(3)\n---\nn : int32"}))
    exact = dt.datetime(2024, 1, 2, 3, 4, 59, 999_600)
    for n, value in enumerate(("2024-01-02 03:04:05.1235", "2024-01-02 03:04:05.0004", exact)):
        table.insert1({"at": value, "n": n})
        assert (table & {"at": value}).fetch1("n") == n
        assert len(table & [{"at": value}, {"at": "2020-01-01"}]) == 1
    assert (table & "n = 2").fetch1("at") == dt.datetime(2024, 1, 2, 3, 5)


def test_a_datetime_without_digits_has_whole_seconds_on_each_server(new_schema: Any, dj: Any) -> None:
    schema = new_schema()
    table = schema(type("Moment", (dj.Manual,), {"definition": "at : datetime\n---\nn : int32"}))
    schema.add_objects["Moment"] = table
    child = schema(type("Child", (dj.Manual,), {"definition": "-> Moment\n---\nlast : datetime"}))
    for n, (value, stored) in enumerate(
        (
            ("2024-01-02 03:04:05.5", dt.datetime(2024, 1, 2, 3, 4, 6)),
            (dt.datetime(2024, 1, 2, 3, 4, 59, 999_600), dt.datetime(2024, 1, 2, 3, 5)),
            ("1969-12-31 23:59:58.5", dt.datetime(1969, 12, 31, 23, 59, 59)),
            (dt.datetime(2024, 2, 2, 3, 4, 5, 499_999), dt.datetime(2024, 2, 2, 3, 4, 5)),
        )
    ):
        table.insert1({"at": value, "n": n})
        child.insert1({"at": value, "last": value})
        assert (table & {"at": value}).fetch1("at") == stored
        assert (child & {"at": value, "last": value}).fetch1() == {"at": stored, "last": stored}
        table.update1({"at": value, "n": n + 10})
        assert (table & {"at": stored}).fetch1("n") == n + 10
    with pytest.raises(dj.errors.DataError, match="out of range"):
        table.insert1({"at": "9999-12-31 23:59:59.5", "n": 1})
    assert len(table & [{"at": "2024-01-02 03:04:05.5"}, {"at": "1969-12-31 23:59:58.5"}]) == 2


def test_native_moments_and_times_are_found_by_the_value_that_was_inserted(new_schema: Any, dj: Any) -> None:
    lines = ["n : int32", "---", "ts : timestamp", "ts3 : timestamp(3)", "tm : time", "tm3 : time(3)"]
    table = new_schema()(type("Native", (dj.Manual,), {"definition": "\n".join(lines)}))
    moment = dt.datetime(2024, 1, 2, 3, 4, 5, 678_912)
    for n, (at, time) in enumerate(
        (
            (moment, moment.time()),
            (str(moment + dt.timedelta(hours=1)), "04:04:05.678512"),
            (dt.datetime(2024, 1, 3), dt.timedelta(hours=7, microseconds=999_500)),
            ("2024-02-01 10:00:00", "10:30:00"),
        )
    ):
        row = {"ts": at, "ts3": at, "tm": time, "tm3": time}
        table.insert1({"n": n, **row})
        for name, value in row.items():
            assert (table & {name: value}).keys() == [{"n": n}], (name, value)
        assert (table & row).fetch1("n") == n


def test_a_time_is_the_time_since_midnight_and_nothing_else(new_schema: Any, dj: Any) -> None:
    table = new_schema()(type("Clock", (dj.Manual,), {"definition": "n : int32\n---\ntm : time(6)"}))
    for n, time in enumerate(
        (dt.time(10, 30), dt.timedelta(hours=10, microseconds=5), "23:59:59.5", "07:05")
    ):
        table.insert1({"n": n, "tm": time})
        stored = (table & {"n": n}).fetch1("tm")
        assert isinstance(stored, dt.timedelta)
        assert (table & {"tm": stored}).keys() == (table & {"tm": time}).keys() == [{"n": n}]
    for wrong in (10, "10", "noon", "10:00 AM"):
        for call in (
            lambda: table.insert1({"n": 9, "tm": wrong}),  # noqa: B023
            lambda: table.update1({"n": 0, "tm": wrong}),  # noqa: B023
            lambda: table & {"tm": wrong},  # noqa: B023
        ):
            with pytest.raises(dj.errors.DataError, match="HH:MM:SS|is no time"):
                call()
    day_and_more = {"n": 9, "tm": dt.timedelta(hours=30)}
    if table.connection.dialect.name == "postgresql":  # not 6 o'clock
        with pytest.raises(dj.errors.DataError, match="out of range"):
            table.insert1(day_and_more)
    else:
        table.insert1(day_and_more)
        assert (table & "n = 9").fetch1("tm") == dt.timedelta(hours=30)


def test_a_date_is_not_found_by_a_moment_of_its_day(new_schema: Any, dj: Any) -> None:
    table = new_schema()(type("Days", (dj.Manual,), {"definition": "day : date"}))
    table.insert1({"day": "2024-01-02"})
    for same in ("2024-01-02", "2024-01-02 00:00:00", "2024-01-02T00:00", dt.datetime(2024, 1, 2)):
        assert len(table & {"day": same}) == len(table & [{"day": same}, {"day": same}]) == 1
    for other in ("2024-01-02 10:00", "2024-01-02T00:00:01", dt.datetime(2024, 1, 2, 10)):
        assert len(table & {"day": other}) == len(table & [{"day": other}, {"day": other}]) == 0


def test_moments_that_another_program_stored_with_more_digits_stay_what_they_are(
    new_schema: Any, dj: Any
) -> None:
    schema = new_schema()
    connection = schema.connection
    if connection.dialect.name != "postgresql":
        pytest.skip("elsewhere no program stores digits that the type does not name")
    connection.query(f'CREATE TABLE "{schema.name}".event (at timestamp PRIMARY KEY, n integer NOT NULL)')
    connection.query(f"COMMENT ON COLUMN \"{schema.name}\".event.at IS ':datetime:'")
    connection.query(f"INSERT INTO \"{schema.name}\".event VALUES ('2024-01-02 03:04:05.123456', 1)")
    schema.connection.catalog.forget(schema.name)
    event = schema(type("Event", (dj.Manual,), {"definition": "at : datetime\n---\nn : int32"}))
    schema.add_objects["Event"] = event
    child = schema(type("EventChild", (dj.Manual,), {"definition": "-> Event"}))
    assert "at : datetime" in event.describe()
    (key,) = event.keys()
    child.insert1(key)
    event.insert1({"at": "2024-01-02 03:04:05.5", "n": 2})
    for value in (key, {"at": "2024-01-02 03:04:05.123456"}):
        assert (event & value).fetch1("n") == 1
        assert (child & value).fetch1("at") == dt.datetime(2024, 1, 2, 3, 4, 5, 123_456)
    connection.catalog.forget(schema.name)
    again = dj.FreeTable(connection, child.full_table_name)
    assert len(again & key) == 1
    plain = schema(type("Plain", (dj.Manual,), {"definition": "at : datetime"}))
    with pytest.raises(dj.errors.DataError, match="digits"):
        plain.insert(event.proj())


def test_a_decimal_is_found_by_the_value_that_was_inserted(new_schema: Any, dj: Any) -> None:
    definition = "d : decimal(5,2)\n---\nn : int32\nfine = null : decimal(65,30)"
    table = new_schema()(type("Amount", (dj.Manual,), {"definition": definition}))
    long = Decimal("1" * 35 + "." + "2" * 29 + "25")
    for n, (value, stored) in enumerate(
        (
            ("1.005", "1.01"),
            (-2.675, "-2.68"),
            (Decimal("3.0049999"), "3.00"),
            (0.1 + 0.2, "0.30"),
            (7, "7.00"),
            ("999.994", "999.99"),
            ("1e-400", "0.00"),
        )
    ):
        table.insert1({"d": value, "n": n, "fine": long})  # 35 digits before the point, 31 after it
        assert (table & {"d": value}).fetch1("d", "n") == (Decimal(stored), n)
        assert (table & [{"d": value}, {"d": "500"}] & {"fine": long}).fetch1("n") == n
        table.update1({"d": value, "n": n + 20})
        assert (table & {"d": Decimal(stored)}).fetch1("n") == n + 20
        assert (table & {"d": value}).fetch1("fine") == Decimal("1" * 35 + "." + "2" * 29 + "3")
    for value in ("999.995", 1000, "1e4000", "nan", "inf", "1" * 40):
        with pytest.raises(dj.errors.DataError, match="3 digits before the point and 2 after"):
            table.insert1({"d": value, "n": 1})
    for value in ("1e4000", "1" * 40, 10**40):
        assert not (table & {"d": value})


def test_a_float32_is_found_by_the_value_that_was_inserted(new_schema: Any, dj: Any) -> None:
    definition = "n : int32\n---\nf : float32\ng = 0.1 : float64"
    table = new_schema()(type("Single", (dj.Manual,), {"definition": definition}))
    values = (0.1, "0.3", -1e-40, Decimal("16777217"), 3.4e38, 7, 1e-50)
    table.insert([{"n": n, "f": value} for n, value in enumerate(values)])
    for n, value in enumerate(values):
        assert (table & {"f": value}).keys() == [{"n": n}]
        assert (table & [{"f": value}, {"f": 1e300}, {"f": 10**40}]).keys() == [{"n": n}]
    assert not table & {"f": 1e300}
    assert len(table & {"g": 0.1}) == len(values)
    assert len(table & table.proj("f").to_arrow()) == len(values)
