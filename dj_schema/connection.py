"""A connection: one session to a server, replaced when it breaks, never shared with a forked child.

What is sent is a composed `Sql` or a text with values. Transactions are in `transaction.py`.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from dj_schema.catalog import Catalog
from dj_schema.dialects import open_dialect
from dj_schema.dialects.base import Dialect, Result, Row, Session
from dj_schema.errors import (
    DataJointError,
    DeadlockError,
    LostConnectionError,
    QueryError,
    TransactionError,
)
from dj_schema.rows import Rows
from dj_schema.sql import Sql, Statement, render
from dj_schema.transaction import TransactionState, transaction
from dj_schema.turn import Turn

if TYPE_CHECKING:
    from dj_schema.server_address import ConnectionSettings
    from dj_schema.settings import Config

log = logging.getLogger("datajoint.connection")

T = TypeVar("T")
_IN_TRANSACTION = "Its transaction was rolled back; run the whole of it again."
_OUTSIDE = "Whether the statement was carried out is not known: look before you repeat it."
_DOOMED = (
    "the server rolled this transaction back to end a deadlock, so nothing more can be done in it; "
    "let the error leave the block, and run the whole block again"
)
_STALE_AFTER_S = 30.0  # an idle session is asked whether it lives before a statement that cannot be repeated


_NOISE = re.compile(
    r"(?:[\s(;]+|--[^\n]*(?:\n|$)|\#[^\n]*(?:\n|$)|/\*!?\d*(?=[^*])|/\*(?!!).*?\*/|\*/)*", re.S
)


def first_words(query: str) -> tuple[str, str]:
    """Return the first two keywords of a statement in capitals, whatever comments stand before them."""
    rest = query[_NOISE.match(query).end() :]  # type: ignore[union-attr]
    first, second, *_ = (*re.split(r"[^A-Za-z]+", rest, maxsplit=2), "", "")
    return first.upper(), second.upper()


class Connection(AbstractContextManager["Connection"]):
    """A connection to one server.

    Opened at the first statement. Threads may share it: one statement at a time, and a transaction
    belongs to the thread that opened it until it ends. A forked child gets a session of its own.

    Parameters
    ----------
    settings : ConnectionSettings
        Where the server is and how to reach it.
    config : Config
        The settings that tables on this connection follow.
    """

    def __init__(self, settings: ConnectionSettings, config: Config) -> None:
        self.settings = settings
        self.config = config
        self._open: Callable[[], tuple[Dialect, Session]] = open_dialect(settings)
        self._dialect: Dialect | None = None
        self._session: Session | None = None
        self._pid = os.getpid()
        self._turn = Turn()
        self._last_use = 0.0
        self._closed = False
        self._broken_blocks: set[int] = set()  # threads in a `with` block whose transaction is gone
        self.transaction_state = TransactionState()
        self.catalog = Catalog(self)
        self.n_statements = 0
        self.clock_offset_s = 0.0  # of the clock of jobs, for tests that move it

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
        self.transaction_state = TransactionState()

    def connect(self) -> Connection:
        """Open the session now, rather than at the first statement; also again after `close`."""
        self._see_fork()
        self._closed = False
        if self._session is not None and not self._session.is_open():
            self._lose_session()
            self._session = None
        self.session()
        return self

    def close(self) -> None:
        """Close the session; an open transaction is rolled back by the server."""
        self._see_fork()
        self._closed = True
        self._lose_session()
        self._session = None

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __enter__(self) -> Connection:
        return self

    def clone(self) -> Connection:
        """Return another connection to the same server, with a session of its own."""
        other = Connection(self.settings, self.config)
        other.clock_offset_s = self.clock_offset_s
        return other

    @contextmanager
    def borrowing(
        self, other: Connection, wrapped: Callable[[Session], Session] = lambda session: session
    ) -> Iterator[None]:
        """Use the session of another connection, in the transaction that this thread has opened there.

        Parameters
        ----------
        wrapped : callable
            Returns what is to stand for that session meanwhile.
        """
        taken = self._turn.take()
        lent = other.session()
        own, self._session = self._session, wrapped(lent)
        state, self.transaction_state = self.transaction_state, other.transaction_state
        try:
            yield
        finally:
            if not self.transaction_state.is_open:  # it was lost on the way
                other.transaction_state = TransactionState()
                self.leave_block()
            self._session, self.transaction_state = own, state
            if taken and self._turn.is_mine:
                self._turn.end()

    # What a child process is given: where the server is, never the socket.
    def __reduce__(self) -> tuple[Any, ...]:
        return Connection, (self.settings, self.config)

    @property
    def host(self) -> str | None:
        return self.settings.host

    @property
    def port(self) -> int | None:
        return self.settings.port

    @property
    def user(self) -> str | None:
        return self.settings.user

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
            self._session.execute("SELECT 1", None)
            return True
        except DataJointError:
            return False
        finally:
            if taken:
                self._turn.end()

    def ping(self) -> None:
        """Ask the server for an answer, reconnecting outside a transaction.

        Raises
        ------
        LostConnectionError, ConnectionRefusedByServerError
            Where there is none.
        """
        self.run("SELECT 1", is_read=True)

    def __repr__(self) -> str:
        s = self.settings
        where = "embedded PostgreSQL" if s.backend == "embedded" else f"{s.user}@{s.host}:{s.port}"
        state = (
            "closed" if self._closed else "connected" if self._session is not None else "not connected yet"
        )
        return f"DataJoint connection ({state}) {where}"

    # -- statements --------------------------------------------------------------------------------

    def render(self, statement: Sql) -> Statement:
        return render(statement, self.dialect.quote)

    def execute(self, statement: Sql, *, is_read: bool = False) -> Result:
        """Send a composed statement. `is_read` says that it may be sent again after a lost connection."""
        text, params = self.render(statement)
        return self.run(text, params, is_read=is_read)

    def run(
        self,
        text: str,
        params: Sequence[Any] | None = None,
        *,
        is_read: bool = False,
        reconnect: bool | None = None,
    ) -> Result:
        """Send a text whose identifiers are quoted already; values are bound by the driver."""
        return self._exchange(lambda session: session.execute(text, params), is_read, reconnect)

    def script(self, statements: Sequence[Sql]) -> None:
        """Send statements without values, in one go where the server takes several: declarations.

        Raises
        ------
        TransactionError
            Inside a transaction, on a server that would commit it first.
        """
        if self.in_transaction and not self.dialect.flags.has_transactional_ddl:
            raise TransactionError(
                "no table or schema can be made or dropped inside a transaction: the server would commit it "
                "first. Do that before it starts."
            )
        texts = [self.render(s).text for s in statements]
        self._exchange(lambda session: session.script(texts), False)

    def defer(self, text: str) -> None:
        """Send what a transaction needs for itself, where it costs no wait of its own."""
        self._exchange(lambda session: session.defer(text), False)

    def _exchange(self, call: Callable[[Session], T], is_read: bool, reconnect: bool | None = None) -> T:
        """Let a session do something, in our turn; again on a new one where that is safe."""
        self._see_fork()
        taken = self._turn.take()
        try:
            if self._broken_blocks and threading.get_ident() in self._broken_blocks:
                raise LostConnectionError(f"the connection was lost in this transaction. {_IN_TRANSACTION}")
            session = self._ready_session(is_read, reconnect)
            self.n_statements += 1
            try:
                return call(session)
            except LostConnectionError as e:
                was_open = self.transaction_state.is_open
                self._lose_session()
                may_repeat = self.settings.reconnect if reconnect is None else reconnect
                if was_open or not is_read or not may_repeat:
                    raise LostConnectionError(f"{e}. {_IN_TRANSACTION if was_open else _OUTSIDE}") from e
                return call(self.session(reconnect))
            except DeadlockError:
                state = self.transaction_state
                state.is_doomed = state.is_open and self.dialect.flags.deadlock_ends_transaction
                raise
            except Exception:
                raise
            except BaseException:
                self._lose_session()  # interrupted in the middle of an exchange: nobody knows where it is
                raise
        finally:
            if taken and self._turn.is_mine:
                self._turn.end()

    def _ready_session(self, is_read: bool, reconnect: bool | None) -> Session:
        session = self._live_session(reconnect)
        state = self.transaction_state
        if state.is_doomed and state.is_open:
            raise TransactionError(_DOOMED)
        now = time.monotonic()
        if not is_read and now - self._last_use > _STALE_AFTER_S and not state.is_open:
            try:
                session.execute("SELECT 1", None)
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

    def query(
        self,
        query: str,
        args: Sequence[Any] | None = None,
        *,
        as_dict: bool = False,
        reconnect: bool | None = None,
    ) -> Any:
        """Send SQL of your own, in the server's dialect; values for ``%s`` go into `args`.

        Parameters
        ----------
        reconnect : bool, optional
            Whether a connection that was lost is opened again; by default as `database.reconnect` says.
            Only a statement that reads is sent again.

        Returns
        -------
        Rows
            A list of tuples, or of dicts with `as_dict`; empty for a statement that returns none.
        """
        verb, kind = first_words(query)
        is_guarded = self.in_transaction and self.transaction_state.is_guarded
        if is_guarded and verb in self.dialect.flags.transaction_verbs and kind != "TEMPORARY":
            raise TransactionError(
                f"{verb} is not for a make: its transaction ends when it returns or raises. For a part that "
                "may be undone by itself, use `with connection.transaction:`."
            )
        result = self.run(query, args, is_read=verb in ("SELECT", "SHOW"), reconnect=reconnect)
        if is_guarded and not self.session().in_transaction:
            self._lose_session()  # nothing more may run in what is left of this block
            raise TransactionError(
                f"{verb} ended the transaction of the make that it ran in; remove it from make"
            )
        if as_dict:
            return Rows(dict(zip(result.columns, row, strict=True)) for row in result.rows)
        return Rows(result.rows)

    def stream_text(self, text: str, params: Sequence[Any], batch_rows: int = 10_000) -> Iterator[list[Row]]:
        """Yield the rows of a SELECT in batches, with constant memory here.

        Raises
        ------
        LostConnectionError
            Also outside a transaction: what was yielded cannot be taken back.
        """
        in_transaction = self.in_transaction
        pid = self._pid
        batches = self._exchange(lambda s: s.stream(text, params, batch_rows, in_transaction), True)

        def next_batch(_: Session) -> list[Row] | None:
            if pid != os.getpid():
                raise LostConnectionError("this stream was begun in the parent process, and ends there")
            return next(batches, None)

        try:
            while (batch := self._exchange(next_batch, False)) is not None:
                yield batch
        finally:
            if pid == os.getpid() and isinstance(batches, Generator):
                taken = self._turn.take()
                try:
                    batches.close()
                finally:
                    if taken:
                        self._turn.end()

    def copy_in(self, text: str, columns: Sequence[Sequence[Any]]) -> int:
        """Send many rows, by column, in the server's fastest way; all of them or none."""
        with self.atomic():
            return self._exchange(lambda session: session.copy_in(text, columns), False)

    # -- transactions ------------------------------------------------------------------------------

    @property
    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction as a context manager; inside another one, a savepoint."""
        return transaction(self)

    def atomic(self) -> AbstractContextManager[Connection]:
        """All or nothing: the open transaction where there is one, else one of its own."""
        return transaction(self, join=True)

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a transaction open here."""
        self._see_fork()
        state = self.transaction_state
        return state.is_open and state.thread_id == threading.get_ident()

    def owns(self, state: TransactionState) -> bool:
        """Whether this is the transaction that this thread has open: for `transaction.py`."""
        return self.in_transaction and self.transaction_state is state

    def start_transaction(self, isolation: str | None = None) -> None:
        """Open a transaction by hand; `transaction` as a context manager is the better way.

        Waits for the transaction of another thread to end.

        Parameters
        ----------
        isolation : str, optional
            On MySQL and MariaDB, another isolation level than the session's.

        Raises
        ------
        TransactionError
            Where one is open.
        """
        if self.in_transaction:
            raise TransactionError(
                "a transaction is open already (a make runs in one of its own); "
                "use `with connection.transaction:` for a part that may be undone by itself"
            )
        self._turn.take()
        try:
            if isolation is not None:
                self.run(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
            self.run("START TRANSACTION", is_read=isolation is None)
        except BaseException:
            self._turn.end()
            raise
        self.transaction_state = TransactionState(is_open=True, thread_id=threading.get_ident())

    def commit_transaction(self) -> None:
        """Commit the transaction that `start_transaction` opened."""
        self._end("COMMIT")

    def cancel_transaction(self) -> None:
        """Roll back the transaction that `start_transaction` opened."""
        self._end("ROLLBACK")

    def _end(self, verb: str) -> None:
        if self.transaction_state.is_guarded:
            raise TransactionError(
                "this transaction belongs to the make that runs in it, and ends when make returns or raises; "
                "remove the commit or cancel from make"
            )
        if not self.in_transaction:
            raise TransactionError("no transaction is open")
        self.finish_transaction(verb)

    def finish_transaction(self, verb: str) -> None:
        """End the transaction, also a guarded one: for `transaction.py` and the job pipeline only."""
        state = self.transaction_state
        is_doomed, state.is_doomed = state.is_doomed, False
        try:
            self.run("ROLLBACK" if is_doomed else verb)
        except (QueryError, TransactionError):
            self.run("ROLLBACK")  # whatever the server made of the commit, the session is free again
            raise
        finally:
            if self.transaction_state is state:
                self._forget_transaction()
        if is_doomed and verb == "COMMIT":
            raise TransactionError(_DOOMED)

    def leave_block(self) -> None:
        """A `with` block of this thread has ended, whatever became of its transaction."""
        self._broken_blocks.discard(threading.get_ident())

    def _forget_transaction(self) -> None:
        """Let the next thread in, once the transaction has ended in whatever way."""
        if self.transaction_state.is_open:
            self.transaction_state = TransactionState()
            self._turn.end()
