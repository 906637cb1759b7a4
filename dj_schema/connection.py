"""A connection: statements and transactions on one session to a server.

What is sent is a composed `Sql` or a text with values. The life of the session is in `live_session.py`,
transactions as blocks are in `transaction.py`.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from dj_schema.catalog import Catalog
from dj_schema.dialects.base import Result, Row, Session
from dj_schema.errors import (
    DataJointError,
    DeadlockError,
    LostConnectionError,
    PassedOverDeadlockError,
    TransactionError,
)
from dj_schema.live_session import DOOMED, LiveSession
from dj_schema.rows import Rows
from dj_schema.sql import Sql, Statement, render
from dj_schema.table_info import TableName
from dj_schema.transaction import TransactionState, transaction
from dj_schema.waiting_rows import LaterInsert

if TYPE_CHECKING:
    from dj_schema.server_address import ConnectionSettings
    from dj_schema.settings import Config

T = TypeVar("T")
_NOISE = re.compile(r"(?:[\s(;]+|--[^\n]*(?:\n|$)|\#[^\n]*(?:\n|$)|/\*M?!\d*|/\*(?!M?!).*?\*/|\*/)*", re.S)
_OPEN_ALREADY = (
    "a transaction is open already (a make runs in one of its own); "
    "use `with connection.transaction:` for a part that may be undone by itself"
)
_DDL = {"CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "GRANT", "REVOKE", "LOCK", "OPTIMIZE", "REPAIR"}


def first_words(query: str) -> tuple[str, str]:
    """Return the first two keywords of a statement in capitals, whatever comments stand before them."""
    rest = query[_NOISE.match(query).end() :]  # type: ignore[union-attr]
    first, second, *_ = (*re.split(r"[^A-Za-z]+", rest, maxsplit=2), "", "")
    return first.upper(), second.upper()


class Connection(LiveSession, AbstractContextManager["Connection"]):
    """A connection to one server.

    Opened at the first statement. Threads may share it: one statement at a time, and a transaction
    belongs to the thread that opened it until it ends. A forked child gets a session of its own.

    Parameters
    ----------
    settings : ConnectionSettings
        Where the server is and how to reach it.
    config : Config
        The settings that tables on this connection follow.

    Attributes
    ----------
    companions : dict
        What the packages above this one keep until it is closed, by name. A fork has a copy, whose
        owners see to it that what belongs to the parent process is left alone.
    """

    def __init__(self, settings: ConnectionSettings, config: Config) -> None:
        super().__init__(settings)
        self.config = config
        self.catalog = Catalog(self)
        self.companions: dict[str, Any] = {}
        self.clock_offset_s = 0.0  # of the clock of jobs, for tests that move it

    def close(self) -> None:
        """Close the session; an open transaction is rolled back by the server.

        Raises
        ------
        MakeError
            Where a `make` runs on it, which needs it to its end; nothing is closed.
        """
        super().close()
        self.companions.clear()

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
        reads: TableName | None = None,
    ) -> Result:
        """Send a text whose identifiers are quoted already; values are bound by the driver.

        Parameters
        ----------
        reads : TableName, optional
            All that it reads: rows that wait to be inserted elsewhere may go on waiting.
        """

        def call(session: Session) -> Result:
            return session.execute(text, params)

        is_saved = self.transaction_state.saves_statements and self._may_be_saved(text)
        return self._exchange(self._saved(call) if is_saved else call, is_read, reconnect, reads)

    def insert_later(self, insert: LaterInsert, rows: Sequence[Row]) -> bool:
        """Insert rows together with others, before anything that could see them; False where that may not be.

        A row that the server refuses then ends the transaction, at a later statement of it.
        """
        state = self.transaction_state
        if (
            state.waiting is None
            or state.depth
            or not self.in_transaction
            or not state.waiting.have_room(insert)
        ):
            return False
        state.waiting.add(insert, rows)
        return True

    def _may_be_saved(self, text: str) -> bool:
        """Whether a statement may come after a savepoint: none of those that rule the transaction itself."""
        verb, kind = first_words(text)
        return verb not in self.dialect.flags.transaction_verbs and (verb, kind) != ("SET", "TRANSACTION")

    def _saved(self, call: Callable[[Session], T]) -> Callable[[Session], T]:
        """Let what fails in a transaction of the user's own undo itself alone, as MySQL has it.

        After a deadlock nothing goes on: what the statement would have to wait for is still locked.
        """

        def saved(session: Session) -> T:
            is_needed = self.transaction_state.saves_statements and self.dialect.flags.has_cheap_savepoints
            if not is_needed or session.is_failed:
                return call(session)
            session.defer("SAVEPOINT dj_statement")
            try:
                return call(session)
            except DataJointError as e:
                if not isinstance(e, (LostConnectionError, DeadlockError)):
                    session.execute("ROLLBACK TO SAVEPOINT dj_statement", None)
                raise
            finally:
                if session.is_open() and not session.is_failed:
                    session.defer("RELEASE SAVEPOINT dj_statement")

        return saved

    def script(self, statements: Sequence[Sql]) -> None:
        """Send statements without values, in one go where the server takes several: declarations.

        Raises
        ------
        TransactionError
            Inside a transaction, on a server that would commit it first.
        """
        if self.in_transaction:
            self._refuse_ddl()
        texts = [self.render(s).text for s in statements]
        self._exchange(self._saved(lambda session: session.script(texts)), False)

    def _refuse_ddl(self) -> None:
        if not self.dialect.flags.has_transactional_ddl:
            raise TransactionError(
                "no table or schema can be made or dropped inside a transaction: the server would commit it "
                "first. Do that before it starts."
            )

    def defer(self, text: str) -> None:
        """Send what a transaction needs for itself, where it costs no wait of its own."""
        self._exchange(lambda session: session.defer(text), False)

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
        if self.in_transaction and (verb == "BEGIN" or (verb, kind) == ("START", "TRANSACTION")):
            raise TransactionError(_OPEN_ALREADY)  # MySQL would commit the open one first
        if verb in _DDL and kind != "TEMPORARY" and self.in_transaction:
            self._refuse_ddl()
        result = self.run(query, args, is_read=verb in ("SELECT", "SHOW"), reconnect=reconnect)
        if self.in_transaction and not self.session().in_transaction:
            if is_guarded:
                self._lose_session()  # nothing more may run in what is left of this block
                raise TransactionError(
                    f"{verb} ended the transaction of the make that it ran in; remove it from make"
                )
            self._forget_transaction()
        if as_dict:
            return Rows(dict(zip(result.columns, row, strict=True)) for row in result.rows)
        return Rows(result.rows)

    def fetch_arrow(self, text: str, params: Sequence[Any]) -> Any:
        """Return the rows of a SELECT as a pyarrow Table that never was Python objects.

        None where that cannot be had: for lack of a library, or because another session would have to read
        what this one's transaction has not committed.
        """
        in_transaction = self.in_transaction
        return self._exchange(lambda session: session.fetch_arrow(text, params, in_transaction), True)

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
            while (batch := self._exchange(self._saved(next_batch), False)) is not None:
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
            return self._exchange(self._saved(lambda session: session.copy_in(text, columns)), False)

    # -- transactions ------------------------------------------------------------------------------

    @property
    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction as a context manager; inside another one, a savepoint.

        A statement that fails in it undoes itself alone: who catches the error goes on.
        """
        return transaction(self, saves_statements=True)

    def atomic(self) -> AbstractContextManager[Connection]:
        """All or nothing: the open transaction where there is one, else one of its own."""
        return transaction(self, join=True)

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
            raise TransactionError(_OPEN_ALREADY)
        self._turn.take()
        try:
            if isolation is not None:
                self.run(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
            self.run("START TRANSACTION", is_read=isolation is None)
            self.transaction_state = TransactionState(
                is_open=True, thread_id=threading.get_ident(), saves_statements=True
            )
        except BaseException as e:
            if not isinstance(e, Exception):
                self._lose_session()  # interrupted: the server may have begun it
            if self._turn.is_mine:
                self._turn.end()
            raise

    def forsake_transaction(self) -> None:
        """Have the server roll back what an interruption has left open, between its start and its block.

        For who does something else on the connection next; the block itself ends when it is forgotten.
        """
        if self.in_transaction:
            self._lose_session()
            self.leave_block()

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
        state, is_commit = self.transaction_state, verb == "COMMIT"
        is_doomed, state.is_doomed = state.is_doomed, False
        if is_doomed or verb == "ROLLBACK":
            verb, state.waiting = "ROLLBACK", None
        try:
            self.run(verb)
        except LostConnectionError:
            raise
        except DataJointError:
            state.is_doomed, state.waiting = False, None
            self.run("ROLLBACK")  # whatever the server made of the commit, the session is free again
            raise
        finally:
            if self.transaction_state is state:
                self._forget_transaction()
        if is_doomed and is_commit:
            raise PassedOverDeadlockError(DOOMED)
