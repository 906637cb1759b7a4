"""Jobs cut short: cancelled, timed out, released, left by workers that stopped or hold the interpreter."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from dj_jobs import claim as claims
from dj_jobs import clock
from dj_jobs.control import was_refreshed_since
from dj_jobs.events import Event, Events
from dj_jobs.job import Worker
from dj_jobs.options import Options
from dj_jobs.populate import reserved
from dj_jobs.refresh import refresh_once
from dj_jobs.rescue import rescue
from dj_jobs.server_lock import turn
from dj_query.table import FreeTable
from dj_schema.connection import Connection
from dj_schema.errors import JobTimeoutError
from dj_schema.sql import sql
from tests.conformance.jobs.test_workers import expire_on, jobs_on, start, states
from tests.support.sessions import is_waiting_for_name, kill, wait_until_gone

__all__ = ["start"]  # a fixture


def until(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Ask again and again, without rest: what is waited for is done by another process or thread."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come"


def spin(limit_s: float = 60.0) -> None:
    """Compute something that any other thread may interrupt."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        sum(range(1000))


# -- cancel ----------------------------------------------------------------------------------------


def test_cancelled_jobs_are_passed_over_until_they_are_asked_for(result: Any) -> None:
    result.jobs.refresh()
    assert result.jobs.cancel("id < 2") == 2
    assert states(result) == {"pending": 4, "ignore": 2}
    assert result.populate(reserve_jobs=True)["success"] == 4
    assert result.jobs.refresh()["added"] == 0
    (message,) = set(result.jobs.ignored.to_arrays("error_message"))
    assert message.startswith("JobCancelledError: cancelled by ")
    assert result.jobs.unignore() == 2
    assert result.populate(reserve_jobs=True)["success"] == 2


def test_a_running_job_that_is_cancelled_stops_and_writes_nothing(
    declare: Any, connection: Connection
) -> None:
    events: list[Event] = []
    ended = threading.Event()

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        with connection.clone() as other:
            assert jobs_on(other, table).cancel() == 1
        try:
            spin()
        finally:
            ended.set()

    table = declare(make=make)
    with connection.config.override(jobs={"lease_timeout": 0.6}):
        outcomes = list(reserved(table(), Options(restrictions=({"id": 1},)), Events(events.append)))
    assert ended.is_set()
    assert [o.result for o in outcomes] == ["cancelled"]
    assert [e.kind for e in events] == ["claimed", "started", "cancelled"]
    assert len(table) == 0
    assert states(table) == {"ignore": 1}


# -- timeouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reserve_jobs", [False, True], ids=["direct", "reserved"])
def test_a_make_that_takes_too_long_is_interrupted(declare: Any, reserve_jobs: bool) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        if key["id"] == 3:
            spin()

    table = declare(make=make, timeout_s=30.0)  # of the class; that of the call goes before
    done = table.populate(
        reserve_jobs=reserve_jobs, suppress_errors=True, timeout_s=5.0, return_exception_objects=True
    )
    assert done["success"] == 5
    ((key, error),) = done["error_list"]
    assert key == {"id": 3}
    assert isinstance(error, JobTimeoutError)
    assert isinstance(error, TimeoutError)
    assert len(table & key) == 0
    if reserve_jobs:
        assert states(table) == {"error": 1}
        assert "timeout_s of 5 seconds" in table.jobs.errors.fetch1("error_message")


@pytest.mark.parametrize("reserve_jobs", [False, True], ids=["direct", "reserved"])
def test_a_make_that_waits_for_the_server_is_interrupted_and_so_is_its_statement(
    declare: Any, connection: Connection, reserve_jobs: bool
) -> None:
    sessions: list[int] = []
    sleep = "SELECT SLEEP(3600)" if connection.settings.backend == "mysql" else "SELECT pg_sleep(3600)"

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        if key["id"] == 3:
            sessions.append(connection.connection_id)
            connection.query(sleep)

    table = declare(make=make)
    done = table.populate(reserve_jobs=reserve_jobs, suppress_errors=True, timeout_s=2.0)
    assert done["success"] == 5
    ((key, message),) = done["error_list"]
    assert key == {"id": 3}
    assert "JobTimeoutError" in message
    assert len(table & key) == 0
    with connection.clone() as other:
        wait_until_gone(other, sessions[0])


