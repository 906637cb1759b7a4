"""What differs between servers: one package a server, the same few files in each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dj_schema.dialects.base import Dialect, Session

if TYPE_CHECKING:
    from dj_schema.server_address import ConnectionSettings


def open_dialect(settings: ConnectionSettings) -> Callable[[], tuple[Dialect, Session]]:
    """Return what opens a session; drivers are imported at the first call."""
    if settings.backend == "mysql":
        from dj_schema.dialects.mysql.dialect import open_session as open_mysql

        return lambda: open_mysql(settings)
    from dj_schema.dialects.postgres import dialect as postgres

    if settings.backend == "embedded":
        return lambda: postgres.open_embedded_session(settings)
    return lambda: postgres.open_session(settings)
