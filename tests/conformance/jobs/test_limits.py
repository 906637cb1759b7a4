"""Limits that hold across workers; pauses; versions."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from dj_jobs.events import Events
from dj_jobs.job import Worker
from dj_jobs.limits import STARTS, Gate, Limits, is_wanted_version, starts_info
from dj_jobs.options import Options
from dj_jobs.own_tables import is_made
from dj_jobs.populate import reserved
from dj_jobs.presence import Presence
from dj_jobs.retry import Retry
from dj_jobs.table import JobTable
from dj_query.table import FreeTable
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_schema.sql import Ident, sql
from tests.conformance.jobs.test_interruptions import until
from tests.support.sessions import end, is_waiting_for_table

Declare = Callable[..., Any]


def make(self: Any, key: dict[str, Any]) -> None:
    self.insert1(key)


def gate_of(connection: Connection, table: Any, pid: int = 1, host: str = "hopper") -> Gate:
    """Return the gate of a worker with a connection of its own."""
    jobs = JobTable.of_target(table())
    return Gate(jobs, Worker(f"{host}:{pid}", host, pid))


def n_claimed(gate: Gate, n: int = 10) -> int:
    return len(gate.claim(n, None))


def computed(table: Any) -> int:
    """Return how many keys a worker computes that does not wait for room."""
    presence = Presence(table._schema.connection, Worker.of_this_process(), [table().table_id])
    return len(list(reserved(table(), Options(reserve_jobs=True), Events(), presence=presence)))


def test_no_more_workers_than_allowed_hold_jobs_at_once(declare: Declare, connection: Connection) -> None:
    table = declare(make=make, limits=Limits(concurrent=2))
    table.jobs.refresh()
    assert n_claimed(gate_of(connection, table, 1), 2) == 2  # a batch, of which it computes one at a time
    assert n_claimed(gate_of(connection, table, 2), 1) == 1
    third = gate_of(connection, table, 3)
    assert (n_claimed(third), third.is_full) == (0, True)
    assert n_claimed(gate_of(connection, table, 2), 1) == 1  # who is in may go on
    assert computed(table) == 0
    table.jobs.release("hopper:1")
    assert n_claimed(third) == 4


@pytest.mark.parametrize("limits", [Limits(concurrent=1), Limits(per_minute=3)])
def test_what_is_counted_on_another_session_than_that_of_the_lock_does_not_count(
    declare: Declare, connection: Connection, limits: Limits
) -> None:
    """The lock went with its session, so that another worker may count and claim at the same time."""
    table = declare(make=make, limits=limits)
    table.jobs.refresh()
    with connection.clone() as own, connection.clone() as other, ThreadPoolExecutor(1) as pool:
        target = table()
        target._connection = own
        jobs = JobTable.of_target(target)
        gate = Gate(jobs, Worker("ada:1", "ada", 1))
        is_made(own, starts_info(table.database))
        counted = jobs.table_id if limits.concurrent else (table.database, STARTS)
        with table_locked(other, counted):
            n = pool.submit(n_claimed, gate)
            session = own.connection_id
            while not is_waiting_for_table(connection, session):
                assert not n.done(), n.result()
            end(connection, session)
        assert (n.result(), gate.is_full) == (0, True)
        assert n_claimed(gate, 3) == 3


@contextmanager
def table_locked(connection: Connection, table: tuple[str, str]) -> Iterator[None]:
    """Have nobody else read a table."""
    if connection.settings.backend == "mysql":
        connection.execute(sql("LOCK TABLES {} WRITE", Ident(*table)))
        try:
            yield
        finally:
            connection.query("UNLOCK TABLES")
    else:
        with connection.transaction:
            connection.execute(sql("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", Ident(*table)))
            yield


def test_no_more_jobs_begin_in_a_minute_than_allowed(declare: Declare, connection: Connection) -> None:
    table = declare(make=make, limits=Limits(per_minute=4))
    table.jobs.refresh()
    assert n_claimed(gate_of(connection, table, 1), 3) == 3
    late = gate_of(connection, table, 2)
    assert n_claimed(late) == 1
    assert (n_claimed(late), late.is_full) == (0, True)
    connection.clock_offset_s = 45
    assert n_claimed(late) == 0
    connection.clock_offset_s = 61
    assert n_claimed(late) == 2
    connection.clock_offset_s = 0


def test_resources_of_a_host_are_shared_and_go_with_the_worker(
    declare: Declare, connection: Connection
) -> None:
    table = declare(make=make, limits=Limits(resources={"gpu": 1, "license": 2}))
    table.jobs.refresh()
    with connection.config.override(jobs={"resources": {"gpu": 2, "license": 4}}):
        here, there = (f"{name}-{secrets.token_hex(4)}" for name in ("hopper", "noether"))
        gates = [gate_of(connection, table, pid, here) for pid in range(3)]
        assert [n_claimed(gate, 1) for gate in gates] == [1, 1, 0]
        assert gates[2].is_full
        assert n_claimed(gates[0], 1) == 1
        other_host = gate_of(connection, table, 9, there)
        assert n_claimed(other_host, 1) == 1
        gates[1].close()
        until(lambda: n_claimed(gates[2], 1) == 1)  # once the server has seen that a session is closed
        for gate in (*gates, other_host):
            gate.close()
        last = gate_of(connection, table, 4, here)
        until(lambda: n_claimed(last, 5) == 1)  # all that is left


def test_a_host_without_the_resource_leaves_the_jobs_alone(
    declare: Declare, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    table = declare(make=make, limits=Limits(resources={"gpu": 2}))
    with connection.config.override(jobs={"resources": {"gpu": 1}}):
        assert table.populate(reserve_jobs=True)["success_count"] == 0
    assert "need 2 gpu (it has 1)" in caplog.text
    assert "jobs.resources" in caplog.text
    with connection.config.override(jobs={"resources": {"gpu": 2}}):
        assert table.populate(reserve_jobs=True)["success_count"] == 6


def test_a_paused_table_is_left_alone_until_it_is_resumed(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    result.jobs.pause()
    assert result.jobs.rules.paused_by
    assert result.populate(reserve_jobs=True)["success_count"] == 0
    assert "is paused, by" in caplog.text
    assert len(result.jobs.pending) == 6
    result.jobs.resume()
    assert result.jobs.rules.paused_by is None
    assert result.populate(reserve_jobs=True)["success_count"] == 6


def test_a_pause_holds_for_those_that_are_in_the_middle_of_it(declare: Declare) -> None:
    def pausing(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        if key["id"] == 0:
            with self.connection.clone() as other:
                JobTable.of_target(FreeTable.at(other, *self.table_id)).pause()

    table = declare(make=pausing)
    assert table.populate(reserve_jobs=True)["success_count"] == 1  # the first batch is of one


def test_a_worker_that_waits_for_a_retry_ends_where_the_table_is_paused(
    declare: Declare, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(self: Any, key: dict[str, Any]) -> None:
        with self.connection.clone() as other:
            JobTable.of_target(FreeTable.at(other, *self.table_id)).pause()
        raise ValueError(key["id"])

    table = declare(make=failing, retry=Retry(attempts=2, backoff=0.01))
    asked = itertools.count()
    outcomes = list(reserved(table(), Options(), Events(), should_stop=lambda: next(asked) > 100))
    assert [outcome.result for outcome in outcomes] == ["retry"]
    assert next(asked) < 100
    assert "is paused, by" in caplog.text


def test_a_worker_of_another_version_leaves_the_jobs_alone_and_says_so(
    result: Any, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    result.jobs.require_version(">=2.1")
    with connection.config.override(jobs={"version": "2.0.9"}):
        assert result.populate(reserve_jobs=True)["success_count"] == 0
    assert "is for version >=2.1, and this worker has 2.0.9" in caplog.text
    with connection.config.override(jobs={"version": "2.10"}):
        assert result.populate(reserve_jobs=True, max_calls=3)["success_count"] == 3
    result.jobs.require_version("")
    assert result.populate(reserve_jobs=True)["success_count"] == 3


def test_a_class_says_which_version_it_is_for(declare: Declare, connection: Connection) -> None:
    table = declare(make=make, limits=Limits(version="abc123"))
    assert table.populate(reserve_jobs=True)["success_count"] == 0
    with connection.config.override(jobs={"version": "abc123"}):
        assert table.populate(reserve_jobs=True)["success_count"] == 6


def test_populate_waits_for_room_that_others_make(declare: Declare, connection: Connection) -> None:
    table = declare(make=make, limits=Limits(concurrent=1))
    table.jobs.refresh()
    asked = []

    def should_stop() -> bool:
        asked.append(1)
        if len(asked) == 3:
            with connection.clone() as other:
                JobTable.of_target(FreeTable.at(other, *table().table_id)).release("hopper:1")
        return False

    with connection.clone() as hopper:  # whose session is ended with its job
        jobs = JobTable.of_target(FreeTable.at(hopper, *table().table_id))
        assert n_claimed(Gate(jobs, Worker("hopper:1", "hopper", 1)), 1) == 1
        done = list(reserved(table(), Options(reserve_jobs=True), Events(), should_stop=should_stop))
    assert len(done) == 6


@pytest.mark.parametrize(
    ("version", "required", "wanted"),
    [
        ("2.1", "2.1", True), ("2.1.0", "2.1", False), ("2.1.0", "==2.1", True), ("3.0", ">=2.1,<3", False),
        ("2.2.dev1", ">=2.1", True), ("1f0c", ">=2", False), ("", "", True), ("", "2", False),
    ],
)  # fmt: skip
def test_versions(version: str, required: str, wanted: bool) -> None:
    assert is_wanted_version(version, required) is wanted


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"concurrent": 0}, "concurrent.*whole number from 1"),
        ({"per_minute": 1.5}, "per_minute.*whole number from 1"),
        ({"resources": {"gpu": 0}}, "whole number from 1.*'gpu'"),
        ({"version": ">>2"}, "no condition for a version"),
    ],
)
def test_limits_that_make_no_sense_are_refused(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(DataJointError, match=message):
        Limits(**bad)
