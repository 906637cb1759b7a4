"""Transactions and savepoints as context managers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dj_schema.errors import LostConnectionError, TransactionError
from dj_schema.waiting_rows import WaitingRows

if TYPE_CHECKING:
    from dj_schema.connection import Connection

LOST = "the connection was lost in this transaction: nothing of it was kept; run the whole block again"


@dataclass(eq=False, slots=True)
class TransactionState:
    """One transaction of a connection, or that there is none; a new one each time.

    Attributes
    ----------
    thread_id : int
        The thread that opened it: others wait until it ends.
    depth : int
        Savepoints that are open.
    is_guarded : bool
        It may not be ended by hand.
    saves_statements : bool
        It is the user's own: a statement that fails undoes itself alone, on PostgreSQL by a savepoint.
    is_block : bool
        A ``with`` block ends it, so that what comes in that block after a loss must not run on its own.
    has_undone : bool
        A block in it was rolled back.
    has_refused : bool
        PostgreSQL has refused a statement of it, for one before that had failed.
    has_deadlock : bool
        It is a deadlock that it has failed for, or is to be undone for.
    is_doomed : bool
        It can only be rolled back, or the server has done so already.
    is_cut_off : bool
        An error told that its connection was lost; an alarm that ends a session tells of itself.
    is_lost : bool
        It went with its connection.
    waiting : WaitingRows or None
        Rows that are sent with the next statement which could see them, where that is allowed.
    """

    is_open: bool = False
    thread_id: int = 0
    depth: int = 0
    is_guarded: bool = False
    saves_statements: bool = False
    is_block: bool = False
    has_undone: bool = False
    has_refused: bool = False
    has_deadlock: bool = False
    is_doomed: bool = False
    is_lost: bool = False
    is_cut_off: bool = False
    waiting: WaitingRows | None = None


@contextmanager
def transaction(
    connection: Connection,
    *,
    join: bool = False,
    guarded: bool = False,
    saves_statements: bool = False,
    isolation: str | None = None,
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
    saves_statements : bool
        A statement that fails in the block undoes itself alone, as it does on MySQL.
    """
    if not connection.in_transaction:
        yield from _whole(connection, guarded, saves_statements, isolation)
    elif join:
        yield connection
    else:
        with saving_statements(connection, saves_statements):
            yield from _savepoint(connection)


@contextmanager
def saving_statements(connection: Connection, is_wanted: bool) -> Iterator[None]:
    """Where it is wanted, let a statement that fails in this part of a transaction undo itself alone."""
    state = connection.transaction_state
    before, state.saves_statements = state.saves_statements, state.saves_statements or is_wanted
    try:
        yield
    finally:
        state.saves_statements = before


def _whole(
    connection: Connection, guarded: bool, saves_statements: bool, isolation: str | None
) -> Iterator[Connection]:
    connection.refuse_after_loss()  # here, as the block that is around this one goes on
    state: TransactionState | None = None
    try:
        connection.start_transaction(isolation)
        state = connection.transaction_state
        state.is_guarded = guarded
        state.saves_statements = saves_statements
        state.is_block = True
        yield connection
    except BaseException:
        if connection.owns(state or connection.transaction_state):  # begun just now, where it is not known
            _roll_back(connection)
        raise
    else:
        _require(connection, state)
        connection.finish_transaction("COMMIT")
    finally:
        connection.leave_block()


def _require(connection: Connection, state: TransactionState) -> None:
    """See that the transaction of a block is still the one that is open."""
    if connection.owns(state):
        return
    if state.is_lost:
        raise LostConnectionError(LOST)
    raise TransactionError(
        "this transaction did not last to the end of its block: it was committed or cancelled inside of it, "
        "or this process is a fork, and the transaction is its parent's"
    )


def _roll_back(connection: Connection) -> None:
    """Roll back; where the connection is gone the server has done it, and the first error is to be seen."""
    try:
        connection.finish_transaction("ROLLBACK")
    except LostConnectionError:
        return


def _savepoint(connection: Connection) -> Iterator[Connection]:
    state = connection.transaction_state
    if connection.is_failed:
        # the savepoint would be refused, and one of its name may be there, of a block before
        state.has_refused = True
        raise connection.passed_over()
    state.depth += 1
    name = f"dj_savepoint_{state.depth}"
    try:
        connection.defer(f"SAVEPOINT {name}")
        try:
            yield connection
            _require(connection, state)
            if connection.is_failed:
                raise connection.passed_over()
        except BaseException:
            state.has_undone = True
            if connection.owns(state) and not state.is_doomed:
                connection.run(f"ROLLBACK TO SAVEPOINT {name}")
                state.has_deadlock = False
            raise
        connection.defer(f"RELEASE SAVEPOINT {name}")
    finally:
        state.depth -= 1
