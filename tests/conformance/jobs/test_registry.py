"""The registry of workers: who is alive, what it runs, how fast, and that it is asked to drain."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from dj_jobs import registry
from dj_jobs.job import Outcome, Result, Worker
from dj_jobs.presence import Presence
from dj_jobs.registry import WorkerInfo
from dj_jobs.table import JobTable
from dj_query.table import FreeTable
from dj_schema.connection import Connection

Declare = Callable[..., Any]
ME = Worker("gpu-1", "hopper", 4711)


@pytest.fixture
def presence(result: Any, connection: Connection) -> Presence:
    result.jobs.refresh()
    return Presence(connection, ME, [result().table_id], processes=2)


def test_a_worker_is_known_from_its_first_beat_until_it_leaves(
    result: Any, presence: Presence, connection: Connection
) -> None:
    table = ".".join(result().table_id)
    presence.begins(table, {"id": 3})
    presence.count(table, Outcome({"id": 1}, Result.SUCCESS, 0.1))
    presence.count(table, Outcome({"id": 2}, Result.ERROR, 0.1))
    presence.beat(connection)
    presence.beat(connection)
    (worker,) = result.jobs.workers()
    assert (worker.name, worker.host, worker.pid, worker.processes) == ("gpu-1", "hopper", 4711, 2)
    assert (worker.n_done, worker.n_failed, worker.is_alive, worker.is_draining) == (1, 1, True, False)
    assert [(r.table, r.key) for r in worker.running] == [(table, {"id": 3})]
    assert worker.running[0].since <= worker.seen
    assert worker.incarnation == presence.incarnation
    assert worker.rate_per_minute is not None
    presence.leave(connection)
    assert result.jobs.workers() == []


def test_a_silent_worker_is_shown_as_dead_and_forgotten_after_a_day(
    result: Any, presence: Presence, connection: Connection
) -> None:
    presence.beat(connection)
    connection.clock_offset_s = 3600
    try:
        assert [w.is_alive for w in result.jobs.workers()] == [False]
        connection.clock_offset_s = 25 * 3600
        other = Presence(connection, Worker("gpu-2", "hopper", 4712), [result().table_id])
        other.beat(connection)
        assert [w.name for w in result.jobs.workers()] == ["gpu-2"]
    finally:
        connection.clock_offset_s = 0


def test_a_worker_hears_that_it_is_to_drain_and_goes_on_telling(
    result: Any, presence: Presence, connection: Connection
) -> None:
    presence.beat(connection)
    assert not presence.is_draining
    assert registry.drain(connection, result().database, "gpu-1") == 1
    assert registry.drain(connection, result().database, "gpu-9") == 0
    presence.beat(connection)
    assert presence.is_draining
    presence.begins("a.b", {"id": 1})
    presence.beat(connection)
    (worker,) = registry.registered(connection, result().database)
    assert worker.is_draining
    assert len(worker.running) == 1


def test_an_idle_beat_is_one_statement(presence: Presence, connection: Connection) -> None:
    presence.beat(connection)
    n = connection.n_statements
    presence.beat(connection)
    assert connection.n_statements == n + 1


def test_a_populate_in_a_script_is_seen_once_it_lasts(declare: Declare, connection: Connection) -> None:
    seen: list[WorkerInfo] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] == 0:
            with connection.clone() as own:
                jobs = JobTable.of_target(FreeTable.at(own, *self.table_id))
                while not any(worker.incarnation and worker.is_alive for worker in seen):
                    own.catalog.forget()
                    seen[:] = jobs.workers()
        self.insert1(key)

    table = declare(make=make)
    with connection.config.override(jobs={"lease_timeout": 0.9}):
        table.populate(reserve_jobs=True, max_calls=2)
    (worker,) = seen
    assert [running.key for running in worker.running] == [{"id": 0}]
    assert worker.is_alive
    assert table.jobs.workers() == []


def test_who_holds_jobs_is_shown_also_before_its_first_beat(result: Any) -> None:
    result.jobs.refresh()
    assert result.jobs.reserve({"id": 2})
    (worker,) = result.jobs.workers()
    assert worker.pid == os.getpid()
    assert [running.key for running in worker.running] == [{"id": 2}]
    assert worker.incarnation is None
