"""PostgreSQL through psycopg 3: a session. With `wire.py`, all that knows this driver."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import generators, pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.conninfo import make_conninfo
from psycopg.errors import error_from_result

from dj_schema.dialects.base import Result, Row
from dj_schema.dialects.postgres import bulk, wire
from dj_schema.dialects.postgres.arrow import ArrowReader
from dj_schema.dialects.postgres.errors import from_sqlstate
from dj_schema.dialects.postgres.repeated import RepeatedText, RepeatedTexts
from dj_schema.errors import (
    DataError,
    DataJointError,
    DeadlockError,
    FailedTransactionError,
    LostConnectionError,
)

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

    from dj_schema.server_address import ConnectionSettings

_TUPLES_OK = pq.ExecStatus.TUPLES_OK
_COMMAND_OK = pq.ExecStatus.COMMAND_OK
_BINARY = pq.Format.BINARY
_BROKEN = pq.ConnStatus.BAD
_ENDS_CURSORS = ("COMMIT", "ROLLBACK")
_CHANGES_TABLES = ("ALTER", "DROP", "DEALLOCATE", "DISCARD")
_abandoned: list[psycopg.Connection[Any]] = []
_cursor_numbers = itertools.count(1)


def connect(
    settings: ConnectionSettings, *, socket_dir: str | None = None, on_close: Callable[[], None] | None = None
) -> PostgresSession:
    """Open a session pinned to UTC and UTF-8.

    Raises
    ------
    ConnectionRefusedByServerError
        Where the server does not answer, or refuses the user.
    """
    return PostgresSession(wire.open_connection(settings, socket_dir), on_close)


class PostgresSession:
    """A psycopg connection in autocommit; transactions are begun by statement."""

    def __init__(self, connection: wire.Connection, on_close: Callable[[], None] | None) -> None:
        self._connection = connection
        self._on_close = on_close
        self._libpq = connection.pgconn
        self._arrival = connection.arrival
        self._transformer = Transformer(connection)
        self._repeated = RepeatedTexts()
        self._cursor = connection.cursor(binary=True)
        self._arrow: ArrowReader | None = None
        self._deferred: list[str] = []
        self._is_sending = False  # what was deferred: an interruption leaves open how much of it was sent
        self._deferred_cursor = connection.cursor()
        self._n_ended = 0  # of transactions and savepoints, which take their cursors with them
        self.id = connection.info.backend_pid
        self._pid = os.getpid()

    @property
    def in_transaction(self) -> bool:
        return self._connection.info.transaction_status != pq.TransactionStatus.IDLE

    @property
    def is_failed(self) -> bool:
        return self._libpq.transaction_status == pq.TransactionStatus.INERROR

    @property
    def is_in_step(self) -> bool:
        is_busy = self._libpq.transaction_status == pq.TransactionStatus.ACTIVE
        return self.is_open() and not is_busy and not self._is_sending

    @property
    def is_waiting(self) -> bool:
        return self._arrival.is_waiting

    def execute(self, text: str, params: Sequence[Any] | None) -> Result:
        cursor = self._cursor
        try:
            result = None if params is None else self._execute_prepared(text, params)
            if result is not None:
                return result
            if self._deferred:
                self._send_deferred(text, params)
            else:
                cursor.execute(text, params)
            found = cursor.pgresult
            if text.startswith(_ENDS_CURSORS):
                self._n_ended += 1
            elif text.startswith(_CHANGES_TABLES):
                self._repeated.forget()
            # `cursor.description` makes an object a column, for each statement
            if found is None or found.status != _TUPLES_OK:
                if text == "COMMIT" and cursor.statusmessage == "ROLLBACK":
                    raise FailedTransactionError(
                        "nothing was committed: a statement of this transaction had failed, and PostgreSQL "
                        "rolls back all of it; put what may fail into `with connection.transaction:`"
                    )
                return Result([], max(cursor.rowcount, 0))
            return Result(cursor.fetchall(), cursor.rowcount, partial(wire.names_of, found))
        except psycopg.Error as e:
            raise self._translate(e, text) from e

    def _execute_prepared(self, text: str, params: Sequence[Any]) -> Result | None:
        """Run a statement that came often by its name on the server; None for any other.

        psycopg's cursor prepares statements too, but its bookkeeping takes longer than all the rest of a
        short one. Values and errors are psycopg's here as well.
        """
        repeated = self._repeated.worth_preparing(text, params)
        if repeated is None:
            return None
        transformer = self._transformer
        values = transformer.dump_sequence(params, [PyFormat.AUTO] * repeated.n_places)
        types = transformer.types or ()
        name = repeated.names.get(types) or self._prepare(repeated, types)
        result = self._answer(
            partial(self._libpq.send_query_prepared, name, values, transformer.formats, _BINARY)
        )
        if result.status == _TUPLES_OK:
            transformer.set_pgresult(result)
            n_rows = result.ntuples
            return Result(transformer.load_rows(0, n_rows, tuple), n_rows, partial(wire.names_of, result))
        if result.status == _COMMAND_OK:
            return Result([], result.command_tuples or 0)
        error = error_from_result(result, "utf-8")
        if error.diag.source_function == "RevalidateCachedQuery":
            self._repeated.forget()  # a table has other columns now
            if not self.in_transaction:
                return None
            raise DeadlockError(
                "a table that this transaction reads was altered since its statement was prepared; "
                "run the whole transaction again",
                code=error.sqlstate,
                statement=text,
            )
        raise error

    def _prepare(self, repeated: RepeatedText, types: tuple[int, ...]) -> bytes:
        if self._repeated.has_stale_names:
            self._connection.execute("DEALLOCATE ALL")
            self._repeated.has_stale_names = False
        name = self._repeated.new_name()
        result = self._answer(partial(self._libpq.send_prepare, name, repeated.numbered, types))
        if result.status != _COMMAND_OK:
            raise error_from_result(result, "utf-8")
        repeated.names[types] = name
        return name

    def _answer(self, send: Callable[[], None]) -> PGresult:
        """Send something, after what was deferred; return its result, or of the first that failed."""
        if self._deferred:
            return self._in_one_trip(send)
        send()
        results: list[PGresult] = self._connection.wait(generators.execute(self._libpq))
        return results[-1]

    def _in_one_trip(self, send: Callable[[], None]) -> PGresult:
        """Send what was deferred and one statement more; return its result, or of the first that failed.

        psycopg's pipeline sends each statement by itself, and waits until it may send the next.
        """
        libpq = self._libpq
        try:
            deferred = self._to_send()
            libpq.enter_pipeline_mode()
            for text in deferred:
                libpq.send_query_params(text.encode(), None)
            send()
            libpq.pipeline_sync()
            results = self._connection.wait(wire.pipeline_results(libpq, len(deferred) + 1))
            libpq.exit_pipeline_mode()
            self._is_sending = False
        except BaseException:
            self._connection.cancel_statement()
            self._connection.close()  # an interruption leaves answers behind, and no way out of the pipeline
            raise
        failed = (result for result in results if result.status not in (_COMMAND_OK, _TUPLES_OK))
        return next(failed, results[-1])  # what comes after one that failed is not run

    def defer(self, text: str) -> None:
        """Send a statement that returns nothing together with the next one, to wait once for both."""
        self._deferred.append(text)

    def _to_send(self) -> list[str]:
        self._is_sending = True
        deferred, self._deferred = self._deferred, []
        return deferred

    def _send_deferred(self, text: str, params: Sequence[Any] | None) -> None:
        deferred = self._to_send()
        handled = sys.exception()
        try:
            with self._connection.pipeline():
                for statement in deferred:
                    self._deferred_cursor.execute(statement)
                self._cursor.execute(text, params)
            self._is_sending = False
        except psycopg.Error as e:
            # an interruption leaves answers behind: psycopg cannot end its pipeline, and tells of that alone
            cause = e.__context__
            while cause is not None and cause is not handled:
                if not isinstance(cause, psycopg.Error):
                    raise cause from None
                cause = cause.__context__
            self._is_sending = False
            raise

    def script(self, texts: Sequence[str]) -> None:
        if texts:
            self._repeated.forget()
        texts = [*self._to_send(), *texts]
        try:
            # a text cursor without values speaks the simple protocol, which takes several statements
            self._connection.execute(";\n".join(texts), ())
            self._is_sending = False
        except psycopg.Error as e:
            self._is_sending = False
            raise self._translate(e, texts[0]) from e

    def stream(
        self, text: str, params: Sequence[Any], batch_rows: int, in_transaction: bool
    ) -> Iterator[list[Row]]:
        name = f"dj_stream_{next(_cursor_numbers)}"
        n_ended = self._n_ended
        hold = "" if in_transaction else " WITH HOLD"
        self.execute(f"DECLARE {name} NO SCROLL CURSOR{hold} FOR {text}", params)
        try:
            while True:
                rows = self.execute(f"FETCH FORWARD {int(batch_rows)} FROM {name}", None).rows
                if rows:
                    yield rows
                if len(rows) < batch_rows:
                    return
        finally:
            is_gone = in_transaction and n_ended != self._n_ended
            is_ours = self._pid == os.getpid()  # a forked child must not speak for its parent
            if is_ours and self.is_in_step and not is_gone and not self.is_failed:
                self.execute(f"CLOSE {name}", None)

    def copy_in(self, text: str, columns: Sequence[Sequence[Any]]) -> int:
        cursor = self._cursor
        if self._deferred:
            self.script(())
        try:
            with cursor.copy(text) as copy:
                if bulk.is_known(columns):
                    for block in bulk.blocks(columns):
                        copy.write(block)
                else:
                    for row in zip(*columns, strict=True):
                        copy.write_row(row)
            return cursor.rowcount
        except psycopg.Error as e:
            raise self._translate(e, text) from e

    def fetch_arrow(self, text: str, params: Sequence[Any], in_transaction: bool) -> Any:
        if in_transaction:  # ADBC has a session of its own, which does not see its rows
            return None
        if self._arrow is None:
            info = self._connection.info
            self._arrow = ArrowReader(make_conninfo(info.dsn, password=info.password or None))
        return self._arrow.read(text, params)

    def fileno(self) -> int:
        """The socket, which becomes readable when the server has something to say."""
        return self._connection.fileno()

    def heard(self) -> list[str]:
        """Return the channels that something was told on since the last call, without waiting."""
        try:
            self._libpq.consume_input()
            names: list[str] = []
            while (notification := self._libpq.notifies()) is not None:
                names.append(notification.relname.decode())
        except psycopg.Error as e:
            raise LostConnectionError(f"the connection to PostgreSQL was lost: {wire.first_line(e)}") from e
        return names

    def is_open(self) -> bool:
        return self._libpq.status != _BROKEN

    def close(self) -> None:
        if self._arrow is not None:
            self._arrow.close()
        self._connection.close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def abort(self) -> None:
        self._connection.cancel_statement()
        self.close()

    def abandon(self) -> None:
        if self._arrow is not None:
            self._arrow.close()
        _abandoned.append(self._connection)  # closing it would speak on the parent's socket

    def _translate(self, error: psycopg.Error, statement: str) -> DataJointError:
        if self._connection.closed or isinstance(error, psycopg.InterfaceError):
            return LostConnectionError(f"the connection to PostgreSQL was lost: {wire.first_line(error)}")
        if error.sqlstate is None and not isinstance(error, psycopg.OperationalError):
            return DataError(wire.first_line(error), statement=statement)  # refused by the driver itself
        diag = error.diag
        message = diag.message_primary or wire.first_line(error)
        detail = diag.message_detail or ""
        return from_sqlstate(error.sqlstate, message, detail, statement, diag.constraint_name)
