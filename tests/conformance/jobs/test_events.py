"""What is told of keys: each that was claimed is told to have ended in some way, once that is committed."""

from __future__ import annotations

import threading
import time
from typing import Any
from uuid import uuid4

import pytest

from dj_jobs import claim as claims
from dj_jobs.events import Event, Events, Kind
from dj_jobs.heartbeat import Heartbeat
from dj_jobs.job import Worker
from dj_jobs.lease import LeaseKeeper
from dj_jobs.options import Options
from dj_jobs.populate import reserved
from dj_schema.connection import Connection
from dj_schema.errors import JobCancelledError
from tests.conformance.jobs.test_hardening import StopNowError
from tests.conformance.jobs.test_workers import jobs_on, states

ENDS = frozenset(Kind) - {Kind.CLAIMED, Kind.STARTED, Kind.RESCUED}


def n_of(events: list[Event], *kinds: Kind) -> int:
    return sum(event.n for event in events if event.kind in kinds)


@pytest.mark.parametrize("group_commit_s", [0.0, 5.0], ids=["alone", "grouped"])
@pytest.mark.parametrize("end", ["stop", "error", "interruption", "nobody asks for more"])
def test_keys_of_a_batch_that_are_not_begun_are_told_to_be_released(
    declare: Any, source: Any, connection: Connection, end: str, group_commit_s: float
) -> None:
    source.insert({"id": i} for i in range(6, 60))
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if len(calls) == 3:  # a batch of one comes first, and then larger ones
            if end == "error":
                raise ValueError("it is bad")
            if end == "interruption":
                raise StopNowError
        self.insert1(key)

    table = declare(make=make)
    events: list[Event] = []
    outcomes = reserved(
        table(), Options(), Events(events.append), should_stop=lambda: end == "stop" and len(calls) == 3
    )
    with connection.config.override(jobs={"group_commit_s": group_commit_s}):
        try:
            for n, _ in enumerate(outcomes):
                if end == "nobody asks for more" and n == 1:
                    break
        except StopNowError:
            assert end == "interruption"
        outcomes.close()
    n_claimed = n_of(events, Kind.CLAIMED)
    assert n_of(events, *ENDS) == n_claimed
    assert n_of(events, Kind.SUCCEEDED) == len(table)
    assert n_of(events, Kind.RELEASED) == states(table)["pending"] - (60 - n_claimed)
    assert "reserved" not in states(table)
    if end == "interruption":
        assert next(e.key for e in events if e.kind is Kind.RELEASED) == {"id": 2}


def test_keys_that_go_back_while_another_is_computed_are_told_to_be_released(
    declare: Any, connection: Connection
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] == 3:
            with connection.clone() as other:
                jobs = jobs_on(other, table)
                while (jobs & {"id": 5}).fetch1("status") != "pending":
                    continue
        self.insert1(key)

    table = declare(make=make)
    events: list[Event] = []
    with connection.config.override(jobs={"lease_timeout": 0.6}):
        assert table.populate(reserve_jobs=True, on_event=events.append)["success"] == 6
    assert n_of(events, Kind.SUCCEEDED) == 6
    assert n_of(events, Kind.CLAIMED) == 6 + n_of(events, Kind.RELEASED)


def test_keys_that_are_on_their_way_back_are_waited_for(
    declare: Any, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for more to do, and sees them still held, would end."""
    events: list[Event] = []
    is_on_its_way, has_looked = threading.Event(), threading.Event()
    execute = type(connection.session()).execute

    def execute_late(self: Any, text: str, params: Any) -> Any:
        if threading.current_thread().name == "datajoint-lease" and "_attempts" in text:  # gives back
            is_on_its_way.set()
            has_looked.wait(1)  # it does not look before these are back
        answer = execute(self, text, params)
        if is_on_its_way.is_set() and "SKIP LOCKED" in text:
            has_looked.set()
        return answer

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        if [e.n for e in events if e.kind is Kind.CLAIMED][-1] > 1:  # others wait behind it
            assert is_on_its_way.wait(60)

    table = declare(make=make)
    monkeypatch.setattr(type(connection.session()), "execute", execute_late)
    with connection.config.override(jobs={"lease_timeout": 0.6}):
        assert table.populate(reserve_jobs=True, on_event=events.append)["success"] == 6
    assert n_of(events, Kind.CLAIMED) == 6 + n_of(events, Kind.RELEASED)


def test_a_claim_that_waits_is_begun_given_back_or_known_to_be_lost(
    result: Any, connection: Connection
) -> None:
    jobs = result.jobs
    jobs.refresh()
    keeper = LeaseKeeper(connection)
    first, second, third = claims.claim(jobs, Worker("w", "h", 1), 3)
    keeper.hold(jobs, [first, second], since=time.monotonic())
    (jobs & second.key).cancel()
    keeper._renew_all()
    assert keeper.start(jobs, first)
    with pytest.raises(JobCancelledError):
        keeper.start(jobs, second)
    with connection.config.override(jobs={"lease_timeout": 0.001}):
        giving = LeaseKeeper(connection)
    giving.hold(jobs, [third])
    giving._heartbeat.tell(giving, [])
    time.sleep(giving._lease_s)  # that of a claim, after which it goes back
    giving._give_back()
    assert not giving.start(jobs, third)
    assert [giving.take_n_given_back() for _ in range(2)] == [1, 0]
    assert states(result) == {"pending": 4, "reserved": 1, "ignore": 1}


def test_what_a_group_has_recorded_is_told_though_a_job_that_it_lost_fails_then(
    declare: Any, connection: Connection
) -> None:
    """Without savepoints, the failure of one job has those before it run again."""
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if key["id"] == 3 or calls.count(key["id"]) == 2:
            raise ValueError(f"{key['id']} is bad")
        self.insert1(key)

    table = declare(make=make)
    events: list[Event] = []
    with connection.config.override(jobs={"group_commit_s": 5.0}), pytest.raises(ValueError, match="is bad"):
        table.populate(reserve_jobs=True, on_event=events.append)
    failed = sorted(e.key["id"] for e in events if e.kind is Kind.FAILED and e.key)
    assert failed == sorted(table.jobs.errors.to_arrays("id").tolist())
    assert 3 in failed
    assert n_of(events, Kind.CLAIMED) == n_of(events, *ENDS)


def test_the_process_beside_this_one_ends_when_its_connection_is_closed(
    result: Any, connection: Connection
) -> None:
    jobs = result.jobs
    with connection.clone() as other:
        Heartbeat.of(other, 60.0).tell(other, [(jobs.table_id, uuid4())])
        process = Heartbeat.of(other, 60.0)._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None
