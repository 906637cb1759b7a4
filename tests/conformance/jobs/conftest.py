"""A small pipeline whose computed table each test completes with a `make` of its own."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Declare = Callable[..., Any]


@pytest.fixture
def source(dj: ModuleType, new_schema: Callable[..., Any]) -> Any:
    """Return a table of six rows, `Source`, whose class knows its schema."""
    schema = new_schema()

    @schema
    class Source(dj.Manual):  # type: ignore[name-defined,misc]
        definition = """
        id : int32
        ---
        x = 0 : int32
        """

    Source.insert([{"id": i, "x": 10 * i} for i in range(6)])
    return Source


@pytest.fixture
def declare(dj: ModuleType, source: Any) -> Declare:
    """Return what declares a computed table of `Source` with the members given to it."""

    def declare(name: str = "Result", base: type | None = None, **members: Any) -> Any:
        definition = """
        -> Source
        ---
        y = 0 : int64
        """
        bases = (base, dj.Computed) if base else (dj.Computed,)
        kind = type(dj.Computed)
        cls = kind(
            name, bases, {"definition": definition, "__qualname__": name, "__module__": __name__, **members}
        )
        return source._schema(cls, context={"Source": source})

    return declare


@pytest.fixture
def result(declare: Declare, source: Any) -> Any:
    """Return a computed table that adds one."""

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "y": (source & key).fetch1("x") + 1})

    return declare(make=make)
