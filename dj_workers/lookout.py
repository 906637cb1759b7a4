"""Waiting for work: when a worker is to look again, and what it hears meanwhile.

Pauses between two looks are short after there was work, and grow to `poll_interval_s`. A look is one
statement. Where the server can wake us, what other workers do is heard at once.
"""

from __future__ import annotations

import logging
import time

from dj_jobs.look import Look
from dj_jobs.look import Work as WorkOn
from dj_jobs.presence import Presence
from dj_jobs.wakeup import Listener, News
from dj_schema.errors import ConnectionRefusedByServerError, DataJointError, LostConnectionError
from dj_workers.plan import Plan, name_of
from dj_workers.work import Work

log = logging.getLogger("datajoint.workers")

_SHARE_OF_SERVER = 0.05  # a look that takes long is had less often, not to keep the server busy
_LONGEST_PAUSE_WITHOUT_SERVER_S = 60.0
_LONGEST_DELAY_S = 1.0  # of what is heard, where what was heard before was no work for us


class Lookout:
    """What a worker that waits goes by.

    Attributes
    ----------
    n_idle : int
        Looks in a row that found nothing.
    has_jobs : bool
        Whether the last look saw jobs at all, due or not.
    """

    def __init__(self, plan: Plan, work: Work, presence: Presence) -> None:
        self._plan = plan
        self._work = work
        self._presence = presence
        self._connection = plan.tables[0]._schema.connection
        self._listener = Listener(self._connection, plan.wakes)
        self._look: Look | None = None
        self._pause_s = work.first_pause_s
        self._next_look = time.monotonic()
        self._heard: set[str] = set()
        self._delay_s = 0.0  # of what is heard
        self._not_before = 0.0
        self.n_idle = 0
        self.has_jobs = True
        self.is_answered = True

    # -- what the worker tells ---------------------------------------------------------------------

    def worked(self) -> None:
        """There was work: more may follow soon."""
        self.n_idle = 0
        self._delay_s = 0.0
        self._pause_s = self._work.first_pause_s
        self._next_look = time.monotonic() + self._pause_s

    def called_step(self) -> None:
        """A step was called, which may have inserted rows."""
        self._next_look = time.monotonic()

    def idled(self) -> None:
        """What was due turned out to be nothing for us."""
        self._delay_s = min(max(0.02, self._delay_s * 2), _LONGEST_DELAY_S)
        self._not_before = time.monotonic() + self._delay_s
        self._grow()

    def lost(self) -> None:
        """The server is away."""
        self.is_answered = False
        self._grow()

    def _grow(self) -> None:
        longest_s = self._work.longest_pause_s
        if not self.is_answered:
            longest_s = max(longest_s, _LONGEST_PAUSE_WITHOUT_SERVER_S)
        self._pause_s = min(self._pause_s * 2, longest_s)
        self._next_look = time.monotonic() + self._pause_s

    # -- waiting -----------------------------------------------------------------------------------

    def filenos(self) -> list[int]:
        """Return what becomes readable when something can be heard."""
        fd = self._listener.fileno()
        return [] if fd is None else [fd]

    def wait_s(self) -> float:
        """In how many seconds there is something to do here, though nothing is heard."""
        now = time.monotonic()
        waits = [self._next_look - now, self._presence.due_in_s(is_idle=True)]
        if self._heard:
            waits.append(self._not_before - now)
        return max(0.0, min(waits))

    def listen(self) -> None:
        """Begin to listen, where the server can tell; what came before is found by the next look."""
        if self._listener.open():
            self._next_look = time.monotonic()

    def hear(self) -> None:
        """Take up what was told, without waiting."""
        for table, news in self._listener.heard():
            if news is News.WORKERS:
                self._presence.beat(self._connection)
            else:
                self._heard |= self._plan.wakes[table, news]

    def due(self) -> set[str]:
        """Return the tables to look at now: those heard of, and those that a look finds, where it is time."""
        self.hear()
        now = time.monotonic()
        if self._presence.due_in_s(is_idle=True) <= 0:
            self._presence.beat(self._connection)
        due: set[str] = set()
        if self._heard and now >= self._not_before:
            due, self._heard = self._heard, set()
        if now >= self._next_look:
            due |= self._looked()
        return due

    def _looked(self) -> set[str]:
        started = time.monotonic()
        found = self._ask()
        self.is_answered = found is not None
        took_s = time.monotonic() - started
        due = {name for name, work in (found or {}).items() if work is WorkOn.NOW}
        if found is not None:
            self.has_jobs = any(found.values())
        if due:
            self.n_idle = 0
        else:
            self.n_idle += found is not None
        self._grow()
        self._next_look = max(self._next_look, time.monotonic() + took_s / _SHARE_OF_SERVER)
        self.listen()
        return due

    def _ask(self) -> dict[str, WorkOn] | None:
        """Return what there is for each table; None where the server is away."""
        try:
            if self._look is None or not self._look.is_whole:
                tables = [cls() for cls in self._plan.tables]
                self._look = Look(tables, self._work.restrictions, self._work.priority, self._presence)
            found = self._look()
        except (LostConnectionError, ConnectionRefusedByServerError) as e:
            if self.is_answered:
                log.warning("the server is away, it is asked again soon: %s", e)
            return None
        except DataJointError as e:
            # of one table, mostly: whoever goes over the tables finds out which
            log.debug("cannot look at all tables at once: %s", e)
            self._look = None
            return dict.fromkeys(map(name_of, self._plan.tables), WorkOn.NOW)
        return found

    def close(self) -> None:
        self._listener.close()


def is_idle_enough(work: Work, lookout: Lookout, idle_s: float) -> bool:
    """Whether there was nothing to do for as long as `work` wants to wait."""
    if work.is_drain and lookout.n_idle and not lookout.has_jobs:
        return True
    if work.max_idle_cycles is not None and lookout.n_idle >= work.max_idle_cycles:
        return True
    return work.idle_exit_s is not None and idle_s >= work.idle_exit_s
