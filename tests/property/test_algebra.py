"""SQL gives what the rules give: rows, primary key and order of attributes, on every server."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from datajoint import DataJointError
from tests.property.expressions import DEFINITIONS, Refused, expression, fill
from tests.support.lab import Lab, connect, make_lab
from tests.support.servers import ServerUnderTest

# More, and others each time, with DJ_TEST_EXAMPLES=5000.
_N_EXAMPLES = os.environ.get("DJ_TEST_EXAMPLES")


@pytest.fixture(scope="module")
def lab(server: ServerUnderTest) -> Iterator[Lab]:
    with connect(server) as connection:
        lab = make_lab(connection, DEFINITIONS)
        fill(lab)
        yield lab
        lab.schema.drop(prompt=False)


def _counted(rows: list[dict[str, Any]]) -> Counter[Any]:
    return Counter(tuple(sorted(row.items())) for row in rows)


@settings(
    max_examples=int(_N_EXAMPLES or 150),
    derandomize=_N_EXAMPLES is None,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_query_gives_the_rows_key_and_attributes_of_the_reference(lab: Lab, data: st.DataObject) -> None:
    try:
        both = expression(lab, data.draw, data.draw(st.integers(1, 4)))
    except Refused as refused:
        note(str(refused))
        with pytest.raises(DataJointError):
            refused.make_query()
        return
    note(both.text)
    note(both.query.make_sql())
    assert both.query.heading.names == both.relation.names
    assert both.query.primary_key == both.relation.key
    rows, expected = both.query.to_dicts(), list(both.relation.rows)
    assert _counted(rows) == _counted(expected)
    assert len(both.query) == len(expected)
    assert bool(both.query) == bool(expected)
    if both.is_ordered:
        assert rows == expected