def test_what_a_make_inserts_after_its_time_is_not_kept(declare: Any) -> None:
    """Native code cannot be interrupted; nor can one that swallows the interruption."""

    def make(self: Any, key: dict[str, Any]) -> None:
        try:
            spin()
        except BaseException:  # noqa: BLE001 - what a careless make does
            self.insert1(key)

    table = declare(make=make, timeout_s=0.1)
    with pytest.raises(JobTimeoutError):
        table.populate({"id": 1}, reserve_jobs=True)
    assert len(table) == 0
    assert states(table) == {"error": 1}


def test_a_timeout_is_tried_again_where_the_class_says_so(declare: Any, dj: Any) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if len(calls) == 1:
            type(self).timeout_s = 60.0  # for the next one, on a machine that is busy
            spin()
        self.insert1(key)

    table = declare(make=make, timeout_s=2.0, retry=dj.Retry(attempts=2, on=(TimeoutError,), backoff=0.01))
    assert table.populate({"id": 1}, reserve_jobs=True)["success"] == 1
    assert calls == [1, 1]


def test_a_make_that_is_interrupted_in_a_statement_is_not_run_again(
    declare: Any, connection: Connection
) -> None:
    """Its session is lost, and with it what the jobs before it did in the same transaction: they are."""
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        self.insert1(key)
        end = time.monotonic() + 60
        while key["id"] == 3 and time.monotonic() < end:
            connection.query("SELECT count(*) FROM (SELECT 1 UNION SELECT 2) AS two")

    table = declare(make=make, timeout_s=5.0)
    with connection.config.override(jobs={"group_commit_s": 60}):
        done = table.populate(reserve_jobs=True, suppress_errors=True)
    assert done["success"] == len(table) == 5
    assert [(key["id"], message[:15]) for key, message in done["error_list"]] == [(3, "JobTimeoutError")]
    assert states(table) == {"error": 1}
    assert calls.count(3) == 1


# -- attempts --------------------------------------------------------------------------------------


def test_attempts_of_a_key_can_be_read(declare: Any, dj: Any, connection: Connection) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        raise OSError(f"no {key['id']} today: ünïcode")

    table = declare(make=make, retry=dj.Retry(attempts=3, on=(OSError,), backoff=0.01))
    table.populate({"id": 1}, reserve_jobs=True, suppress_errors=True)
    first, second, third = table.jobs.attempts({"id": 1})
    assert [a.number for a in (first, second, third)] == [1, 2, 3]
    assert [a.outcome for a in (first, second, third)] == ["retried", "retried", "error"]
    assert third.error == "OSError: no 1 today: ünïcode"
    assert "in make" in third.traceback
    assert (third.pid, third.worker) == (os.getpid(), f"{third.host}:{os.getpid()}")
    assert first.started <= first.ended <= second.started <= second.ended <= third.started
    assert table.jobs.attempts({"id": 2}) == []
    table.jobs.retry()
    assert len(table.jobs.attempts({"id": 1})) == 3


def test_attempts_are_kept_up_to_a_number(declare: Any, dj: Any, connection: Connection) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        raise OSError("no")

    table = declare(make=make, retry=dj.Retry(attempts=5, on=(OSError,), backoff=0.0))
    with connection.config.override(jobs={"attempts_kept": 2}):
        table.populate({"id": 1}, reserve_jobs=True, suppress_errors=True)
    assert [a.number for a in table.jobs.attempts({"id": 1})] == [4, 5]


