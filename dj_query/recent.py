"""What was derived lately from headings or columns: an expression in a loop has the same again and again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Values by the identity of objects and what else they depend on; forgets all when it is full.

    An entry holds its objects, which never change, so that no other gets their identity. Threads may
    share one: at worst two of them make the same value.
    """

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._entries: dict[Hashable, tuple[tuple[object, ...], T]] = {}

    def get(self, objects: tuple[object, ...], others: Hashable, make: Callable[[], T]) -> T:
        """Return the value, made now where there is none; what `make` raises is not kept."""
        key = (*map(id, objects), others)
        entry = self._entries.get(key)
        if entry is None:
            entry = (objects, make())
            if len(self._entries) >= self._size:
                self._entries.clear()
            self._entries[key] = entry
        return entry[1]
