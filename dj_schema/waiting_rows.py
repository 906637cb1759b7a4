"""Rows of an open transaction that are sent later, many in one statement.

A short job on MySQL is a read and an insert, each a wait for the server. The rows of the jobs that share a
transaction can go in together, as long as nothing that would see them is asked meanwhile. Where the server
refuses one of them, the transaction is of no use any more: whose row it was shows when the jobs are run
again one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dj_schema.table_info import TableName

_MOST_BYTES = 4_000_000


class LaterInsert(NamedTuple):
    """An INSERT of some columns of a table.

    Attributes
    ----------
    text : str
        As `Session.copy_in` takes it.
    ancestors : frozenset of TableName
        What the table depends on: tables that another's rows cannot be seen in, as a view's can.
    """

    table: TableName
    text: str
    ancestors: frozenset[TableName]


class WaitingRows:
    """The rows of one transaction, by the statement that is to insert them, in the order of their first.

    Attributes
    ----------
    n_added, n_taken : int
        Rows that ever waited, and those of them that were taken out.
    """

    def __init__(self) -> None:
        self.n_added = self.n_taken = 0
        self._rows: dict[LaterInsert, list[Sequence[Any]]] = {}
        self._unseen_in: set[TableName] = set()
        self._n_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._rows)

    def have_room(self, insert: LaterInsert) -> bool:
        """Whether rows may be added: not too many, and none of a parent after those of its children."""
        return self._n_bytes <= _MOST_BYTES and (insert in self._rows or insert.table not in self._unseen_in)

    def add(self, insert: LaterInsert, rows: Sequence[Sequence[Any]]) -> None:
        """Keep rows for later: those of a parent first, as one job inserts them."""
        there = self._rows.setdefault(insert, [])
        if not there:
            self._unseen_in |= insert.ancestors
        there.extend(rows)
        self.n_added += len(rows)
        self._n_bytes += sum(len(v) for row in rows for v in row if isinstance(v, (str, bytes)))

    def are_seen_in(self, table: TableName | None) -> bool:
        """Whether a statement that reads this table alone could see the rows; None reads anything."""
        return table not in self._unseen_in or any(insert.table == table for insert in self._rows)

    def taken(self) -> Iterator[tuple[str, list[Sequence[Any]]]]:
        """Take all rows out, as texts with columns."""
        rows, self._rows, self._unseen_in, self._n_bytes = self._rows, {}, set(), 0
        self.n_taken = self.n_added
        for insert, of_insert in rows.items():
            yield insert.text, list(zip(*of_insert, strict=True))