def test_the_attempt_of_a_dead_worker_and_the_one_after_it_are_both_told(
    declare: Any, connection: Connection
) -> None:
    seen: list[Any] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        with connection.clone() as other:
            seen[:] = jobs_on(other, table).attempts(key)
        self.insert1(key)

    table = declare(make=make)
    jobs = table.jobs
    jobs.refresh({"id": 1})
    claims.claim(jobs, Worker("dead", "elsewhere", 7), 1)
    expire_on(connection, jobs)
    with connection.config.override(jobs={"keep_completed": True}):
        assert table.populate({"id": 1}, reserve_jobs=True)["success"] == 1
    assert [(a.number, a.outcome, a.worker) for a in seen[:1]] == [(1, "rescued", "dead")]
    assert [(a.number, a.outcome) for a in seen] == [(1, "rescued"), (2, "running")]
    assert [a.outcome for a in jobs.attempts({"id": 1})] == ["rescued", "success"]


# -- workers that stop, or hold the interpreter ----------------------------------------------------


def test_the_locks_of_a_stopped_worker_do_not_hold_up_its_key(
    result: Any, start: Any, connection: Connection
) -> None:
    """It stops with its row inserted and not committed: whoever inserts the row waits for its end."""
    sleeper = start(
        "self.insert1({**key, 'y': -1}); print(key['id'], flush=True); sys.stdin.readline()",
        then="print(Result.populate({'id': 1}, reserve_jobs=True), flush=True)",
        DJ_JOBS_LEASE_TIMEOUT="1.5",
    )
    assert int(sleeper.stdout.readline()) == 1
    os.kill(sleeper.pid, signal.SIGSTOP)
    until(lambda: rescue(result.jobs) == 1)
    assert result.populate({"id": 1}, reserve_jobs=True)["success"] == 1
    assert result.fetch1("y") == 11
    os.kill(sleeper.pid, signal.SIGCONT)
    out, _ = sleeper.communicate("go on\n", timeout=60)
    assert eval(out)["success"] == 0
    assert result.fetch1("y") == 11


@pytest.mark.slow
def test_a_make_that_holds_the_interpreter_keeps_its_lease(
    result: Any, start: Any, connection: Connection
) -> None:
    holder = start(
        "import ctypes; print(key['id'], flush=True); ctypes.PyDLL(None).usleep(18_000_000); "
        "self.insert1({**key, 'y': 5})",
        then="print(Result.populate({'id': 1}, reserve_jobs=True), flush=True)",
        DJ_JOBS_LEASE_TIMEOUT="15",
    )
    assert int(holder.stdout.readline()) == 1
    done = threading.Event()
    answer: list[str] = []

    def wait() -> None:
        answer.append(holder.communicate(timeout=60)[0])
        done.set()

    threading.Thread(target=wait).start()
    while not done.wait(0.2):
        assert rescue(result.jobs) == 0
    assert eval(answer[0])["success"] == 1
    assert result.fetch1("y") == 5


def test_a_key_whose_worker_died_is_run_by_itself(declare: Any, source: Any, connection: Connection) -> None:
    running: list[set[int]] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        with connection.clone() as other:
            held = jobs_on(other, table).reserved.proj("id", "_rescues").to_dicts()
        if any(row["_rescues"] for row in held):
            running.append({row["id"] for row in held})
        self.insert1(key)

    table = declare(make=make)
    jobs = table.jobs
    source.insert({"id": i} for i in range(6, 40))
    jobs.refresh()
    claims.claim(jobs & "id in (5, 6)", Worker("dead", "elsewhere", 7), 2)
    expire_on(connection, jobs)
    assert table.populate(reserve_jobs=True)["success"] == 40
    assert running == [{5}, {6}]


