"""A declared table becomes what its definition says now, with its rows; or nothing changes at all."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dj_query.migrate import add_job_metadata_columns
from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.errors import (
    DataError,
    DataJointError,
    DefinitionError,
    MissingAttributeError,
    NotAlterableError,
    TransactionError,
)
from tests.conformance.structure.tables import column_comments, lineage_rows, seen_by_another, table_class

NewSchema = Callable[..., Schema]


def altered(cls: Any, definition: str, connection: Connection, **options: Any) -> Any:
    """Alter a class to a definition, and see that another program reads what this one knows."""
    cls.definition = definition
    cls.alter(prompt=False, **options)
    read = seen_by_another(connection, *cls().info.full_name)
    assert read.heading.all == cls().info.heading.all
    return cls


@pytest.mark.rule(
    "alter-tables", "basic", "add", "drop", "types", "rename", "defaults", "table-comment", "prompt"
)
def test_attributes_are_added_changed_renamed_and_dropped_at_once(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    subject = schema(
        table_class(
            dj,
            "Subject",
            "# subjects\nsubject_id : varchar(16)\n---\nspecies : varchar(32) # which\nold : int8\n"
            "sex = 'F' : enum('F','M')\nage = 3 : uint8\nindex(species)",
        )
    )
    subject.insert([("a", "mouse", 1, "M", 9), ("b", "rat", 2, "F", 200)])
    altered(
        subject,
        """
        # the subjects of the lab
        subject_id : varchar(16)  # as on the cage
        ---
        species_name : varchar(100)  # {species} latin
        sex = 'U' : enum('M','U','F')
        weight = null : float32  # grams
        n_age = 4 : int32        # Renamed from 'age'
        data = null : <blob>
        site = 'here' : varchar(9)
        index(species_name)
        """,
        connection,
    )
    same = {"weight": None, "data": None, "site": "here"}
    assert subject.to_dicts(order_by="KEY") == [
        {"subject_id": "a", "species_name": "mouse", "sex": "M", "n_age": 9, **same},
        {"subject_id": "b", "species_name": "rat", "sex": "F", "n_age": 200, **same},
    ]
    subject.insert1({"subject_id": "c", "species_name": "x" * 100, "data": {"k": 1}})
    row = (subject & "subject_id='c'").fetch1()
    assert (row["sex"], row["n_age"], row["data"], row["site"]) == ("U", 4, {"k": 1}, "here")
    assert subject.heading.comment == "the subjects of the lab"
    assert subject.heading["subject_id"].comment == "as on the cage"
    comments = column_comments(connection, schema.name, "subject")
    assert comments["species_name"] == ":varchar(100):{species} latin"
    assert {i.columns for i in seen_by_another(connection, schema.name, "subject").indexes} == {
        ("species_name",)
    }
    assert lineage_rows(connection, schema.name) == {
        ("subject", "subject_id", f"{schema.name}.subject.subject_id")
    }
    n = connection.n_statements
    subject.alter(prompt=False)  # the marks of what was renamed stay, and mean nothing more
    assert connection.n_statements - n <= 6
    assert set(subject.to_arrays("subject_id")) == {"a", "b", "c"}


def test_new_attributes_stand_where_the_definition_has_them_if_the_server_can(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    table = new_schema()(table_class(dj, "Placed", "k : int8\n---\na : int8\nz : int8"))
    altered(
        table,
        "k : int8\n---\nfirst = 1 : int8\nb : int8 # {a}\nafter = 2 : int8\nthen = 3 : int8\nz : int8",
        connection,
    )
    if connection.dialect.name == "postgresql":
        assert table.heading.names == ["k", "b", "z", "first", "after", "then"]
    else:
        assert table.heading.names == ["k", "first", "b", "after", "then", "z"]


@pytest.mark.rule("alter-tables", "view")
def test_the_definition_that_describe_prints_alters_nothing(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.conformance.structure.test_declaration import CORE, DEFAULTS
    from tests.conformance.structure.test_references import declare_all

    schema = new_schema()
    classes = declare_all(schema, dj)
    words = (
        "int", "integer", "smallint", "bigint", "int unsigned", "tinyint", "mediumint", "tinyint unsigned",
        "text", "longtext", "longblob", "blob", "float", "double", "real", "time", "timestamp",
        "timestamp(3)", "numeric(6,2)", "boolean", "bytea", "year", "double precision",
        "varbinary(9)",
    )  # fmt: skip
    lines = [f"a{i} : {type_} # c {i}" for i, type_ in enumerate(CORE)]
    lines += [f"d{i} = {default} : {type_}" for i, (default, type_) in enumerate(DEFAULTS)]
    natives = [f"n{i} : {type_}" for i, type_ in enumerate(words)]
    classes["Core"] = schema(table_class(dj, "Core", "# every type\nk : int32\n---\n" + "\n".join(lines)))
    classes["Natives"] = schema(table_class(dj, "Natives", "k : int\n---\n" + "\n".join(natives)))
    with caplog.at_level(logging.INFO, "datajoint.alter"):
        for cls in classes.values():
            cls.alter(prompt=True)  # would ask
            cls.definition = cls.describe()
            cls.alter(prompt=True)
    said = [r.message.partition(": ")[2] for r in caplog.records if r.name == "datajoint.alter"]
    assert said == ["nothing to alter"] * (2 * len(classes))


CONVERSIONS: tuple[tuple[str, str, Any, Any], ...] = (
    ("varchar(20)", "varchar(5)", "abc", "abc"),
    ("varchar(5)", "char(9)", "abc", "abc"),
    ("int8", "int64", -5, -5),
    ("int64", "uint8", 255, 255),
    ("uint64", "int16", 7, 7),
    ("uint8", "uint64", 7, 7),
    ("int16", "decimal(5,1)", 7, "7.0"),
    ("int32", "float64", 7, 7.0),
    ("int32", "varchar(9)", 7, "7"),
    ("float32", "float64", 0.5, 0.5),
    ("float64", "float32", 0.5, 0.5),
    ("float64", "int16", 3.0, 3),
    ("decimal(5,2)", "decimal(9,1)", "1.50", "1.5"),
    ("decimal(5,2)", "int8", "2.00", 2),
    ("bool", "int8", True, 1),
    ("int8", "bool", 1, True),
    ("enum('a','b')", "varchar(3)", "b", "b"),
    ("varchar(3)", "enum('b','a')", "a", "a"),
    ("enum('a','b')", "enum('c','b','a')", "a", "a"),
    ("date", "datetime", "2020-01-31", "2020-01-31 00:00:00"),
    ("datetime(6)", "datetime(3)", "2020-01-31 10:00:00.250", "2020-01-31 10:00:00.250000"),
    ("datetime(3)", "datetime", "2020-01-31 10:00:00", "2020-01-31 10:00:00"),
    ("datetime", "date", "2020-01-31", "2020-01-31"),
    ("text", "varchar(9)", "abc", "abc"),
    ("varchar(9)", "text", "abc", "abc"),
    ("int", "int64", 5, 5),
    ("bytes", "longblob", b"ab", b"ab"),
    ("int64", "float64", 2**53, float(2**53)),
    ("uint64", "float32", 2**24, float(2**24)),
    ("decimal(20,5)", "float64", "1234567890.12345", 1234567890.12345),
    ("decimal(5,2)", "float32", "1.50", 1.5),
    ("enum('long','y')", "varchar(4)", "long", "long"),
    ("enum('long','y')", "char(1)", "y", "y"),
)


@pytest.mark.rule("alter-tables", "types")
def test_values_are_the_same_after_a_change_of_type(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    old = "\n".join(f"a{i} : {c[0]}" for i, c in enumerate(CONVERSIONS))
    table = schema(table_class(dj, "Converted", f"k : int8\n---\n{old}"))
    table.insert1({"k": 1, **{f"a{i}": c[2] for i, c in enumerate(CONVERSIONS)}})
    new = "\n".join(f"a{i} : {c[1]}" for i, c in enumerate(CONVERSIONS))
    altered(table, f"k : int8\n---\n{new}", connection)
    row = table.fetch1()
    for i, (before, after, _, value) in enumerate(CONVERSIONS):
        assert str(row[f"a{i}"]) == str(value), (before, after)
    table.insert1({"k": 2, **{f"a{i}": c[3] for i, c in enumerate(CONVERSIONS)}})
    assert (table & "k=2").fetch1("a3") == 255
    for bad in ({"a3": 256}, {"a15": 2}, {"a5": -1}):
        with pytest.raises(DataJointError):
            table.insert1({"k": 3, **{f"a{i}": c[3] for i, c in enumerate(CONVERSIONS)}, **bad})


LOSSES: tuple[tuple[str, str, Any], ...] = (
    ("varchar(20)", "varchar(2)", "abc"),
    ("varchar(20)", "varchar(2)", "ab "),
    ("varchar(20)", "enum('a','b')", "c"),
    ("enum('a','b')", "enum('a','c')", "b"),
    ("int64", "int8", 128),
    ("int16", "uint16", -1),
    ("int8", "bool", 2),
    ("float64", "int32", 1.5),
    ("float64", "float32", 1e200),
    ("float64", "float32", 0.1),
    ("int64", "float64", 2**60 + 1),
    ("int32", "float32", -(2**24) - 1),
    ("uint64", "float64", 2**64 - 1),
    ("decimal(20,5)", "float64", "123456789012345.12345"),
    ("decimal(5,2)", "float32", "1.10"),
    ("enum('long','y')", "varchar(2)", "long"),
    ("varchar(20)", "char(20)", "ab "),
    ("text", "char(20)", "ab "),
    ("varchar(20)", "enum('a','b')", "a "),
    ("time(3)", "time(0)", "10:00:00.250"),
    ("decimal(5,2)", "decimal(5,1)", "1.25"),
    ("decimal(5,2)", "decimal(3,2)", "10.00"),
    ("decimal(5,2)", "int32", "1.25"),
    ("datetime(3)", "datetime(0)", "2020-01-31 10:00:00.250"),
    ("datetime", "date", "2020-01-31 10:00:00"),
    ("varchar(20)", "int32", "12"),
    ("float64", "decimal(5,2)", 1.5),
    ("json", "varchar(20)", {"a": 1}),
    ("<blob>", "bytes", {"a": 1}),
    ("bytes", "<blob>", b"a"),
    ("uuid", "varchar(40)", "12345678-1234-5678-1234-567812345678"),
)


@pytest.mark.rule("alter-tables", "types")
def test_infinity_and_nan_stay_where_the_digits_of_a_float_go(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    table = new_schema()(table_class(dj, "Wide", "k : int8\n---\nx = null : float64"))
    largest = float(np.finfo("f4").max)
    values = [largest, -largest, 0.0]
    if connection.dialect.flags.has_nan:
        values += [math.inf, -math.inf, math.nan]
    table.insert(enumerate(values))
    altered(table, "k : int8\n---\nx = null : float32", connection)
    np.testing.assert_array_equal(table.to_arrays("x", order_by="KEY"), values)


@pytest.mark.rule("alter-tables", "types")
def test_a_change_that_would_lose_a_value_is_refused_and_one_without_values_is_not(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    lines = {f"a{i}": f"a{i} = null : {before}" for i, (before, _, _) in enumerate(LOSSES)}
    table = schema(table_class(dj, "Losses", "k : int8\n---\n" + "\n".join(lines.values())))
    table.insert1({"k": 1, **{f"a{i}": value for i, (_, _, value) in enumerate(LOSSES)}})
    before = table.fetch1()
    for i, (_, after, _) in enumerate(LOSSES):
        changed = {**lines, f"a{i}": f"a{i} = null : {after}"}
        table.definition = "k : int8\n---\nnew = 1 : int8\n" + "\n".join(changed.values())
        told = rf"losses.*'a{i}' (would not be the same as|are .* and cannot become) .*\. (Change|Add) "
        with pytest.raises(DataError, match=told):
            table.alter(prompt=False)
    assert seen_by_another(connection, schema.name, "losses").heading == table.heading
    assert table.fetch1() == before
    table.delete(prompt=False)
    table.insert1({"k": 2})
    new = "\n".join(f"a{i} = null : {after}" for i, (_, after, _) in enumerate(LOSSES))
    altered(table, f"k : int8\n---\n{new}", connection)
    assert set(table.fetch1().values()) == {2, None}


# Types that only MySQL and MariaDB have as these; elsewhere they are others, which lose nothing.
NATIVE: tuple[tuple[str, str, Any, Any], ...] = (
    ("int32", "year", 70, 2020),
    ("decimal(6,1)", "year", "99.0", "1999.0"),
    ("bool", "year", True, False),
    ("varbinary(9)", "binary(4)", b"ab", b"abcd"),
    ("bytes", "binary(4)", b"ab", b"abcd"),
    ("binary(2)", "binary(4)", b"ab", None),
    ("float64", "float(7,2)", 1.125, 1.5),
    ("float32", "float(7,2)", 1.125, 1.1),
    ("float64", "double(9,2)", 1.125, 1.1),
    ("float(9,4)", "float(9,2)", 1.125, 1.1),
    ("decimal(8,4)", "float(8,2)", "1.1250", "1.5000"),
)


@pytest.mark.rule("alter-tables", "types")
def test_a_native_type_that_changes_a_value_is_refused_and_takes_one_that_stays(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    if connection.dialect.name == "postgresql":
        pytest.skip("year, binary and float(n,m) are types of MySQL and MariaDB")
    schema = new_schema()
    lines = {f"a{i}": f"a{i} = null : {before}" for i, (before, *_) in enumerate(NATIVE)}
    table = schema(table_class(dj, "Native", "k : int8\n---\n" + "\n".join(lines.values())))
    table.insert1({"k": 1, **{f"a{i}": lost for i, (_, _, lost, _) in enumerate(NATIVE)}})
    before = table.fetch1()
    for i, (_, after, *_) in enumerate(NATIVE):
        changed = {**lines, f"a{i}": f"a{i} = null : {after}"}
        table.definition = "k : int8\n---\n" + "\n".join(changed.values())
        with pytest.raises(DataError, match="would not be the same"):
            table.alter(prompt=False)
    assert table.fetch1() == before
    table.delete(prompt=False)
    table.insert1({"k": 1, **{f"a{i}": kept for i, (_, _, _, kept) in enumerate(NATIVE)}})
    before = table.fetch1()
    altered(
        table,
        "k : int8\n---\n" + "\n".join(f"a{i} = null : {c[1]}" for i, c in enumerate(NATIVE)),
        connection,
    )
    assert table.fetch1() == before


@pytest.mark.rule("alter-tables", "add", "defaults")
def test_rows_must_have_a_value_for_what_becomes_required(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    table = new_schema()(table_class(dj, "Filled", "k : int8\n---\nx = null : int8"))
    table.definition = "k : int8\n---\nx = null : int8\ny : int8"
    table.insert1({"k": 1})
    with pytest.raises(MissingAttributeError, match="y = null : int8"):
        table.alter(prompt=False)
    table.definition = "k : int8\n---\nz : int8"  # renamed, and nobody said so
    with pytest.raises(MissingAttributeError, match="if it was 'x' before.*# {x}"):
        table.alter(prompt=False)
    table.definition = "k : int8\n---\nx : int8"
    with pytest.raises(DataError, match="'x' is NULL"):
        table.alter(prompt=False)
    table.update1({"k": 1, "x": 5})
    altered(table, "k : int8\n---\nx : int8", connection)
    with pytest.raises(MissingAttributeError):
        table.insert1({"k": 2})
    altered(table, "k : int8\n---\nx = 7 : int8\nt = CURRENT_TIMESTAMP : datetime(3)", connection)
    table.insert1({"k": 2})
    assert table.to_arrays("x", order_by="k").tolist() == [5, 7]
    assert all(table.to_arrays("t"))
    table.delete(prompt=False)
    altered(
        table, "k : int8\n---\nx = 7 : int8\nt = CURRENT_TIMESTAMP : datetime(3)\nlate : uuid", connection
    )


@pytest.mark.rule("alter-tables", "add")
def test_another_order_than_that_of_the_definition_is_told(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    is_last = connection.dialect.name == "postgresql"
    table = new_schema()(table_class(dj, "Item", "k : int8\n---\nz = 0 : int8"))
    with caplog.at_level(logging.WARNING, "datajoint.alter"):
        altered(table, "k : int8\n---\na = 1 : int8\nz = 0 : int8", connection)
        assert table().heading.names == (["k", "z", "a"] if is_last else ["k", "a", "z"])
        assert ("k, z, a" in caplog.text) is ("rows as dicts" in caplog.text) is is_last
        caplog.clear()
        altered(
            table,
            "\n".join(["k : int8", "---", *table.describe().split("\n")[2:], "x = 2 : int8"]),
            connection,
        )
        assert not caplog.text
        altered(table, "k : int8\n---\n# as before\nx = 3 : int8\nz = 0 : int8\na = 1 : int8", connection)
        assert "not in that of the definition" in caplog.text


@pytest.mark.rule("alter-tables", "primary-key", "foreign-keys", "indexes")
@pytest.mark.rule("table-declaration", "7.4")
@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("new_id : uuid\n---\n-> Parent\nx : int8\ny : int8\nindex(x)", "primary key"),
        ("k : int16\n---\n-> Parent\nx : int8\ny : int8\nindex(x)", "primary key"),
        ("k : int8\nx : int8\n---\n-> Parent\ny : int8\nindex(x)", "primary key"),
        ("k : int8\n---\nx : int8\ny : int8\nindex(x)", "lose the foreign key"),
        ("k : int8\n---\n-> Parent\n-> Other\nx : int8\ny : int8\nindex(x)", "get the foreign key .other_id"),
        ("k : int8\n---\n-> [nullable] Parent\nx : int8\ny : int8\nindex(x)", "foreign key"),
        ("k : int8\n---\n-> Parent.proj(p='parent_id')\nx : int8\ny : int8\nindex(x)", "foreign key"),
        ("k : int8\n---\n-> [unique] Parent\nx : int8\ny : int8\nindex(x)", "unique index"),
        ("k : int8\n---\n-> Parent\nx : int8\ny : int8", "lose .index"),
        ("k : int8\n---\n-> Parent\nx : int8\ny : int8\nindex(x)\nindex(y)", "get .index"),
        ("k : int8\n---\n-> Parent\ny : int8", "lose .index"),
        ("k : int8\n---\n-> Parent\nx : int8\nz : int8 # {nothing}\nindex(x)", "'nothing', which the table"),
        ("k : int8\n---\n-> Parent\nx : int8\ny : int8\nz : int8 # {y}\nindex(x)", "still in the definition"),
        (
            "k : int8\n---\n-> Parent\nx : int8\nz : int8 # {y}\nw : int8 # {y}\nindex(x)",
            "as does that of 'z'",
        ),
    ],
)
def test_what_cannot_be_altered_is_refused(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, definition: str, message: str
) -> None:
    schema = new_schema()
    names = {n: schema(table_class(dj, n, f"{n.lower()}_id : int8")) for n in ("Parent", "Other")}
    table = schema(
        table_class(dj, "Fixed", "k : int8\n---\n-> Parent\nx : int8\ny : int8\nindex(x)"), context=names
    )
    before = table().info
    table.definition = definition
    with pytest.raises(NotAlterableError, match=message) as caught:
        table.alter(prompt=False, context=names)
    assert isinstance(caught.value, NotImplementedError)
    assert seen_by_another(connection, schema.name, "fixed") == before == table().info


@pytest.mark.rule("alter-tables", "view", "prompt")
def test_alter_shows_the_difference_and_asks(
    connection: Connection,
    new_schema: NewSchema,
    dj: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = new_schema()(table_class(dj, "Asked", "# one\nk : int8\n---\nx : int8 # old\ngone : int8"))
    before = table().info
    table.definition = "# two\nk : int8\n---\nx : int16 # new\ncome = null : int8"
    for answer in ("no", ""):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        table.alter(prompt=True)
    assert capsys.readouterr().out.splitlines()[:7] == [
        f"About to alter {table.full_table_name}:",
        "  - # one",
        "  + # two",
        "  - gone : int8",
        "  - x : int8  # old",
        "  + x : int16  # new",
        "  + come = null : int8",
    ]
    assert seen_by_another(connection, *before.full_name) == before
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    connection.config["safemode"] = True
    table.alter()
    assert table.heading.comment == "two"
    assert table.heading.names == ["k", "x", "come"]


def test_where_and_what_can_be_altered(connection: Connection, new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()
    table = schema(table_class(dj, "Whole", "k : int8\n---\nx : int8"))
    table.definition = "k : int8\n---\nx : int16"
    with pytest.raises(DataJointError, match="restricted"):
        (table & "k=1").alter(prompt=False)
    with pytest.raises(DataJointError, match="no class with a definition"):
        dj.FreeTable(table.full_table_name).alter()
    with connection.transaction, pytest.raises(TransactionError, match="inside a transaction"):
        table.alter(prompt=False)
    for wrong in (
        "k : int8\n---\nx : intt",
        "k : int8\n---\n-> Nowhere\nx : int8",
        "k : int8\n---\nx = 200 : int8",
    ):
        table.definition = wrong
        with pytest.raises(DefinitionError):
            table.alter(prompt=False)
    assert str(table.heading["x"].type) == "int8"


def test_parts_and_children_are_altered_with_their_references_kept(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema, other = new_schema(), new_schema()
    top = other(table_class(dj, "Top", "top_id : varchar(9)"))

    class Session(dj.Manual):
        definition = "-> Top\ns : int8\n---\nx : int8"

        class Trial(dj.Part):
            definition = "-> master\nt : int8\n---\ny : int8"

        class Event(dj.Part):
            definition = "-> Session.Trial\n---\n-> [nullable] Top.proj(other='top_id')\nz : int8"

    schema(Session, context={"Top": top})
    top.insert1(("t",))
    Session.insert1(("t", 1, 2))
    Session.Trial.insert1(("t", 1, 1, 3))
    Session.Event.insert1(("t", 1, 1, None, 4))
    # Top is no name of this module: the declared reference says what it is
    altered(Session, "-> Top # up\ns : int8\n---\nx : int64\nnew = 1 : int8", connection)
    altered(Session.Trial, "-> Session\nt : int8\n---\ny : varchar(5)", connection)
    altered(
        Session.Event,
        "-> master.Trial\n---\n-> [nullable] Top.proj(other='top_id')\nzz : int8 # {z}",
        connection,
    )
    row = (Session * Session.Trial * Session.Event).fetch1()
    assert row == {"top_id": "t", "s": 1, "t": 1, "x": 2, "new": 1, "y": "3", "other": None, "zz": 4}
    with pytest.raises(NotAlterableError, match="primary key"):
        altered(Session.Trial, "-> Session\nt : int8\nu : int8\n---\ny : varchar(5)", connection)


def test_a_class_of_a_declared_table_keeps_the_table_until_it_is_altered(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    schema(table_class(dj, "Subject", "k : int8\n---\nx : int8"))
    again = schema(table_class(dj, "Subject", "k : int8\n---\nx : int8\ny = 1 : int8"))
    assert again.heading.names == ["k", "x"]
    with connection.clone() as other:  # another program is faster
        twin = Schema(schema.name, connection=other)(
            table_class(dj, "Subject", "k : int8\n---\nx : int8\ny = 1 : int8")
        )
        twin.alter(prompt=False)
    again.alter(prompt=False)
    assert again.heading.names == ["k", "x", "y"]


@pytest.mark.rule("alter-tables", "job-metadata")
def test_job_metadata_is_added_to_tables_that_were_declared_without(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", "p : int8"))
    parent.insert([(1,), (2,)])

    class Result(dj.Computed):
        definition = "-> Parent\n---\nx : int8"

        def make(self, key: dict[str, Any]) -> None:
            self.insert1({**key, "x": 1})

    schema(Result, context={"Parent": parent})
    Result.populate({"p": 1})
    names = ["_job_start_time", "_job_duration", "_job_version"]
    full_name = Result.full_table_name
    assert add_job_metadata_columns(Result, dry_run=True) == {full_name: names}
    assert Result.heading.by_name.keys() == {"p", "x"}
    assert dj.migrate.add_job_metadata_columns(schema, dry_run=False) == {full_name: names}
    assert add_job_metadata_columns(Result, dry_run=False) == {}
    with pytest.raises(DataJointError, match="no computed or imported"):
        add_job_metadata_columns(parent)
    with pytest.raises(DataJointError, match="neither"):
        add_job_metadata_columns("Result")
    connection.config["jobs.add_job_metadata"] = True
    again = schema(type(Result)("Result", (dj.Computed,), dict(vars(Result))), context={"Parent": parent})
    again.populate()
    assert again.heading.names == ["p", "x"]
    found = connection.query(f"SELECT _job_duration, _job_version FROM {schema.name}.__result ORDER BY p")
    assert found[0][0] is None
    assert found[1][0] >= 0
    again.alter(prompt=True)  # hidden columns are no difference
