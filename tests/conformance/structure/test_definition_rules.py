"""The pages on definitions, rule by rule: what a definition makes in the database, and what it refuses."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.errors import (
    DataJointError,
    DefinitionError,
    DuplicateError,
    IntegrityError,
    MissingAttributeError,
)
from dj_schema.graph.picture import Reference
from tests.conformance.structure.tables import lineage_rows, seen_by_another, table_class, tables_in

NewSchema = Callable[..., Schema]

# type, as stored by PostgreSQL, by MySQL
STORED = (
    ("int8", "smallint", "tinyint"),
    ("uint8", "smallint", "tinyint unsigned"),
    ("int16", "smallint", "smallint"),
    ("uint16", "integer", "smallint unsigned"),
    ("int32", "integer", "int"),
    ("uint32", "bigint", "int unsigned"),
    ("int64", "bigint", "bigint"),
    ("uint64", "numeric(20,0)", "bigint unsigned"),
    ("float32", "real", "float"),
    ("float64", "double precision", "double"),
    ("bool", "boolean", "tinyint"),
    ("uuid", "uuid", "binary(16)"),
    ("bytes", "bytea", "longblob"),
    ("char(7)", "character(7)", "char(7)"),
    ("varchar(9)", "character varying(9)", "varchar(9)"),
    ("enum('a','b')", "enum", "enum"),
    ("date", "date", "date"),
    ("datetime", "timestamp(0) without time zone", "datetime"),
    ("datetime(3)", "timestamp(3) without time zone", "datetime(3)"),
    ("json", "jsonb", "json"),
    ("decimal(6,2)", "numeric(6,2)", "decimal(6,2)"),
    ("<blob>", "bytea", "longblob"),
)


@pytest.mark.rule("table-declaration", "4.1", "4.2", "4.3", "4.4")
@pytest.mark.rule("define-tables", "core-types")
@pytest.mark.rule("definition-syntax", "core-types")
def test_core_types_are_stored_as_the_page_says(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    lines = "\n".join(f"a{i} : {type_}" for i, (type_, _, _) in enumerate(STORED))
    schema(table_class(dj, "Stored", f"k : int8\n---\n{lines}"))
    rows = connection.dialect.catalog.columns(connection.execute, schema.name, "stored")
    found = {row.name: connection.dialect.types.type_of_column(row.type_text) for row in rows}
    name = connection.dialect.name
    for i, (type_, postgres, mysql) in enumerate(STORED):
        wanted = postgres if name == "postgresql" else mysql
        if name == "mariadb" and type_ == "json":
            wanted = "longtext"  # which is what it calls json
        assert found[f"a{i}"] == connection.dialect.types.type_of_column(wanted), type_


@pytest.mark.rule("table-declaration", "1.1", "1.2", "1.3", "8.1", "8.2", "9.1")
@pytest.mark.rule("define-tables", "types-of-tables", "parts", "declaring", "schema")
@pytest.mark.rule("master-part", "1.1", "1.2", "1.3")
def test_the_tier_and_the_class_make_the_name_of_a_table(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    names = {"Top": schema(table_class(dj, "Top", "k : int8"))}
    for tier, prefix in (("Manual", ""), ("Lookup", "#"), ("Imported", "_"), ("Computed", "__")):
        part = table_class(dj, "PieceTwo", "-> master\np : int8", "Part")
        cls = schema(table_class(dj, f"My{tier}2Table", "-> Top", tier, PieceTwo=part), context=names)
        name = f"{prefix}my_{tier.lower()}2_table"
        assert cls().table_name == name
        assert cls.PieceTwo().table_name == f"{name}__piece_two"
        assert cls.PieceTwo().master is cls
        assert {name, f"{name}__piece_two"} <= tables_in(connection, schema.name)
    before = tables_in(connection, schema.name)
    again = schema(table_class(dj, "Top", "k : int8"))  # it is there, and is taken as it is
    assert tables_in(connection, schema.name) == before
    assert again().info == names["Top"]().info


@pytest.mark.rule("table-declaration", "1.3", "1.4", "10.2")
@pytest.mark.parametrize("name", ["my_table", "myTable", "My_Table", "_Table", "2Tables", "Täble", "T" * 65])
def test_a_name_that_is_no_class_name_is_refused(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, name: str
) -> None:
    schema = new_schema()
    with pytest.raises(
        DefinitionError,
        match=r"(Invalid table name.*Expected CamelCase|exceeds max length.*Expected at most 6[34])",
    ):
        schema(table_class(dj, name, "k : int8"))
    assert tables_in(connection, schema.name) <= {"~lineage"}


@pytest.mark.rule("table-declaration", "2.1", "2.2", "2.3", "2.4", "3.1", "3.2", "3.4", "5.1", "5.2", "5.3")
@pytest.mark.rule("definition-syntax", "structure", "defaults", "comments", "nullable")
@pytest.mark.rule("define-tables", "secondary", "nullable", "foreign-keys")
@pytest.mark.parametrize("separator", ["---", "___"])
def test_a_whole_definition_is_what_it_says(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, separator: str
) -> None:
    schema = new_schema()
    owner = schema(table_class(dj, "Owner", "owner : varchar(9)"))
    definition = f"""
    # Visits with all that a line may be

    visit : int32            # given by people
    {separator}
    # a remark between the lines
    -> Owner
    name : varchar(100)      # who came
    trial = 1 : int32
    score = null : float32   # may be missing
    other = NULL : int8
    at = CURRENT_TIMESTAMP : datetime
    notes = '' : varchar(4000)
    word = "two words" : varchar(20)
    is_on = true : bool
    ratio = -1.5 : float64
    index(name)
    """
    table = schema(table_class(dj, "Visit", definition), context={"Owner": owner})
    heading = seen_by_another(connection, schema.name, "visit").heading
    assert heading == table.heading
    assert heading.comment == "Visits with all that a line may be"
    assert heading.primary_key == ["visit"]
    assert heading["name"].comment == "who came"
    assert [n for n, a in heading.attributes.items() if a.is_nullable] == ["score", "other"]
    assert [n for n, a in heading.attributes.items() if a.is_required] == ["visit", "owner", "name"]
    owner.insert1(("o",))
    before = connection.query("SELECT CURRENT_TIMESTAMP")[0][0].replace(tzinfo=None, microsecond=0)
    table.insert1({"visit": 1, "owner": "o", "name": "n"})
    row = table.fetch1()
    assert before - dt.timedelta(seconds=1) <= row.pop("at") <= before + dt.timedelta(minutes=5)
    assert row == {
        "visit": 1, "owner": "o", "name": "n", "trial": 1, "score": None, "other": None, "notes": "",
        "word": "two words", "is_on": True, "ratio": -1.5,
    }  # fmt: skip
    with pytest.raises(MissingAttributeError):
        table.insert1({"visit": 2, "owner": "o"})


@pytest.mark.rule("table-declaration", "2.2", "3.3", "5.4", "5.5", "10.1", "10.2", "7.4", "6.5")
@pytest.mark.rule("definition-syntax", "validation", "grammar")
@pytest.mark.rule("define-tables", "key-defaults")
@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("k : int33", "Unsupported attribute type 'int33'"),
        ("K : int8", "'K' cannot name an attribute"),
        ("2k : int8", "'2k' cannot name an attribute"),
        ("my-k : int8", "cannot name an attribute"),
        ("k : int8 # :colon", "comment of attribute 'k' must not start with colon"),
        ("#: colon\nk : int8", "comment of the table must not start with colon"),
        ("k : int8\n---\nb = '' : <blob>", "default value for <blob> can only be NULL"),
        ("k : int8\n---\nb = '' : json", "default value for json can only be NULL"),
        ("k : int8\n---\nb = 5 : bytes", "can only be NULL"),
        ("k = null : int8", "Primary key attributes cannot be nullable"),
        ("k = NULL : int8", "Primary key attributes cannot be nullable"),
        ("k = 5 : int8", "cannot have a fixed default"),
        ("-> [nullable] Parent", "Primary key attributes cannot be nullable"),
        ("-> [sometimes] Parent", "no option 'sometimes'"),
        ("-> Nowhere", "Foreign key reference Nowhere could not be resolved"),
        ("# nothing but words", "no attributes"),
        ("k : int8\n---\nindex(zz)", "'zz', which the table does not have"),
        ("k : int8\n---\nunique index()", "a column of the index is missing"),
        ("k : int8\n---\n---\nx : int8", "one line `---`"),
    ],
)
def test_a_definition_that_does_not_hold_is_refused_and_nothing_is_made(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, definition: str, message: str
) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", "parent : int8"))
    before = tables_in(connection, schema.name)
    with pytest.raises(DefinitionError, match=message):
        schema(table_class(dj, "Wrong", definition), context={"Parent": parent})
    assert tables_in(connection, schema.name) == before


@pytest.mark.rule("table-declaration", "6.1", "6.2", "6.3", "6.4", "6.5", "6.6", "6.7", "6.8", "6.9")
@pytest.mark.rule(
    "model-relationships", "basic", "containment", "reference", "extension", "nullable", "unique"
)
@pytest.mark.rule("model-relationships", "many-to-many", "hierarchies", "renamed", "lines")
@pytest.mark.rule("define-tables", "primary-key")
@pytest.mark.rule("definition-syntax", "foreign-keys")
@pytest.mark.rule("design-primary-keys", "foreign-keys", "composite")
def test_references_of_every_placement(connection: Connection, new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()
    names: dict[str, Any] = {}
    for name, definition in (
        ("Study", "study : varchar(8)"),
        ("Subject", "-> Study\nsubject : varchar(12)"),
        ("Session", "-> Subject\nsession : uint16\n---\nday : date"),
        ("Weight", "-> Subject\n---\nweight : float32"),
        ("Kind", "kind : int8"),
        ("Spot", "spot : uint32\n---\n-> [unique] Kind"),
        ("Optional", "opt : int8\n---\n-> [nullable, unique] Kind"),
        ("Assignment", "-> Subject\n-> Kind\n---\nday : date"),
        ("Comparison", "-> Session.proj(one='session')\n-> Session.proj(two='session')\n---\nx : float32"),
    ):
        names[name] = schema(table_class(dj, name, definition), context=names)
    assert names["Session"].primary_key == ["study", "subject", "session"]
    assert names["Comparison"].primary_key == ["study", "subject", "one", "two"]
    assert names["Spot"].primary_key == ["spot"]
    kinds = {
        (arrow.child.split(".")[1], arrow.kind) for arrow in dj.Diagram(schema).picture.arrows
    }  # the line in a diagram tells the relationship
    assert kinds == {
        ("subject", Reference.CONTAINMENT),
        ("session", Reference.CONTAINMENT),
        ("weight", Reference.EXTENSION),
        ("spot", Reference.ATTRIBUTE),
        ("optional", Reference.ATTRIBUTE),
        ("assignment", Reference.CONTAINMENT),
        ("comparison", Reference.CONTAINMENT),
    }
    origin = f"{schema.name}.session.session"
    assert {("comparison", "one", origin), ("comparison", "two", origin)} <= lineage_rows(
        connection, schema.name
    )
    names["Study"].insert1(("s",))
    names["Subject"].insert([("s", "a"), ("s", "b")])
    names["Session"].insert([("s", "a", i, "2020-01-01") for i in (1, 2)])
    names["Weight"].insert1(("s", "a", 20.5))
    names["Kind"].insert([(1,), (2,)])
    names["Spot"].insert1((1, 1))
    names["Optional"].insert([(1, None), (2, None), (3, 1)])
    names["Assignment"].insert([("s", "a", 1, "2020-01-01"), ("s", "a", 2, "2020-01-01")])
    # of a key, not of a part of one that two references of a table share: that MySQL cannot change
    connection.query(f"UPDATE {schema.name}.kind SET kind = 7 WHERE kind = 2")
    assert set(names["Assignment"].to_arrays("kind")) == {1, 7}
    names["Comparison"].insert1(("s", "a", 1, 2, 0.5))
    for table, row in (
        ("Spot", (2, 1)),  # one to one below the key
        ("Optional", (4, 1)),
        ("Weight", ("s", "a", 1.0)),  # one to one by the key
        ("Assignment", ("s", "a", 1, "2021-01-01")),
    ):
        with pytest.raises(DuplicateError):
            names[table].insert1(row)
    for table, row in (("Subject", ("nobody", "x")), ("Comparison", ("s", "a", 1, 3, 0.5)), ("Spot", (3, 9))):
        with pytest.raises(IntegrityError):
            names[table].insert1(row)
    with pytest.raises(IntegrityError):
        (names["Subject"] & "subject='a'").delete_quick()
    (names["Subject"] & "subject='a'").delete(prompt=False)
    left = {name: len(cls) for name, cls in names.items()}
    assert left == {"Study": 1, "Subject": 1, "Session": 0, "Weight": 0, "Kind": 2, "Spot": 1, "Optional": 3,
                    "Assignment": 0, "Comparison": 0}  # fmt: skip


@pytest.mark.rule("model-relationships", "computed", "parts")
@pytest.mark.rule("define-tables", "computed")
@pytest.mark.rule("table-declaration", "9.1", "9.2")
def test_computed_tables_take_their_key_from_their_parents(new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()

    class Session(dj.Manual):
        definition = "session : uint16"

        class Trial(dj.Part):
            definition = "-> master\ntrial : uint16\n---\nhit : bool"

    class Stats(dj.Computed):
        definition = "-> Session\n---\nn_trials : uint32\nhit_rate : float32"

        def make(self, key: dict[str, Any]) -> None:
            trials = (Session.Trial & key).to_dicts()
            rate = sum(t["hit"] for t in trials) / len(trials)
            self.insert1({**key, "n_trials": len(trials), "hit_rate": rate})

    schema(Session)
    schema(Stats)
    Session.insert1((1,))
    Session.Trial.insert([(1, i, i % 4 > 0) for i in range(4)])
    Stats.populate()
    assert Stats.fetch1() == {"session": 1, "n_trials": 4, "hit_rate": 0.75}
    names = {"Session": Session}
    for tier in ("Imported", "Computed"):
        own = table_class(dj, f"Own{tier}", "-> Session\nown : int8\n---\nx : int8", tier)
        with pytest.raises(DefinitionError, match="attribute of its own, 'own'"):
            schema(own, context=names)
        with dj.config.override(jobs={"allow_new_pk_fields_in_computed_tables": True}):
            assert schema(own, context=names).primary_key == ["session", "own"]


@pytest.mark.rule("table-declaration", "7.1", "7.2")
@pytest.mark.rule("definition-syntax", "indexes", "example")
@pytest.mark.rule("define-tables", "indexes")
def test_indexes_of_the_pages(connection: Connection, new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()
    names = {
        "Subject": schema(table_class(dj, "Subject", "subject : int32")),
        "Experimenter": schema(table_class(dj, "Experimenter", "experimenter : varchar(9)", "Lookup")),
    }
    session = schema(
        table_class(
            dj,
            "Session",
            """
            # A session with all that the page's example has
            -> Subject
            session_idx : int32           # within the subject
            ---
            session_date : date
            -> [nullable] Experimenter    # may be unknown
            notes = '' : varchar(1000)
            start_time : datetime
            duration : float64            # minutes
            email : varchar(100)
            INDEX (session_date)
            index(start_time, duration)   # two
            UNIQUE INDEX (email)
            """,
        ),
        context=names,
    )
    read = seen_by_another(connection, schema.name, "session")
    assert {(i.columns, i.is_unique) for i in read.indexes} == {
        (("session_date",), False),
        (("start_time", "duration"), False),
        (("email",), True),
    }
    names["Subject"].insert1((1,))
    row = {
        "subject": 1,
        "session_date": "2020-01-01",
        "start_time": "2020-01-01",
        "duration": 1,
        "email": "a",
    }
    session.insert1({**row, "session_idx": 1})
    with pytest.raises(DuplicateError):
        session.insert1({**row, "session_idx": 2})


@pytest.mark.rule("table-declaration", "4.5")
@pytest.mark.rule("define-tables", "native-types", "auto-increment")
def test_native_types_come_with_a_warning_that_names_core_types(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    from dj_schema import declare

    schema = new_schema()
    declare._warned_native.clear()
    with caplog.at_level(logging.WARNING, "datajoint.declare"):
        schema(
            table_class(dj, "Native", "k : int unsigned auto_increment\n---\nx : mediumblob\ny = null : text")
        )
        schema(table_class(dj, "Native2", "k : int32\n---\nx : mediumblob"))
    said = [r.message for r in caplog.records if r.name == "datajoint.declare"]
    assert [m.split("'")[1] for m in said] == [
        "int unsigned auto_increment",
        "mediumblob",
        "text",
    ]  # once each
    assert all("int32" in m and "<blob>" in m for m in said)
    schema["Native"].insert([{"x": b"a"}, {"x": b"b"}])
    assert sorted(schema["Native"].to_arrays("k")) == [1, 2]
    with pytest.raises(DefinitionError, match="Unsupported attribute type"):
        schema(table_class(dj, "Counted", "k : int32 auto_increment"))


@pytest.mark.rule("table-declaration", "4.6")
@pytest.mark.rule("definition-syntax", "codec-types")
@pytest.mark.rule("define-tables", "codecs")
def test_codecs_are_read_with_their_store_and_unknown_ones_are_named(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    from dj_schema.types import CodecType, parse_type

    for text, name, store in (
        ("<blob>", "blob", None), ("<blob@>", "blob", ""), ("<blob@cold>", "blob", "cold"),
        ("<attach>", "attach", None), ("<attach@archive>", "attach", "archive"), ("<hash@>", "hash", ""),
        ("<object@>", "object", ""), ("<filepath@raw>", "filepath", "raw"),
    ):  # fmt: skip
        assert parse_type(text) == CodecType(name, store)
        assert str(parse_type(text)) == text
    table = new_schema()(table_class(dj, "Blobs", "k : int8\n---\nb : <blob>\nn = null : <blob>"))
    table.insert1({"k": 1, "b": {"x": [1, 2]}})
    assert table.fetch1() == {"k": 1, "b": {"x": [1, 2]}, "n": None}
    with pytest.raises(DataJointError, match="nothing_such"):
        new_schema()(table_class(dj, "Unknown", "k : int8\n---\nb : <nothing_such>"))


@pytest.mark.rule("define-tables", "timestamps", "key-defaults")
def test_times_have_the_digits_that_they_say(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    for i, type_ in enumerate(
        ("timestamp", "timestamp(3)", "timestamp(6)", "datetime", "datetime(3)", "datetime(6)")
    ):
        table = schema(table_class(dj, f"Timed{i}", f"at = CURRENT_TIMESTAMP : {type_}\n---\nx : int8"))
        digits = int(type_[-2]) if "(" in type_ else 0
        table.insert1({"x": 1})
        table.insert1({"at": "2020-01-02 03:04:05.123456", "x": 2})
        kept = (table & "x=2").fetch1("at")
        if digits or connection.dialect.name != "postgresql":  # there, a plain one has all digits
            assert abs(kept - dt.datetime(2020, 1, 2, 3, 4, 5, 123456)) <= dt.timedelta(
                seconds=0.5 * 10**-digits
            )
            assert kept.microsecond % 10 ** (6 - digits) == 0
        assert (table & "x=1").fetch1("at").year >= 2024


@pytest.mark.rule("define-tables", "timestamps")
@pytest.mark.parametrize("type_", ["datetime", "datetime(1)", "datetime(2)", "datetime(3)", "datetime(6)"])
def test_a_row_is_not_from_the_future(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, type_: str
) -> None:
    definition = f"k : int auto_increment\n---\nat = CURRENT_TIMESTAMP : {type_}"
    table = new_schema()(table_class(dj, "Timed", definition))
    assert f"at = CURRENT_TIMESTAMP : {type_}" in table.describe()
    clock = "clock_timestamp()" if connection.dialect.name == "postgresql" else "SYSDATE(6)"

    def late_in_its_step() -> dt.datetime:  # where rounding would go up
        step_us = 10 ** (6 - int(type_[9] if "(" in type_ else 0))
        while True:
            now: dt.datetime = connection.query(f"SELECT {clock}")[0][0].replace(tzinfo=None)
            if step_us == 1 or now.microsecond % step_us / step_us >= 0.5:
                return now

    for _ in range(5):
        late_in_its_step()
        table.insert1({})
        assert not len(table & "at > NOW(6)")
    table.delete(prompt=False)
    table.definition = definition + "\nagain = CURRENT_TIMESTAMP : " + type_
    table.alter(prompt=False)
    late_in_its_step()
    table.insert1({})
    assert not len(table & "at > NOW(6) OR again > NOW(6)")


@pytest.mark.rule("design-primary-keys", "principles", "natural", "surrogate", "fixed-width")
@pytest.mark.rule("define-tables", "primary-key", "view")
def test_keys_identify_rows_and_do_not_change(new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()
    identity = uuid.uuid4()
    for name, type_, value, other in (
        ("Natural", "varchar(16)", "M001", "m001"),
        ("Surrogate", "uuid", identity, uuid.uuid4()),
        ("Fixed", "char(8)", "abc", "abd"),
    ):
        table = schema(table_class(dj, name, f"k : {type_}  # key\n---\nx : int8"))
        table.insert([(value, 1), (other, 2)])
        assert (table & {"k": value}).fetch1() == {"k": value, "x": 1}
        with pytest.raises(DuplicateError):
            table.insert1((value, 3))
        with pytest.raises(MissingAttributeError):
            table.insert1({"k": None, "x": 1})
        with pytest.raises(DataJointError):
            table.update1({"k": "another" if type_ != "uuid" else uuid.uuid4(), "x": 1})
        assert table.describe() == f"k : {type_}  # key\n---\nx : int8"
        assert f"k : {type_}" in str(table.heading).replace("  ", " ")


@pytest.mark.rule("table-declaration", "11.1")
@pytest.mark.rule("define-tables", "dropping")
def test_the_database_holds_keys_indexes_and_comments(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", "p : int8"))
    definition = "# words\n-> Parent\nk : int8\n---\n-> [nullable] Parent.proj(q='p')\nx : int8\nindex(x)"
    child = schema(table_class(dj, "Child", definition), context={"Parent": parent})
    actions = connection.query(
        "SELECT DISTINCT update_rule, delete_rule FROM information_schema.referential_constraints "
        "WHERE constraint_schema = %s",
        (schema.name,),
    )
    assert [tuple(row) for row in actions] == [("CASCADE", "RESTRICT")]
    if connection.dialect.name != "postgresql":
        engine = connection.query(
            "SELECT ENGINE, TABLE_COMMENT FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'child'",
            (schema.name,),
        )
        assert [tuple(row) for row in engine] == [("InnoDB", "words")]
    parent.drop(prompt=False)
    assert schema.list_tables() == []
    with pytest.raises(DataJointError):
        child.insert1((1, 1, None, 1))
    schema.drop(prompt=False)
    assert schema.name not in dj.list_schemas()
