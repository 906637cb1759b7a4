"""psycopg's connection as we use it: how it is opened, what it converts, how it answers several."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import generators
from psycopg.types.datetime import TimeBinaryLoader
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextBinaryLoader

from dj_schema.dialects.postgres.json_loads import json_loads
from dj_schema.errors import ConnectionRefusedByServerError

if TYPE_CHECKING:
    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGconn, PGresult

    from dj_schema.server_address import ConnectionSettings

_INVALID_OID = 0
# what a role or a server may have set otherwise, and the texts that we send and read hang on
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "idle_session_timeout": "0",  # a make that computes is idle, and a worker without sessions taken for dead
}


def open_connection(settings: ConnectionSettings, socket_dir: str | None = None) -> psycopg.Connection[Any]:
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
        connection = psycopg.connect(**options)
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
