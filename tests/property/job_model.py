"""What the jobs of a small table should be after each call of the engine: the oracle of `test_job_engine`.

Time is that of a clock that only stands or is moved, in steps of 100 seconds; leases and waits end half way
between two steps, so that the seconds which a test takes decide nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

LEASE_S = 1050.0
WAIT_S = 1750.0
Key = int


@dataclass(frozen=True, slots=True)
class ModelJob:
    """One job.

    Attributes
    ----------
    lease_until : float or None
        None also of a job that is held for as long as its session lives.
    batch : int
        How many jobs its claim asked for: of several, it is not known which had begun when a worker dies.
    order : tuple
        Comes after the priority in the order of claims: what the server said of its schedule, and the key.
    sessions : frozenset of int
        Who holds it: the session that claimed it, and the one that renewed it last.
    """

    status: str
    priority: int
    scheduled: float
    token: str | None = None
    lease_until: float | None = None
    sessions: frozenset[int] = frozenset()
    main_session: int = 0
    worker: str = ""
    attempts: int = 0
    faults: int = 0
    rescues: int = 0
    batch: int = 1
    was_taken: bool = False
    is_empty: bool = False
    order: tuple[object, ...] = ()

    @property
    def is_held(self) -> bool:
        return self.status == "reserved"


@dataclass
class Model:
    """All jobs, results and sessions.

    Attributes
    ----------
    dead : set of int
        Sessions that the server no longer knows.
    """

    keys: tuple[Key, ...]
    max_rescues: int
    now: float = 0.0
    jobs: dict[Key, ModelJob] = field(default_factory=dict)
    results: set[Key] = field(default_factory=set)
    dead: set[int] = field(default_factory=set)

    def put(self, key: Key, **changes: object) -> None:
        self.jobs[key] = replace(self.jobs[key], **changes)  # type: ignore[arg-type]

    # -- claiming ----------------------------------------------------------------------------------

    def claimable(self, n: int, priority: int | None) -> list[Key]:
        """Return the keys that a claim of `n` is to get, in order."""
        due = [
            (job.priority, job.order, key)
            for key, job in self.jobs.items()
            if job.status == "pending"
            and job.scheduled <= self.now
            and (priority is None or job.priority <= priority)
        ]
        return [key for _, _, key in sorted(due)[:n]]

    def claim(self, key: Key, token: str, session: int, worker: str, batch: int) -> None:
        attempts = self.jobs[key].attempts + 1
        self.put(
            key,
            status="reserved",
            token=token,
            lease_until=self.now + LEASE_S,
            batch=batch,
            sessions=frozenset({session}),
            main_session=session,
            worker=worker,
            attempts=attempts,
        )

    def renew(self, token: str, session: int) -> int:
        held = [key for key, job in self.jobs.items() if job.is_held and job.token == token]
        for key in held:
            sessions = frozenset({self.jobs[key].main_session, session})
            self.put(key, lease_until=self.now + LEASE_S, sessions=sessions)
        return len(held)

    def is_owner(self, key: Key, token: str) -> bool:
        job = self.jobs.get(key)
        return job is not None and job.is_held and job.token == token

    # -- rescue ------------------------------------------------------------------------------------

    def is_silent(self, job: ModelJob) -> bool:
        return job.is_held and job.lease_until is not None and job.lease_until < self.now

    def is_dead(self, job: ModelJob) -> bool:
        return self.is_silent(job) or (job.is_held and job.sessions <= self.dead)

    def silent_sessions(self, own: int) -> set[int]:
        """Return the sessions that a rescue is to end: of the silent, but for that of the rescuer.

        One that holds other jobs, whose leases go on, is alive.
        """
        held = [job for job in self.jobs.values() if job.is_held]
        alive = {job.main_session for job in held if not self.is_silent(job)}
        return {job.main_session for job in held if self.is_silent(job)} - alive - {own}

    def rescue(self, also: Collection[Key] = ()) -> int:
        """Take back what the dead hold; return how many jobs.

        Parameters
        ----------
        also : collection of keys
            Of sessions that the rescue itself has ended, and that it took back at once.
        """
        dead = [key for key, job in self.jobs.items() if self.is_dead(job) or key in also]
        for key in dead:
            job = self.jobs[key]
            may_not_have_begun = job.batch > 1 and not job.rescues
            if job.rescues + 1 >= self.max_rescues and not may_not_have_begun:
                self.put(key, status="error", token=None, lease_until=None, was_taken=True)
            else:
                attempts = job.attempts - may_not_have_begun
                rescues = job.rescues + 1
                self.put(
                    key,
                    status="pending",
                    attempts=attempts,
                    rescues=rescues,
                    token=None,
                    lease_until=None,
                    was_taken=True,
                )
        return len(dead)

    # -- the edges out of reserved -------------------------------------------------------------------

    def complete(self, key: Key, token: str, *, has_rows: bool, keep: bool) -> bool:
        if not self.is_owner(key, token):
            return False
        if has_rows:
            self.results.add(key)
        if keep or not has_rows:
            self.put(key, status="success", lease_until=None, is_empty=not has_rows)
        else:
            del self.jobs[key]
        return True

    def leave(self, key: Key, token: str, status: str, **changes: object) -> bool:
        if not self.is_owner(key, token):
            return False
        self.put(key, status=status, token=None, lease_until=None, **changes)
        return True

    # -- operators -----------------------------------------------------------------------------------

    def fresh(self, key: Key) -> None:
        self.put(
            key,
            status="pending",
            scheduled=self.now,
            token=None,
            lease_until=None,
            attempts=0,
            faults=0,
            rescues=0,
            is_empty=False,
        )

    def in_state(self, *statuses: str) -> list[Key]:
        return sorted(key for key, job in self.jobs.items() if job.status in statuses)

    def move_all(self, status: str) -> int:
        """Make the jobs of a state pending, as if for the first time."""
        moved = self.in_state(status)
        for key in moved:
            self.fresh(key)
        return len(moved)

    def cancel(self, keys: Collection[Key]) -> int:
        moved = [key for key in self.in_state("pending", "reserved") if key in keys]
        for key in moved:
            taken = self.jobs[key].was_taken or self.jobs[key].token is not None
            self.put(key, status="ignore", token=None, lease_until=None, was_taken=taken)
        return len(moved)

    def refresh(self, priority: int, *, retry_empty: bool, also: Collection[Key] = ()) -> dict[str, int]:
        """Return the counts that a refresh is to return."""
        orphaned = self.rescue(also)
        removed = [key for key in self.in_state("pending") if key in self.results]
        for key in removed:
            del self.jobs[key]
        again = [
            key
            for key in self.in_state("success")
            if key not in self.results and (retry_empty or not self.jobs[key].is_empty)
        ]
        for key in again:
            self.fresh(key)
        added = [key for key in self.keys if key not in self.results and key not in self.jobs]
        for key in added:
            self.jobs[key] = ModelJob("pending", priority, self.now)
        return {
            "added": len(added),
            "removed": len(removed),
            "orphaned": orphaned,
            "re_pended": len(again),
        }
