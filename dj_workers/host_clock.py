"""Whether the clock of this host is that of the database server, by which jobs go."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from weakref import WeakSet

from dj_schema.sql import sql

if TYPE_CHECKING:
    from dj_schema.connection import Connection

log = logging.getLogger("datajoint.workers")

_CLOCKS_AGREE_S = 60.0
_compared: WeakSet[Connection] = WeakSet()  # scripts call populate often, and need to hear it once


def warn_of_clock(connection: Connection) -> None:
    """Say so where the clock of this host is another than the server's, by which jobs go."""
    ahead_s = _host_is_ahead_s(connection)
    if abs(ahead_s) < _CLOCKS_AGREE_S:
        return
    log.warning(
        "the clock of this host is %.0f s %s that of the database server, %s. Jobs go by the server's clock, "
        "so that each is computed once all the same; but times in the logs and metrics of this host do not "
        "fit the others'. Have NTP set the clocks of both hosts (timedatectl set-ntp true, or chrony).",
        abs(ahead_s),
        "ahead of" if ahead_s > 0 else "behind",
        connection.settings.label,
    )


def warn_of_clock_once(connection: Connection) -> None:
    """The same for a script: with its first populate on a connection, and never again."""
    if connection not in _compared:
        _compared.add(connection)
        warn_of_clock(connection)


def _host_is_ahead_s(connection: Connection) -> float:
    """Return by how much the clock of this host differs from the server's; negative where it is behind."""
    before = datetime.now(UTC)
    [(there,)] = connection.execute(sql("SELECT {}", connection.dialect.jobs.NOW), is_read=True).rows
    here = before + (datetime.now(UTC) - before) / 2
    ahead: float = (here.replace(tzinfo=None) - there).total_seconds()
    return ahead
