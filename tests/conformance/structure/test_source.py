"""The source of a module, written back from the database, declares the same tables again."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from tests.conformance.structure.tables import lineage_rows, table_class
from tests.conformance.structure.test_declaration import COMMENTS, CORE, DEFAULTS
from tests.conformance.structure.test_references import declare_all

NewSchema = Callable[..., Schema]


def test_a_saved_module_declares_the_same_tables(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, tmp_path: Path
) -> None:
    schema, other = new_schema(), new_schema()
    names = declare_all(schema, dj)
    names["Top"] = other(table_class(dj, "Top", "top_id : int8"))
    lines = [f"a{i} : {type_}" for i, type_ in enumerate(CORE)]
    lines += [f"d{i} = {default} : {type_}" for i, (default, type_) in enumerate(DEFAULTS)]
    lines += [f"c{i} = null : int8 # {comment}" for i, comment in enumerate(COMMENTS)]
    lines += ['q = null : varchar(9) # """ \\""" \\" triple', "n = 5 : int", "index(d0, d1)"]
    parts = {
        "First": table_class(dj, "First", "-> master\nf : int8", "Part"),
        "Last": table_class(
            dj, "Last", "-> master.First\nl : int8\n---\n-> [nullable] Top.proj(u='top_id')", "Part"
        ),
    }
    names["Wide"] = schema(
        table_class(dj, "Wide", "# wide\n-> Top\n---\n" + "\n".join(lines), "Imported", **parts),
        context=names,
    )
    names["After"] = schema(table_class(dj, "After", "-> Wide.Last", "Lookup"), context=names)
    names["Only"] = schema(table_class(dj, "Only", "---\nx : int8"))
    before = {t.table_name: t.info for t in schema}
    lineage = lineage_rows(connection, schema.name)
    path = tmp_path / "lab.py"
    source = schema.save(path)
    assert path.read_text() == source == schema.save()
    with pytest.raises(DataJointError, match="not overwritten"):
        schema.save(path)
    for name in reversed(schema.list_tables()):
        schema[name].drop_quick()
    assert schema.list_tables() == []
    module: dict[str, Any] = {"__name__": "lab"}
    exec(compile(path.read_text(), str(path), "exec"), module)
    with connection.clone() as reader:
        after = reader.catalog.schema(schema.name).tables
        assert {n: i for n, i in after.items() if n != "~lineage"} == before
    assert lineage_rows(connection, schema.name) == lineage
    assert issubclass(module["Wide"], dj.Imported)
    assert issubclass(module["Wide"].Last, dj.Part)
    assert issubclass(module["After"], dj.Lookup)
    # servers tell the second in which a table was made, so that the order of others is free
    blocks = [sorted(map(str.strip, text.split("@schema"))) for text in (module["schema"].save(), source)]
    assert blocks[0] == blocks[1]


def test_a_table_that_no_class_name_gives_is_named_in_the_source(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    schema = new_schema()
    schema(table_class(dj, "Good", "k : int8"))
    connection.query(f"CREATE TABLE {schema.name}.session_2 (k integer NOT NULL PRIMARY KEY)")
    connection.query(f"CREATE VIEW {schema.name}.seen AS SELECT k FROM {schema.name}.good")
    with caplog.at_level(logging.WARNING, "datajoint.schema"):
        source = schema.save()
    assert "class Good(dj.Manual)" in source
    assert "# No class declares the table 'session_2'; schema['session_2'] is it." in source
    assert "# No class declares the table 'seen'" in source
    assert "class Seen" not in source
    assert schema["seen"].heading.comment == ""  # MySQL and MariaDB have a word of their own there
    assert "Session2" not in source
    assert "session_2" in caplog.text


def test_names_of_schemas_become_names_of_python(
    connection: Connection, new_schema_name: Callable[[], str], new_schema: NewSchema, dj: ModuleType
) -> None:
    odd = Schema(new_schema_name() + "-odd", connection=connection)
    plain = new_schema()
    try:
        top = odd(table_class(dj, "Top", "t : int8"))
        child = plain(table_class(dj, "Child", "-> Top\nc : int8"), context={"Top": top})
        name = odd.name.replace("-", "_")
        assert child.describe() == f"-> {name}.Top\nc : int8"
        assert f"{name} = dj.VirtualModule('{name}', '{odd.name}')" in plain.save()
        before = child().info
        source = plain.save()
        child.drop(prompt=False)
        exec(source, {"__name__": "plain"})
        connection.catalog.forget()
        assert plain["Child"].info == before
        plain.drop(prompt=False)
    finally:
        odd.drop(prompt=False)


def test_a_module_file_of_ours_is_a_diagram_and_a_virtual_module_too(
    connection: Connection,
    new_schema: NewSchema,
    dj: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schema = new_schema()
    schema(
        table_class(dj, "Session", "s : int8", Trial=table_class(dj, "Trial", "-> master\nt : int8", "Part"))
    )
    module_name = f"saved_{schema.name}"
    schema.save(tmp_path / f"{module_name}.py")
    monkeypatch.syspath_prepend(tmp_path)
    lab = __import__(module_name)
    try:
        assert len(dj.Diagram(lab)) == 2
        lab.Session.insert1((1,))
        lab.Session.Trial.insert1((1, 2))
        assert [len(t) for t in dj.virtual_schema(schema.name)] == [1, 1]
    finally:
        del sys.modules[module_name]
