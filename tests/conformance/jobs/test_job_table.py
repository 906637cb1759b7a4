"""The job table: refresh and its counts, views, and what operators do."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dj_jobs import claim as claims
from dj_jobs.job import Worker
from dj_jobs.rescue import rescue
from dj_query.table import FreeTable
from dj_schema import errors
from dj_schema.connection import Connection
from dj_schema.sql import Ident, Param, sql
from tests.conformance.jobs.test_workers import jobs_on
from tests.support.sessions import is_waiting_for_row


def states(jobs: Any) -> dict[str, int]:
    return {name: n for name, n in jobs.progress().items() if n and name != "total"}


def set_column(jobs: Any, column: str, value: Any) -> None:
    """Change a column of all jobs behind the engine's back."""
    jobs.connection.execute(sql("UPDATE {} SET {} = {}", Ident(*jobs.table_id), Ident(column), Param(value)))


LONG_AGO = dt.datetime(2020, 1, 1)


def test_refresh_adds_what_is_missing_and_counts_it(result: Any, source: Any) -> None:
    assert result.jobs.refresh("id < 2") == {"added": 2, "removed": 0, "orphaned": 0, "re_pended": 0}
    assert result.jobs.refresh({"id": 2}, source & "x < 25")["added"] == 1
    assert result.jobs.refresh()["added"] == 3
    assert result.jobs.refresh()["added"] == 0
    assert result.jobs.progress() == {
        "pending": 6, "reserved": 0, "success": 0, "error": 0, "ignore": 0, "total": 6,
    }  # fmt: skip


def test_refresh_leaves_out_rows_that_are_there(result: Any) -> None:
    result.populate("id < 2")
    assert result.jobs.refresh()["added"] == 4
    result.populate("id < 4")
    assert result.jobs.refresh() == {"added": 0, "removed": 2, "orphaned": 0, "re_pended": 0}


def test_refresh_does_not_wait_for_open_transactions(
    result: Any, source: Any, connection: Connection
) -> None:
    """Of a make that has inserted its row, say, or of somebody who changes an input."""
    assert result.jobs.refresh()["added"] == 6
    if connection.settings.backend == "mysql":
        connection.query("SET innodb_lock_wait_timeout = 1")
    else:
        connection.query("SET lock_timeout = '1s'")
    with connection.clone() as other, other.transaction:
        FreeTable.at(other, *result().table_id).insert1({"id": 1}, allow_direct_insert=True)
        FreeTable.at(other, *source().table_id).update1({"id": 2, "x": 7})
        counts = result.jobs.refresh(stale_timeout=0)
    assert (counts["removed"], counts["added"]) == (0, 0)
    assert result.jobs.refresh()["removed"] == 1


def test_refresh_passes_over_jobs_that_another_program_adds_meanwhile(
    result: Any, connection: Connection
) -> None:
    _ = result.jobs
    with connection.clone() as other, connection.clone() as observer, ThreadPoolExecutor(1) as pool:
        session = connection.connection_id
        with other.transaction:
            jobs_on(other, result).insert([{"id": 1, "status": "ignore", "priority": 5}])
            counts = pool.submit(result.jobs.refresh)
            while not is_waiting_for_row(observer, session):
                assert not counts.done(), counts.result()
        assert counts.result()["added"] == 5
    assert states(result.jobs) == {"pending": 5, "ignore": 1}


def test_a_pending_job_whose_key_is_gone_is_removed_once_it_is_stale(result: Any, source: Any) -> None:
    result.jobs.refresh()
    (source & "id < 2").delete_quick()
    assert result.jobs.refresh()["removed"] == 0
    set_column(result.jobs & {"id": 0}, "created_time", LONG_AGO)
    assert result.jobs.refresh(stale_timeout=10**9)["removed"] == 0
    assert result.jobs.refresh()["removed"] == 2


