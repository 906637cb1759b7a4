"""Schemas: activation, what is there, virtual modules, tables of other programs, many processes at once."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from dj_query.schema import Schema
from dj_query.virtual import VirtualModule
from dj_schema.connection import Connection
from dj_schema.definition.spec import CurrentTimestamp, Literal, Null
from dj_schema.errors import DataJointError, MissingTableError
from dj_schema.types import NativeType
from tests.conformance.structure import peer_schema
from tests.conformance.structure.tables import lineage_rows, table_class, tables_in

NewSchema = Callable[..., Schema]
NewName = Callable[[], str]


def test_a_schema_that_may_not_be_created_is_named(
    connection: Connection, new_schema_name: NewName, new_schema: NewSchema
) -> None:
    name = new_schema_name()
    with pytest.raises(DataJointError, match=name):
        Schema(name, connection=connection, create_schema=False)
    Schema(name, connection=connection)
    assert Schema(name, connection=connection, create_schema=False).exists


def test_dropping_a_schema_that_is_not_there_is_no_error(
    connection: Connection, new_schema: NewSchema
) -> None:
    schema = new_schema()
    twin = Schema(schema.name, connection=connection)
    schema.drop(prompt=False)
    assert not twin.exists
    twin.drop(prompt=False)
    schema.drop(prompt=False)
    schema.activate()
    assert schema.exists


def test_tables_that_may_not_be_created_are_named(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    schema(table_class(dj, "There", "k : int8"))
    closed = Schema(schema.name, connection=connection, create_tables=False)
    there = closed(table_class(dj, "There", "k : int8"))
    assert there().is_declared
    with pytest.raises(MissingTableError, match=r"'absent' is not in schema .* create_tables"):
        closed(table_class(dj, "Absent", "k : int8"))
    assert schema.list_tables() == ["there"]


def test_tables_are_listed_in_the_same_order_on_each_server(new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()
    zeta = schema(table_class(dj, "Zeta", "z : int8"))
    schema(table_class(dj, "Beta", "b : int8"))
    schema(table_class(dj, "Alpha", "-> Zeta\na : int8"), context={"Zeta": zeta})
    expected = ["beta", "zeta", "alpha"]
    assert schema.list_tables() == expected
    assert [table.table_name for table in schema] == expected


@pytest.mark.rule("virtual-schemas", "2.3")
def test_tables_come_after_those_that_they_need_through_another_schema(
    new_schema: NewSchema, dj: ModuleType
) -> None:
    schema, between = new_schema(), new_schema()
    zeta = schema(table_class(dj, "Zeta", "z : int8"))
    middle = between(table_class(dj, "Middle", "-> Zeta"), context={"Zeta": zeta})
    schema(table_class(dj, "Alpha", "-> Middle"), context={"Middle": middle})
    assert schema.list_tables() == ["zeta", "alpha"]


@pytest.mark.rule("virtual-schemas", "8")
def test_classes_wait_for_the_activation_of_their_schema(
    connection: Connection, new_schema_name: NewName, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = Schema()
    assert not schema.is_activated()
    first = schema(table_class(dj, "First", "k : int8"))
    second = schema(table_class(dj, "Second", "-> First\n-> Extra"), context={"First": first})
    with pytest.raises(DataJointError, match="belongs to no schema"):
        first()
    for use in (first.to_dicts, first.describe, lambda: first.insert1({"k": 1}), lambda: first & "k = 1"):
        with pytest.raises(DataJointError, match="First belongs to no schema.* activate"):
            use()
    with pytest.raises(DataJointError, match="activate"):
        schema.list_tables()
    name = new_schema_name()
    with pytest.raises(DataJointError, match="Extra could not be resolved"):
        schema.activate(name, connection=connection)
    extra = schema(table_class(dj, "Extra", "e : int8"))
    schema.add_objects["Extra"] = extra
    schema.activate()
    assert sorted(schema.list_tables()[:2]) == ["extra", "first"]
    assert schema.list_tables()[2:] == ["second"]
    assert second().is_declared
    with pytest.raises(DataJointError, match="cannot become"):
        schema.activate("another")


def test_what_is_no_table_class_is_refused(new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()
    with pytest.raises(DataJointError, match="no table class"):
        schema(int)
    with pytest.raises(DataJointError, match="with its master"):
        schema(table_class(dj, "Lost", "-> master", "Part"))
    for definition in (None, property(lambda _: "k : int8"), 5):
        with pytest.raises(DataJointError, match="definition"):
            schema(table_class(dj, "Odd", definition))  # type: ignore[arg-type]
    with pytest.raises(DataJointError, match="CamelCase"):
        schema(table_class(dj, "lower_case", "k : int8"))


@pytest.mark.rule("virtual-schemas", "2.1", "2.2", "2.3", "2.4", "8")
def test_tables_are_found_by_any_of_their_names(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()

    class BigThing(dj.Lookup):
        definition = "k : int8"
        contents = ((1,), (2,))

        class PartOne(dj.Part):
            definition = "-> master\np : int8"

    schema(BigThing)
    for name in ("BigThing", "big_thing", "#big_thing"):
        assert name in schema
        assert schema[name].table_name == "#big_thing"
        assert len(schema.get_table(name)) == 2
    for name in ("BigThing.PartOne", "#big_thing__part_one", "PartOne"):
        assert schema[name].table_name == "#big_thing__part_one"
    assert "Nothing" not in schema
    assert 5 not in schema
    with pytest.raises(MissingTableError, match="Table does not exist: 'Nothing'"):
        schema["Nothing"]
    assert [t.table_name for t in schema] == schema.list_tables() == ["#big_thing", "#big_thing__part_one"]
    quoted = BigThing.full_table_name
    for free in (
        dj.FreeTable(quoted),
        dj.FreeTable(connection, quoted),
        dj.FreeTable(connection, f"{schema.name}.#big_thing"),
    ):
        assert len(free) == 2
        assert free.heading == BigThing.heading
    with pytest.raises(DataJointError, match="full table name"):
        dj.FreeTable("just_a_name")
    with pytest.raises(MissingTableError):
        dj.FreeTable(f"{schema.name}.nothing")


def test_a_table_of_another_process_is_seen(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    assert schema.list_tables() == []
    with connection.clone() as other:
        Schema(schema.name, connection=other)(table_class(dj, "Late", "k : int8"))
        assert "Late" in schema
        assert schema.list_tables() == ["late"]
        Schema(schema.name, connection=other)(table_class(dj, "Later", "k : int8"))
        assert schema.list_tables() == ["late", "later"]


@pytest.mark.rule("virtual-schemas", "1", "3.1", "3.2", "3.3", "4.3", "5.1", "5.2")
def test_a_virtual_module_has_the_classes_of_a_schema(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()

    class Session(dj.Manual):
        definition = "k : int8"

        class Trial(dj.Part):
            definition = "-> master\nt : int8"

    class Result(dj.Computed):
        definition = "-> Session\n---\nx : float64"

    schema(Session)
    schema(Result)
    Session.insert([{"k": 1}, {"k": 2}])
    with connection.clone() as other:
        lab = VirtualModule("lab", schema.name, connection=other)
        assert lab.schema.list_tables() == ["session", "session__trial", "__result"]
        assert issubclass(lab.Session, dj.Manual)
        assert issubclass(lab.Session.Trial, dj.Part)
        assert issubclass(lab.Result, dj.Computed)
        assert lab.Session.Trial().master is lab.Session
        assert len(lab.Session & "k = 2") == 1
        assert lab.Result().definition == "-> Session\n---\nx : float64"
        lab.Session.insert1({"k": 3})
    assert len(Session()) == 3
    child = schema(table_class(dj, "Child", "-> lab.Session.Trial"), context={"lab": lab})
    assert child.primary_key == ["k", "t"]
    assert dj.virtual_schema(schema.name).Session().heading == Session.heading
    with pytest.raises(DataJointError, match="no schema"):
        dj.virtual_schema(schema.name + "_not")


@pytest.mark.rule("virtual-schemas", "4.1")
def test_missing_classes_are_made_and_the_others_left(new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()

    class Session(dj.Manual):
        definition = "k : int8"

        class Trial(dj.Part):
            definition = "-> master\nt : int8"

    class Other(dj.Manual):
        definition = "o : int8"

    schema(Session)
    schema(Other)
    bare = table_class(dj, "Session", "k : int8")
    context: dict[str, Any] = {"Session": schema(bare), "Other": "something else"}
    schema.spawn_missing_classes(context=context)
    assert context["Session"] is bare
    assert bare.Trial().table_name == "session__trial"
    assert context["Other"] == "something else"
    into: dict[str, Any] = {}
    schema.make_classes(into=into)
    assert set(into) == {"Session", "Other"}
    schema.spawn_missing_classes()
    assert "Session" in locals()


def test_a_schema_of_another_program_opens_with_the_right_types(
    connection: Connection, new_schema_name: NewName, new_schema: NewSchema, dj: ModuleType
) -> None:
    s = new_schema_name()
    is_postgres = connection.dialect.name == "postgresql"
    for statement in (peer_schema.POSTGRES if is_postgres else peer_schema.MYSQL).split(";\n"):
        if statement.strip():
            connection.query(statement.replace("{s}", s))
    quote = connection.dialect.quote
    for row in peer_schema.LINEAGE:
        values = [text.replace("{s}", s) for text in row]
        connection.query(f"INSERT INTO {quote}{s}{quote}.{quote}~lineage{quote} VALUES (%s, %s, %s)", values)
    lab = dj.virtual_schema(s, connection=connection)
    heading = lab.Comp.heading
    assert {name: str(a.type) for name, a in heading.attributes.items()} == {
        "parent_id": "int32",
        "kind": "enum('x','y')",
        "size": "int8",
        "mother": "int32",
        "data": "<blob>",
        "score": "decimal(5,2)",
        "at": "datetime(3)",
        "name": "varchar(20)",
        "n": "int",
    }
    assert heading["n"].type == NativeType("int")
    assert heading["mother"].default == Null()
    assert heading["at"].default == CurrentTimestamp()
    assert heading["name"].default == Literal("it's")
    assert lab.Parent.heading["ok"].default == Literal(True)
    assert {a.comment for n, a in heading.attributes.items() if n in ("parent_id", "mother")} == {"pid"}
    assert heading["kind"].comment == "which"
    assert heading["mother"].lineage == f"{s}.parent.parent_id"
    assert heading.lineage_available
    assert lab.Parent.heading.comment == "the parent"
    assert issubclass(lab.Comp, dj.Computed)
    assert lab.Parent.Piece().heading["i"].lineage == f"{s}.parent__piece.i"
    order = lab.schema.list_tables()
    assert order.index("__comp") > max(order.index("parent"), order.index("#kind"))
    assert lab.Comp().describe().splitlines() == [
        "-> Parent",
        "-> Kind",
        "---",
        "-> [nullable, unique] Parent.proj(mother='parent_id')",
        "data : <blob>",
        "score = null : decimal(5,2)",
        "at = CURRENT_TIMESTAMP : datetime(3)",
        "name = 'it''s' : varchar(20)",
        "n : int",
    ]
    lab.Parent.insert1({"parent_id": 1, "ident": "12345678-1234-5678-1234-567812345678"})
    lab.Kind.insert1(("y", 3))
    lab.Comp.insert1(
        {"parent_id": 1, "kind": "y", "size": 3, "data": {"a": 1}, "n": 5}, allow_direct_insert=True
    )
    row = (lab.Comp * lab.Parent).fetch1()
    assert (row["data"], row["ok"], row["name"], row["kind"]) == ({"a": 1}, True, "it's", "y")
    before = lineage_rows(connection, s)
    lab.schema.rebuild_lineage()
    # tables of which the other program recorded nothing get their own
    assert lineage_rows(connection, s) - before == {
        ("~~comp", "parent_id", f"{s}.~~comp.parent_id"),
        ("master__part_one", "parent_id", f"{s}.master__part_one.parent_id"),
        ("master__part_one", "i", f"{s}.master__part_one.i"),
    }
    assert before <= lineage_rows(connection, s)


def _declare_many(schema: Schema, dj: ModuleType, n: int) -> None:
    context: dict[str, Any] = {"T0": schema(table_class(dj, "T0", "k0 : int32"))}
    for i in range(1, n):
        definition = f"-> T{i - 1}\nk{i} : int8\n---\ne = null : enum('a','b')\nindex(e)"
        if i % 9 == 0:
            definition = definition.replace(f"-> T{i - 1}", "-> T0")
        context[f"T{i}"] = schema(table_class(dj, f"T{i}", definition), context=context)


def test_declared_tables_are_bound_at_the_same_cost_whatever_their_number(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    costs = []
    for n in (3, 30):
        schema = new_schema()
        _declare_many(schema, dj, n)
        with connection.clone() as other:
            again = Schema(schema.name, connection=other)
            _declare_many(again, dj, n)
            costs.append(other.n_statements)
            VirtualModule("lab", schema.name, connection=other)
            costs.append(other.n_statements)
    assert costs[0] == costs[2] <= 5
    assert costs[1] == costs[3]


def test_declaring_a_table_takes_few_statements(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    first = schema(table_class(dj, "First", "k : int32"))
    n = connection.n_statements
    schema(
        table_class(dj, "Second", "-> First\nk2 : int8\n---\nx : float64\nindex(x)"), context={"First": first}
    )
    assert connection.n_statements - n <= 5
    n = connection.n_statements
    parts = {f"Part{i}": table_class(dj, f"Part{i}", "-> master\np : int8", "Part") for i in range(5)}
    schema(table_class(dj, "Third", "k : enum('a','b')", **parts))
    assert connection.n_statements - n <= 9  # on MySQL one of them asks for the collation of text keys


def _declare_concurrently(connection: Connection, name: str, barrier: Any) -> list[str]:
    import datajoint as dj

    barrier.wait()
    schema = Schema(name, connection=connection)

    class Kind(dj.Lookup):
        definition = "kind : enum('b','a')"
        contents = (("a",), ("b",))

    schema(Kind)

    class Session(dj.Manual):
        definition = "-> Kind\ns : int32\n---\ne : enum('a','b','c')\nindex(e)"

        class Trial(dj.Part):
            definition = "-> master\nt : int8\n---\ne : enum('a','b','c')"

    schema(Session)

    class Result(dj.Computed):
        definition = "-> Session.Trial\n---\nx : float64"

    schema(Result)
    lineage = [a.lineage or "" for a in Result.heading.all if a.in_key]
    connection.catalog.forget()
    return [
        *schema.list_tables(),
        *lineage,
        *(a.lineage or "" for a in Session.Trial().info.heading.all if a.in_key),
    ]


def test_threads_declare_the_same_schema_at_once(
    connection: Connection, new_schema_name: NewName, new_schema: NewSchema
) -> None:
    name = new_schema_name()
    barrier = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        clones = [connection.clone() for _ in range(8)]
        results = list(pool.map(lambda c: _declare_concurrently(c, name, barrier), clones))
        for clone in clones:
            clone.close()
    assert all(r == results[0] for r in results)
    assert results[0][:4] == ["#kind", "session", "session__trial", "__result"]
    assert tables_in(connection, name) == {"~lineage", "#kind", "session", "session__trial", "__result"}
    assert len(lineage_rows(connection, name)) == 1 + 2 + 3 + 3


def _in_process(connection: Connection, name: str, barrier: Any, results: Any) -> None:
    found: list[str] | None = None
    try:
        with connection:
            found = _declare_concurrently(connection, name, barrier)
    finally:
        results.put(found)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_declare_the_same_schema_at_once(
    connection: Connection, new_schema_name: NewName, new_schema: NewSchema, method: str
) -> None:
    name = new_schema_name()
    connection.ping()
    context = multiprocessing.get_context(method)
    barrier = context.Barrier(3)
    results: Any = context.Queue()
    arguments = (connection, name, barrier, results)
    children = [context.Process(target=_in_process, args=arguments) for _ in range(3)]
    for child in children:
        child.start()
    found = [results.get(timeout=120) for _ in children]
    for child in children:
        child.join()
    assert all(r == found[0] for r in found), found
    assert found[0][:4] == ["#kind", "session", "session__trial", "__result"]
    assert connection.is_connected
    assert tables_in(connection, name) == {"~lineage", "#kind", "session", "session__trial", "__result"}


def test_list_schemas_names_ours_and_not_the_server_s(new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()
    found = dj.list_schemas()
    assert schema.name in found
    assert not {"mysql", "information_schema", "performance_schema", "pg_catalog", "pg_toast", "sys"} & set(
        found
    )
