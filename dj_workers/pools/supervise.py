"""A parent and its children: give orders, take reports, notice deaths, replace the dead, stop in order."""

from __future__ import annotations

import logging
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any

from dj_jobs.events import Event, Events, Kind
from dj_jobs.job import Outcome
from dj_schema.errors import DataJointError
from dj_workers.pools.child import GAVE_BACK
from dj_workers.pools.cutting import Cutter
from dj_workers.pools.handle import Child
from dj_workers.pools.messages import Bye, Failed, Idle, Note, Notes, Report, Stop
from dj_workers.shutdown import AT_ONCE, StopRequests

log = logging.getLogger("datajoint.workers")

_POLL_S = 0.5  # where the system does not tell the end of a process
_FAREWELL_S = 10.0  # from the last word of a child to its end, and from the order to end at once to SIGKILL
_MOST_FAILED_STARTS = 3  # one after the other


class Supervisor(ABC):
    """Children that all do the same work.

    Parameters
    ----------
    n : int
        How many.
    requests : StopRequests
        Entered; the first ends the children after their running job, a second signal at once, and so does
        the end of the time that it gives them.
    lease_s : float
        For as long a silent worker keeps its jobs.
    """

    def __init__(self, n: int, events: Events, requests: StopRequests, lease_s: float) -> None:
        self.n = n
        self._terminate_at: float | None = None
        self.events = events
        self.requests = requests
        self._cutter = Cutter(self.table, events, lease_s)
        self.children: list[Child] = []
        self.is_stopping = False
        self._is_terminating = False
        self._n_failed_starts = 0
        self._failure: BaseException | None = None
        self.n_dead = 0

    # -- what the work is --------------------------------------------------------------------------

    @abstractmethod
    def start(self, replaces: Child | None) -> Child:
        """Start one child."""

    @abstractmethod
    def order(self, child: Child) -> Any:
        """Return what an idle child is to do, or None for nothing."""

    @abstractmethod
    def reported(self, child: Child, report: Report, outcome: Outcome) -> None:
        """Take note of an outcome."""

    @abstractmethod
    def lost(self, child: Child) -> list[tuple[str, Outcome]]:
        """Take back what a dead child had; return what became of its keys, where that is final."""

    @abstractmethod
    def table(self, name: str) -> Any:
        """Return a table of the work by its ``schema.table``, on a connection of this process."""

    def noted(self, child: Child, event: Event) -> None:  # noqa: B027  not every work has to
        """Take note of what the engine told in a child."""

    def ended(self, child: Child, *, is_unexpected: bool) -> None:  # noqa: B027  not every work has to
        """Take note of the end of a child's process."""

    def told(self, child: Child, message: Any) -> None:
        """Take a message that only this kind of work knows."""
        raise TypeError(f"{message!r} is no message for {type(self).__name__}")

    def became_idle(self, child: Child) -> None:  # noqa: B027  not every work has to
        """Take note that a child has done its order, or has started."""

    def timeout_s(self) -> float | None:
        """Return after how long `woke` is to be called though nothing happens; None for never."""
        return None

    def filenos(self) -> list[int]:
        """Return further descriptors that `woke` is to be called for."""
        return []

    def woke(self) -> None:  # noqa: B027  not every work has to
        """Do what is due, after something has happened or the time is over."""

    #: whether a child without an order is told to end
    ENDS_IDLE_CHILDREN = True

    # -- the loop ----------------------------------------------------------------------------------

    def run(self) -> Iterator[tuple[str, Outcome]]:
        """Yield (table, outcome) as they come, until all children have ended.

        Raises
        ------
        Exception
            What kept a child from working at all, once the others have ended.
        """
        try:
            for _ in range(self.n):
                self.children.append(self.start(None))
            while self.children:
                yield from self._step()
        finally:
            self.stop()
            while self.children:
                self._step()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Have all children end after their running job."""
        self.is_stopping = True
        for child in self.children:
            self._stop(child)

    def retire(self, child: Child) -> None:
        """Have a child end after its running job, and another one take its place."""
        child.is_retiring = True
        self._stop(child)

    def _stop(self, child: Child) -> None:
        if not child.is_stopping:
            child.is_stopping = True
            child.send(Stop())

    def _step(self) -> list[tuple[str, Outcome]]:
        by_handle: dict[Any, Child] = {}
        for child in self.children:
            if not child.pipe.closed:
                by_handle[child.pipe] = child
            if child.exit_fd is not None:
                by_handle[child.exit_fd] = child
        others = [] if self.is_stopping else self.filenos()
        ready = wait([*by_handle, self.requests.fileno(), *others], self._wait_s())
        outcomes: list[tuple[str, Outcome]] = []
        if self.requests.fileno() in ready:
            self._requested()
        for child in dict.fromkeys(by_handle[r] for r in ready if r in by_handle):
            self._read(child, outcomes)
        for child in list(self.children):
            if child.code() is not None:
                self._read(child, outcomes)
                self._ended(child, outcomes)
            elif child.stop_by is not None and time.monotonic() > child.stop_by:
                log.warning("worker process %d does not end; it is killed", child.pid)
                child.stop_by = time.monotonic() + _FAREWELL_S
                child.kill(signal.SIGKILL)
            elif child.is_overdue:
                self._cutter.cut(child)
        self._cutter.look(self.children)
        if self._terminate_at is not None and time.monotonic() >= self._terminate_at:
            log.warning("time is over for the running jobs; they are released")
            self._terminate()
        if not self.is_stopping and self.children:
            self.woke()
        return outcomes

    def _wait_s(self) -> float | None:
        limits = [] if self.is_stopping else [self.timeout_s()]
        limits.append(self._cutter.wait_s(self.children))
        limits += [_POLL_S for c in self.children if c.exit_fd is None][:1]
        now = time.monotonic()
        limits += [max(0.0, c.stop_by - now) + 0.01 for c in self.children if c.stop_by is not None]
        limits += [max(0.0, c.due_by - now) + 0.01 for c in self.children if c.due_by is not None]
        if self._terminate_at is not None:
            limits.append(max(0.0, self._terminate_at - now))
        return min((s for s in limits if s is not None), default=None)

    def _requested(self) -> None:
        self.requests.take()
        if not self.requests:
            return  # some other signal
        self.stop()
        limit_s = self.requests.shutdown_timeout_s
        if self.requests.is_urgent:
            self._terminate()
        elif self.requests.first is not None and self._terminate_at is None and limit_s is not None:
            self._terminate_at = time.monotonic() + limit_s

    def _terminate(self) -> None:
        """Have the children give their running jobs back, and end."""
        self._terminate_at = None
        if self._is_terminating:
            return
        self._is_terminating = True
        for child in self.children:
            child.stop_by = time.monotonic() + _FAREWELL_S
            child.kill(AT_ONCE)

    def _read(self, child: Child, outcomes: list[tuple[str, Outcome]]) -> None:
        try:
            while not child.pipe.closed and child.pipe.poll():
                self._take(child, child.pipe.recv(), outcomes)
        except (EOFError, OSError):
            child.pipe.close()

    def _take(self, child: Child, message: Any, outcomes: list[tuple[str, Outcome]]) -> None:
        child.heard = time.monotonic()
        if isinstance(message, Report):
            child.runs(None)
            child.n_done += 1
            outcome = message.outcome()
            for note in message.notes:
                self._noted(child, note)
            self.reported(child, message, outcome)
            outcomes.append((message.table, outcome))
        elif isinstance(message, Notes):
            for note in message.notes:
                self._noted(child, note)
                if note.event.kind is Kind.STARTED:
                    child.runs(note.event)
        elif isinstance(message, Idle):
            child.has_started = child.is_idle = True
            self._n_failed_starts = 0
            self.became_idle(child)
            self.give(child)
        elif isinstance(message, Bye):
            child.is_retiring |= not child.is_stopping  # SIGTERM came to it alone
            child.is_stopping = True
            child.stop_by = time.monotonic() + _FAREWELL_S
        elif isinstance(message, Failed):
            child.is_stopping = True
            self._failure = self._failure or message.error.restored(message.traceback)
            self.stop()
        else:
            self.told(child, message)

    def _noted(self, child: Child, note: Note) -> None:
        event = note.restored()
        self.noted(child, event)
        self.events.emit(event)

    def give(self, child: Child) -> None:
        """Give an idle child its next order, or let it end where there is none."""
        order = None if self.is_stopping else self.order(child)
        if order is not None:
            child.is_idle = False
            child.send(order)
        elif self.is_stopping or self.ENDS_IDLE_CHILDREN:
            self._stop(child)

    def _ended(self, child: Child, outcomes: list[tuple[str, Outcome]]) -> None:
        code = child.code()
        child.close()
        self.children.remove(child)
        if code == GAVE_BACK and not child.is_stopping:
            child.is_retiring = child.is_stopping = True  # by SIGTERM, whose time was over
        is_expected = child.is_stopping and (
            code in (0, GAVE_BACK) or self._is_terminating or self._failure is not None
        )
        self.ended(child, is_unexpected=not is_expected)
        if is_expected:
            if child.is_retiring and not self.is_stopping and not self.requests:
                self.children.append(self.start(None))
            return
        self.n_dead += 1
        log.warning("worker process %d %s", child.pid, _how(code))
        if (cut := self._cutter.bury(child)) is not None:
            outcomes.append(cut)
        outcomes += self.lost(child)
        if not child.has_started:
            self._n_failed_starts += 1
            if self._n_failed_starts >= _MOST_FAILED_STARTS:
                self._failure = self._failure or DataJointError(
                    f"worker processes end before they start to work; the last one {_how(code)}."
                )
                self.stop()
        if not self.is_stopping:
            self.children.append(self.start(child))


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with exit code {code}, its work unfinished"
