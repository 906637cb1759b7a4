"""Whether a COMMIT without an answer was carried out, where no job tells: for a `populate` without jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dj_jobs.keys import is_there
from dj_schema.errors import LostConnectionError

if TYPE_CHECKING:
    from dj_query.table import Table

_LONGEST_S = 10.0  # that a server takes to end what is left of a session
_PAUSE_S = 0.05


class Doubt:
    """What is known of one transaction from within it, for who loses the answer to its COMMIT.

    Attributes
    ----------
    is_at_end : bool
        It came to its COMMIT, and there is something to ask for.
    """

    def __init__(self, table: Table, key: Mapping[str, Any]) -> None:
        self._table = table
        self._key = dict(key)
        self._id: str | None = None
        self.has_rows = self.is_at_end = False

    def reaches_end(self, *, has_rows: bool) -> None:
        """Take note that COMMIT comes next, and whether the row of the key is in it."""
        connection = self._table.connection
        statement = connection.dialect.jobs.TRANSACTION_ID
        if statement is not None:
            self._id = connection.execute(statement).rows[0][0]
        self.has_rows = has_rows
        self.is_at_end = has_rows or self._id is not None

    def was_committed(self) -> bool:
        """Whether it was; asked on a new session.

        Raises
        ------
        LostConnectionError
            Where nothing tells. PostgreSQL knows what became of a transaction by its number. Elsewhere,
            what is not there was not committed, but what is may be of another program.
        """
        connection = self._table.connection
        if self._id is None:
            if is_there(self._table, self._key):
                raise LostConnectionError(self._text("and this server does not tell whose rows they are"))
            return False
        give_up = time.monotonic() + _LONGEST_S
        while (end := connection.dialect.jobs.transaction_end(connection.execute, self._id)) is None:
            if time.monotonic() > give_up:
                raise LostConnectionError(self._text("and its transaction has not ended yet"))
            time.sleep(_PAUSE_S)
        return bool(end)

    def _text(self, why: str) -> str:
        return (
            f"the connection was lost while {self._key} of {self._table.full_table_name} was committed, "
            f"{why}. Look at its rows; with reserve_jobs=True the job would tell."
        )
