"""A lock that the server keeps for a session on a name: workers take turns by it, none waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dj_schema.errors import DataJointError, LockTimeoutError
from dj_schema.sql import sql

if TYPE_CHECKING:
    from dj_schema.connection import Connection


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of waiting for a lock.

    Attributes
    ----------
    since : datetime
        When the wait began, by the clock of jobs.
    is_ours : bool
        False where another session has held the lock for a whole lease: it may be stopped, or cut off.
    """

    since: datetime
    is_ours: bool


@contextmanager
def turn(connection: Connection, name: str) -> Iterator[Turn]:
    """Wait for a lock, at most for a lease, and hold it; the server lets go where this session dies.

    Inside a transaction it is not taken: the transaction may fail, and then nothing could give it back.
    """
    take, give_back = connection.dialect.jobs.lock(name, float(connection.config.jobs.lease_timeout))
    since, is_ours = None, False
    if not connection.in_transaction:
        with suppress(LockTimeoutError):
            # taken again on a new session where this one is lost, as it is free then
            since, is_ours = connection.execute(take, is_read=True).rows[0]
    if since is None or not is_ours:
        statement = sql("SELECT {}", connection.dialect.jobs.NOW)
        since = connection.execute(statement, is_read=True).rows[0][0]
    try:
        yield Turn(since + timedelta(seconds=connection.clock_offset_s), bool(is_ours))
    except BaseException:
        if is_ours:
            with suppress(DataJointError):  # the first error is the one to be seen
                connection.execute(give_back, is_read=True)
        raise
    if is_ours:
        # a session that was lost has given the lock back, and the new one has nothing to give
        connection.execute(give_back, is_read=True)
