"""Another session has dropped tables, or the whole schema, that this one knows."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError, MissingTableError
from tests.conformance.structure.tables import table_class

NewSchema = Callable[..., Schema]


@pytest.fixture
def family(new_schema: NewSchema, dj: ModuleType) -> tuple[Schema, Any, Any]:
    """A schema, a table and its child, all of which this session has looked at."""
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", "p : int32\n---\nx : int32"))
    child = schema(table_class(dj, "Child", "-> Parent\nc : int32"), context={"Parent": parent})
    parent.insert1((1, 1))
    assert schema.list_tables() == ["parent", "child"]
    assert len(dj.Diagram(schema).picture.nodes) == 2
    return schema, parent, child


def _drop_elsewhere(connection: Connection, schema: Schema, *names: str) -> None:
    """Drop tables, or without names the schema, in another session."""
    with connection.clone() as other:
        theirs = Schema(schema.name, connection=other)
        for name in names:
            theirs[name].drop(prompt=False)
        if not names:
            theirs.drop(prompt=False)


@pytest.mark.parametrize("gone", [("Child", "Parent"), ()], ids=["tables", "schema"])
@pytest.mark.parametrize("prompt", [False, True])
def test_a_dropped_table_is_dropped_without_an_error(
    connection: Connection,
    family: tuple[Schema, Any, Any],
    gone: tuple[str, ...],
    prompt: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    schema, parent, child = family
    _drop_elsewhere(connection, schema, *gone)
    with caplog.at_level("INFO", "datajoint.schema"):
        child.drop(prompt=prompt)  # there is nothing to be asked about
        parent.drop(prompt=prompt)
    told = [r.message for r in caplog.records if "nothing to drop" in r.message]
    assert told == [
        f"{t.full_table_name} is not in the database: there is nothing to drop" for t in (child, parent)
    ]
    parent.drop_quick()
    child.drop_quick()
    schema.drop(prompt=False)


def test_what_is_left_of_a_family_is_dropped(
    connection: Connection, family: tuple[Schema, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    schema, parent, _ = family
    _drop_elsewhere(connection, schema, "Child")
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    parent.drop(prompt=True)
    assert schema.list_tables() == []


@pytest.mark.parametrize("gone", [("Child", "Parent"), ()], ids=["tables", "schema"])
def test_no_diagram_shows_a_dropped_table(
    connection: Connection, family: tuple[Schema, Any, Any], dj: ModuleType, gone: tuple[str, ...]
) -> None:
    schema, parent, child = family
    before = dj.Diagram(parent) + 1
    _drop_elsewhere(connection, schema, *gone)
    for table in (parent, child, parent()):
        with pytest.raises(MissingTableError, match="there is no table '(parent|child)' in schema"):
            dj.Diagram(table)
    assert not dj.Diagram(schema).picture.nodes
    assert before.make_mermaid() == dj.Diagram(schema).make_mermaid()  # it is drawn as the tables are now


def test_a_name_is_in_a_schema_while_its_table_is_there(
    connection: Connection, family: tuple[Schema, Any, Any], dj: ModuleType
) -> None:
    schema, _, _ = family
    assert all(name in schema for name in ("Parent", "parent", "Child"))
    assert "Nothing" not in schema
    assert 5 not in schema
    _drop_elsewhere(connection, schema, "Child")
    assert ("Parent" in schema, "Child" in schema, "child" in schema) == (True, False, False)
    _drop_elsewhere(connection, schema)
    assert "Parent" not in schema
    with pytest.raises(DataJointError, match="activated"):
        assert "Parent" in dj.Schema(connection=connection)
