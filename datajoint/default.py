"""The default configuration and connection: the one mutable state of the whole, made at first use."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any, Literal

from dj_jobs.autopopulate import CELERY, INLINE, PROCESS, Computed, Imported, set_pool
from dj_jobs.schema_jobs import SchemaJobs
from dj_query.schema import Schema as _Schema
from dj_query.table import FreeTable as _FreeTable
from dj_query.virtual import VirtualModule as _VirtualModule
from dj_schema.connection import Connection as _Connection
from dj_schema.errors import DataJointError
from dj_schema.server_address import connection_settings
from dj_schema.settings import Config
from dj_schema.settings.sources import OVERRIDE

__all__ = [
    "Computed",
    "Connection",
    "FreeTable",
    "Imported",
    "Schema",
    "VirtualModule",
    "config",
    "conn",
    "list_schemas",
    "logger",
    "schema",
    "virtual_schema",
]

logger = logging.getLogger("datajoint")
config = Config.load()
_connection: _Connection | None = None
_of_blocks: list[_Connection] = []  # to servers that a block of config.override() names


def _set_up_logging() -> None:
    """Show our messages on stderr, unless the program has set up its own logging."""
    logger.setLevel(str(config.loglevel).upper())
    if not logger.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%Y-%m-%d %H:%M:%S"))
        logger.addHandler(handler)
        logger.propagate = False


_set_up_logging()


def _populate_in_processes(table: Any, options: Any, processes: int, events: Any) -> Any:
    from dj_workers.pools.process import populate_in_processes

    setup = None if _connection is None else partial(_set_up_child, _connection)
    return populate_in_processes(table, options, processes, events, setup)


def _set_up_child(default: _Connection, _: _Connection) -> None:
    """Begin in a worker process with the parent's settings and server, whatever its own would be."""
    global _connection
    config.__setstate__(default.config.__getstate__())
    default.config = config
    _connection = default


def _populate_inline(table: Any, options: Any, processes: int, events: Any) -> Any:
    from dj_workers.pools.inline import populate_inline

    return populate_inline(table, options, processes, events)


def _populate_by_celery(table: Any, options: Any, _: int, events: Any) -> Any:
    from dj_workers.pools.celery.populate import populate_by_celery

    return populate_by_celery(table, options, events)


set_pool(INLINE, _populate_inline)
set_pool(PROCESS, _populate_in_processes)
set_pool(CELERY, _populate_by_celery)


class Connection(_Connection):
    """A connection to a server that is named here, or else in the settings.

    Parameters
    ----------
    host, user, password : str, optional
    port : int, optional
    use_tls : bool or dict, optional
        None uses TLS where the server offers it; a dict may hold `ca`, `cert` and `key`.
    backend : {"postgresql", "mysql", "embedded"}, optional
    database_name : str, optional
        The database on PostgreSQL.
    """

    def __init__(
        self,
        host: str | None = None,
        user: str | None = None,
        password: str | None = None,
        port: int | None = None,
        use_tls: bool | dict[str, Any] | None = None,
        *,
        backend: Literal["postgresql", "mysql", "embedded"] | None = None,
        database_name: str | None = None,
    ) -> None:
        settings = connection_settings(
            config,
            host=host,
            port=port,
            user=user,
            password=password,
            backend=backend,
            use_tls=use_tls,
            database_name=database_name,
        )
        super().__init__(settings, config)


def conn(
    host: str | None = None,
    user: str | None = None,
    password: str | None = None,
    *,
    port: int | None = None,
    reset: bool = False,
    use_tls: bool | dict[str, Any] | None = None,
) -> _Connection:
    """Return the default connection, opening it at the first call, and again after it was closed.

    In a block of `config.override` that names another server it is the connection to that one, until the end
    of the block.

    Parameters
    ----------
    host, user, password, port, use_tls : optional
        Instead of those of the settings, for a connection that is opened now.
    reset : bool
        Close the one that there is, and open another.
    """
    global _connection
    if any(config.source_of(f"database.{name}") == OVERRIDE.label for name in _OF_A_SERVER):
        return _connection_of_block(Connection(host, user, password, port, use_tls), reset)
    if _connection is not None and reset:
        _connection.close()
        _connection = None
    if _connection is None:
        opened = Connection(host, user, password, port, use_tls)
        opened.connect()
        _connection = opened
    elif host is not None and host != _connection.settings.host:
        raise DataJointError(
            f"connected to {_connection.settings.host!r} already; dj.conn(..., reset=True) changes that."
        )
    return _connection.connect() if _connection.is_closed else _connection


_OF_A_SERVER = ("host", "port", "user", "password", "name", "backend", "use_tls", "embedded_path")


def _connection_of_block(wanted: _Connection, reset: bool) -> _Connection:
    """Return an open connection of these settings, another one with `reset`."""
    known = [*([_connection] if _connection is not None else []), *_of_blocks]
    for opened in known:
        if opened.settings == wanted.settings and not (reset or opened.is_closed):
            return opened
    wanted.connect()
    _of_blocks[:] = [c for c in _of_blocks if c.settings != wanted.settings]
    _of_blocks.append(wanted)
    return wanted


class Schema(_Schema):
    __doc__ = _Schema.__doc__

    def activate(self, schema_name: str | None = None, **kwargs: Any) -> None:
        if self._connection is None and kwargs.get("connection") is None:
            kwargs["connection"] = conn()
        super().activate(schema_name, **kwargs)

    @property
    def jobs(self) -> SchemaJobs:
        """All job tables of this schema, and their progress."""
        connection = self.connection  # raises where the schema is not activated
        return SchemaJobs(connection, str(self.database))


schema = Schema


class FreeTable(_FreeTable):
    """A table by its full name, ``dj.FreeTable("lab.session")``, on the default connection or a given one."""

    def __init__(self, *args: Any) -> None:
        if len(args) == 1:
            args = (conn(), *args)
        super().__init__(*args)


class VirtualModule(_VirtualModule):
    __doc__ = _VirtualModule.__doc__

    def __init__(self, module_name: str, schema_name: str, **kwargs: Any) -> None:
        kwargs["connection"] = kwargs.get("connection") or conn()
        super().__init__(module_name, schema_name, **kwargs)


def virtual_schema(
    schema_name: str,
    connection: _Connection | None = None,
    create_schema: bool = False,
    create_tables: bool = False,
    add_objects: dict[str, Any] | None = None,
) -> VirtualModule:
    """Return a module with a class for each table of a schema.

    Parameters
    ----------
    connection : Connection, optional
        By default that of `conn()`.
    create_schema : bool
        Make the schema where it is not there, rather than raise an error.
    create_tables : bool
        Let ``module.schema`` declare new tables.
    add_objects : dict, optional
        More names for the module, and for foreign keys to find.
    """
    return VirtualModule(
        schema_name,
        schema_name,
        connection=connection,
        create_schema=create_schema,
        create_tables=create_tables,
        add_objects=add_objects,
    )


def list_schemas(connection: _Connection | None = None) -> list[str]:
    """Return the names of the schemas on the server."""
    connection = connection or conn()
    return connection.dialect.catalog.schemas(lambda statement: connection.execute(statement, is_read=True))
