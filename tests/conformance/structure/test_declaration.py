"""What a definition says is in the database afterwards, and is read again by another connection."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.definition.spec import CurrentTimestamp, Literal, Null
from dj_schema.errors import DefinitionError
from dj_schema.types import CoreType, NativeType, parse_type
from tests.conformance.structure.tables import (
    column_comments,
    lineage_rows,
    seen_by_another,
    table_class,
    tables_in,
)

NewSchema = Callable[..., Schema]

CORE = (
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float32",
    "float64",
    "bool",
    "decimal(5,2)",
    "decimal(38,10)",
    "char(3)",
    "varchar(200)",
    "date",
    "datetime",
    "datetime(3)",
    "datetime(6)",
    "json",
    "uuid",
    "bytes",
    "enum('a','b')",
    "enum('b','a')",
    "enum('it''s','x,y','100%','%s','sp ace','ü','semi;colon','(b)','a:b','back\\\\slash','\"q\"')",
    "<blob>",
)
DEFAULTS = (
    ("0", "int8"),
    ("-128", "int8"),
    ("255", "uint8"),
    ("-5", "int32"),
    ("9223372036854775807", "int64"),
    ("18446744073709551615", "uint64"),
    ("0.1", "float32"),
    ("-1.5e30", "float64"),
    ("1e-7", "float64"),
    ("true", "bool"),
    ("0", "bool"),
    ("1.5", "decimal(5,2)"),
    ("-0.01", "decimal(5,2)"),
    ("'abc'", "char(3)"),
    ("''", "varchar(10)"),
    ("'NULL'", "varchar(10)"),
    ("'CURRENT_TIMESTAMP'", "varchar(30)"),
    ("'it''s \"q\" 100% %s {} a::b'", "varchar(40)"),
    ("'back\\\\slash \\\\n'", "varchar(40)"),
    ("'naïve ß'", "varchar(40)"),
    ("' padded '", "varchar(40)"),
    ("'x,y'", "enum('a','x,y')"),
    ("'it''s'", "enum('it''s','b')"),
    ("'2020-01-31'", "date"),
    ("CURRENT_TIMESTAMP", "date"),
    ("'2020-01-31 10:00:00'", "datetime"),
    ("'2020-01-31 10:00:00.250'", "datetime(3)"),
    ("CURRENT_TIMESTAMP", "datetime"),
    ("NOW", "datetime(3)"),
    ("CURRENT_TIMESTAMP", "datetime(6)"),
    *(("null", type_) for type_ in CORE),
)
COMMENTS = (
    "plain",
    'it\'s "quoted" `too`',
    "100% of %s and %(x)s and %%",
    "a : colon :int32: and # hash",
    "naïve ß 日本",
    "back\\slash \\n \\",
    "braces {} {0}",
    "semi; colon -- dashes /* c */ $dj$",
)


@pytest.mark.rule("table-declaration", "4.7")
def test_every_core_type_is_read_as_it_was_declared(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    lines = "\n".join(f"a{i} : {type_} # comment {i}" for i, type_ in enumerate(CORE))
    table = schema(table_class(dj, "AllTypes", f"# all types\nk : int32\n---\n{lines}"))
    read = seen_by_another(connection, schema.name, "all_types").heading
    assert read == table.heading
    assert read.all == table.heading.all
    for i, type_ in enumerate(CORE):
        attribute = read[f"a{i}"]
        assert str(attribute.type) == str(parse_type(type_))
        assert attribute.comment == f"comment {i}"
        assert not attribute.is_nullable
        assert attribute.default is None
    assert read.comment == "all types"


@pytest.mark.parametrize("type_", [t for t in CORE if t not in ("json", "bytes", "<blob>")])
def test_every_comparable_type_can_be_a_key_and_be_referred_to(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, type_: str
) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", f"k : {type_} # the key"))
    child = schema(table_class(dj, "Child", "-> Parent\n---\nx : int8"), context={"Parent": parent})
    read = seen_by_another(connection, schema.name, "child")
    assert read.heading == child.heading
    assert read.heading["k"].type == parent.heading["k"].type
    assert read.heading["k"].comment == "the key"
    assert read.heading["k"].lineage == f"{schema.name}.parent.k"


@pytest.mark.rule("table-declaration", "5.1", "5.2", "5.3")
@pytest.mark.rule("definition-syntax", "defaults")
def test_every_default_is_read_as_it_was_declared(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    lines = "\n".join(f"a{i} = {default} : {type_}" for i, (default, type_) in enumerate(DEFAULTS))
    table = schema(table_class(dj, "Defaults", f"k : int32\n---\n{lines}"))
    read = seen_by_another(connection, schema.name, "defaults").heading
    for i, (default, type_) in enumerate(DEFAULTS):
        name = f"a{i}"
        assert read[name].default == table.heading[name].default, (default, type_)
        assert read[name].is_nullable == (default == "null")
    assert read == table.heading


@pytest.mark.rule("table-declaration", "5.1", "5.2")
@pytest.mark.rule("definition-syntax", "defaults")
def test_the_server_takes_the_defaults_that_it_was_told(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    constants = [(d, t) for d, t in DEFAULTS if d not in ("CURRENT_TIMESTAMP", "NOW", "null")]
    lines = "\n".join(f"a{i} = {default} : {type_}" for i, (default, type_) in enumerate(constants))
    table = schema(table_class(dj, "Defaults", f"k : int32\n---\n{lines}"))
    table.insert1({"k": 1})
    row = table.fetch1()
    for i, (default, type_) in enumerate(constants):
        wanted = table.heading[f"a{i}"].default
        assert isinstance(wanted, Literal)
        value = row[f"a{i}"]
        if type_ == "float32":
            assert value == pytest.approx(wanted.value, rel=1e-6)
        elif type_.startswith("datetime"):
            assert str(value) == str(wanted.value).removesuffix("000") or str(value) == wanted.value
        else:
            assert str(value) == str(wanted.value), (default, type_)


@pytest.mark.rule("table-declaration", "2.2")
@pytest.mark.rule("definition-syntax", "comments")
@pytest.mark.parametrize("comment", COMMENTS)
def test_any_comment_is_kept(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, comment: str
) -> None:
    schema = new_schema()
    definition = (
        f"# {comment}\nk : int32 # {comment}\n---\nv = null : varchar(3) # {comment}\nb : <blob> # {comment}"
    )
    table = schema(table_class(dj, "Commented", definition))
    read = seen_by_another(connection, schema.name, "commented").heading
    assert read == table.heading
    assert read.comment == comment
    assert {a.comment for a in read.all} == {comment}


def test_a_character_that_the_server_cannot_keep_is_refused_and_never_replaced(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    definitions = (
        "# 🧠\nk : int8",
        "k : int8 # 🧠",
        "k : enum('🧠')",
        "k : int8\n---\nv = '🧠' : varchar(3)",
    )
    for i, definition in enumerate(definitions):
        table = table_class(dj, f"Brain{i}", definition)
        if connection.dialect.name == "postgresql":
            assert (
                seen_by_another(connection, schema.name, schema(table)().table_name).heading == table.heading
            )
        else:
            with pytest.raises(DefinitionError, match="U\\+FFFF"):
                schema(table)
            assert tables_in(connection, schema.name) <= {"~lineage"}
            assert not lineage_rows(connection, schema.name)


@pytest.mark.rule("table-declaration", "4.7", "11.2")
def test_comments_carry_the_type_in_the_form_that_other_programs_read(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", "parent_id : int32 # pid\n---\nn : int # native"))
    context = {"Parent": parent}
    schema(
        table_class(
            dj,
            "Child",
            "-> Parent\n---\nv : decimal(5, 2) # c\ne : enum('x', 'y')\nb : <blob> # data\nd : datetime(3)",
        ),
        context=context,
    )
    schema(table_class(dj, "Own", "k : int8\n---\nparent_id : int32 # own\n-> Parent"), context=context)
    is_postgres = connection.dialect.name == "postgresql"
    assert column_comments(connection, schema.name, "parent") == {"parent_id": ":int32:pid", "n": "native"}
    assert column_comments(connection, schema.name, "child") == {
        "parent_id": None if is_postgres else "pid",
        "v": ":decimal(5,2):c",
        "e": ":enum('x','y'):",
        "b": ":<blob>:data",
        "d": ":datetime(3):",
    }
    assert column_comments(connection, schema.name, "own")["parent_id"] == ":int32:own"


@pytest.mark.rule("table-declaration", "4.5")
@pytest.mark.rule("define-tables", "native-types")
def test_native_types_are_read_as_they_were_declared(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    words = (
        "int",
        "smallint",
        "bigint",
        "text",
        "longblob",
        "double",
        "int unsigned",
        "bigint unsigned",
        "time",
    )
    lines = "\n".join(f"a{i} : {type_} # n" for i, type_ in enumerate(words))
    table = schema(table_class(dj, "Natives", f"k : int auto_increment\n---\n{lines}"))
    child = schema(table_class(dj, "Child", "-> Natives\n---\nx : int8"), context={"Natives": table})
    read = seen_by_another(connection, schema.name, "natives").heading
    assert read["k"].is_auto_increment
    assert read["k"].type == NativeType("int auto_increment")
    for i, word in enumerate(words):
        if connection.dialect.name != "postgresql" or word != "int unsigned":
            assert read[f"a{i}"].type == NativeType(word) == table.heading[f"a{i}"].type
        assert read[f"a{i}"].comment == "n"
    assert seen_by_another(connection, schema.name, "child").heading["k"].type == NativeType("int")
    assert not child.heading["k"].is_auto_increment
    table.insert([{f"a{i}": v for i, v in enumerate([1, 2, 3, "t", b"b", 1.5, 4, 5, "10:00:00"])}] * 2)
    assert sorted(table.to_arrays("k")) == [1, 2]


@pytest.mark.parametrize(
    "word", ["serial", "bigserial", "int auto_increment", "bigint unsigned auto_increment"]
)
def test_a_child_of_a_key_that_counts_does_not_count_itself(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, word: str
) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", f"k : {word}\n---\nx : int8"))
    child = schema(table_class(dj, "Child", "-> Parent\n---\ny : int8"), context={"Parent": parent})
    parent.insert([{"x": 1}, {"x": 2}])
    child.insert1({"k": 2, "y": 1})
    assert len(child & {"k": 2}) == 1
    assert not seen_by_another(connection, schema.name, "child").heading["k"].is_auto_increment
    with pytest.raises(dj.errors.MissingAttributeError):
        child.insert1({"y": 1})


def test_a_counting_attribute_may_stand_behind_another_in_the_key(
    new_schema: NewSchema, dj: ModuleType
) -> None:
    table = new_schema()(table_class(dj, "Counted", "a : int32\nb : int auto_increment\n---\nx : int8"))
    table.insert([{"a": 7, "x": 1}, {"a": 7, "x": 2}])
    assert sorted(table.to_arrays("b")) == [1, 2]


def test_a_singleton_has_one_row_at_most(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    table = schema(table_class(dj, "Only", "---\nx : int32"))
    assert table.heading.names == ["x"]
    assert table.primary_key == []
    read = seen_by_another(connection, schema.name, "only").heading
    assert read == table.heading
    assert [a.name for a in read.all] == ["x", "_singleton"]
    assert read.by_name["_singleton"].default == Literal(True)
    assert lineage_rows(connection, schema.name) == {("only", "_singleton", f"{schema.name}.only._singleton")}
    table.insert1({"x": 1})
    with pytest.raises(dj.errors.DuplicateError):
        table.insert1({"x": 2})
    assert table.fetch1() == {"x": 1}


def test_enums_of_the_same_labels_in_another_order_keep_their_order(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    first = schema(table_class(dj, "First", "k : int8\n---\ne : enum('b','a')\nf : enum('a','b')"))
    second = schema(table_class(dj, "Second", "k : int8\n---\ne : enum('a','b')\nab : enum('a_b','c')"))
    third = schema(table_class(dj, "Third", "k : int8\n---\nab : enum('a','b_c')"))
    for table in (first, second, third):
        for name in table.heading.secondary_attributes:
            labels = table.heading[name].type.labels
            types = {n: table.heading[n].type for n in table.heading.secondary_attributes}
            rows = [{n: t.labels[k] for n, t in types.items()} | {"k": k} for k in (0, 1)]
            table.insert(rows, skip_duplicates=True)
            ordered = [row[name] for row in table.to_dicts(order_by=name)]
            assert ordered == list(labels)
    if connection.dialect.name == "postgresql":
        types = {
            name
            for (name,) in connection.query(
                "SELECT t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace "
                "WHERE n.nspname = %s AND t.typtype = 'e'",
                (schema.name,),
            )
        }
        assert len(types) == 4


@pytest.mark.rule("table-declaration", "1.4")
def test_long_names_of_tables_and_indexes(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    limit = connection.dialect.ddl.MAX_NAME_LENGTH
    name = "L" + "o" * (limit - 1)
    columns = "\n".join(f"a_rather_long_attribute_name_{i} : int32" for i in range(4))
    names = ", ".join(f"a_rather_long_attribute_name_{i}" for i in range(4))
    parent = schema(table_class(dj, "Parent", "parent_id : int32"))
    indexes = f"index({names})\nunique index(a_rather_long_attribute_name_3)"
    definition = f"-> Parent\n---\n-> Parent.proj(other='parent_id')\n{columns}\n{indexes}"
    table = schema(table_class(dj, name, definition), context={"Parent": parent})
    read = seen_by_another(connection, schema.name, "l" + "o" * (limit - 1))
    assert read.heading == table.heading
    assert len(read.foreign_keys) == 2
    assert set(read.indexes) == set(table().info.indexes)
    too_long = table_class(dj, name + "o", "k : int8")
    with pytest.raises(DefinitionError, match="characters"):
        schema(too_long)


def test_attributes_have_the_longest_names_of_the_server_or_a_clear_error(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    limit = connection.dialect.ddl.MAX_NAME_LENGTH
    for line in (f"{'a' * (limit + 1)} : int8", f"k : int8\n---\n{'a' * (limit + 1)} : int8"):
        with pytest.raises(DefinitionError, match=f"{limit + 1} characters.*at most {limit}"):
            schema(table_class(dj, "TooLong", line))
    table = schema(table_class(dj, "Long", f"{'a' * limit} : int8\n---\n{'b' * limit} : int8"))
    too_long = table_class(dj, "TooLong", f"-> Long.proj({'c' * (limit + 1)}='{'a' * limit}')")
    with pytest.raises(DefinitionError, match=f"up to {limit} characters"):
        schema(too_long, context={"Long": table})
    table.insert1((1, 2))
    assert (table & {"a" * limit: 1}).fetch1("b" * limit) == 2
    assert seen_by_another(connection, schema.name, "long").heading == table.heading
    table.definition = f"{'a' * limit} : int8\n---\n{'c' * (limit + 1)} : int8  # {{{'b' * limit}}}"
    with pytest.raises(DefinitionError, match=f"{limit + 1} characters"):
        table.alter(prompt=False)


def test_indexes_are_read_as_they_were_declared(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    definition = """
    k : int32
    ---
    a : int32
    b : varchar(20)
    c : date
    index(a, b)
    unique index(b)
    index(c)
    """
    table = schema(table_class(dj, "Indexed", definition))
    read = seen_by_another(connection, schema.name, "indexed")
    assert {(i.columns, i.is_unique) for i in read.indexes} == {
        (("a", "b"), False),
        (("b",), True),
        (("c",), False),
    }
    table.insert1((1, 1, "x", "2020-01-01"))
    with pytest.raises(dj.errors.DuplicateError):
        table.insert1((2, 1, "x", "2020-01-01"))
    if connection.dialect.name == "postgresql":
        found = connection.query("SELECT indexname FROM pg_indexes WHERE schemaname = %s", (schema.name,))
        assert {"idx_indexed_a_b", "idx_indexed_b", "idx_indexed_c"} <= {name for (name,) in found}


@pytest.mark.rule("table-declaration", "7.3")
def test_indexes_on_expressions(connection: Connection, new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()
    definition = """
    k : int32
    ---
    born : date
    name : varchar(20)
    car : json
    index(name, (YEAR(born)))
    index(car.length:decimal(4,1))
    unique index((LOWER(name)))
    index((name LIKE 'A%'))
    """
    table = table_class(dj, "Indexed", definition)
    schema(table)
    read = seen_by_another(connection, schema.name, "indexed")
    assert set(read.indexes) == set(table().info.indexes)
    assert [a.name for a in read.heading.all] == ["k", "born", "name", "car"]
    table.insert1((1, "2020-01-01", "Ann", {"length": 20.5}))
    with pytest.raises(dj.errors.DuplicateError):
        table.insert1((2, "2020-01-01", "ANN", {"length": 1}))


@pytest.mark.rule("table-declaration", "9.3")
def test_job_metadata_is_hidden_and_only_where_it_is_asked_for(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", "parent_id : int32"))
    connection.config["jobs.add_job_metadata"] = True
    schema(table_class(dj, "Result", "-> Parent\n---\nx : int8", "Computed"), context={"Parent": parent})
    schema(table_class(dj, "Plain", "k : int8"))
    read = seen_by_another(connection, schema.name, "__result").heading
    assert [a.name for a in read.all if a.is_hidden] == ["_job_start_time", "_job_duration", "_job_version"]
    assert read.names == ["parent_id", "x"]
    comments = column_comments(connection, schema.name, "__result")
    assert comments["_job_start_time"] == ":datetime(3):when computation began"
    assert comments["_job_version"] == ":varchar(64):code version"
    assert isinstance(read.by_name["_job_duration"].default, Null)
    assert read.by_name["_job_duration"].type == CoreType("float32")
    assert not [a for a in seen_by_another(connection, schema.name, "plain").heading.all if a.is_hidden]


def test_the_current_time_is_the_default_that_it_says(new_schema: NewSchema, dj: ModuleType) -> None:
    table = new_schema()(
        table_class(dj, "Timed", "k : int8\n---\nt = CURRENT_TIMESTAMP : datetime(3)\nd = NOW : date")
    )
    assert table.heading["t"].default == CurrentTimestamp()
    table.insert1({"k": 1})
    row = table.fetch1()
    assert row["t"].date() == row["d"]
