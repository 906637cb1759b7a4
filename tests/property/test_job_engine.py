"""The engine against a model: simulated workers claim, end, fail, lose and rescue jobs, alone or at once.

A worker is a connection with the jobs on it; each step is one call of the engine, or several whose statements
are interleaved as a schedule says. The clock of jobs is moved, leases end, sessions are ended in the server.
After each step the job table is what the model says; at the end a checker goes over all that was recorded.
``DJ_TEST_JOB_EXAMPLES`` makes it longer than the few runs that are part of every test.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from dj_jobs import claim as claims
from dj_jobs import finish
from dj_jobs.job import Claim, Worker
from dj_jobs.lease import renew_all
from dj_jobs.rescue import rescue
from dj_query.table import FreeTable
from dj_schema.connection import Connection
from dj_schema.errors import (
    ClaimLostError,
    DeadlockError,
    DuplicateError,
    JobError,
    LockTimeoutError,
    LostConnectionError,
)
from tests.chaos.audit import Audit
from tests.chaos.checker import violations
from tests.chaos.edges import edge_of
from tests.chaos.history import Fault, History, Move, RowChange, Rules
from tests.property.interleave import interleaved
from tests.property.job_model import LEASE_S, WAIT_S, Model, ModelJob
from tests.support.sessions import kill, live_sessions

KEYS = tuple(range(6))
MOST_WORKERS = 8
N_EXAMPLES = int(os.environ.get("DJ_TEST_JOB_EXAMPLES", "0"))  # else the few of every run
_LONG_S = 1e9
_SESSION_ENDS_S = 20.0
_STEPS_S = st.sampled_from([300.0, 700.0, 1100.0, 1800.0])


@dataclass
class Lab:
    """The table under test, on the connection of whoever only watches."""

    result: Any
    connection: Connection
    audit: Audit
    crew: list[tuple[Connection, Any]] = field(default_factory=list)

    def jobs_on(self, connection: Connection) -> Any:
        target = self.result()
        target._connection = connection
        return target.jobs

    def rows(self, connection: Connection) -> Any:
        return FreeTable.at(connection, *self.result().table_id)


@dataclass
class SimWorker:
    """A worker without a loop of its own."""

    connection: Connection
    jobs: Any
    worker: Worker
    claims: list[Claim] = field(default_factory=list)

    @property
    def session(self) -> int:
        return self.connection.connection_id


@pytest.fixture
def lab(dj: Any, new_schema: Callable[..., Any], connection: Connection) -> Iterator[Lab]:
    schema = new_schema()

    @schema
    class Source(dj.Manual):  # type: ignore[misc]
        definition = "id : int32\n---\nversion = 1 : int32"

    @schema
    class Result(dj.Computed):  # type: ignore[misc]
        definition = "-> Source\n---\nversion = 1 : int32"

        def make(self, key: dict[str, int]) -> None:
            raise AssertionError("the workers of this test make nothing")

    Source.insert([{"id": key} for key in KEYS])
    jobs = Result.jobs
    audit = Audit(
        connection, jobs.table_id, Result().table_id, Source().table_id, key="id", version="version"
    )
    audit.install()
    lab = Lab(Result, connection, audit)
    for _ in range(MOST_WORKERS):
        own = connection.clone()
        lab.crew.append((own, lab.jobs_on(own)))
    yield lab
    for own, _ in lab.crew:
        own.close()


def test_the_engine_does_what_the_model_says(lab: Lab) -> None:
    run_state_machine_as_test(
        lambda: JobMachine(lab),
        settings=settings(
            max_examples=N_EXAMPLES or 20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=not N_EXAMPLES,
            database=None,
            phases=[Phase.generate],
        ),
    )


def half_steps(seconds: float) -> float:
    """Return a time without the seconds that the test has taken so far: by the half steps of the clock."""
    return (seconds + 1) // 50 * 50


workers = st.integers(0, MOST_WORKERS - 1)
keys = st.sampled_from(KEYS)
some_keys = st.sets(keys, min_size=1, max_size=3)
picks = st.integers(0, 99)
ENDS = st.sampled_from(
    [
        "complete",
        "complete",
        "complete empty",
        "fail",
        "retry later",
        "fault",
        "release",
        "give back",
        "renew",
    ]
)
ORDERS = st.sampled_from(
    ["retry", "unignore", "cancel", "ignore", "delete", "release a worker", "insert", "delete the result"]
)
CALLS = st.sampled_from(
    [
        "claim",
        "claim",
        "claim",
        "rescue",
        "refresh",
        "complete",
        "complete",
        "fail",
        "release",
        "renew",
        "cancel",
    ]
)


class JobMachine(RuleBasedStateMachine):
    """Steps that any worker may take."""

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self.lab = lab
        self.workers: list[SimWorker] = []
        self.faults: list[Fault] = []
        self.moved: list[tuple[int, float]] = []  # from which record on the clock was how far ahead
        self.config = lab.connection.config
        self.override: Any = None

    # -- a run -------------------------------------------------------------------------------------

    @initialize(
        n=st.integers(2, MOST_WORKERS),
        most=st.integers(1, 2),
        keep=st.booleans(),
        priorities=st.lists(st.sampled_from([3, 5, 7]), min_size=len(KEYS), max_size=len(KEYS)),
    )
    def begin(self, n: int, most: int, keep: bool, priorities: list[int]) -> None:
        jobs = {"lease_timeout": LEASE_S, "max_rescues": most, "keep_completed": keep, "stale_timeout": 10**8}
        self.override = self.config.override(jobs=jobs)
        self.override.__enter__()
        self.keep = keep
        self.lab.connection.clock_offset_s = 0.0
        connection = self.lab.connection
        self.lab.rows(connection).delete_quick()
        self.lab.jobs_on(connection).delete()
        self.lab.audit.clear()
        self.started = time.time()
        self.model = Model(KEYS, most)
        for i in range(n):
            own, jobs = self.lab.crew[i]
            own.clock_offset_s = 0.0
            self.workers.append(SimWorker(own, jobs, Worker(f"worker {i}", "here", 1000 + i)))
        for priority in sorted(set(priorities), reverse=True):  # so that their age does not order them too
            which = [{"id": key} for key, own in zip(KEYS, priorities, strict=True) if own == priority]
            counts = self.workers[0].jobs.refresh(which, priority=priority)
            assert counts["added"] == len(which)
            for key in which:
                self.model.jobs[key["id"]] = ModelJob("pending", priority, 0.0)

    def teardown(self) -> None:
        try:
            if self.workers:
                assert violations(self.history()) == []
        finally:
            if self.override is not None:
                self.override.__exit__(None, None, None)

    def history(self) -> History:
        """All that was recorded, in the time of the moved clock."""
        moves, rows, _ = self.lab.audit.read()
        moves = [replace(move, at=move.at + self._ahead(move.seq)) for move in moves]
        outsider = self.lab.connection.connection_id
        rows = [replace(row, seen=None, is_foreign=row.session == outsider) for row in rows]
        rules = Rules(
            max_rescues=self.model.max_rescues, longest_limbo_s=_LONG_S, longest_overtaking_s=_LONG_S
        )
        return History(moves, rows, faults=self.faults, rules=rules)

    def _ahead(self, seq: int) -> float:
        return next((ahead for first, ahead in reversed(self.moved) if seq >= first), 0.0)

    def now(self) -> float:
        return time.time() + self.model.now

    def at(self, i: int) -> SimWorker:
        return self.workers[i % len(self.workers)]

    def pick(self, i: int) -> tuple[SimWorker, Claim] | None:
        """Return a claim of any worker: mostly one that is held, at times one that was lost since."""
        every = [(worker, claim) for worker in self.workers for claim in worker.claims]
        held = [(w, c) for w, c in every if self.model.is_owner(c.key["id"], c.token.hex)]
        found = held if held and i % 3 else every
        return found[i % len(found)] if found else None

    # -- what is compared --------------------------------------------------------------------------

    @invariant()
    def the_tables_are_what_the_model_says(self) -> None:
        if not self.workers:
            return
        actual = self.read()
        assert {key: self.shown(job) for key, job in actual.items()} == {
            key: self.shown(job) for key, job in self.model.jobs.items()
        }
        assert self.results() == self.model.results
        for key, job in actual.items():
            self.model.put(key, order=job.order)

    @staticmethod
    def shown(job: ModelJob) -> ModelJob:
        """What of a job is compared."""
        due = job.scheduled if job.status == "pending" else 0.0
        sessions, main = (job.sessions, job.main_session) if job.status == "reserved" else (frozenset(), 0)
        return replace(
            job,
            scheduled=due,
            sessions=sessions,
            main_session=main,
            worker="",
            batch=0,
            order=(),
        )

    def read(self) -> dict[int, ModelJob]:
        """The job table, in the terms of the model."""
        jobs = self.lab.jobs_on(self.lab.connection)
        hidden = ("_token", "_lease_until", "_lease_session", "_worker", "_attempts", "_faults", "_rescues")
        hidden += ("_batch", "_was_taken")
        return {row["id"]: self._read(row) for row in jobs.proj(..., *hidden, "_is_empty").to_dicts()}

    def _read(self, row: dict[str, Any]) -> ModelJob:
        main = int(row["connection_id"])
        sessions = {main} | ({int(row["_lease_session"])} - {0})
        return ModelJob(
            row["status"],
            row["priority"],
            self._model_time(row["scheduled_time"]),
            row["_token"].hex if row["_token"] is not None else None,
            None if row["_lease_until"] is None else self._model_time(row["_lease_until"]),
            frozenset(sessions),
            main,
            row["_worker"],
            row["_attempts"],
            row["_faults"],
            row["_rescues"],
            row["_batch"],
            bool(row["_was_taken"]),
            bool(row["_is_empty"]),
            (row["scheduled_time"], row["id"]),
        )

    def _model_time(self, when: datetime) -> float:
        return half_steps(when.replace(tzinfo=UTC).timestamp() - self.started)

    def results(self) -> set[int]:
        return {row["id"] for row in self.lab.rows(self.lab.connection).to_dicts()}

    # -- steps -------------------------------------------------------------------------------------

    @rule(i=workers, n=st.integers(1, 4), priority=st.sampled_from([None, None, 3, 5]))
    def some_jobs_are_claimed(self, i: int, n: int, priority: int | None) -> None:
        self.claim(i, n, priority)

    @rule(pick=picks, how=ENDS)
    def a_claim_ends(self, pick: int, how: str) -> None:
        """Also one that was lost before."""
        # what a step draws must not depend on what calls at once have led to
        found = self.pick(pick)
        if found is None:
            return self.claim(pick, 4, None)
        ends: dict[str, Callable[..., None]] = {
            "complete": lambda *of: self.complete(*of, has_rows=True),
            "complete empty": lambda *of: self.complete(*of, has_rows=False),
            "fail": self.fail,
            "retry later": lambda *of: self.retry_later(*of, is_fault=False),
            "fault": lambda *of: self.retry_later(*of, is_fault=True),
            "release": self.release,
            "give back": lambda worker, _: self.release_all(worker),
            "renew": self.renew,
        }
        ends[how](*found)

    @rule(i=workers, priority=st.sampled_from([3, 5, 7]), how=st.sampled_from(["rescue", "add", "repeat"]))
    def jobs_come_back(self, i: int, priority: int, how: str) -> None:
        if how == "rescue":
            self.rescue(i)
        else:
            self.refresh(i, priority, retry_empty=how == "repeat")

    @rule(i=workers, seconds=_STEPS_S, how=st.sampled_from(["session", "clock"]))
    def something_happens(self, i: int, seconds: float, how: str) -> None:
        if how == "session":
            self.lose_session(i)
        else:
            self.move_the_clock(seconds)

    @rule(pick=picks, i=workers, j=workers)
    def a_worker_loses_its_jobs_to_another(self, pick: int, i: int, j: int) -> None:
        found = self.pick(pick)
        self.lose_session(i if found is None else self.workers.index(found[0]))
        self.rescue(i)
        self.claim(j, 4, None)

    @rule(i=workers, j=workers, key=keys, which=some_keys, what=ORDERS)
    def somebody_takes_a_hand(self, i: int, j: int, key: int, which: set[int], what: str) -> None:
        orders: dict[str, Callable[[], None]] = {
            "retry": lambda: self.retry(i),
            "unignore": lambda: self.unignore(i),
            "cancel": lambda: self.cancel(i, which),
            "ignore": lambda: self.ignore(i, key),
            "delete": lambda: self.delete_what_nobody_holds(i),
            "release a worker": lambda: self.release_a_worker(i, j),
            "insert": lambda: self.insert_by_another_program(key),
            "delete the result": lambda: self.delete_the_result(key),
        }
        orders[what]()

    # -- workers -----------------------------------------------------------------------------------

    def claim(self, i: int, n: int, priority: int | None) -> None:
        worker = self.at(i)
        expected = self.model.claimable(n, priority)
        token = uuid4()
        got = claims.claim(worker.jobs, worker.worker, n, priority=priority, token=token)
        assert [claim.key["id"] for claim in got] == expected
        for claim in got:
            before = self.model.jobs[claim.key["id"]]
            assert (claim.token, claim.attempt, claim.n_faults) == (token, before.attempts + 1, before.faults)
            assert claim.was_taken == before.was_taken
            self.model.claim(claim.key["id"], token.hex, worker.session, worker.worker.name, n)
        worker.claims += got

    def renew(self, worker: SimWorker, claim: Claim) -> None:
        n = renew_all(worker.connection, worker.jobs.table_id, claim.token, LEASE_S)
        assert n == self.model.renew(claim.token.hex, worker.session)

    def complete(self, worker: SimWorker, claim: Claim, *, has_rows: bool) -> None:
        key = claim.key["id"]
        is_there = has_rows and key in self.model.results
        try:
            self._complete(worker, claim, has_rows)
        except DuplicateError:
            assert is_there
        except ClaimLostError:
            assert not is_there
            assert not self.model.is_owner(key, claim.token.hex)
        else:
            assert not is_there
            assert self.model.complete(key, claim.token.hex, has_rows=has_rows, keep=self.keep)

    def _complete(self, worker: SimWorker, claim: Claim, has_rows: bool) -> None:
        with worker.connection.transaction:
            if has_rows:
                self.lab.rows(worker.connection).insert1(claim.key, allow_direct_insert=True)
            finish.complete(worker.jobs, claim, 0.1, has_rows=has_rows, keep=self.keep)

    def fail(self, worker: SimWorker, claim: Claim) -> None:
        was_ours = finish.fail(worker.jobs, claim, "ValueError: no", "stack", 0.1)
        assert was_ours == self.model.leave(claim.key["id"], claim.token.hex, "error")

    def retry_later(self, worker: SimWorker, claim: Claim, *, is_fault: bool) -> None:
        was_ours = finish.retry_later(worker.jobs, claim, WAIT_S, "OSError: no", "stack", is_fault=is_fault)
        assert was_ours == self.model.leave(
            claim.key["id"],
            claim.token.hex,
            "pending",
            scheduled=self.model.now + WAIT_S,
            attempts=claim.attempt - is_fault,
            faults=claim.n_faults + is_fault,
        )

    def release(self, worker: SimWorker, claim: Claim) -> None:
        was_ours = finish.release(worker.jobs, claim)
        attempts = claim.attempt - 1
        assert was_ours == self.model.leave(claim.key["id"], claim.token.hex, "pending", attempts=attempts)

    def release_all(self, worker: SimWorker) -> None:
        expected = 0
        for claim in worker.claims:
            key = claim.key["id"]
            if self.model.is_owner(key, claim.token.hex):
                attempts = self.model.jobs[key].attempts - 1
                expected += self.model.leave(key, claim.token.hex, "pending", attempts=attempts)
        assert finish.release_all(worker.jobs, worker.claims) == expected

    def rescue(self, i: int) -> None:
        worker = self.at(i)
        n, also = self._rescuing(worker, lambda: rescue(worker.jobs))
        assert n == self.model.rescue(also)

    def refresh(self, i: int, priority: int, retry_empty: bool) -> None:
        worker = self.at(i)
        counts, also = self._rescuing(
            worker, lambda: worker.jobs.refresh(priority=priority, retry_empty=retry_empty)
        )
        assert counts == self.model.refresh(priority, retry_empty=retry_empty, also=also)

    def _rescuing(self, worker: SimWorker, function: Callable[[], Any]) -> tuple[Any, list[int]]:
        """Call what rescues; return what it returns, and the jobs it got because it ended their session."""
        ended = self.model.silent_sessions(worker.session) - self.model.dead
        since = self.now()
        held = [
            key
            for key, job in self.model.jobs.items()
            if job.is_held and not self.model.is_dead(job) and job.sessions <= self.model.dead | ended
        ]
        done = function()
        self._lose(ended, since)
        # the server ends a session when it comes to it, before the rescue has looked, or after that
        tokens = {key: self.model.jobs[key].token for key in held}
        actual = self.read()
        return done, [key for key in held if key not in actual or actual[key].token != tokens[key]]

    def _lose(self, sessions: set[int], since: float) -> None:
        """Wait until the server has ended sessions, and open new ones for their workers.

        Parameters
        ----------
        since : float
            Before it was asked to end the first of them.
        """
        self._wait_for_end(sessions)
        self.faults.append(Fault("ended", since, sessions=frozenset(sessions), until=self.now()))
        for worker in self.workers:
            if worker.session in sessions:
                worker.connection.close()
                worker.connection.connect()
                assert worker.session not in sessions
        self.model.dead |= sessions

    def _wait_for_end(self, sessions: set[int]) -> None:
        deadline = time.monotonic() + _SESSION_ENDS_S
        while sessions & live_sessions(self.lab.connection):
            assert time.monotonic() < deadline, f"sessions {sessions} do not end"
            time.sleep(0.01)

    # -- what befalls them ---------------------------------------------------------------------------

    def lose_session(self, i: int) -> None:
        session = self.at(i).session
        since = self.now()
        kill(self.lab.connection, session)
        self._lose({session}, since)

    def move_the_clock(self, seconds: float) -> None:
        moves, rows, _ = self.lab.audit.read()
        last = max([m.seq for m in moves] + [r.seq for r in rows], default=0)
        self.model.now += seconds
        self.moved.append((last + 1, self.model.now))
        for connection in (self.lab.connection, *(worker.connection for worker in self.workers)):
            connection.clock_offset_s = self.model.now

    # -- operators -----------------------------------------------------------------------------------

    def retry(self, i: int) -> None:
        assert self.at(i).jobs.retry() == self.model.move_all("error")

    def unignore(self, i: int) -> None:
        assert self.at(i).jobs.unignore() == self.model.move_all("ignore")

    def cancel(self, i: int, which: set[int]) -> None:
        assert self.at(i).jobs.cancel([{"id": key} for key in which]) == self.model.cancel(which)

    def ignore(self, i: int, key: int) -> None:
        job = self.model.jobs.get(key)
        is_done = key in self.model.results or (job is not None and job.status == "success")
        if is_done or (job is not None and job.status == "reserved"):
            with pytest.raises(JobError):
                self.at(i).jobs.ignore({"id": key})
            return
        self.at(i).jobs.ignore({"id": key})
        if job is None:
            self.model.jobs[key] = ModelJob("ignore", 5, 0.0)
        else:
            self.model.put(key, status="ignore")

    def delete_what_nobody_holds(self, i: int) -> None:
        gone = self.model.in_state("pending", "error", "ignore", "success")
        assert (self.at(i).jobs & "status <> 'reserved'").delete() == len(gone)
        for key in gone:
            del self.model.jobs[key]

    def release_a_worker(self, i: int, j: int) -> None:
        name = self.at(j).worker.name
        held = [key for key in self.model.in_state("reserved") if self.model.jobs[key].worker == name]
        sessions = {self.model.jobs[key].main_session for key in held}
        since = self.now()
        assert self.at(i).jobs.release(name) == len(held)
        for key in held:
            job = self.model.jobs[key]
            assert job.token is not None
            self.model.leave(key, job.token, "pending", attempts=job.attempts - 1, was_taken=True)
        self._lose(sessions - self.model.dead - {self.at(i).session}, since)

    def insert_by_another_program(self, key: int) -> None:
        if key not in self.model.results:
            self.lab.rows(self.lab.connection).insert1({"id": key}, allow_direct_insert=True)
            self.model.results.add(key)

    def delete_the_result(self, key: int) -> None:
        (self.lab.rows(self.lab.connection) & {"id": key}).delete_quick()
        self.model.results.discard(key)

    # -- at once -------------------------------------------------------------------------------------

    @rule(
        what=st.lists(st.tuples(CALLS, picks), min_size=2, max_size=4),
        schedule=st.lists(st.integers(0, 3), max_size=30),
    )
    def at_once(self, what: list[tuple[str, int]], schedule: list[int]) -> None:
        seen = max((move.seq for move in self.history().moves), default=0)
        since, sessions = self.now(), {worker.session for worker in self.workers}
        calls: list[Call] = []
        for kind, pick in what:
            call = self._call(kind, pick, {id(call.worker) for call in calls})
            if call is not None:
                calls.append(call)
        results = interleaved([(call.worker.connection, call.function) for call in calls], schedule)
        moves = [move for move in self.history().moves if move.seq > seen]
        rows = self.lab.audit.read()[1]
        for call, result in zip(calls, results, strict=True):
            call.check(result, moves, [row for row in rows if row.seq > seen])
        self._adopt(sessions, since)

    def _call(self, kind: str, pick: int, busy: set[int]) -> Call | None:
        """Return a call for a worker that has none yet."""
        found = self.pick(pick) if kind in ("complete", "fail", "release", "renew") else None
        worker = found[0] if found else self.at(pick)
        if id(worker) in busy or (found is None and kind in ("complete", "fail", "release", "renew")):
            return None
        if found is not None:
            return CallOnClaim(kind, worker, self, found[1])
        return CallOnTable(kind, worker, self, pick)

    def _adopt(self, sessions: set[int], since: float) -> None:
        """Take over what the database says: each way there was judged, and which was gone is open.

        Parameters
        ----------
        sessions : set of int
            Those of the workers before the calls. One that has ended may still be listed: its worker knows.
        """
        kept = {worker.connection.session_id for worker in self.workers if worker.connection.is_connected}
        self._lose(sessions - kept, since)
        live = live_sessions(self.lab.connection)
        named = {session for job in self.read().values() for session in job.sessions}
        self.model.dead |= named - live
        self.model.jobs = self.read()
        self.model.results = self.results()


_MAY_FAIL = (DeadlockError, LockTimeoutError, LostConnectionError)


@dataclass
class Call:
    """One of several calls at once, and what its result has to do with what was recorded."""

    kind: str
    worker: SimWorker
    machine: JobMachine

    def function(self) -> Any:
        raise NotImplementedError

    def check(self, result: Any, moves: list[Move], rows: list[RowChange]) -> None:
        raise NotImplementedError

    def _own(self, moves: list[Move], *edges: str) -> list[Move]:
        return [m for m in moves if m.session in self.sessions and edge_of(m.before, m.after) in edges]

    def __post_init__(self) -> None:
        self.session = self.worker.session

    @property
    def sessions(self) -> set[int]:
        """The session that it began in, and the one that it may have got for a lost one."""
        return {self.session, self.worker.session}


@dataclass
class CallOnTable(Call):
    pick: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.token = uuid4()

    def function(self) -> Any:
        jobs = self.worker.jobs
        if self.kind == "claim":
            return claims.claim(jobs, self.worker.worker, 1 + self.pick % 4, token=self.token)
        if self.kind == "rescue":
            return rescue(jobs)
        if self.kind == "refresh":
            return jobs.refresh()
        return jobs.cancel({"id": self.pick % len(KEYS)})

    def check(self, result: Any, moves: list[Move], rows: list[RowChange]) -> None:
        if isinstance(result, BaseException):
            assert isinstance(result, _MAY_FAIL), repr(result)
            return
        if self.kind == "claim":
            got = {m.key for m in moves if m.after is not None and is_claim_with(m, self.token)}
            # one whose answer was lost, and that was rescued before it could ask, is not ours
            assert {claim.key["id"] for claim in result} <= got
            assert len(result) == len(got) or self.session != self.worker.session
            self.worker.claims += result
        elif self.kind == "rescue":
            assert result == len(self._own(moves, "rescue", "give_up"))
        elif self.kind == "refresh":
            assert result["added"] == len(self._own(moves, "add"))
            drops = self._own(moves, "drop")  # what is kept of taken jobs that are done goes uncounted
            assert result["removed"] == len([m for m in drops if m.before and m.before.status == "pending"])
            assert result["orphaned"] == len(self._own(moves, "rescue", "give_up"))
            assert result["re_pended"] == len(self._own(moves, "again"))
        else:
            ignored = [
                m for m in moves if m.session in self.sessions and m.after and m.after.status == "ignore"
            ]
            assert result == len(ignored)


def is_claim_with(move: Move, token: UUID) -> bool:
    is_claim = edge_of(move.before, move.after) == "claim"
    return is_claim and move.after is not None and move.after.token == token.hex


@dataclass
class CallOnClaim(Call):
    claim: Claim = None  # type: ignore[assignment]

    def function(self) -> Any:
        jobs = self.worker.jobs
        if self.kind == "complete":
            return self.machine._complete(self.worker, self.claim, True)
        if self.kind == "fail":
            return finish.fail(jobs, self.claim, "ValueError: no", "stack", 0.1)
        if self.kind == "release":
            return finish.release(jobs, self.claim)
        return renew_all(self.worker.connection, jobs.table_id, self.claim.token, LEASE_S)

    def check(self, result: Any, moves: list[Move], rows: list[RowChange]) -> None:
        mine = [m for m in moves if m.before is not None and m.before.token == self.claim.token.hex]
        edges = {"complete": ("complete", "forget"), "fail": ("fail",), "release": ("release",)}
        key = self.claim.key["id"]
        if self.kind == "renew":
            if not isinstance(result, _MAY_FAIL):
                assert result == len(self._own(mine, "renew"))
            return
        did = any(m.key == key for m in self._own(mine, *edges[self.kind]))
        if self.kind == "complete":
            assert any(r.key == key and r.session in self.sessions for r in rows) == did
            if isinstance(result, BaseException):
                assert isinstance(result, (ClaimLostError, DuplicateError, *_MAY_FAIL)), repr(result)
            else:
                assert did
        elif not isinstance(result, _MAY_FAIL):
            assert result == did
