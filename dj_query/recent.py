"""What was derived lately from headings: an expression in a loop has the same ones again and again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from dj_schema.heading import Heading

T = TypeVar("T")


class Recent(Generic[T]):
    """Values by the identity of headings and what else they depend on; forgets all when it is full.

    An entry holds its headings, so that no other gets their identity. Threads may share one: at worst
    two of them make the same value.
    """

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._entries: dict[Hashable, tuple[tuple[Heading, ...], T]] = {}

    def get(self, headings: tuple[Heading, ...], others: Hashable, make: Callable[[], T]) -> T:
        """Return the value, made now where there is none; what `make` raises is not kept."""
        key = (*map(id, headings), others)
        entry = self._entries.get(key)
        if entry is None:
            entry = (headings, make())
            if len(self._entries) >= self._size:
                self._entries.clear()
            self._entries[key] = entry
        return entry[1]
