"""One session to a server: opened when it is needed, replaced when it breaks, left to the parent by a fork.

Threads take turns; what goes through a session is in `statements.py`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from dj_schema.dialects import open_dialect
from dj_schema.dialects.base import Dialect, Session
from dj_schema.errors import (
    DataJointError,
    DeadlockError,
    FailedTransactionError,
    LockTimeoutError,
    LostConnectionError,
    MakeError,
    PassedOverDeadlockError,
    TransactionError,
)
from dj_schema.table_info import TableName
from dj_schema.transaction import TransactionState
from dj_schema.turn import Turn

if TYPE_CHECKING:
    from dj_schema.server_address import ConnectionSettings

log = logging.getLogger("datajoint.connection")

T = TypeVar("T")
_IN_TRANSACTION = "Its transaction was rolled back; run the whole of it again."
_OUTSIDE = "Whether the statement was carried out is not known: look before you repeat it."
_FAILED = (
    "a statement of this block failed, its error was passed over, and PostgreSQL undoes all of the block; "
    "let the error leave it, or put what may fail into `with connection.transaction:`"
)
_IN_MAKE = (
    "a make runs on this connection, which is needed to its end and for the keys after it; remove close() "
    "from make, or close a connection of its own: self.connection.clone()"
)
_IN_HANDLER = (
    "a statement runs on this connection, amid which the handler of a signal can send no other; let it set "
    "something that is looked at later, or use a connection of its own: connection.clone()"
)
DOOMED = (
    "the server rolled this transaction back, for a deadlock or a lock that was not granted, so nothing more "
    "can be done in it; let the error leave the block, and run the whole block again"
)
_STALE_AFTER_S = 30.0  # an idle session is asked whether it lives before a statement that cannot be repeated


def _ask(session: Session) -> None:
    session.execute("SELECT 1", None)


def _copy_in(text: str, columns: Sequence[Sequence[Any]], session: Session) -> None:
    session.copy_in(text, columns)


class LiveSession:
    """The session of a connection, with the transaction that is open in it and the thread that it is of."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self.settings = settings
        self._open: Callable[[], tuple[Dialect, Session]] = open_dialect(settings)
        self._dialect: Dialect | None = None
        self._session: Session | None = None
        self._pid = os.getpid()
        self._turn = Turn()
        self._last_use = 0.0
        self._closed = False
        self.makes: set[int] = set()  # threads in a make that runs on it: for the job pipeline
        self._broken_blocks: set[int] = set()  # threads in a `with` block whose transaction is gone
        self.transaction_state = TransactionState()
        self.n_statements = 0

    # -- life --------------------------------------------------------------------------------------

    @property
    def dialect(self) -> Dialect:
        if self._dialect is None:
            self.session()
        assert self._dialect is not None
        return self._dialect

    def session(self, reconnect: bool | None = None) -> Session:
        """Return the live session of this process, opening one where there is none.

        Parameters
        ----------
        reconnect : bool, optional
            Whether one that broke is replaced; by default as the setting `database.reconnect` says.

        Raises
        ------
        LostConnectionError
            Where the session broke inside a transaction, which is gone with it; where the connection was
            closed; and where it broke and may not be replaced.
        """
        self._see_fork()
        return self._live_session(reconnect)

    def _live_session(self, reconnect: bool | None) -> Session:
        session = self._session
        if session is not None and session.is_open():
            return session
        taken = self._turn.take()
        try:
            return self._new_session(self.settings.reconnect if reconnect is None else reconnect)
        finally:
            if taken:
                self._turn.end()

    def _new_session(self, reconnect: bool) -> Session:
        if self._session is not None and self._session.is_open():
            return self._session  # another thread was faster
        if self._closed:
            raise LostConnectionError("this connection was closed; connect() opens it again")
        if self.transaction_state.is_open:
            self._lose_session()
            raise LostConnectionError(f"the connection was lost. {_IN_TRANSACTION}")
        if self._session is not None and not reconnect:
            raise LostConnectionError(
                "the connection was lost, and database.reconnect is off; connect() opens it again"
            )
        self._dialect, self._session = self._open()
        self._last_use = time.monotonic()
        log.debug("connected to %s", self)
        return self._session

    def _see_fork(self) -> None:
        """In a forked child, leave the parent's session alone, and its locks and transaction too."""
        if self._pid == os.getpid():
            return
        if self._session is not None:
            self._session.abandon()
        self._session = None
        self._pid = os.getpid()
        self._turn = Turn()
        self._broken_blocks = set()
        self.makes = set()
        self.transaction_state = TransactionState()

    def connect(self) -> Self:
        """Open the session now, rather than at the first statement; also again after `close`."""
        self._see_fork()
        self._closed = False
        if self._session is not None and not self._session.is_open():
            self._lose_session()
            self._session = None
        self.session()
        return self

    def close(self) -> None:
        """Close the session; an open transaction is rolled back by the server.

        Raises
        ------
        MakeError
            Where a `make` runs on it, which needs it to its end; nothing is closed.
        """
        self._see_fork()
        if self.makes:
            raise MakeError(_IN_MAKE)
        self._closed = True
        self._lose_session()
        self._session = None

    @property
    def is_closed(self) -> bool:
        """Whether it was closed by `close`, and not opened again by `connect` since."""
        return self._closed

    @property
    def connection_id(self) -> int:
        """The server's number of this session; another one after a reconnect or a fork."""
        return self.session().id

    @property
    def session_id(self) -> int:
        """The number of the session that is open now, in any thread's hands; 0 where none is."""
        session = self._session
        return session.id if session is not None and self._pid == os.getpid() else 0

    @property
    def is_connected(self) -> bool:
        """Whether the server answers now."""
        self._see_fork()
        if self._closed or self._session is None:
            return False
        taken = self._turn.take()
        try:
            self._called(_ask, self._session)
            return True
        except DataJointError:
            return False
        finally:
            if taken:
                self._turn.end()

    # -- use ---------------------------------------------------------------------------------------

    def _exchange(
        self,
        call: Callable[[Session], T],
        is_read: bool,
        reconnect: bool | None = None,
        reads: TableName | None = None,
    ) -> T:
        """Let a session do something, in our turn; again on a new one where that is safe.

        Parameters
        ----------
        reads : TableName, optional
            All that it reads, where nothing else is read or written.
        """
        self._see_fork()
        had_turn = self._turn.is_mine  # asked before: an interruption may come between its start and our note
        try:
            self._turn.take()
            self.refuse_after_loss()
            session = self._ready_session(is_read, reconnect)
            self.n_statements += 1
            try:
                if self.transaction_state.waiting:
                    self._send_waiting(session, reads)
                return self._called(call, session)
            except LostConnectionError as e:
                was_open = self.transaction_state.is_cut_off = self.transaction_state.is_open
                self._lose_session()
                may_repeat = self.settings.reconnect if reconnect is None else reconnect
                if was_open or not is_read or not may_repeat:
                    raise LostConnectionError(f"{e}. {_IN_TRANSACTION if was_open else _OUTSIDE}") from e
                return self._called(call, self.session(reconnect))
            except DeadlockError:
                state = self.transaction_state
                state.has_deadlock = state.is_open
                state.is_doomed |= state.is_open and self.dialect.flags.deadlock_ends_transaction
                raise
            except FailedTransactionError as e:
                self.transaction_state.has_refused = True
                if self.transaction_state.has_deadlock:
                    raise self.passed_over() from e
                raise
            except LockTimeoutError:
                state = self.transaction_state
                state.is_doomed |= state.is_open and not session.in_transaction
                raise
        finally:
            if not had_turn and self._turn.is_mine:
                self._turn.end()

    def _called(self, call: Callable[[Session], T], session: Session) -> T:
        """Let a session do something; end it where an interruption leaves an answer behind.

        The next statement would be given that one's rows. An interruption need not be Ctrl-C: the handler of
        a signal may raise whatever it likes, as those of timeouts do.
        """
        if session.is_waiting:
            raise DataJointError(_IN_HANDLER)
        try:
            return call(session)
        except BaseException as e:
            # an error of ours may be the handler's, about another connection
            is_lost = isinstance(e, LostConnectionError) and not session.is_open()
            if not is_lost and (not isinstance(e, Exception) or not session.is_in_step):
                session.abort()
                self._lose_session()
            raise

    def _send_waiting(self, session: Session, reads: TableName | None) -> None:
        """Send the rows that wait in the open transaction, before a statement that could see them."""
        state = self.transaction_state
        if not state.waiting or not state.waiting.are_seen_in(reads):
            return
        try:
            for text, columns in state.waiting.taken():
                self.n_statements += 1
                self._called(partial(_copy_in, text, columns), session)
        except BaseException:
            state.is_doomed = True  # also for who passes over an error that another's row made
            raise

    def _ready_session(self, is_read: bool, reconnect: bool | None) -> Session:
        session = self._live_session(reconnect)
        state = self.transaction_state
        if state.is_doomed and state.is_open:
            raise PassedOverDeadlockError(DOOMED)
        now = time.monotonic()
        if not is_read and now - self._last_use > _STALE_AFTER_S and not state.is_open:
            try:
                self._called(_ask, session)
            except LostConnectionError:
                self._lose_session()
                session = self.session(reconnect)
        self._last_use = now
        return session

    def _lose_session(self) -> None:
        """The session is broken or not wanted any more: its transaction has ended, and the next may begin."""
        if self._session is not None:
            self._session.close()
        state = self.transaction_state
        if state.is_open:
            state.is_lost = True
            if state.is_block:
                self._broken_blocks.add(state.thread_id)
            self._forget_transaction()

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a transaction open here."""
        self._see_fork()
        state = self.transaction_state
        return state.is_open and state.thread_id == threading.get_ident()

    @property
    def is_failed(self) -> bool:
        """Whether a statement failed in the open transaction, and the server does nothing more in it."""
        return self._session is not None and self._session.is_failed

    def passed_over(self) -> TransactionError:
        """Return what to raise where the open transaction was undone for an error that was passed over."""
        if self.transaction_state.has_deadlock:
            return PassedOverDeadlockError(DOOMED)
        return FailedTransactionError(_FAILED)

    def refuse_after_loss(self) -> None:
        """Raise LostConnectionError in a `with` block of this thread whose transaction is gone."""
        if self._broken_blocks and threading.get_ident() in self._broken_blocks:
            raise LostConnectionError(f"the connection was lost in this transaction. {_IN_TRANSACTION}")

    def leave_block(self) -> None:
        """The outermost `with` block of this thread has ended, whatever became of its transaction."""
        self._broken_blocks.discard(threading.get_ident())

    def _forget_transaction(self) -> None:
        """Let the next thread in, once the transaction has ended in whatever way."""
        if self.transaction_state.is_open:
            self.transaction_state = TransactionState()
            self._turn.end()
