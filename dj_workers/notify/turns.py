"""Who tells: all workers see that work is done or stands still, and one of them says so."""

from __future__ import annotations

import logging
import time
from hashlib import blake2b

from dj_jobs import control
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_workers.notify.notice import STUCK
from dj_workers.notify.watch import Change

log = logging.getLogger("datajoint.notify")

_DRAINED_S = 120.0
"""In which all that look have seen that work is done; who sees new work meanwhile ends it sooner."""

_STUCK_AGAIN = 4
"""Who began to look later tells of what stands still once more after so many times `stuck_after_s`."""


class Turns:
    """The turns of one worker among those that look at the same tables."""

    def __init__(self, stuck_after_s: float) -> None:
        self._every_s = {STUCK: max(_DRAINED_S, _STUCK_AGAIN * stuck_after_s)}
        self._looked_at = time.monotonic()

    def has_looked(self) -> None:
        """Take note of when the tables were as they were seen last."""
        self._looked_at = time.monotonic()

    def is_ours(self, change: Change, connection: Connection) -> bool:
        """Whether it is for this worker to tell; where the database does not say, it is."""
        try:
            every_s = self._every_s.get(change.kind, _DRAINED_S)
            return control.takes_turn(connection, _schema(change), _name(change), every_s)
        except DataJointError as e:
            log.debug("cannot ask who is to tell: %s", e)
            return True

    def n_untold(self, change: Change, connection: Connection) -> int:
        """Return how many failures are for this worker to tell of; where the database does not say, all."""
        try:
            return control.n_untold(connection, _schema(change), _name(change), change.n_before, change.n_now)
        except DataJointError as e:
            log.debug("cannot ask which failures are told: %s", e)
            return max(0, change.n_now - change.n_before)

    def is_over(self, change: Change, connection: Connection) -> None:
        """Have it told again when it happens again.

        What was told since our last look is left: then another worker has seen more than we have.
        """
        seen_s = time.monotonic() - self._looked_at
        try:
            control.gives_turn_back(connection, _schema(change), _name(change), seen_s)
        except DataJointError as e:
            log.debug("cannot have it told again: %s", e)


def _schema(change: Change) -> str:
    return min(change.tables).partition(".")[0]


def _name(change: Change) -> str:
    """Return the name of a turn, which is no name of a table, and short enough whatever it is about."""
    tables = blake2b("\0".join(sorted(change.tables)).encode(), digest_size=16).hexdigest()
    return f"tell {change.kind} {tables}"
