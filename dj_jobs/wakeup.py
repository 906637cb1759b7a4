"""Waking workers that wait, where the server can pass on a word.

Changes of jobs tell in their transaction; new rows are told of after their commit, because commits that
notify wait for each other.

A channel is a table and what is new of it. It carries no value: a worker that hears of it looks for itself,
and one that hears nothing, because its connection broke or because another program made the change, finds
it when it next looks by itself.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dj_schema.errors import ConnectionRefusedByServerError, LostConnectionError
from dj_schema.sql import Ident

if TYPE_CHECKING:
    from dj_schema.connection import Connection
    from dj_schema.table_info import TableName

log = logging.getLogger("datajoint.jobs")


class News(StrEnum):
    """What may be new of a table."""

    JOBS = "jobs"  # there are some that may be claimed now
    ROWS = "rows"  # of its own, from which others are computed
    WORKERS = "workers"  # one of a schema was asked for something; the table has no name


@lru_cache(maxsize=10_000)
def channel(table: TableName, news: News) -> str:
    """Return the name of a channel, which the server wants to be short."""
    return f"dj_{news}_{hashlib.sha256('.'.join(table).encode()).hexdigest()[:40]}"


def tell(connection: Connection, table: TableName, news: News) -> None:
    """Wake those who wait for this, once the open transaction is committed; now, where there is none."""
    dialect = connection.dialect.jobs
    if not dialect.HAS_CHANNELS:
        return
    text = connection.render(dialect.notify(Ident(channel(table, news)))).text
    if connection.in_transaction:
        connection.defer(text)  # it goes with the COMMIT
    else:
        connection.run(text)


class Listener:
    """A session that is told of news, and sends no statement while it waits.

    Parameters
    ----------
    connection : Connection
        To the server; the listener has one of its own.
    """

    def __init__(self, connection: Connection, channels: Iterable[tuple[TableName, News]]) -> None:
        self._main = connection
        self._connection = connection.clone()
        self._of_channel = {channel(table, news): (table, news) for table, news in channels}
        self._session: Any = None

    @property
    def can_hear(self) -> bool:
        """Whether the server passes on such words at all."""
        return bool(self._main.dialect.jobs.HAS_CHANNELS)  # ours would be opened to find out

    def fileno(self) -> int | None:
        """Return what becomes readable with the next word; None where there is no session now."""
        return None if self._session is None else int(self._session.fileno())

    def open(self) -> bool:
        """Listen, where we do not yet; True where that began now, so that something may have been missed."""
        if self._session is not None or not self.can_hear:
            return False
        dialect = self._connection.dialect.jobs
        try:
            session = self._connection.connect().session()
            self._connection.script([dialect.listen(Ident(name)) for name in self._of_channel])
        except (LostConnectionError, ConnectionRefusedByServerError) as e:
            log.debug("cannot listen for new jobs: %s", e)
            return False
        self._session = session
        return True

    def heard(self) -> set[tuple[TableName, News]]:
        """Return what is new since the last call."""
        if self._session is None:
            return set()
        try:
            names = self._session.heard()
        except LostConnectionError as e:
            log.debug("no longer told of new jobs: %s", e)
            self.close()
            return set()
        return {self._of_channel[name] for name in names if name in self._of_channel}

    def close(self) -> None:
        self._session = None
        self._connection.close()
