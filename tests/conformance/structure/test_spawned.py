"""Classes without their source: what they are, and that they insert, delete and compute as others do."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from dj_query.schema import Schema
from dj_query.virtual import VirtualModule
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError, DefinitionError, MakeError, MissingTableError
from tests.conformance.structure.tables import table_class, tables_in

NewSchema = Callable[..., Schema]
TIERS = (
    ("Subject", "Manual", "subject : int8"),
    ("Method", "Lookup", "method : int8"),
    ("Recording", "Imported", "-> Subject\n---\nx : int8"),
    ("Result", "Computed", "-> Subject\n-> Method\n---\nx : int8"),
)


@pytest.fixture
def schema(new_schema: NewSchema, dj: ModuleType) -> Schema:
    schema = new_schema()
    names: dict[str, Any] = {}
    for name, tier, definition in TIERS:
        part = table_class(dj, "Piece", "-> master\npiece : int8", "Part")
        names[name] = schema(table_class(dj, name, definition, tier, Piece=part), context=names)
    names["Subject"].insert([(1,), (2,)])
    names["Method"].insert1((7,))
    return schema


def make(self: Any, key: dict[str, Any]) -> None:
    self.insert1({**key, "x": key["subject"]})
    self.Piece.insert([{**key, "piece": i} for i in range(3)])


@pytest.mark.rule("virtual-schemas", "1", "3.3", "4.2", "4.3", "5.1")
def test_the_name_of_a_table_tells_the_class(schema: Schema, dj: ModuleType) -> None:
    lab = dj.virtual_schema(schema.name)
    for name, tier, definition in TIERS:
        cls = getattr(lab, name)
        assert cls.__bases__ == (getattr(dj, tier),)
        assert cls.Piece.__bases__ == (dj.Part,)
        assert cls.Piece().master is cls
        assert cls.describe() == definition == cls.definition
    assert lab.Subject.Piece().table_name == "subject__piece"
    assert [t.table_name for t in lab] == lab.schema.list_tables()


@pytest.mark.parametrize("reserve_jobs", [False, True])
def test_spawned_classes_compute_once_they_have_a_make(
    schema: Schema, dj: ModuleType, reserve_jobs: bool
) -> None:
    lab = dj.virtual_schema(schema.name)
    with pytest.raises(MakeError, match="no make"):
        lab.Recording.populate()
    lab.Result.make = make
    assert lab.Result.progress() == (2, 2)
    assert lab.Result.populate(reserve_jobs=reserve_jobs)["success"] == 2
    assert lab.Result.to_arrays("x", order_by="KEY").tolist() == [1, 2]
    assert len(lab.Result.Piece()) == 6
    (lab.Subject & {"subject": 1}).delete(prompt=False)
    assert len(lab.Result.Piece()) == 3
    assert lab.Result.progress() == (0, 1)


def test_a_class_derived_from_a_spawned_one_computes(schema: Schema, dj: ModuleType) -> None:
    lab = dj.virtual_schema(schema.name)
    recording = lab.schema(type(lab.Recording)("Recording", (lab.Recording,), {"make": make}))
    assert recording.populate()["success"] == 2
    assert len(lab.Recording()) == 2
    assert len(recording.Piece()) == 6


@pytest.mark.rule("virtual-schemas", "4.1")
def test_classes_are_spawned_into_the_names_of_the_caller(schema: Schema, dj: ModuleType) -> None:
    twin = dj.Schema(schema.name)
    into: dict[str, Any] = {}
    twin.spawn_missing_classes(context=into)
    assert set(into) == {name for name, _, _ in TIERS}
    into["Result"].make = make
    into["Result"].populate()
    assert len(into["Result"] & "subject=2") == 1


@pytest.mark.rule("virtual-schemas", "3.1", "3.2", "8")
def test_a_virtual_module_creates_only_what_it_may(
    connection: Connection, schema: Schema, new_schema_name: Callable[[], str], dj: ModuleType
) -> None:
    lab = dj.virtual_schema(schema.name, connection, add_objects={"extra": 5})
    assert lab.extra == 5
    with pytest.raises(MissingTableError, match="create_tables"):
        lab.schema(table_class(dj, "New", "-> Subject"), context={"Subject": lab.Subject})
    assert "new" not in tables_in(connection, schema.name)
    open_ = dj.virtual_schema(schema.name, create_tables=True)
    open_.schema(table_class(dj, "New", "-> Subject"), context={"Subject": open_.Subject})
    assert "New" in lab.schema
    name = new_schema_name()
    with pytest.raises(DataJointError, match="there is no schema"):
        dj.virtual_schema(name)
    assert name not in dj.list_schemas()
    assert list(dj.virtual_schema(name, create_schema=True)) == []
    assert name in dj.list_schemas()
    module = VirtualModule("shown", schema.name, connection=connection)
    assert module.__name__ == "shown"


@pytest.mark.rule("virtual-schemas", "5.3")
def test_tables_are_copied_between_virtual_schemas(
    connection: Connection, schema: Schema, new_schema: NewSchema, dj: ModuleType
) -> None:
    new = new_schema()
    names: dict[str, Any] = {}
    for name, tier, definition in TIERS[:2]:
        names[name] = new(table_class(dj, name, definition, tier), context=names)
    for table in dj.virtual_schema(schema.name):
        if table.table_name in new:
            new.get_table(table.table_name).insert(table.to_dicts())
    assert {t.table_name: len(t) for t in new} == {"subject": 2, "#method": 1}


@pytest.mark.rule("definition-syntax", "validation")
@pytest.mark.rule("model-relationships", "acyclic")
def test_tables_cannot_come_to_depend_on_each_other_in_a_circle(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    waiting = Schema(connection=connection)
    one = table_class(dj, "One", "-> Two\na : int8")
    names = {"One": one, "Two": table_class(dj, "Two", "-> One\nb : int8")}
    for cls in names.values():
        waiting(cls, context=names)
    name = new_schema().name
    with pytest.raises(DefinitionError, match=r"Two could not be resolved.*above this one"):
        waiting.activate(name, connection=connection)
    assert tables_in(connection, name) <= {"~lineage"}
    schema = new_schema()
    for definition, message in (
        ("-> Loop", "own primary key|single row"),
        ("-> Loop.proj(b='a')\na : int8", "own parent in its own primary key"),
        ("-> Loop.Piece", "circle|could not be resolved"),
    ):
        part = table_class(dj, "Piece", "-> master\np : int8", "Part")
        with pytest.raises(DataJointError, match=message):
            schema(table_class(dj, "Loop", definition, Piece=part))
    assert schema.list_tables() == []


def test_references_are_told_apart(new_schema: NewSchema, dj: ModuleType) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", "a : int8\nb : int8"))
    names = {"Parent": parent}
    child = schema(
        table_class(dj, "Child", "-> Parent\nc : int8\n---\n-> [nullable] Parent.proj(a2='a', b2='b')"),
        context=names,
    )
    detail = schema(table_class(dj, "Detail", "-> Parent"), context=names)
    up, low, more = (t.full_table_name for t in (parent, child, detail))
    keys = [
        {"primary": True, "attr_map": {"a": "a", "b": "b"}, "aliased": False, "multi": True},
        {"primary": False, "attr_map": {"a2": "a", "b2": "b"}, "aliased": True, "multi": True},
    ]
    assert child.parents() == [up]
    assert child.parents(foreign_key_info=True) == [(up, keys[0]), (up, keys[1])]
    assert child.parents(primary=True, foreign_key_info=True) == [(up, keys[0])]
    assert child.parents(primary=False) == [up]
    assert detail.parents(primary=False) == []
    assert sorted(parent.children()) == [low, more]
    assert parent.children(primary=False) == [low]
    assert parent.children(primary=True, foreign_key_info=True)[-1] == (more, {**keys[0], "multi": False})
    (table,) = detail.parents(as_objects=True)
    assert table.full_table_name == up
    assert [t.full_table_name for t in detail.ancestors(as_objects=True)] == [up, more]
    assert parent.parts() == []


def test_a_name_that_is_no_text_makes_no_module(connection: Any, dj: Any) -> None:
    with pytest.raises(dj.DataJointError, match="a schema needs a name"):
        dj.virtual_schema(5, connection=connection)
