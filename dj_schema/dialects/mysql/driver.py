"""A session of MySQL or MariaDB through PyMySQL, whose connection is in `wire.py`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pymysql
from pymysql.constants import SERVER_STATUS
from pymysql.cursors import SSCursor

from dj_schema.dialects.base import Result, Row
from dj_schema.dialects.mysql import bulk
from dj_schema.dialects.mysql.columns import python_batches
from dj_schema.dialects.mysql.errors import from_number
from dj_schema.dialects.mysql.unread import UnreadResult, close_at_once, forget_rest, run_all
from dj_schema.dialects.mysql.wire import SelectCursor, UnreadableTlsFileError, is_made_here, open_connection
from dj_schema.errors import (
    ConnectionRefusedByServerError,
    DataError,
    DataJointError,
    DeadlockError,
    LockTimeoutError,
    LostConnectionError,
    QueryError,
    TransactionError,
)

if TYPE_CHECKING:
    from dj_schema.server_address import ConnectionSettings

_abandoned: list[Any] = []
_FEW_ROWS = 64  # which the driver reads sooner by itself
_LARGE_BYTES = 1 << 20  # of a statement that may be more than a server takes


def connect(settings: ConnectionSettings) -> MysqlSession:
    """Open a session pinned to UTC, utf8mb4 and strict mode.

    Raises
    ------
    ConnectionRefusedByServerError
        Where the server does not answer, or refuses the user.
    """

    try:
        return MysqlSession(open_connection(settings), partial(open_connection, settings))
    except (pymysql.err.MySQLError, UnreadableTlsFileError) as e:
        message = str(e.args[-1]) if e.args else type(e).__name__
        raise ConnectionRefusedByServerError(
            f"cannot connect to MySQL at {settings.host}:{settings.port} as {settings.user!r}: {message}. "
            "Check database.host, port, user, password and use_tls (dj.config, DJ_* variables)."
        ) from None


class _Kept(NamedTuple):
    """What a statement in between found of a stream: rows, and the error that it ended in."""

    rows: list[Row]
    failed: list[QueryError]


class MysqlSession:
    """A PyMySQL connection in autocommit; transactions are begun by statement."""

    def __init__(self, connection: Any, reopen: Callable[[], Any]) -> None:
        self._connection = connection
        self._reopen = reopen
        self._cursor = connection.cursor()
        self._select = connection.cursor(SelectCursor)
        self._streaming: Iterator[list[Row]] | None = None
        self._kept = _Kept([], [])
        self.id: int = connection.thread_id()
        self._pid = os.getpid()
        self.is_mariadb = "mariadb" in str(connection.get_server_info()).lower()

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    @property
    def is_failed(self) -> bool:
        return False  # what fails is undone by itself, and the transaction goes on

    @property
    def is_in_step(self) -> bool:
        return self.is_open() and self._connection.is_answered

    @property
    def is_waiting(self) -> bool:
        return bool(self._connection.arrival.is_waiting)

    def execute(self, text: str, params: Sequence[Any] | None) -> Result:
        is_query = text.startswith("SELECT")  # what may have many rows, and has one result
        cursor = self._select if is_query else self._cursor
        try:
            if self._streaming is not None:
                self._make_room()
            cursor.execute(text, params)
            if cursor.description is None:
                return Result([], max(cursor.rowcount, 0))
            rows = _all_rows(cursor, text) if is_query else list(cursor.fetchall())
            return Result(rows, len(rows), partial(_names, cursor.description))
        except (pymysql.err.MySQLError, OSError) as e:
            error = self._failure(e, text)
            size_bytes = sum(len(v) for v in params or () if isinstance(v, (str, bytes)))
            if isinstance(error, LostConnectionError) and size_bytes >= _LARGE_BYTES:
                error = LostConnectionError(
                    f"{error}. The statement had {size_bytes >> 20} MiB of values: if the server's "
                    "max_allowed_packet is less, set it higher"
                )
            raise error from e

    def defer(self, text: str) -> None:
        """Send a statement that returns nothing; this protocol has no way to wait for several at once.

        A savepoint is not released: the next of its name takes its place, and the transaction ends it.
        """
        if not text.startswith("RELEASE SAVEPOINT"):
            self.execute(text, None)
        elif not self.in_transaction:
            raise TransactionError("the transaction had ended before the block in it did; nothing was kept")

    def script(self, texts: Sequence[str]) -> None:
        for text in texts:
            self.execute(text, ())

    def stream(
        self, text: str, params: Sequence[Any], batch_rows: int, in_transaction: bool
    ) -> Iterator[list[Row]]:
        try:
            if in_transaction:  # only this session sees its own rows
                yield from self._stream_here(text, params, batch_rows)
                return
            connection = self._reopen()
            cursor = connection.cursor(SSCursor)
            try:
                cursor.execute(text, params)
                yield from python_batches(UnreadResult(cursor, text), batch_rows)
            except (DataJointError, pymysql.err.MySQLError, GeneratorExit):
                raise
            except BaseException:
                self._cut_off(connection)
                raise
            finally:
                close_at_once(connection)
                forget_rest(cursor)
        except (pymysql.err.MySQLError, OSError) as e:
            raise _translate(e, text) from e

    def _stream_here(self, text: str, params: Sequence[Any], batch_rows: int) -> Iterator[list[Row]]:
        """Stream on this session; the next statement on it reads what is left, and keeps it."""
        self._make_room()
        cursor = self._connection.cursor(SSCursor)
        cursor.execute(text, params)
        unread = UnreadResult(cursor, text)
        batches = python_batches(unread, batch_rows)
        self._streaming, self._kept = batches, _Kept([], [])
        kept, failed = self._kept.rows, self._kept.failed
        try:
            while True:
                if not kept and self._streaming is batches:
                    kept += next(batches, [])
                if not kept:
                    if failed:
                        raise failed[0]
                    return
                batch = kept[:batch_rows]
                del kept[:batch_rows]
                yield batch
        finally:
            if self._streaming is batches:
                self._streaming = None
                # a forked child must not read for its parent
                if self.is_open() and self._pid == os.getpid():
                    unread.skip()
            forget_rest(cursor)

    def _make_room(self) -> None:
        """Read the rest of what is being streamed, so that the session can take another statement.

        An error in it is not that statement's.
        """
        batches, self._streaming = self._streaming, None
        try:
            for rows in batches or ():
                self._kept.rows.extend(rows)
        except DeadlockError:  # the transaction has ended
            raise
        except QueryError as e:
            self._kept.failed.append(e)

    def copy_in(self, text: str, columns: Sequence[Sequence[Any]]) -> int:
        """Insert by statements of many rows; the driver's own `executemany` takes three times as long."""
        try:
            self._make_room()
            return run_all(self._connection, bulk.statements(text, columns, self._connection.escape))
        except (pymysql.err.MySQLError, OSError) as e:
            raise self._failure(e, text) from e

    def fetch_arrow(self, text: str, params: Sequence[Any], in_transaction: bool) -> Any:
        try:
            from dj_schema.dialects.mysql.arrow import arrow_of
        except ImportError:  # pyarrow is an extra
            return None
        try:
            self._make_room()
            cursor = self._connection.cursor(SSCursor)
            cursor.execute(text, params)
            with UnreadResult(cursor, text) as unread:
                return arrow_of(unread)
        except (pymysql.err.MySQLError, OSError) as e:
            raise _translate(e, text) from e

    def _failure(self, error: Exception, statement: str) -> DataJointError:
        """Return our error; see whether the server has undone the transaction, which it does not say with it.

        For want of a lock it undoes the statement, or all, as `innodb_rollback_on_timeout` has it.
        """
        ours = _translate(error, statement)
        if isinstance(ours, LockTimeoutError) and self.in_transaction:
            with suppress(pymysql.err.MySQLError):  # the connection is closed then
                self._connection.ping(reconnect=False)
        return ours

    def is_open(self) -> bool:
        return bool(self._connection.open)

    def close(self) -> None:
        if self._connection.open:
            self._connection.close()

    def abort(self) -> None:
        self._cut_off(self._connection)

    def _cut_off(self, connection: Any) -> None:
        """Close without a word, which the server would read too late, and have another session end it.

        Also where it is closed: the driver does that where it is interrupted, and the server works on.
        """
        close_at_once(connection)
        with suppress(pymysql.err.MySQLError, OSError):  # it ends with the statement else
            other = self._reopen()
            try:
                other.cursor().execute("KILL %s", [connection.thread_id()])
            finally:
                other.close()

    def abandon(self) -> None:
        _abandoned.append(self._connection)  # closing it would speak on the parent's socket


def _names(description: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    return tuple([str(column[0]) for column in description])


def _all_rows(cursor: SelectCursor, statement: str) -> list[Row]:
    """Read a result to its end."""
    if cursor.rows_there is not None:
        return list(cursor.rows_there)
    with UnreadResult(cursor, statement) as unread:
        rows: list[Row] = list(cursor.fetchmany(_FEW_ROWS))
        for more in python_batches(unread):
            rows += more
    return rows


def _translate(error: Exception, statement: str) -> DataJointError:
    if is_made_here(error):
        raise error
    if isinstance(error, OSError):
        return LostConnectionError(f"the connection to the server was lost: {error}")
    number = error.args[0] if error.args and isinstance(error.args[0], int) else -1
    if isinstance(error, pymysql.err.InterfaceError) and number <= 0:
        number = 0
    message = str(error.args[1]) if len(error.args) > 1 else str(error)
    if number < 0 and isinstance(
        error, pymysql.err.ProgrammingError
    ):  # of the driver, which puts the values in
        return DataError(f"the values do not fit the placeholders of the query: {message}.")
    return from_number(number, message, statement)