def test_reserved_jobs_are_orphans_after_the_timeout(result: Any) -> None:
    jobs = result.jobs
    jobs.refresh()
    assert jobs.reserve({"id": 1})
    assert jobs.refresh(orphan_timeout=3600)["orphaned"] == 0
    set_column(jobs, "reserved_time", LONG_AGO)
    assert jobs.refresh()["orphaned"] == 0
    assert jobs.refresh(orphan_timeout=3600)["orphaned"] == 1
    assert states(jobs) == {"pending": 6}
    assert jobs.to_arrays("_lease_until").tolist() == [None] * 6


def test_a_kept_job_whose_row_is_deleted_is_pending_again(result: Any, connection: Any) -> None:
    with connection.config.override(jobs={"keep_completed": True}):
        result.populate(reserve_jobs=True)
        assert states(result.jobs) == {"success": 6}
        durations = result.jobs.completed.to_arrays("duration")
        assert ((durations >= 0) & (durations < 60)).all()
        (result & "id < 2").delete_quick()
        assert result.jobs.refresh() == {"added": 0, "removed": 0, "orphaned": 0, "re_pended": 2}
        assert result.populate(reserve_jobs=True)["success"] == 2
        assert states(result.jobs) == {"success": 6}


def test_the_most_urgent_then_the_longest_due_then_the_first_key_goes_first(
    declare: Any, connection: Any
) -> None:
    order: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        order.append(key["id"])
        self.insert1(key)

    table = declare(make=make)
    jobs = table.jobs
    jobs.refresh("id = 5", priority=0)
    jobs.refresh("id in (3, 4)", priority=9)
    jobs.refresh()
    jobs.connection.execute(
        sql(
            "UPDATE {} SET {} = {} WHERE id = 2",
            Ident(*jobs.table_id),
            Ident("scheduled_time"),
            Param(LONG_AGO),
        )
    )
    assert jobs.to_arrays("priority", order_by="id").tolist() == [5, 5, 5, 9, 9, 0]
    table.populate(reserve_jobs=True, priority=4)
    assert order == [5]
    table.populate(reserve_jobs=True)
    assert order == [5, 2, 0, 1, 3, 4]


def test_scheduled_jobs_wait_by_the_clock_of_the_server(result: Any) -> None:
    result.jobs.refresh("id < 3", delay=3600)
    assert result.populate(reserve_jobs=True)["success"] == 3
    assert len(result.jobs.pending) == 3
    set_column(result.jobs, "scheduled_time", LONG_AGO)
    assert result.populate(reserve_jobs=True, refresh=False)["success"] == 3


@pytest.mark.parametrize("priority", [-1, 128])
def test_priorities_outside_the_range_are_refused(result: Any, priority: int) -> None:
    with pytest.raises(errors.DataJointError, match="priority"):
        result.jobs.refresh(priority=priority)


def test_without_refresh_only_what_is_queued_is_computed(result: Any, connection: Any) -> None:
    result.jobs.refresh("id = 1")
    assert result.populate(reserve_jobs=True, refresh=False)["success"] == 1
    with connection.config.override(jobs={"auto_refresh": False}):
        assert result.populate(reserve_jobs=True)["success"] == 0
        assert result.populate(reserve_jobs=True, refresh=True)["success"] == 5


def test_a_job_goes_by_hand_from_state_to_state(result: Any, connection: Any) -> None:
    jobs = result.jobs
    jobs.refresh()
    assert jobs.reserve({"id": 0, "extra": 1})
    assert not jobs.reserve({"id": 0})
    assert not jobs.reserve({"id": 99})
    row = jobs.reserved.fetch1()
    assert row["connection_id"] == connection.connection_id
    assert row["host"]
    assert row["pid"]
    assert row["reserved_time"] >= row["created_time"]
    assert result.populate(reserve_jobs=True)["success"] == 5  # not the one that is held
    jobs.complete({"id": 0}, duration=1.5)
    assert len(jobs & {"id": 0}) == 0
    with pytest.raises(errors.JobError, match="not reserved"):
        jobs.complete({"id": 0})
    jobs.refresh()
    with pytest.raises(errors.JobError, match="not reserved"):
        jobs.error({"id": 0}, "not ours")
    assert jobs.reserve({"id": 0})
    jobs.error({"id": 0}, "x" * 3000, "the stack")
    failed = jobs.errors.fetch1()
    assert (len(failed["error_message"]), failed["error_stack"]) == (2047, "the stack")
    assert failed["error_message"].endswith("...truncated")
    with pytest.raises(errors.JobError, match="needs"):
        jobs.reserve({})
    with connection.config.override(jobs={"keep_completed": True}):
        assert jobs.retry() == 1
        assert jobs.reserve({"id": 0})
        jobs.complete({"id": 0}, duration=1.5)
        assert jobs.completed.fetch1("duration") == 1.5