def test_all_that_a_worker_holds_can_be_released(result: Any) -> None:
    jobs = result.jobs
    jobs.refresh()
    claims.claim(jobs, Worker("gone", "elsewhere", 7), 3)
    claims.claim(jobs, Worker("here", "elsewhere", 8), 1)
    assert jobs.release("gone") == 3
    assert states(result) == {"pending": 5, "reserved": 1}
    assert {c.attempt for c in claims.claim(jobs, Worker("other", "elsewhere", 9), 9)} == {1}


# -- results that cost much ------------------------------------------------------------------------


def test_a_computed_result_outlives_a_lost_connection(
    declare: Any, source: Any, connection: Connection
) -> None:
    calls: list[str] = []

    def make_fetch(self: Any, key: dict[str, Any]) -> Any:
        return (source & key).fetch1("x")

    def make_compute(self: Any, key: dict[str, Any], x: int) -> Any:
        calls.append("compute")
        return x + 1

    def make_insert(self: Any, key: dict[str, Any], y: int) -> None:
        calls.append("insert")
        self.insert1({**key, "y": y})
        if calls.count("insert") < 3:
            with connection.clone() as other:
                kill(other, connection.connection_id)
            _ = source.fetch1("x") if len(source) == 1 else len(source)

    table = declare(make_fetch=make_fetch, make_compute=make_compute, make_insert=make_insert)
    assert table.populate({"id": 1}, reserve_jobs=True)["success"] == 1
    assert calls == ["compute", "insert", "insert", "insert"]
    assert table.fetch1("y") == 11
    assert len(table.jobs) == 0


# -- refresh ---------------------------------------------------------------------------------------


def test_of_workers_that_wait_together_one_refreshes(
    result: Any, source: Any, connection: Connection
) -> None:
    n = 24
    source.insert({"id": i} for i in range(6, 500))
    _ = result.jobs
    sessions: list[int] = []

    def cost(own: Connection) -> int:
        target = result()
        target._connection = own
        jobs = target.jobs
        was_refreshed_since(jobs, datetime.max)  # so that what is declared is known
        sessions.append(own.connection_id)
        before = own.n_statements
        refresh_once(jobs, ())
        return own.n_statements - before

    def work() -> int:
        with connection.clone() as own:
            return cost(own)

    with connection.clone() as first, ThreadPoolExecutor(n) as pool:
        with turn(first, ".".join(result.jobs.table_id)):
            running = [pool.submit(work) for _ in range(n)]
            until(lambda: sum(is_waiting_for_name(connection, one) for one in sessions) == n)
        *those_that_look, refreshing = sorted(future.result() for future in running)
    assert those_that_look == [3] * (n - 1)  # the lock, a look, and the lock given back
    assert refreshing > 3
    assert states(result) == {"pending": 500}
    assert cost(connection) > 3  # it came later, and there may be new keys


def test_the_clock_of_jobs_can_be_moved(result: Any, connection: Connection) -> None:
    result.jobs.refresh(delay=3600)
    assert result.populate(reserve_jobs=True, refresh=False)["success"] == 0
    connection.clock_offset_s = 3601.0
    assert result.populate(reserve_jobs=True, refresh=False)["success"] == 6


def test_the_clock_of_jobs_has_milliseconds_also_where_it_was_moved(
    result: Any, connection: Connection
) -> None:
    """A job that is due from a moment on, which its column rounds, would else be due only after it."""
    for offset_s in (0.0, 3600.0):
        connection.clock_offset_s = offset_s
        times = [connection.execute(sql("SELECT {}", clock.now(connection))).rows[0][0] for _ in range(3)]
        assert [time.microsecond % 1000 for time in times] == [0, 0, 0]


def test_rows_of_the_control_table_are_not_listed_as_tables(result: Any, connection: Connection) -> None:
    result.populate(reserve_jobs=True)
    assert result._schema.list_tables() == ["source", "__result"]
    control = FreeTable.at(connection, result.database, "~job_control")
    assert [row["table_name"] for row in control.to_dicts()] == ["~~result"]
