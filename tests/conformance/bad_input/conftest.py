"""A small pipeline with rows, and what sees that nothing of it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def lab(new_schema: Any, dj: Any, connection: Any) -> SimpleNamespace:
    """Declare tables with attributes of each sort, and fill them."""
    schema = new_schema()

    @schema
    class Person(dj.Manual):
        definition = """
        person : int32
        ---
        name : varchar(20)
        born = null : date
        weight = 1.5 : float64
        level = 'low' : enum('low', 'high')
        facts = null : json
        badge = null : uuid
        seen = null : datetime
        price = null : decimal(6,2)
        is_here = true : bool
        size = null : int8
        """

    @schema
    class Pet(dj.Manual):
        definition = """
        -> Person
        pet : int16
        ---
        data = null : <blob>
        raw = null : bytes
        """

        class Toy(dj.Part):
            definition = "-> master\ntoy : int8"

    @schema
    class Other(dj.Manual):
        definition = "other : int32\n---\nname : varchar(20)\nperson : int32"

    @schema
    class Sum(dj.Computed):
        definition = "-> Person\n---\ntotal : int32"

        def make(self, key: dict[str, Any]) -> None:
            self.insert1({**key, "total": 1})

    Person.insert([{"person": i, "name": f"n{i}", "facts": {"a": i}} for i in range(3)])
    Pet.insert([{"person": i, "pet": 0, "data": [i]} for i in range(2)])
    Pet.Toy.insert1({"person": 0, "pet": 0, "toy": 1})
    Other.insert1((1, "x", 1))
    return SimpleNamespace(
        Person=Person, Pet=Pet, Other=Other, Sum=Sum, schema=schema, connection=connection, dj=dj
    )


def contents_of(connection: Any, schema: str) -> dict[str, Any]:
    """Return columns and rows of every table of a schema, as the server has them."""
    quote = connection.dialect.quote
    columns = connection.query(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = %s ORDER BY 1, 2",
        [schema],
    )
    tables = sorted({table for table, _ in columns})
    rows = {
        t: sorted(map(repr, connection.query(f"SELECT * FROM {quote}{schema}{quote}.{quote}{t}{quote}")))
        for t in tables
    }
    return {"columns": list(columns), "rows": rows}


@pytest.fixture
def unchanged(lab: SimpleNamespace) -> Callable[[], Any]:
    """Return a context in which neither a table nor a row may change."""

    @contextmanager
    def context() -> Iterator[None]:
        before = contents_of(lab.connection, lab.schema.database)
        yield
        assert contents_of(lab.connection, lab.schema.database) == before

    return context
