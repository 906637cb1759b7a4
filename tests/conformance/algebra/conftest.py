"""The laboratory of `tests/support/lab.py`, once a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lab import Lab, connect, make_lab
from tests.support.servers import ServerUnderTest


@pytest.fixture(scope="package")
def lab(server: ServerUnderTest) -> Iterator[Lab]:
    """Return declared and filled tables, for tests that only read them."""
    with connect(server) as connection:
        lab = make_lab(connection)
        yield lab
        lab.schema.drop(prompt=False)
