"""A connection: statements and transactions on one session to a server.

The life of the session is in `live_session.py`, how statements are sent in `statements.py`, and transactions
as blocks in `transaction.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from dj_schema.catalog import Catalog
from dj_schema.dialects.base import Session
from dj_schema.errors import (
    DataJointError,
    LostConnectionError,
    PassedOverDeadlockError,
    TransactionError,
)
from dj_schema.live_session import DOOMED
from dj_schema.rows import Rows
from dj_schema.statements import Statements, check_call, first_words
from dj_schema.transaction import TransactionState, transaction

if TYPE_CHECKING:
    from dj_schema.server_address import ConnectionSettings
    from dj_schema.settings import Config

_OPEN_ALREADY = (
    "a transaction is open already (a make runs in one of its own); "
    "use `with connection.transaction:` for a part that may be undone by itself"
)
_DDL = {"CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "GRANT", "REVOKE", "LOCK", "OPTIMIZE", "REPAIR"}


class Connection(Statements, AbstractContextManager["Connection"]):
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
        check_call(query, args)
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
        A make that runs in this thread is over, whether it came to say so or not.
        """
        self.makes.discard(threading.get_ident())
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