def test_failed_jobs_run_again_after_retry_or_delete(declare: Any) -> None:
    broken = {0, 1, 2}

    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] in broken:
            raise ValueError("broken")
        self.insert1(key)

    table = declare(make=make)
    assert table.populate(reserve_jobs=True, suppress_errors=True)["error"] == 3
    assert table.populate(reserve_jobs=True)["success"] == 0
    broken.clear()
    assert table.jobs.retry({"id": 1}) == 1
    assert table.jobs.pending.fetch1("error_message") == ""
    assert table.populate(reserve_jobs=True)["success"] == 1
    assert (table.jobs & {"id": 0} & 'status="error"').delete() == 1
    assert table.populate(reserve_jobs=True)["success"] == 1
    assert table.jobs.errors.delete() == 1
    assert table.populate(reserve_jobs=True)["success"] == 1


def test_ignored_jobs_are_passed_over(result: Any) -> None:
    jobs = result.jobs
    jobs.ignore({"id": 0})  # there is no job yet
    jobs.refresh()
    jobs.ignore({"id": 1})
    assert states(jobs) == {"pending": 4, "ignore": 2}
    assert jobs.reserve({"id": 2})
    with pytest.raises(errors.JobError, match="being computed"):
        jobs.ignore({"id": 2})
    assert result.populate(reserve_jobs=True)["success"] == 3
    assert jobs.ignored.to_arrays("id", order_by="id").tolist() == [0, 1]
    assert jobs.unignore({"id": 0}) == 1
    assert result.populate(reserve_jobs=True)["success"] == 1


@pytest.mark.parametrize("keeps", [False, True], ids=["gone", "kept"])
def test_a_key_that_is_done_is_not_ignored(result: Any, connection: Connection, keeps: bool) -> None:
    connection.config.jobs.keep_completed = keeps
    jobs = result.jobs
    assert result.populate({"id": 0}, reserve_jobs=True)["success"] == 1
    jobs.refresh()
    result.populate({"id": 1})  # without jobs, while its job is pending
    before = states(jobs)
    for i in range(2):
        with pytest.raises(errors.JobError, match="is done"):
            jobs.ignore({"id": i})
    assert states(jobs) == before
    jobs.refresh()
    assert states(jobs) == {"pending": 4, **({"success": 1} if keeps else {})}


def test_a_key_whose_job_is_added_meanwhile_is_ignored(result: Any, connection: Connection) -> None:
    _ = result.jobs
    with connection.clone() as other, connection.clone() as observer, ThreadPoolExecutor(1) as pool:
        session = connection.connection_id
        with other.transaction:
            jobs_on(other, result).insert([{"id": 1, "status": "pending", "priority": 5}])
            ended = pool.submit(result.jobs.ignore, {"id": 1})
            while not is_waiting_for_row(observer, session):
                assert not ended.done(), ended.result()
        ended.result()
    assert states(result.jobs) == {"ignore": 1}


def test_a_key_that_is_taken_meanwhile_is_not_ignored(result: Any, connection: Connection) -> None:
    _ = result.jobs
    with connection.clone() as other, connection.clone() as observer, ThreadPoolExecutor(1) as pool:
        session = connection.connection_id
        with other.transaction:
            taken = jobs_on(other, result)
            taken.insert([{"id": 1, "status": "reserved", "priority": 5}])
            ended = pool.submit(result.jobs.ignore, {"id": 1})
            while not is_waiting_for_row(observer, session):
                assert not ended.done(), ended.result()
        with pytest.raises(errors.JobError, match="being computed"):
            ended.result()
    assert states(result.jobs) == {"reserved": 1}


