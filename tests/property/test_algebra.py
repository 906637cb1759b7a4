"""SQL gives what the rules give: rows, primary key, order and types of attributes, on every server."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from datajoint import DataJointError
from tests.property.expressions import Both, Place, Refused, expression
from tests.property.worlds import make_world
from tests.support.lab import connect, make_lab
from tests.support.servers import ServerUnderTest

# More, and others each time, with DJ_TEST_EXAMPLES=5000; other schemas with DJ_TEST_WORLD=100.
_N_EXAMPLES = os.environ.get("DJ_TEST_EXAMPLES")
_FIRST_WORLD = int(os.environ.get("DJ_TEST_WORLD", "0"))
WORLDS = range(_FIRST_WORLD, _FIRST_WORLD + 8)
CLASSES = {
    "int": int, "string": str, "bool": bool, "date": dt.date, "decimal": Decimal, "float": float,
    "uuid": UUID, "datetime": dt.datetime,
}  # fmt: skip


@pytest.fixture(scope="module")
def place_of(server: ServerUnderTest) -> Iterator[Callable[[int], Place]]:
    """Return what declares and fills a random schema, each once."""
    places: dict[int, Place] = {}
    with connect(server) as connection:

        def place(number: int) -> Place:
            if number not in places:
                tables = make_world(number)
                lab = make_lab(connection, {t.name: t.definition for t in tables})
                for table in tables:
                    getattr(lab, table.name).insert(table.rows)
                places[number] = Place(lab, tables)
            return places[number]

        yield place
        for made in places.values():
            made.lab.schema.drop(prompt=False)


def _counted(rows: list[dict[str, Any]]) -> Counter[Any]:
    return Counter(tuple(sorted(row.items())) for row in rows)


def _check(both: Both) -> None:
    query, relation = both.query, both.relation
    assert query.heading.names == relation.names
    assert query.primary_key == relation.key
    assert {n: a.kind for n, a in query.heading.attributes.items()} == {
        c.name: c.kind for c in relation.columns
    }
    rows, expected = query.to_dicts(), list(relation.rows)
    assert _counted(rows) == _counted(expected)
    for column in relation.columns:
        classes = {type(row[column.name]) for row in rows} - {type(None)}
        assert classes <= {CLASSES[column.kind]}, column.name
        if any(row[column.name] is None for row in rows):
            assert query.heading[column.name].is_nullable, column.name
    assert len(query) == len(expected)
    assert bool(query) == bool(expected)
    if both.is_ordered:
        assert rows == expected


@pytest.mark.parametrize("number", WORLDS)
def test_query_gives_the_rows_key_and_attributes_of_the_reference(
    place_of: Callable[[int], Place], number: int
) -> None:
    @settings(
        max_examples=int(_N_EXAMPLES or 1200) // len(WORLDS),
        derandomize=_N_EXAMPLES is None,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def each(data: st.DataObject) -> None:
        try:
            both = expression(place_of(number), data.draw, data.draw(st.integers(1, 4)))
        except Refused as refused:
            note(str(refused))
            with pytest.raises(DataJointError):
                refused.make_query()
            return
        note(both.text)
        note(both.query.make_sql())
        _check(both)

    each()
