"""Transactions and savepoints as context managers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dj_schema.errors import LostConnectionError

if TYPE_CHECKING:
    from dj_schema.connection import Connection


class TransactionState:
    """Whether a transaction is open on a connection, how deep, and whether it may be ended by hand."""

    __slots__ = ("depth", "is_guarded", "is_open", "thread_id")

    def __init__(self) -> None:
        self.reset()

    def open(self, thread_id: int) -> None:
        self.is_open = True
        self.thread_id = thread_id

    def reset(self) -> None:
        self.is_open = False
        self.thread_id = 0
        self.depth = 0
        self.is_guarded = False


@contextmanager
def transaction(
    connection: Connection, *, join: bool = False, guarded: bool = False, isolation: str | None = None
) -> Iterator[Connection]:
    """Commit at the end of the block, roll back where it raises.

    Parameters
    ----------
    join : bool
        Inside a transaction, be part of it; without this, open a savepoint.
    isolation : str, optional
        Another isolation level than the session's, for a transaction that is opened here.
    guarded : bool
        Refuse `commit_transaction` and `cancel_transaction` inside the block.
    """
    state = connection.transaction_state
    if not connection.in_transaction:
        connection.start_transaction(isolation)
        state = connection.transaction_state  # a fork may have made another one
        state.is_guarded = guarded
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:
                _roll_back(connection)
            raise
        connection.finish_transaction("COMMIT")
    elif join:
        yield connection
    else:
        yield from _savepoint(connection)


def _roll_back(connection: Connection) -> None:
    """Roll back; where the connection is gone the server has done it, and the first error is the one to see."""
    try:
        connection.finish_transaction("ROLLBACK")
    except LostConnectionError:
        return


def _savepoint(connection: Connection) -> Iterator[Connection]:
    state = connection.transaction_state
    state.depth += 1
    name = f"dj_savepoint_{state.depth}"
    connection.run(f"SAVEPOINT {name}")
    try:
        yield connection
    except BaseException:
        if connection.in_transaction:
            connection.run(f"ROLLBACK TO SAVEPOINT {name}")
        raise
    else:
        connection.run(f"RELEASE SAVEPOINT {name}")
    finally:
        state.depth = max(0, state.depth - 1)