def test_a_dropped_job_table_is_made_again(result: Any) -> None:
    result.jobs.refresh()
    with pytest.raises(errors.DataJointError, match="restricted"):
        result.jobs.pending.drop()
    result.jobs.drop()
    assert result.jobs.refresh()["added"] == 6


def test_a_failure_is_tried_again_as_the_table_says(declare: Any, dj: Any) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if key["id"] == 0 and len(calls) < 8:
            raise OSError("flaky")
        if key["id"] == 1:
            raise ValueError("broken")
        self.insert1(key)

    table = declare(make=make, retry=dj.Retry(attempts=5, on=(OSError,), backoff=0.001))
    done = table.populate(reserve_jobs=True, suppress_errors=True)
    assert (done["success"], done["error"]) == (5, 1)
    assert calls.count(0) == 3
    assert calls.count(1) == 1


def test_attempts_end(declare: Any, connection: Any) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        raise OSError("always")

    table = declare(make=make, retry=None)
    with connection.config.override(jobs={"max_attempts": 2}):
        assert table.populate({"id": 0}, reserve_jobs=True, suppress_errors=True)["error"] == 1
    assert calls == [0, 0]
    assert table.jobs.errors.fetch1("_attempts") == 2


def test_statements_of_a_refresh_do_not_grow_with_its_keys(result: Any, source: Any, connection: Any) -> None:
    def cost() -> int:
        before = connection.n_statements
        result.jobs.refresh()
        return int(connection.n_statements - before)

    result.jobs.refresh()
    source.insert1({"id": 99})
    few = cost()
    source.insert({"id": i, "x": 0} for i in range(100, 20_100))
    assert cost() <= few
    assert len(result.jobs) == 20_007


def test_the_times_and_the_version_of_a_row_are_recorded(declare: Any, source: Any, connection: Any) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)

    with connection.config.override(jobs={"add_job_metadata": True, "version": "v7"}):
        table = declare(make=make)
        table.populate("id < 2")
        table.populate("id < 4", reserve_jobs=True)
    table.populate("id = 4", reserve_jobs=True)
    rows = table.proj("_job_start_time", "_job_duration", "_job_version").to_dicts(order_by="id")
    assert [r["_job_version"] for r in rows] == ["v7"] * 4 + [""]
    assert all(0 <= r["_job_duration"] < 60 for r in rows[:4])
    assert all(isinstance(r["_job_start_time"], dt.datetime) for r in rows[:4])
    assert rows[4]["_job_start_time"] is None
    assert table.heading.names == ["id", "y"]


def test_the_version_is_that_of_git(result: Any, connection: Any) -> None:
    from dj_jobs.version import _git_commit

    with connection.config.override(jobs={"version_method": "git", "keep_completed": True}):
        result.populate(reserve_jobs=True)
        assert set(result.jobs.to_arrays("version").tolist()) == {_git_commit()}


def test_progress_is_shown(result: Any, capsys: Any) -> None:
    result.populate("id < 3", display_progress=True, reserve_jobs=True)
    assert "3/3" in capsys.readouterr().err
    assert result.progress(display=True) == (3, 6)
    assert "3/6 (50%)" in capsys.readouterr().out


