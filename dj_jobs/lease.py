"""Keeping claims alive: a thread renews the leases of what this process holds, on a connection of its own.

While the interpreter lock keeps the thread from running, another process does it (`heartbeat.py`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dj_jobs import clock, finish
from dj_jobs.claim import keys_where, these
from dj_jobs.heartbeat import Heartbeat
from dj_jobs.job import Claim, Key
from dj_jobs.states import Status
from dj_jobs.watch import Watch
from dj_schema.connection import Connection
from dj_schema.errors import ClaimLostError, DataJointError, JobCancelledError
from dj_schema.sql import Ident, Param, Sql, sql

if TYPE_CHECKING:
    from dj_jobs.presence import Presence
    from dj_jobs.table import JobTable
    from dj_schema.table_info import TableName

log = logging.getLogger("datajoint.lease")

_FIRST_RENEWAL_S = 1.0  # after a claim

Place = tuple["TableName", UUID]
Values = tuple[Any, ...]


@dataclass
class _Hold:
    """The keys that one claim made ours.

    Attributes
    ----------
    valid_until : float
        By the monotonic clock, from before the server set it: past it, another worker may have them.
    is_renewed : bool
        The job names the session that renews; until then only the worker's own vouches for it.
    """

    jobs: JobTable
    valid_until: float
    keys: dict[Values, Key] = field(default_factory=dict)
    is_renewed: bool = False
    lost: dict[Values, ClaimLostError] = field(default_factory=dict)


class LeaseKeeper:
    """Renews leases at a third of their length, and a first time after a second.

    The job names the session that renews beside that of the worker, so that a broken main connection
    during hours of computing does not look like a dead worker.

    Parameters
    ----------
    presence : Presence, optional
        What the thread tells the registry of workers.
    """

    def __init__(self, connection: Connection, presence: Presence | None = None) -> None:
        self._presence = presence
        self._lease_s = float(connection.config.jobs.lease_timeout)
        self._main = connection
        self._connection = connection.clone()
        self._held: dict[Place, _Hold] = {}
        self._waiting: dict[tuple[UUID, Values], tuple[JobTable, Claim, float]] = {}  # claimed, not begun
        self._n_given_back = 0
        self._running: tuple[Claim, Watch] | None = None
        self._lock = threading.Lock()
        self._giving_back = threading.Lock()  # held while claims are on their way back; before the other
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="datajoint-lease", daemon=True)
        self._heartbeat = Heartbeat.of(connection, self._lease_s)

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._heartbeat.tell(self, [])
        self._connection.close()

    def hold(self, jobs: JobTable, claims: Iterable[Claim], since: float | None = None) -> None:
        """Keep these claims alive from now on.

        Parameters
        ----------
        since : float, optional
            When they were asked for, by the monotonic clock.
        """
        now = time.monotonic()
        until = (now if since is None else since) + self._lease_s
        with self._lock:
            for claim in claims:
                place = (jobs.table_id, claim.token)
                self._held.setdefault(place, _Hold(jobs, until)).keys[_values(claim)] = claim.key
                self._waiting[claim.token, _values(claim)] = (jobs, claim, now)
            held = list(self._held)
        self._heartbeat.tell(self, held)

    def start(self, jobs: JobTable, claim: Claim) -> bool:
        """Say that a claim is being computed from now on; False where it was given back meanwhile.

        Raises
        ------
        ClaimLostError
            Where others took it.
        """
        with self._lock:
            if self._waiting.pop((claim.token, _values(claim)), None) is None:
                return False
            error = self._error_of(jobs.table_id, claim)
        if error is not None:
            raise error
        if self._presence is not None:
            self._presence.begins(".".join(jobs.target.table_id), claim.key)
        return True

    def take_n_given_back(self) -> int:
        """Return how many claims went back, by themselves, since this was asked last.

        What is on its way back is waited for: who looks for more to do, and sees it still held, would end.
        """
        with self._giving_back, self._lock:
            n, self._n_given_back = self._n_given_back, 0
            return n

    def drop(self, jobs: JobTable, claim: Claim) -> None:
        """Let a claim go."""
        with self._lock:
            self._drop(jobs.table_id, claim)
        if self._presence is not None:
            self._presence.ends()

    def _drop(self, table: TableName, claim: Claim) -> None:
        values = _values(claim)
        self._waiting.pop((claim.token, values), None)
        hold = self._held.get((table, claim.token))
        if hold is not None:
            hold.keys.pop(values, None)
            if not hold.keys:
                del self._held[table, claim.token]

    # -- for the runner ----------------------------------------------------------------------------

    @contextmanager
    def watched(self, claim: Claim, watch: Watch) -> Iterator[None]:
        """Have a make interrupted where its claim is lost."""
        with self._lock:
            self._running = (claim, watch)
        try:
            yield
        finally:
            self._running = None  # without the lock: an interruption may be on its way

    def confirm(self, jobs: JobTable, claim: Claim) -> None:
        """See that the claim is ours, by the server's word where its lease may have ended meanwhile.

        Raises
        ------
        ClaimLostError
            Where it is not.
        """
        with self._lock:
            if error := self._error_of(jobs.table_id, claim):
                raise error
            hold = self._held.get((jobs.table_id, claim.token))
            if hold is not None and time.monotonic() < hold.valid_until:
                return
        statement = _renewal(jobs.connection, jobs.table_id, claim.token, [claim.key], self._lease_s)
        if jobs.connection.execute(statement).n_rows != 1:
            raise lost_error(jobs.target.full_table_name, claim.key)

    def _error_of(self, table: TableName, claim: Claim) -> ClaimLostError | None:
        hold = self._held.get((table, claim.token))
        return hold.lost.get(_values(claim)) if hold is not None and hold.lost else None

    # -- in the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        interval_s = self._lease_s / 3
        tick_s = min(_FIRST_RENEWAL_S, interval_s)
        due = time.monotonic() + interval_s
        while not self._stop.wait(tick_s):
            if time.monotonic() < due:
                self._renew_all(is_first=True)
                continue
            due = time.monotonic() + interval_s
            self._heartbeat.beat()
            self._give_back()
            self._renew_all()
            if self._presence is not None:
                self._presence.beat(self._connection)

    def _renew_all(self, *, is_first: bool = False) -> None:
        """Renew what is held; or only what has been held for a moment, and not been renewed yet."""
        latest = time.monotonic() + self._lease_s - _FIRST_RENEWAL_S
        with self._lock:
            held = {
                place: (hold.jobs, list(hold.keys.values()))
                for place, hold in self._held.items()
                if not is_first or (not hold.is_renewed and hold.valid_until <= latest)
            }
        for place, (jobs, keys) in held.items():
            try:
                self._renew(place, jobs, keys)
            except DataJointError as e:
                # the fence in the database keeps a late result out; trying again is all there is to do
                table = ".".join(place[0])
                log.warning("cannot renew the lease on %d jobs of %s: %s", len(keys), table, e)

    def _give_back(self) -> None:
        """Give back what waits behind a job that takes long, so that other workers can have it."""
        latest = time.monotonic() - self._lease_s / 3
        with self._giving_back:
            with self._lock:
                waiting = [(jobs, claim) for jobs, claim, since in self._waiting.values() if since <= latest]
                for jobs, claim in waiting:
                    self._drop(jobs.table_id, claim)
            if not waiting:
                return
            try:
                n = finish.release_all(waiting[0][0], [claim for _, claim in waiting], self._connection)
                with self._lock:
                    self._n_given_back += n
            except DataJointError as e:
                log.warning("%d jobs that wait behind a long one are left to be rescued: %s", len(waiting), e)

    def _renew(self, place: Place, jobs: JobTable, keys: list[Key]) -> None:
        table, token = place
        asked = time.monotonic()
        statement = _renewal(self._connection, table, token, keys, self._lease_s, main=self._main.session_id)
        n_renewed = self._connection.execute(statement).n_rows
        lost = self._lost(jobs, token, keys) if n_renewed < len(keys) else {}
        with self._lock:
            hold = self._held.get(place)
            if hold is None:
                return
            hold.valid_until = asked + self._lease_s
            hold.is_renewed = True
            hold.lost.update(lost)
            running = self._running
        if running is None or running[0].token != token:
            return
        error = lost.get(_values(running[0]))
        if error is not None and running[1].interrupt(error):
            log.warning("%s", error)

    def _lost(self, jobs: JobTable, token: UUID, keys: list[Key]) -> dict[Values, ClaimLostError]:
        """Return those of the keys that are not ours any more, with what became of them."""
        held = keys_where(jobs, _held_with(token), self._connection)
        gone = [key for key in keys if key not in held]
        if not gone:
            return {}
        ignored = sql("{} AND {} = {}", these(gone), Ident("status"), Param(Status.IGNORE.value))
        cancelled = keys_where(jobs, ignored, self._connection)
        table = jobs.target.full_table_name
        return {tuple(k.values()): lost_error(table, k, is_cancelled=k in cancelled) for k in gone}


def _values(claim: Claim) -> Values:
    return tuple(claim.key.values())


def _renewal(
    connection: Connection, table: TableName, token: UUID, keys: list[Key], lease_s: float, main: int = 0
) -> Sql:
    """Return what renews the leases of these keys, where they are still held with this token."""
    own = connection.connection_id
    return sql(
        "UPDATE {} SET {} = {}, {} = {}, {} = {} WHERE {} AND {}",
        Ident(*table),
        Ident("_lease_until"), clock.after(connection, lease_s),
        Ident("_lease_session"), Param(own),
        Ident("connection_id"), Param(main or own),
        these(keys), _held_with(token),
    )  # fmt: skip


def note_lock_session(jobs: JobTable, claim: Claim, session: int) -> None:
    """Have a job name the session that keeps its inputs locked, which a rescue has to end too.

    The lease is renewed with it, so that the session is known to have been there then.

    Raises
    ------
    ClaimLostError
        Where the claim is not ours any more.
    """
    connection = jobs.connection
    statement = sql(
        "UPDATE {} SET {} = {}, {} = {} WHERE {} AND {}",
        Ident(*jobs.table_id),
        Ident("_lease_until"), clock.after(connection, float(connection.config.jobs.lease_timeout)),
        Ident("_lock_session"), Param(session),
        these([claim.key]), _held_with(claim.token),
    )  # fmt: skip
    if connection.execute(statement).n_rows != 1:
        raise lost_error(jobs.target.full_table_name, claim.key)


def renew_all(connection: Connection, table: TableName, token: UUID, lease_s: float) -> int:
    """Renew all that a claim holds; for a process that knows no more of it than its token."""
    statement = sql(
        "UPDATE {} SET {} = {}, {} = {} WHERE {}",
        Ident(*table),
        Ident("_lease_until"),
        clock.after(connection, lease_s),
        Ident("_lease_session"),
        Param(connection.connection_id),
        _held_with(token),
    )
    return connection.execute(statement).n_rows


def _held_with(token: UUID) -> Sql:
    is_reserved = sql("{} = {}", Ident("status"), Param(Status.RESERVED.value))
    return sql("{} = {} AND {}", Ident("_token"), Param(token), is_reserved)


def lost_error(table: str, key: Key, *, is_cancelled: bool = False) -> ClaimLostError:
    """Return what a job fails with whose claim was lost while it was computed."""
    if is_cancelled:
        return JobCancelledError(
            f"the job {key} of {table} was cancelled while it was computed; nothing was written."
        )
    return ClaimLostError(
        f"the claim on {key} of {table} was lost while it was computed: the lease ran out, or the "
        "job was taken back. Nothing was written; whoever holds the key now computes it."
    )
