"""PyMySQL's connection as we use it: how it is opened, what it converts, how it reads short results."""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pymysql
from pymysql.connections import MySQLResult
from pymysql.constants import CLIENT, CR, FIELD_TYPE
from pymysql.converters import conversions, convert_date, convert_datetime, escape_bytes
from pymysql.cursors import SSCursor

from dj_schema.dialects.arrival import Arrival
from dj_schema.dialects.base import Row
from dj_schema.dialects.mysql import short_results
from dj_schema.dialects.mysql.incoming import Incoming
from dj_schema.errors import ConnectionRefusedByServerError

if TYPE_CHECKING:
    from dj_schema.server_address import ConnectionSettings

# MariaDB would cut off what MySQL rounds, and MySQL refuses the word that changes that.
_SQL_MODE = (
    "CONCAT('STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
    ", IF(VERSION() LIKE '%MariaDB%', ',TIME_ROUND_FRACTIONAL', ''))"
)
# What a server may have set otherwise, for people at a prompt: a COMMIT that begins the next transaction,
# statements refused without a key in them, results cut off without a word. And sessions ended that do nothing
# for a while: those of a make that computes do, and a worker whose sessions are gone is taken for dead.
_SESSION = (
    f"time_zone='+00:00', sql_mode={_SQL_MODE}, group_concat_max_len=67108864, completion_type='NO_CHAIN', "
    "sql_safe_updates=0, sql_select_limit=18446744073709551615, "
    "wait_timeout=CAST(GREATEST(@@wait_timeout, 28800) AS UNSIGNED)"
)


def _datetime(text: str) -> Any:
    """Read a datetime thirty times faster than the driver does."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return convert_datetime(text)


def _date(text: str) -> Any:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return convert_date(text)


def _escaped_uuid(value: UUID, mapping: Any = None) -> str:
    return str(escape_bytes(value.bytes))


_CONVERSIONS: dict[Any, Callable[..., Any]] = {
    **conversions,
    UUID: _escaped_uuid,
    FIELD_TYPE.DATE: _date,
    FIELD_TYPE.DATETIME: _datetime,
    FIELD_TYPE.TIMESTAMP: _datetime,
}
_MOST_KNOWN_COLUMNS = 256
_LOST = "Lost connection to MySQL server during query"
_UNLESS_ALL_THERE: Any = "unless it is all there"  # a result that is read in part, in the driver's words


def open_connection(settings: ConnectionSettings) -> Connection:
    """Open a connection pinned to UTC, utf8mb4 and strict mode; errors are the driver's."""
    return Connection(
        host=settings.host,
        port=settings.port or 0,
        user=settings.user,
        password=settings.password or "",
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=max(2, int(settings.connect_timeout_s)),
        client_flag=CLIENT.FOUND_ROWS,
        conv=_CONVERSIONS,
        init_command=f"SET {_SESSION}, NAMES utf8mb4 COLLATE {_collation(settings.collation)}",
        **_tls_options(settings.tls),
    )


def is_made_here(error: Exception) -> bool:
    """Whether an error is not the system's: the handler of a signal raised a TimeoutError, perhaps."""
    return isinstance(error, OSError) and error.errno is None


def _tls_options(tls: bool | Mapping[str, Any] | None) -> dict[str, Any]:
    """By itself the driver takes TLS where the server offers it."""
    if tls is None or isinstance(tls, bool):
        return {} if tls is None else {"ssl": _unverified()} if tls else {"ssl_disabled": True}
    verify = tls.get("verify", bool(tls.get("ca")))
    try:
        context = ssl.create_default_context(cafile=tls.get("ca")) if verify else _unverified()
        if tls.get("cert"):
            context.load_cert_chain(tls["cert"], tls.get("key"))
    except OSError as e:  # it names no file by itself
        files = ", ".join(str(tls[name]) for name in ("ca", "cert", "key") if tls.get(name))
        raise UnreadableTlsFileError(f"the files for TLS cannot be used ({files}): {e.strerror or e}") from e
    if verify:
        context.check_hostname = tls.get("check_hostname", True)
    return {"ssl": context}


class UnreadableTlsFileError(Exception):
    """A file that `database.use_tls` names is not there, or holds no certificate or key."""


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _collation(name: str | None) -> str:
    """Only a plain name can go where the server takes no parameter."""
    name = name or "utf8mb4_bin"
    if not name.replace("_", "").isalnum() or not name.startswith("utf8mb4"):
        raise ConnectionRefusedByServerError(f"database.collation {name!r} is no collation of utf8mb4.")
    return name


class _HandedOver:
    """A socket for `ssl.SSLContext.wrap_socket`, whose descriptor is nobody's any more.

    What that makes of a socket has the descriptor a moment before the socket gives it away. An interruption
    between the two would have each of them close it: the second time it is another file's.
    """

    def __init__(self, plain: socket.socket) -> None:
        self.family, self.type, self.proto = plain.family, plain.type, plain.proto
        self._timeout_s = plain.gettimeout()
        self._descriptor = plain.detach()

    def fileno(self) -> int:
        return self._descriptor

    detach = fileno

    def getsockopt(self, *_: int) -> int:
        return self.type

    def gettimeout(self) -> float | None:
        return self._timeout_s