PEER_TABLE = {
    "postgresql": (
        "CREATE TYPE {schema}.enum_609a743e AS ENUM ('pending','reserved','success','error','ignore')",
        "CREATE TABLE {schema}.{table} (id integer NOT NULL, status {schema}.enum_609a743e NOT NULL, "
        "priority smallint NOT NULL, created_time timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), "
        "scheduled_time timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), reserved_time timestamp(3), "
        "completed_time timestamp(3), duration double precision, "
        "error_message varchar(2047) NOT NULL DEFAULT '', error_stack bytea, "
        "\"user\" varchar(255) NOT NULL DEFAULT '', host varchar(255) NOT NULL DEFAULT '', "
        "pid integer NOT NULL DEFAULT 0, connection_id bigint NOT NULL DEFAULT 0, "
        "version varchar(64) NOT NULL DEFAULT '', PRIMARY KEY (id))",
        "COMMENT ON COLUMN {schema}.{table}.status IS "
        "':enum(''pending'', ''reserved'', ''success'', ''error'', ''ignore''):'",
        "COMMENT ON COLUMN {schema}.{table}.error_stack IS ':<blob>:'",
    ),
    "mysql": (
        "CREATE TABLE {schema}.{table} (id int NOT NULL, "
        "status enum('pending','reserved','success','error','ignore') NOT NULL "
        "COMMENT ':enum(''pending'', ''reserved'', ''success'', ''error'', ''ignore''):', "
        "priority tinyint NOT NULL COMMENT ':int8:', "
        "created_time datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) COMMENT ':datetime(3):', "
        "scheduled_time datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) COMMENT ':datetime(3):', "
        "reserved_time datetime(3) DEFAULT NULL COMMENT ':datetime(3):', "
        "completed_time datetime(3) DEFAULT NULL COMMENT ':datetime(3):', "
        "duration double DEFAULT NULL COMMENT ':float64:', "
        "error_message varchar(2047) NOT NULL DEFAULT '' COMMENT ':varchar(2047):', "
        "error_stack longblob COMMENT ':<blob>:', user varchar(255) NOT NULL DEFAULT '', "
        "host varchar(255) NOT NULL DEFAULT '', pid int NOT NULL DEFAULT 0, "
        "connection_id bigint NOT NULL DEFAULT 0, version varchar(64) NOT NULL DEFAULT '', "
        "PRIMARY KEY (id), KEY status (status, priority, scheduled_time))",
    ),
}


def test_a_job_table_of_another_program_gets_what_the_engine_needs(
    declare: Any, source: Any, connection: Any
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] == 3:
            raise ValueError("three")
        self.insert1(key)

    table = declare(make=make)
    quote = connection.dialect.quote
    names = {"schema": f"{quote}{table.database}{quote}", "table": f"{quote}~~result{quote}"}
    for statement in PEER_TABLE[connection.settings.backend]:
        connection.query(statement.format(**names))
    connection.query(
        "INSERT INTO {schema}.{table} (id, status, priority) "
        "VALUES (1, 'pending', 5), (2, 'reserved', 5)".format(**names)
    )
    connection.catalog.forget(table.database)
    done = table.populate(reserve_jobs=True, suppress_errors=True)
    assert (done["success"], done["error"]) == (4, 1)
    assert states(table.jobs) == {"reserved": 1, "error": 1}
    assert table.jobs.reserved.fetch1("id") == 2  # another program holds it, for as long as it likes
    assert "Traceback" in table.jobs.errors.fetch1("error_stack")


def test_a_reserved_job_that_is_cancelled_or_failed_by_hand_has_that_attempt(result: Any) -> None:
    jobs = result.jobs
    jobs.refresh()
    assert jobs.reserve({"id": 1})
    assert jobs.reserve({"id": 2})
    jobs.error({"id": 1}, "ValueError: by hand", "the stack")
    jobs.cancel("id in (2, 3)")
    found = {i: [(a.number, a.outcome, a.error) for a in jobs.attempts({"id": i})] for i in (1, 2, 3)}
    assert found[1] == [(1, "error", "ValueError: by hand")]
    assert [a[:2] for a in found[2]] == [(1, "cancelled")]
    assert found[3] == []


def test_sessions_that_ended_with_the_server_tell_nothing_of_their_workers(
    result: Any, connection: Connection
) -> None:
    """It was started anew: the lease of a worker that computes for hours still holds."""
    jobs = result.jobs
    jobs.refresh()
    with connection.clone() as gone:
        worker = Worker.of_this_process("gone")
        (before,) = claims.claim(jobs_on(gone, result), worker, 1)
        set_column(jobs, "reserved_time", LONG_AGO)
        assert len(claims.claim(jobs_on(gone, result), worker, 1)) == 1
    while not (n := rescue(jobs)):  # PostgreSQL ends a session after its client has gone
        pass
    assert n == 1
    assert jobs.reserved.keys() == [before.key]
