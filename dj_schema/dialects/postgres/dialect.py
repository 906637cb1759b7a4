"""PostgreSQL, put together; and how the embedded one is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_schema.dialects.base import Dialect, Flags, Session
from dj_schema.dialects.postgres import alter, catalog, ddl, driver, jobs, rows, types

if TYPE_CHECKING:
    from dj_schema.server_address import ConnectionSettings

_ARROW_KINDS = frozenset(
    {"int", "float", "bool", "decimal", "string", "date", "datetime", "json", "uuid", "bytes"}
)

POSTGRES = Dialect(
    name="postgresql",
    quote='"',
    default_port=5432,
    flags=Flags(
        has_copy=True,
        has_returning=True,
        has_transactional_ddl=True,
        has_nan=True,
        has_exact_texts=True,
        seconds_digits=6,
        has_cheap_savepoints=True,
        keeps_snapshot=False,
        transaction_verbs=frozenset(
            {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE", "SAVEPOINT", "RELEASE"}
        ),
        deadlock_ends_transaction=False,
        has_expression_indexes=True,
        arrow_kinds=_ARROW_KINDS,
        computed_arrow_kinds=_ARROW_KINDS,
    ),
    types=types,
    ddl=ddl,
    alter=alter,
    catalog=catalog,
    rows=rows,
    jobs=jobs,
)


def open_session(settings: ConnectionSettings) -> tuple[Dialect, Session]:
    return POSTGRES, driver.connect(settings)


def open_embedded_session(settings: ConnectionSettings) -> tuple[Dialect, Session]:
    """Start the embedded server where it does not run, and open a session on its socket."""
    from dataclasses import replace

    from dj_schema.dialects.embedded import EmbeddedServer

    lease = EmbeddedServer.acquire(settings.embedded_path)
    at = lease.address
    address = replace(settings, port=at.port, user=at.user, database_name=at.database)
    try:
        return POSTGRES, driver.connect(address, socket_dir=at.socket_dir, on_close=lease.release)
    except BaseException:
        lease.release()
        raise
