"""psycopg's connection as we use it: how it is opened, what it converts, how it answers several."""

from __future__ import annotations

import select
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import generators, pq
from psycopg.types.datetime import TimeBinaryLoader
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextBinaryLoader
from psycopg.waiting import Ready, Wait

from dj_schema.dialects.arrival import STEP_MS, Arrival
from dj_schema.dialects.postgres.json_loads import json_loads
from dj_schema.errors import ConnectionRefusedByServerError

if TYPE_CHECKING:
    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGconn, PGresult

    from dj_schema.server_address import ConnectionSettings

T = TypeVar("T")
_INVALID_OID = 0
_INTERVAL_S = 0.1  # as psycopg has it
_LONGEST_CANCEL_S = 2.0
_TO_READ, _IS_READABLE = Wait.R, Ready.R
# what a role or a server may have set otherwise, and the texts that we send and read hang on
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "idle_session_timeout": "0",  # a make that computes is idle, and a worker without sessions taken for dead
}


class Connection(psycopg.Connection[Any]):
    """psycopg's connection, which waits for answers in Python.

    In psycopg's own wait, which is in C, what another thread raises in this one comes after the answer.
    """

    @cached_property
    def arrival(self) -> Arrival:
        return Arrival(self.pgconn.socket)

    def wait(self, gen: PQGen[T], interval: float = _INTERVAL_S, timeout: float | None = None) -> T:
        """Let psycopg send and receive; have the server end its statement where an interruption comes."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        descriptor = self.pgconn.socket  # raises where the connection was lost before
        arrival = self.arrival
        try:
            wanted = next(gen)
            while True:
                if wanted == _TO_READ:
                    arrival.wait()
                    wanted = gen.send(_IS_READABLE)
                else:
                    wanted = gen.send(_ready(descriptor, wanted))
        except StopIteration as e:
            value: T = e.value
            return value
        except psycopg.Error:
            raise
        except BaseException:
            self.cancel_statement()
            raise

    def cancel_statement(self) -> None:
        """Have the server end the statement that runs, where one does."""
        if self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            with suppress(psycopg.Error):  # it ends with the statement else
                self.cancel_safe(timeout=_LONGEST_CANCEL_S)


def _ready(descriptor: int, wanted: Wait) -> Ready:
    """Wait until a socket can be written to, or read from where that is wanted too."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT | (select.POLLIN if wanted & Wait.R else 0))
    while not (found := poll.poll(STEP_MS)):
        pass
    events = found[0][1]
    is_readable = events & ~select.POLLOUT  # also at its end, which reading tells
    return Ready((Ready.R if is_readable else 0) | (Ready.W if events & select.POLLOUT else 0))


def open_connection(settings: ConnectionSettings, socket_dir: str | None = None) -> Connection:
    """Open a connection pinned to UTC, UTF-8 and the server's usual texts, in autocommit.

    Raises
    ------
    ConnectionRefusedByServerError
        Where the server does not answer, or refuses the user.
    """
    options: dict[str, Any] = {
        "host": socket_dir or settings.host,
        "port": settings.port,
        "user": settings.user,
        "dbname": settings.database_name,
        "connect_timeout": max(2, int(settings.connect_timeout_s)),
        "client_encoding": "UTF8",
        "application_name": "datajoint",
        "options": " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()),
        "autocommit": True,
    }
    if settings.password and not socket_dir:
        options["password"] = settings.password
    if not socket_dir:
        options |= _tls_options(settings.tls)
    try:
        connection = Connection.connect(**options)
    except psycopg.OperationalError as e:
        where = socket_dir or f"{settings.host}:{settings.port}"
        raise ConnectionRefusedByServerError(
            f"cannot connect to PostgreSQL at {where} as {settings.user!r}: {first_line(e)}. "
            "Check database.host, port, user, password and use_tls (dj.config, DJ_* variables)."
        ) from None
    connection.prepare_threshold = None
    connection.adapters.register_loader(_INVALID_OID, TextBinaryLoader)  # enums come as their labels
    connection.adapters.register_loader("time", _TimeLoader)
    set_json_loads(json_loads, connection)
    return connection


def _tls_options(tls: bool | Mapping[str, Any] | None) -> dict[str, str]:
    if tls is None or isinstance(tls, bool):
        return {"sslmode": "prefer" if tls is None else "require" if tls else "disable"}
    files = {"ca": "sslrootcert", "cert": "sslcert", "key": "sslkey"}
    options = {files[k]: str(v) for k, v in tls.items() if k in files and v}
    if not tls.get("verify", bool(tls.get("ca"))):
        return {**options, "sslmode": "require"}
    options.setdefault("sslrootcert", "system")
    return {**options, "sslmode": "verify-full" if tls.get("check_hostname", True) else "verify-ca"}


class _TimeLoader(TimeBinaryLoader):
    """A `time` as the time since midnight, as the one of MySQL comes; up to 24:00 itself."""

    def load(self, data: Any) -> Any:
        return timedelta(microseconds=int.from_bytes(data, "big"))


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def names_of(result: PGresult) -> tuple[str, ...]:
    return tuple([(result.fname(i) or b"").decode() for i in range(result.nfields)])


def pipeline_results(libpq: PGconn, n_statements: int) -> PQGen[list[PGresult]]:
    """Yield what is waited for, and return the last result of each statement of a pipeline."""
    yield from generators.send(libpq)
    results = []
    for _ in range(n_statements):
        found = yield from generators.fetch_many(libpq)
        results.append(found[-1])
    yield from generators.fetch_many(libpq)  # the end of the pipeline
    return results
