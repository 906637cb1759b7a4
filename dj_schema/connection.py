"""A connection: one session to a server, replaced when it breaks, never shared with a forked child.

What is sent is a composed `Sql` or a text with values. Transactions are in `transaction.py`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from dj_schema.catalog import Catalog
from dj_schema.dialects import open_dialect
from dj_schema.dialects.base import Dialect, Result, Row, Session
from dj_schema.errors import DataJointError, LostConnectionError, TransactionError
from dj_schema.sql import Sql, Statement, render
from dj_schema.transaction import TransactionState, transaction

if TYPE_CHECKING:
    from dj_schema.server_address import ConnectionSettings
    from dj_schema.settings import Config

log = logging.getLogger("datajoint.connection")

_STALE_AFTER_S = 30.0  # an idle session is asked whether it lives before a statement that cannot be repeated


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
        self._lock = threading.RLock()
        self._last_use = 0.0
        self._closed = False
        self.transaction_state = TransactionState()
        self.catalog = Catalog(self)
        self.n_statements = 0

    # -- life --------------------------------------------------------------------------------------

    @property
    def dialect(self) -> Dialect:
        if self._dialect is None:
            self.session()
        assert self._dialect is not None
        return self._dialect

    def session(self) -> Session:
        """Return the live session of this process, opening one where there is none.

        Raises
        ------
        LostConnectionError
            Where the session broke inside a transaction, which is gone with it.
        """
        if self._pid != os.getpid():
            self._after_fork()
        session = self._session
        if session is not None and session.is_open():
            return session
        with self._lock:
            if self._closed:
                raise LostConnectionError("this connection was closed; open another with dj.conn(reset=True)")
            if self.transaction_state.is_open:
                self._forget_transaction()
                raise LostConnectionError("the connection was lost inside a transaction; it was rolled back")
            if session is not None and not self.settings.reconnect:
                raise LostConnectionError("the connection was lost, and database.reconnect is off")
            self._dialect, self._session = self._open()
            log.debug("connected to %s", self)
            return self._session

    def _after_fork(self) -> None:
        if self._session is not None:
            self._session.abandon()
        self._session = None
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self.transaction_state = TransactionState()

    def connect(self) -> Connection:
        """Open the session now, rather than at the first statement."""
        self._closed = False
        self.session()
        return self

    def close(self) -> None:
        """Close the session; an open transaction is rolled back by the server."""
        if self._pid == os.getpid() and self._session is not None:
            self._session.close()
        self._session = None
        self._closed = True
        self._forget_transaction()

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __enter__(self) -> Connection:
        return self

    def clone(self) -> Connection:
        """Return another connection to the same server, with a session of its own."""
        return Connection(self.settings, self.config)

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
    def is_connected(self) -> bool:
        """Whether the server answers now."""
        if self._closed or self._session is None or self._pid != os.getpid():
            return False
        try:
            with self._lock:
                self._session.execute("SELECT 1", None)
            return True
        except DataJointError:
            return False

    def ping(self) -> None:
        """Ask the server for an answer, reconnecting outside a transaction.

        Raises
        ------
        LostConnectionError, ConnectionRefusedByServerError
            Where there is none.
        """
        self.query("SELECT 1")

    def __repr__(self) -> str:
        s = self.settings
        where = "embedded PostgreSQL" if s.backend == "embedded" else f"{s.user}@{s.host}:{s.port}"
        state = "closed" if self._closed else "connected" if self._session is not None else "not connected yet"
        return f"DataJoint connection ({state}) {where}"

    # -- statements --------------------------------------------------------------------------------

    def render(self, statement: Sql) -> Statement:
        return render(statement, self.dialect.quote)

    def execute(self, statement: Sql, *, is_read: bool = False) -> Result:
        """Send a composed statement. `is_read` says that it may be sent again after a lost connection."""
        text, params = self.render(statement)
        return self.run(text, params, is_read=is_read)

    def run(self, text: str, params: Sequence[Any] | None = None, *, is_read: bool = False) -> Result:
        """Send a text whose identifiers are quoted already; values are bound by the driver."""
        with self._lock:
            session = self._ready_session(is_read)
            self.n_statements += 1
            try:
                return session.execute(text, params)
            except LostConnectionError:
                if self.transaction_state.is_open or not is_read or not self.settings.reconnect:
                    self._drop_session()
                    raise
                self._drop_session()
                return self.session().execute(text, params)

    def script(self, statements: Sequence[Sql]) -> None:
        """Send statements without values, in one go where the server takes several: declarations."""
        texts = [self.render(s).text for s in statements]
        with self._lock:
            self.n_statements += 1
            self._ready_session(False).script(texts)

    def _ready_session(self, is_read: bool) -> Session:
        session = self.session()
        now = time.monotonic()
        if not is_read and now - self._last_use > _STALE_AFTER_S and not self.transaction_state.is_open:
            try:
                session.execute("SELECT 1", None)
            except LostConnectionError:
                self._drop_session()
                session = self.session()
        self._last_use = now
        return session

    def _drop_session(self) -> None:
        if self._session is not None:
            self._session.close()
        self._forget_transaction()

    def query(self, query: str, args: Sequence[Any] | None = None, *, as_dict: bool = False) -> Any:
        """Send SQL of your own, in the server's dialect; values for ``%s`` go into `args`.

        Returns
        -------
        list of tuple, or list of dict with `as_dict`
            The rows; an empty list for a statement that returns none.
        """
        first = query.lstrip(" (\n\t").split(None, 1)[:1]
        result = self.run(query, args, is_read=bool(first) and first[0].upper() in ("SELECT", "SHOW", "EXPLAIN"))
        if as_dict:
            return [dict(zip(result.columns, row, strict=True)) for row in result.rows]
        return result.rows

    def stream_text(self, text: str, params: Sequence[Any], batch_rows: int = 10_000) -> Iterator[list[Row]]:
        """Yield the rows of a SELECT in batches, with constant memory here."""
        with self._lock:
            session = self._ready_session(True)
            self.n_statements += 1
            batches = session.stream(text, params, batch_rows, self.transaction_state.is_open)
        while True:
            with self._lock:
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def copy_in(self, text: str, rows: Iterable[Sequence[Any]]) -> int:
        """Send many rows by the server's fastest way, all of them or none."""
        with self.atomic(), self._lock:
            self.n_statements += 1
            return self._ready_session(False).copy_in(text, rows)

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
        return self.transaction_state.is_open

    def start_transaction(self, isolation: str | None = None) -> None:
        """Open a transaction by hand; `transaction` as a context manager is the better way.

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
        self._lock.acquire()
        try:
            if isolation is not None:
                self.run(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
            self.run("START TRANSACTION")
        except BaseException:
            self._lock.release()
            raise
        self.transaction_state.open(threading.get_ident())

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
        try:
            self.run(verb)
        finally:
            self._forget_transaction()

    def _forget_transaction(self) -> None:
        """Let the next thread in, once the transaction has ended in whatever way."""
        if self.transaction_state.is_open:
            is_ours = self.transaction_state.thread_id == threading.get_ident()
            self.transaction_state.reset()
            if is_ours:
                self._lock.release()
