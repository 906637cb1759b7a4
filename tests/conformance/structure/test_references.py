"""Foreign keys of every kind, the graph they make, and what may be dropped."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.declare import declare_table, table_info_of
from dj_schema.definition.grammar import parse_definition
from dj_schema.errors import (
    DataJointError,
    DefinitionError,
    IntegrityError,
    MissingTableError,
    TransactionError,
)
from dj_schema.graph.dependencies import load_dependencies
from dj_schema.table_info import TableInfo
from tests.conformance.structure.tables import lineage_rows, seen_by_another, table_class, tables_in

NewSchema = Callable[..., Schema]

# name, tier, definition: in an order in which they can be declared
TABLES = (
    ("Parent", "Manual", "# the parent\nparent_id : int32 # pid\n---\nx : int8"),
    ("Two", "Manual", "a_id : int16\nb_id : varchar(10)"),
    ("Kind", "Lookup", "kind : enum('a','b c')"),
    ("Plain", "Manual", "-> Parent\nn : int16\n---\n-> Kind"),
    ("Optional", "Manual", "k : int8\n---\n-> [nullable] Parent\n-> [unique] Kind"),
    ("Both", "Manual", "k : int8\n---\n-> [nullable, unique] Parent"),
    ("Renamed", "Manual", "-> Parent.proj(mum='parent_id')\n-> Parent.proj(dad='parent_id')\n---\nw : int8"),
    ("Deep", "Manual", "-> Renamed\n-> Plain"),
    ("CompFk", "Manual", "-> Two\nc : int8\n---\n-> [nullable] Two.proj(a2='a_id', b2='b_id')"),
    ("Shared", "Manual", "-> Parent\n---\n-> Plain\n-> Plain.proj(m='n')"),
    ("Person", "Manual", "person : int32\n---\n-> [nullable] Person.proj(boss='person')\nname : varchar(20)"),
    ("OwnLine", "Manual", "k : int8\n---\nparent_id : int32 # own words\n-> Parent\nz : int8"),
    ("Result", "Computed", "-> Plain\n-> Two\n---\ny : float64\nindex(y)"),
)  # fmt: skip


def declare_all(schema: Schema, dj: ModuleType) -> dict[str, Any]:
    context: dict[str, Any] = {}
    for name, tier, definition in TABLES:
        context[name] = schema(table_class(dj, name, definition, tier), context=context)
    return context


def test_every_kind_of_reference_is_read_as_it_was_declared(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    classes = declare_all(schema, dj)
    with connection.clone() as other:
        read = other.catalog.schema(schema.name)
        for cls in classes.values():
            declared: TableInfo = cls().info
            found = read.tables[declared.name]
            assert found.heading == declared.heading, declared.name
            assert found.heading.all == declared.heading.all
            assert found.foreign_keys == declared.foreign_keys
            assert set(found.indexes) == set(declared.indexes)


@pytest.mark.rule("alter-tables", "view")
@pytest.mark.rule("define-tables", "view")
def test_describe_gives_a_definition_of_an_equal_table(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    classes = declare_all(schema, dj)
    for name, cls in classes.items():
        with connection.clone() as other:
            info = other.catalog.table(schema.name, cls().table_name)
            free = dj.FreeTable(other, cls.full_table_name)
            again = table_info_of(
                parse_definition(free.describe()),
                info.full_name,
                cls.tier,
                lambda fk, name=name: None if fk.target == name else classes[fk.target]().info,
            )
        assert again.heading == info.heading, free.describe()
        assert again.foreign_keys == info.foreign_keys
        assert set(again.indexes) == set(info.indexes)


@pytest.mark.rule("table-declaration", "6.9")
@pytest.mark.rule("semantic-matching", "lineage-property", "lineage-table", "rebuild", "lineage-available")
def test_lineage_is_recorded_as_other_programs_read_it(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    classes = declare_all(schema, dj)
    s = schema.name
    rows = lineage_rows(connection, s)
    assert {
        row for row in rows if row[0] in ("renamed", "deep", "comp_fk", "optional", "own_line", "person")
    } == {
        ("renamed", "mum", f"{s}.parent.parent_id"),
        ("renamed", "dad", f"{s}.parent.parent_id"),
        ("deep", "mum", f"{s}.parent.parent_id"),
        ("deep", "dad", f"{s}.parent.parent_id"),
        ("deep", "parent_id", f"{s}.parent.parent_id"),
        ("deep", "n", f"{s}.plain.n"),
        ("comp_fk", "a_id", f"{s}.two.a_id"),
        ("comp_fk", "b_id", f"{s}.two.b_id"),
        ("comp_fk", "c", f"{s}.comp_fk.c"),
        ("comp_fk", "a2", f"{s}.two.a_id"),
        ("comp_fk", "b2", f"{s}.two.b_id"),
        ("optional", "k", f"{s}.optional.k"),
        ("optional", "parent_id", f"{s}.parent.parent_id"),
        ("optional", "kind", f"{s}.#kind.kind"),
        ("own_line", "k", f"{s}.own_line.k"),
        ("own_line", "parent_id", f"{s}.parent.parent_id"),
        ("person", "person", f"{s}.person.person"),
        ("person", "boss", f"{s}.person.person"),
    }
    assert schema.lineage_table_exists
    assert schema.lineage[f"{s}.renamed.mum"] == f"{s}.parent.parent_id"
    quote = connection.dialect.quote
    connection.query(f"DELETE FROM {quote}{s}{quote}.{quote}~lineage{quote}")
    schema.rebuild_lineage()
    assert lineage_rows(connection, s) == rows
    connection.query(f"DROP TABLE {quote}{s}{quote}.{quote}~lineage{quote}")
    connection.catalog.forget()
    assert not schema.lineage_table_exists
    assert not connection.catalog.table(s, "parent").heading.lineage_available
    schema.rebuild_lineage()
    assert lineage_rows(connection, s) == rows
    classes["Parent"].drop(prompt=False)
    assert {row[0] for row in lineage_rows(connection, s)} == {"two", "#kind", "comp_fk", "person"}


@pytest.mark.rule("table-declaration", "8.3")
@pytest.mark.rule("master-part", "1.4")
def test_parts_are_declared_with_their_master_in_any_form_of_reference(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()

    class Master(dj.Manual):
        definition = "master_id : int32"

        class Zeta(dj.Part):
            definition = "-> master\nz : int8"

        class Alpha(dj.Part):
            definition = "-> Master.Zeta\nq : int8"

        class Beta(dj.Part):
            definition = "-> Master\n---\n-> [nullable] master.Alpha"

    schema(Master)

    class Other(dj.Lookup):
        definition = "-> Master.Alpha\n---\nx : int8"

    schema(Other)
    assert schema.list_tables()[0] == "master"
    assert set(schema.list_tables()) == {"master", "master__zeta", "master__alpha", "master__beta", "#other"}
    assert Master.Zeta().master is Master
    read = seen_by_another(connection, schema.name, "master__beta")
    assert read == Master.Beta().info
    assert read.master == (schema.name, "master")
    described = Master.Beta().describe().splitlines()
    assert described[0] == "-> master"
    assert Other().describe().splitlines()[0] == "-> Master.Alpha"
    assert {t.table_name for t in Master().parts(as_objects=True)} == {
        "master__zeta",
        "master__alpha",
        "master__beta",
    }


def test_a_part_of_a_base_class_belongs_to_each_class_that_inherits_it(
    new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()

    class Base(dj.Manual):
        definition = "k : int8"

        class Item(dj.Part):
            definition = "-> master\ni : int8"

    one = schema(type(Base)("One", (Base,), {}))
    two = schema(type(Base)("Two", (Base,), {}))
    assert (one.Item().table_name, two.Item().table_name) == ("one__item", "two__item")
    assert one.Item().master is one


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ("-> master\n-> Missing", DefinitionError),
        ("-> master\nx : nonsense", DefinitionError),
        ("no_master : int8", DefinitionError),
    ],
)
def test_a_broken_part_leaves_no_master_behind(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, broken: str, error: type[Exception]
) -> None:
    schema = new_schema()
    part = table_class(dj, "Broken", broken, "Part")
    good = table_class(dj, "Good", "-> master\ng : int8", "Part")
    master = table_class(dj, "Master", "m : int8", Good=good, Broken=part)
    with pytest.raises(error):
        schema(master)
    assert tables_in(connection, schema.name) == set()
    with pytest.raises(DataJointError, match="belongs to no schema"):
        master()


def test_a_part_that_the_server_refuses_leaves_nothing_behind(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    wide = "\n".join(
        f"c{i} : char(255)" for i in range(1700)
    )  # wider than a row, or more than a table may have
    part = table_class(dj, "Wide", f"-> master\n---\n{wide}", "Part")
    master = table_class(dj, "Master", "m : int8", Wide=part)
    with pytest.raises(DataJointError, match="was not declared"):
        schema(master)
    assert tables_in(connection, schema.name) <= {"~lineage"}
    assert lineage_rows(connection, schema.name) == set()


def test_a_parent_that_is_gone_is_named_and_nothing_is_left(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", "parent_id : int32"))
    info = parent().info
    with connection.clone() as other:
        dj.FreeTable(other, parent.full_table_name).drop(prompt=False)
    child = table_class(dj, "Child", "-> Parent\n---\nx : int8")
    with pytest.raises((MissingTableError, dj.errors.QueryError), match="table 'child' of schema"):
        schema(child, context={"Parent": parent})
    assert tables_in(connection, schema.name) == {"~lineage"}
    assert lineage_rows(connection, schema.name) == set()
    declare_table(connection, info)  # and the way is free
    schema(child, context={"Parent": parent})
    assert schema.list_tables() == ["parent", "child"]


@pytest.mark.rule("table-declaration", "10.1", "10.2")
@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("-> Nowhere", "Nowhere could not be resolved"),
        ("-> math", "math could not be resolved"),
        ("-> Loose", "has no schema"),
        ("-> Parent.proj(x='nothing')", "no primary key attribute 'nothing'"),
        ("-> Parent\nparent_id : int8", "there already"),
        ("parent_id : int8\n-> Parent", "it is here as int8"),
        ("-> Child.proj(x='k')\nk : int8", "own parent in its own primary key"),
        ("-> Single\nk : int8", "single row"),
        ("-> [nullable] Parent", "cannot be nullable"),
        ("-> master\nk : int8", "no part"),
        ("k : int8\n---\nindex(nothing)", "'nothing'"),
        ("k : intt8", "Unsupported attribute type"),
        ("k : int8\n---\nk : int8", "twice"),
        ("", "no attributes"),
    ],
)
def test_a_wrong_definition_is_refused_before_anything_is_made(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, definition: str, message: str
) -> None:
    import math

    schema = new_schema()
    context = {
        "Parent": schema(table_class(dj, "Parent", "parent_id : int32")),
        "Single": schema(table_class(dj, "Single", "---\nx : int8")),
        "Loose": table_class(dj, "Loose", "k : int8"),
        "math": math,
    }
    n = connection.n_statements
    with pytest.raises(DefinitionError, match=message):
        schema(table_class(dj, "Child", definition), context=context)
    assert connection.n_statements == n
    assert schema.list_tables() == ["parent", "single"]


def test_declaration_inside_a_transaction_is_refused(
    connection: Connection, new_schema: NewSchema, new_schema_name: Callable[[], str], dj: ModuleType
) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", "parent_id : int32"))
    with connection.transaction:
        parent.insert1((1,))
        with pytest.raises(TransactionError, match="inside a transaction"):
            schema(table_class(dj, "Late", "k : int8"))
        if not connection.dialect.flags.has_transactional_ddl:
            with pytest.raises(TransactionError, match="would commit it"):
                Schema(new_schema_name(), connection=connection)
            with pytest.raises(TransactionError, match="would commit it"):
                parent.drop(prompt=False)
        assert schema(table_class(dj, "Parent", "parent_id : int32"))().is_declared  # nothing to be made
    assert len(parent()) == 1
    assert schema.list_tables() == ["parent"]


def test_the_graph_goes_across_schemas(connection: Connection, new_schema: NewSchema, dj: ModuleType) -> None:
    lab, study = new_schema(), new_schema()
    top = lab(table_class(dj, "Top", "top_id : int32"))
    kind = lab(table_class(dj, "Kind", "kind : varchar(9)", "Lookup"))
    mid = study(
        table_class(dj, "Mid", "-> Top\nm : int8\n---\n-> [nullable] Kind"),
        context={"Top": top, "Kind": kind},
    )
    low = lab(
        table_class(dj, "Low", "-> Mid\n---\n-> Top.proj(again='top_id')"), context={"Mid": mid, "Top": top}
    )
    names = {t: t().full_table_name for t in (top, kind, mid, low)}
    assert low.parents() == [names[mid], names[top]]
    assert set(top.children()) == {names[mid], names[low]}
    assert top.descendants() == [names[top], names[mid], names[low]]
    assert low.ancestors()[-2:] == [names[mid], names[low]]
    assert set(low.ancestors()) == set(names.values())
    assert [t.full_table_name for t in kind.descendants(as_objects=True)] == [
        names[kind],
        names[mid],
        names[low],
    ]
    assert lab.list_tables()[-1] == "low"
    assert low.heading["top_id"].lineage == f"{lab.name}.top.top_id"
    assert seen_by_another(connection, study.name, "mid").heading == mid.heading
    assert lineage_rows(connection, study.name) == {
        ("mid", "top_id", f"{lab.name}.top.top_id"),
        ("mid", "m", f"{study.name}.mid.m"),
        ("mid", "kind", f"{lab.name}.#kind.kind"),
    }
    assert f"-> {lab.name}.Top" in mid().describe()


def test_an_enum_is_a_key_of_tables_in_other_schemas(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    lab, study, later = new_schema(), new_schema(), new_schema()
    kind = lab(table_class(dj, "Kind", "kind : enum('b','a')", "Lookup"))
    trial_parts = {"Step": table_class(dj, "Step", "-> master\nstep : int8", "Part")}
    trial = study(
        type(
            "Trial",
            (dj.Manual,),
            {
                "definition": "-> Kind\n---\n-> [nullable] Kind.proj(next='kind')\nown : enum('a','b')",
                **trial_parts,
            },
        ),
        context={"Kind": kind},
    )
    report = later(
        table_class(dj, "Report", "-> Trial.Step\n---\n-> Kind.proj(why='kind')"),
        context={"Kind": kind, "Trial": trial},
    )
    assert seen_by_another(connection, later.name, "report").heading == report.heading
    kind.insert([("a",), ("b",)])
    trial.insert([{"kind": "a", "own": "b"}, {"kind": "b", "next": "a", "own": "a"}])
    trial.Step.insert(trial.proj(step="1*1"))
    report.insert({**key, "why": key["kind"]} for key in trial.Step)
    assert (kind * trial * report & trial.Step & {"why": "b"}).fetch1("own") == "a"
    with pytest.raises(IntegrityError):
        report.insert1({"kind": "b", "step": 2, "why": "a"})
    assert (kind & {"kind": "a"}).delete(prompt=False) == 1
    assert len(report()) == len(trial()) == 0  # the other trial was to be followed by it


def test_a_parent_of_another_collation_can_be_referred_to(
    connection: Connection, new_schema: NewSchema, new_schema_name: Callable[[], str], dj: ModuleType
) -> None:
    if connection.dialect.name == "postgresql":
        pytest.skip("columns of one database compare with each other here")
    name = new_schema_name()
    connection.query(f"CREATE DATABASE {name} COLLATE utf8mb4_general_ci")
    foreign, own = Schema(name, connection=connection), new_schema()
    top = foreign(table_class(dj, "Top", "t : varchar(9)"))
    mid = own(table_class(dj, "Mid", "-> Top\nm : varchar(9)"), context={"Top": top})
    part = table_class(dj, "Piece", "-> master\n---\n-> [nullable] Top.proj(other='t')", "Part")
    low = own(table_class(dj, "Low", "-> Mid", Piece=part), context={"Mid": mid, "Top": top})
    top.insert1(("x",))
    mid.insert1(("x", "y"))
    low.insert1(("x", "y"))
    low.Piece.insert1(("x", "y", "x"))
    assert len(top * mid * low * low.Piece) == 1
    found = connection.query(
        "SELECT DISTINCT TABLE_NAME, COLUMN_NAME, COLLATION_NAME FROM information_schema.COLUMNS "
        "WHERE TABLE_SCHEMA = %s AND TABLE_NAME LIKE 'low%%'",
        (own.name,),
    )
    assert {c for _, n, c in found if n in ("t", "other")} == {"utf8mb4_general_ci"}
    assert {c for _, n, c in found if n == "m"} == {"utf8mb4_bin"}


def test_a_drop_takes_what_depends_on_the_table_in_every_schema(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    lab, study = new_schema(), new_schema()
    top = lab(table_class(dj, "Top", "top_id : int32"))
    lab(table_class(dj, "Aside", "k : int8"))
    study(table_class(dj, "Mid", "-> Top\nm : int8"), context={"Top": top})
    with pytest.raises(IntegrityError):
        top.drop_quick()
    with pytest.raises(IntegrityError, match=rf"{study.name}\.mid"):
        lab.drop(prompt=False)
    assert lab.exists
    top.drop(prompt=False)
    assert lab.list_tables() == ["aside"]
    assert study.list_tables() == []
    assert lineage_rows(connection, study.name) == set()
    lab.drop(prompt=False)
    assert not lab.exists


def test_tables_in_a_circle_are_named(connection: Connection, new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()
    one = schema(table_class(dj, "One", "a : int32\n---\nb = null : int32"))
    schema(table_class(dj, "Two", "b : int32\n---\n-> One"), context={"One": one})
    s = schema.name
    connection.query(f"ALTER TABLE {s}.one ADD FOREIGN KEY (b) REFERENCES {s}.two (b)")
    connection.catalog.forget()
    with pytest.raises(DataJointError, match=r"in a circle: .*one.*two|in a circle: .*two.*one"):
        schema.list_tables()
    read = seen_by_another(connection, s, "one")
    assert read.heading["b"].type is not None
    connection.query(f"ALTER TABLE {s}.one DROP COLUMN b" if connection.dialect.name == "postgresql" else
                     f"ALTER TABLE {s}.one DROP FOREIGN KEY one_ibfk_1")  # fmt: skip


def test_two_schemas_that_refer_to_each_other_are_read(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    one, two = new_schema(), new_schema()
    a = one(table_class(dj, "A", "a : uint16 # of A"))
    b = two(table_class(dj, "B", "-> A\nb : int8"), context={"A": a})
    c = one(table_class(dj, "C", "-> B\nc : int8"), context={"B": b})
    d = two(table_class(dj, "D", "-> C"), context={"C": c})
    for cls in (a, b, c, d):
        assert seen_by_another(connection, *cls().info.full_name) == cls().info
    with connection.clone() as other:
        n = other.n_statements
        other.catalog.schema(one.name)
        assert other.n_statements - n <= 10
    graph = load_dependencies(connection, [one.name])
    assert [name for _, name in graph.in_order(graph.descendants(a().table_id))] == ["a", "b", "c", "d"]
