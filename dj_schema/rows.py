"""The rows that a statement of the user's own gave."""

from __future__ import annotations

from typing import Any


class Rows(list[Any]):
    """The rows of a query: a list that is also read as a cursor is."""

    def fetchall(self) -> list[Any]:
        """Take out all rows that are left."""
        taken = list(self)
        self.clear()
        return taken

    def fetchone(self) -> Any:
        """Take out the next row; None where none is left."""
        return self.pop(0) if self else None
