"""Which server to connect to, and how: the settings of `database` with all that was left open decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dj_schema.errors import ConfigError

if TYPE_CHECKING:
    from dj_schema.settings import Config

Backend = Literal["postgresql", "mysql", "embedded"]

POSTGRESQL_PORT = 5432
MYSQL_PORT = 3306
_DEFAULT_PORTS: dict[Backend, int] = {"postgresql": POSTGRESQL_PORT, "mysql": MYSQL_PORT}
# reference/specs/type-system.md, on encoding and collation
_ENCODINGS: dict[Backend, tuple[str, str]] = {
    "postgresql": ("UTF8", "C"),
    "embedded": ("UTF8", "C"),
    "mysql": ("utf8mb4", "utf8mb4_bin"),
}
_UTF8_NAMES = {"UTF8", "UTF-8", "UTF8MB4"}
_COLLATIONS_BY_CODE_POINT = {"C", "utf8mb4_bin"}


@dataclass(frozen=True)
class ConnectionSettings:
    """All that a connection needs to know.

    `host`, `port` and `user` are None for the embedded server, which has its own. `host` may be the path of
    a local socket. `tls` is None for "where the server offers it", True, False, or the options of a TLS
    that is required: `ca`, `cert`, `key` (paths), `check_hostname`, `verify` (booleans).
    """

    backend: Backend
    host: str | None
    port: int | None
    user: str | None
    password: str | None = field(repr=False)
    database_name: str
    tls: bool | Mapping[str, Any] | None
    connect_timeout_s: float
    reconnect: bool
    charset: str
    collation: str
    embedded_path: Path | None

    @property
    def label(self) -> str:
        """The server in words fit for a log or an error."""
        if self.backend == "embedded":
            return "the embedded PostgreSQL"
        return f"{self.backend} at {self.host}" + (f":{self.port}" if self.port else "")


def connection_settings(
    config: Config,
    *,
    host: str | None = None,
    port: int | None = None,
    user: str | None = None,
    password: str | None = None,
    backend: Backend | None = None,
    use_tls: bool | Mapping[str, Any] | None = None,
    database_name: str | None = None,
) -> ConnectionSettings:
    """Decide which server is meant (ruling 5).

    - `backend` says it where it is set; a server without a host is on localhost.
    - Neither host nor port: the embedded PostgreSQL.
    - Port 5432 is PostgreSQL. Any other, and none, is MySQL, the server of the specification's pages.

    Parameters given here win over `config`. A host may carry its port: ``db.example.org:3307``.

    Raises
    ------
    ConfigError
        Two ports are given, or the character set is not UTF-8.
    """
    database = config.database
    given = {"host": host, "port": port, "user": user, "password": password, "backend": backend}
    checked = _checked({**given, "use_tls": use_tls, "name": database_name})
    port = checked.get("port")
    if host is not None and backend is None and database.backend == "embedded":
        configured_backend = None  # a server that is named in the call is not the embedded one
    else:
        configured_backend = backend or database.backend
    name, port_in_host = _split_port(database.host if host is None else host)
    own_port = port if port is not None else (None if port_in_host and host is not None else database.port)
    if own_port is not None and port_in_host is not None and own_port != port_in_host:
        raise ConfigError(f"The host says port {port_in_host}, database.port says {own_port}; keep one.")
    chosen_port = own_port if own_port is not None else port_in_host
    _checked({"port": chosen_port})
    chosen = configured_backend or _backend_of(name, chosen_port)
    embedded = chosen == "embedded"
    secret = database.password.get_secret_value() if database.password is not None else None
    return ConnectionSettings(
        backend=chosen,
        host=None if embedded else name or "localhost",
        port=None if embedded else chosen_port or _DEFAULT_PORTS[chosen],
        user=None if embedded else database.user if user is None else user,
        password=None if embedded else secret if password is None else password,
        database_name=database_name or database.name or ("" if chosen == "mysql" else "postgres"),
        tls=False if embedded else database.use_tls if use_tls is None else use_tls,
        connect_timeout_s=database.connect_timeout_s,
        reconnect=database.reconnect,
        charset=_charset(database.charset, chosen),
        collation=_collation(database.collation, chosen),
        embedded_path=database.embedded_path.expanduser() if database.embedded_path else None,
    )


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a call says of the server, in the types of the settings; what is None is left out."""
    from dj_schema.settings.sections import DatabaseSettings
    from dj_schema.settings.sources import CALL

    said = {name: value for name, value in given.items() if value is not None}
    if not said:
        return {}
    section = DatabaseSettings()
    section._path = "database"
    for name, value in said.items():
        section.assign(name, value, CALL)
    return {name: section[name] for name in said}


def _backend_of(host: str | None, port: int | None) -> Backend:
    if host is None and port is None:
        return "embedded"
    return "postgresql" if port == POSTGRESQL_PORT else "mysql"


def _split_port(host: str | None) -> tuple[str | None, int | None]:
    """``db:3307`` -> (db, 3307); a socket's path and a bare IPv6 address have no port in them."""
    if not host or host.startswith("/"):
        return host or None, None
    name, colon, digits = host.rpartition(":")
    if colon and digits.isdigit() and (":" not in name or name.endswith("]")):
        return name.strip("[]") or None, int(digits)
    return host.strip("[]"), None


def _charset(charset: str | None, backend: Backend) -> str:
    if charset is not None and charset.upper() not in _UTF8_NAMES:
        raise ConfigError(f"Setting database.charset is {charset!r}, but text is stored as UTF-8; remove it.")
    return _ENCODINGS[backend][0]


def _collation(collation: str | None, backend: Backend) -> str:
    """One settings file may serve both kinds of server, so either's name of the default means the default."""
    if collation is None or collation in _COLLATIONS_BY_CODE_POINT:
        return _ENCODINGS[backend][1]
    return collation