class _Encryption:
    """A context for TLS as the driver uses it: it wraps the socket of a connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_socket(self, plain: socket.socket, server_hostname: str) -> ssl.SSLSocket:
        handed_over: Any = _HandedOver(plain)
        return self._context.wrap_socket(handed_over, server_hostname=server_hostname)


class Connection(pymysql.Connection):
    """The driver's connection, which reads short results itself.

    One that verifies no certificates reads none: those of a system take it 40 ms.

    Attributes
    ----------
    is_answered : bool
        Nothing that was sent is still to be answered, but for the rows of a result that is read in part.
    """

    arrival: Arrival
    _rfile: io.BufferedReader
    _result: Any
    _sock: socket.socket
    _read_timeout: float | None
    _write_timeout: float | None
    connect_timeout: float

    def __init__(self, **settings: Any) -> None:
        self._known_columns: dict[bytes, tuple[Any, Any]] = {}
        self.is_answered = True
        super().__init__(**settings)

    def connect(self, sock: socket.socket | None = None) -> None:
        """Connect; a server that accepts and then says nothing is given up, as one that does not accept."""
        self._read_timeout = self._write_timeout = self.connect_timeout
        super().connect(sock)
        self._read_timeout = self._write_timeout = self._current_timeout = None
        self._sock.settimeout(None)
        incoming = Incoming(self._rfile.detach(), self._sock)
        self.arrival = incoming.arrival
        self._rfile = io.BufferedReader(incoming)

    def _create_ssl_ctx(self, given: ssl.SSLContext | Mapping[str, Any]) -> _Encryption:
        return _Encryption(given if isinstance(given, ssl.SSLContext) else _unverified())

    def _write_bytes(self, data: bytes) -> None:
        """Send, as the driver does; what a signal's handler raises is no lost connection."""
        try:
            super()._write_bytes(data)  # type: ignore[misc]
        except pymysql.err.OperationalError as e:
            cause = e.__context__
            if isinstance(cause, OSError) and is_made_here(cause):
                raise cause from None
            raise

    def _read_bytes(self, num_bytes: int) -> bytes:
        """Read, as the driver does; what a signal's handler raises is no lost connection."""
        try:
            data = self._rfile.read(num_bytes)
        except BaseException as e:
            self._force_close()  # type: ignore[attr-defined]
            if isinstance(e, OSError) and not is_made_here(e):
                raise pymysql.err.OperationalError(CR.CR_SERVER_LOST, f"{_LOST} ({e})") from e
            raise
        if len(data) < num_bytes:
            self._force_close()  # type: ignore[attr-defined]
            raise pymysql.err.OperationalError(CR.CR_SERVER_LOST, _LOST)
        return data

    def _execute_command(self, command: int, sql: str | bytes) -> None:
        self.is_answered = False
        super()._execute_command(command, sql)  # type: ignore[misc]

    def _read_ok_packet(self) -> Any:
        """Read the answer to what is no query: a ping, or how to commit."""
        answer = super()._read_ok_packet()  # type: ignore[misc]
        self.is_answered = True
        return answer

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        try:
            n_rows = self._read_answer(unbuffered)
        except pymysql.err.MySQLError:  # said by the server, or the connection was closed
            self.is_answered = True
            raise
        self.is_answered = True
        return n_rows

    def _read_answer(self, unbuffered: bool) -> Any:
        data = b"" if unbuffered is True else self._arrived()
        end = short_results.columns_end(data)
        known = self._known_columns.get(data[:end]) if end else None
        short = short_results.complete(data, end) if known is not None else None
        if known is None or short is None:
            n_rows = super()._read_query_result(bool(unbuffered))  # type: ignore[misc]
            if end:
                self._keep_columns(data[:end])
            return n_rows
        self._rfile.read(short.n_bytes)
        result = self._result = MySQLResult(self)
        result.connection, result.has_next, result.warning_count = None, False, short.n_warnings
        result.description, converters = known
        result.field_count, result.affected_rows = len(converters), len(short.starts)
        result.rows = short_results.rows(data, short.starts, converters)
        return result.affected_rows

    def _keep_columns(self, description: bytes) -> None:
        if len(self._known_columns) >= _MOST_KNOWN_COLUMNS:
            self._known_columns.clear()
        self._known_columns[description] = self._result.description, self._result.converters

    def _arrived(self) -> bytes:
        """Wait for the first bytes of an answer; the driver finds what is wrong."""
        try:
            return self._rfile.peek()
        except OSError as e:
            if is_made_here(e):
                raise
            return b""


class SelectCursor(SSCursor):
    """Has the rows of a result that is all there; any other is left to be read."""

    _clear_result: Callable[[], None]
    _do_get_result: Callable[[], None]
    _rows: Sequence[Row] | None

    def _query(self, q: str) -> Any:
        self._clear_result()
        self.connection.query(q, unbuffered=_UNLESS_ALL_THERE)
        self._do_get_result()
        return self.rowcount

    @property
    def rows_there(self) -> Sequence[Row] | None:
        return self._rows
