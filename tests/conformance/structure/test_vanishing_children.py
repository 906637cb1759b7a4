"""Somebody drops tables that refer to ours, while we look at what refers to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.sql import Ident, join, sql
from tests.conformance.structure.tables import table_class
from tests.support.sessions import is_waiting_for_table

NewSchema = Callable[..., Schema]


@contextmanager
def dropping(connection: Connection, schema: str, tables: Sequence[str]) -> Iterator[Callable[[], None]]:
    """Let nobody read the lineage of a schema; yield what drops its tables before any who wait for that."""
    lineage = Ident(schema, "~lineage")
    drop = sql("DROP TABLE {}", join(", ", (lineage, *(Ident(schema, table) for table in tables))))
    if connection.dialect.name == "postgresql":
        with connection.transaction:
            connection.execute(sql("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", lineage))
            yield lambda: connection.script([drop])
        return
    connection.execute(sql("LOCK TABLES {} WRITE", lineage))
    with connection.clone() as dropper, ThreadPoolExecutor(1) as pool:
        session = dropper.connection_id
        dropped: list[Future[None]] = []

        def begin_to_drop() -> None:
            """These servers let who is to drop a table in before those who wait to read it."""
            dropped.append(pool.submit(dropper.script, [drop]))
            while not is_waiting_for_table(connection, session):
                assert not dropped[0].done(), dropped[0].result()

        try:
            yield begin_to_drop
        finally:
            connection.query("UNLOCK TABLES")
        for one in dropped:
            one.result()


LOOKS: dict[str, Callable[[Any], Any]] = {
    "children": lambda parent: parent.children(),
    "descendants": lambda parent: [t.table_name for t in parent.descendants(as_objects=True)],
    "delete": lambda parent: (parent & "p = 1").delete(prompt=False),
}
WITHOUT: dict[str, Any] = {"children": [], "descendants": ["parent"], "delete": 1}


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_dropped_meanwhile_by_others_is_not_there(
    connection: Connection, new_schema: NewSchema, dj: ModuleType, look: str
) -> None:
    ours = new_schema()
    parent = ours(table_class(dj, "Parent", "p : int32"))
    parent.insert([(1,), (2,)])
    with connection.clone() as other, connection.clone() as observer, ThreadPoolExecutor(1) as pool:
        theirs = Schema(new_schema().name, connection=other)
        theirs(table_class(dj, "Child", "-> Parent"), context={"Parent": parent})
        session = connection.connection_id
        connection.catalog.forget()
        assert len(parent()) == 2  # so that our own schema is known
        with dropping(other, theirs.name, ["child"]) as drop:
            seen = pool.submit(LOOKS[look], parent())
            while not is_waiting_for_table(observer, session):
                assert not seen.done(), seen.result()
            drop()
        assert seen.result() == WITHOUT[look]
    assert len(parent()) == (1 if look == "delete" else 2)
