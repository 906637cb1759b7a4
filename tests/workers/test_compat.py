"""The worker class of laboratories' own scripts: its steps, when it ends, its log, and what it tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_workers.compat import DataJointWorker, workflow_progress
from dj_workers.compat.logbook import Logbook, _now
from dj_workers.compat.progress import ProcessProgress
from dj_workers.notify import Notice
from tests.workers.celery_lab import until
from tests.workers.conftest import Lab, expected


@pytest.fixture
def log_name(new_schema_name: Callable[[], str]) -> str:
    return new_schema_name()


def test_steps_run_in_order_until_nothing_is_left(
    lab: Lab, log_name: str, connection: Connection, new_schema_name: Callable[[], str]
) -> None:
    lab.add(6, fail=[4])
    ingested: list[int] = []
    told: list[Notice] = []

    def ingest(number: int) -> None:
        if not ingested:
            lab.Number.insert1({"number": number, "what": "square"})
        ingested.append(number)
        if len(ingested) == 2:
            raise OSError("the disk is away")

    prefix = str(lab.schema.database)[:6]
    worker = DataJointWorker(
        "one", log_name, sleep_duration=0, max_idled_cycle=2, db_prefix=[prefix], notifiers=[told.append]
    )
    worker(ingest, number=50)
    assert worker(lab.Square) is lab.Square
    worker(lab.Next, restrictions=["number > 0"])
    worker.run()

    assert lab.squares() == {**expected(6, without={4}), 50: 2500}
    assert len(lab.Next()) == 5  # but for 0
    assert ingested == [50, 50, 50]  # one cycle with work, two without
    book = Logbook.of(log_name, connection)
    shown = lab.Square.full_table_name.replace("`", "").replace('"', "").removeprefix(prefix)
    steps = [row["process"] for row in book.worker_log.to_dicts(order_by="process_timestamp")]
    assert steps[1::3] == [shown] * 3
    failures = {row["error_message"]: row for row in book.error_log.to_dicts()}
    assert set(failures) == {"ValueError: 4 is bad", "OSError: the disk is away"}
    assert failures["ValueError: 4 is bad"]["job_key"] == {"number": 4}
    assert "in fail" in failures["ValueError: 4 is bad"]["error_stack"]
    assert failures["OSError: the disk is away"]["job_key"] is None
    assert {notice.kind for notice in told} >= {"error"}


def test_failed_jobs_of_some_kinds_are_tried_again(lab: Lab, log_name: str) -> None:
    lab.add(4, fail=[1, 2])
    lab.Square.populate(reserve_jobs=True, suppress_errors=True)
    lab.Number.update1({"number": 1, "what": "square"})
    worker = DataJointWorker(
        "one", log_name, sleep_duration=0, max_idled_cycle=1, autoclear_error_patterns=["%1 is b%", "it's_%"]
    )
    worker(lab.Square)
    worker.run()
    assert lab.squares() == expected(4, without={2})
    assert lab.calls() == [0, 1, 1, 2, 3]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({}, {1}),
        ({"stale_timeout_hours": 40}, {0, 1}),
        ({"remove_stale_reserved_jobs": False}, {0, 1}),
    ],
)
def test_jobs_that_another_program_has_left_are_computed_after_a_while(
    lab: Lab, log_name: str, options: dict[str, Any], left: set[int]
) -> None:
    lab.add(3)
    lab.Square.jobs.refresh()
    jobs = lab.Square.jobs
    long_ago = _now() - timedelta(hours=30)
    for number, since in ((0, long_ago), (1, _now())):
        jobs.update1({"number": number, "status": "reserved", "reserved_time": since, "host": "elsewhere"})
    worker = DataJointWorker("one", log_name, sleep_duration=0, max_idled_cycle=1, **options)
    worker(lab.Square)
    worker.run()
    assert lab.squares() == expected(3, without=left)


def test_progress_is_told_without_the_code_of_the_pipeline(
    lab: Lab, log_name: str, connection: Connection
) -> None:
    lab.add(5, fail=[3])

    def look() -> None: ...

    worker = DataJointWorker("one", log_name, run_duration=0)
    worker(look)
    worker(lab.Square, max_calls=2)
    worker.run()
    function, square = workflow_progress(log_name, connection)
    assert (function.total, function.remaining) == (None, None)
    assert (square.total, square.remaining) == (5, 5)
    lab.Square.populate(reserve_jobs=True, suppress_errors=True)
    [_, square] = worker.progress()
    process = f"{lab.schema.database}.__square"
    assert square == ProcessProgress("one", process, 5, 1, reserved=0, error=1, ignored=0)


def test_old_entries_of_the_log_are_removed(lab: Lab, log_name: str, connection: Connection) -> None:
    book = Logbook.of(log_name, connection)
    book.began("two", "a step")
    book.failed("two", "a step", ValueError("x"), {"number": 1}, "")
    for table, attribute in ((book.worker_log, "process_timestamp"), (book.error_log, "error_timestamp")):
        row: dict[str, Any] = table.to_dicts()[0]
        if "error_id" in row:
            row["error_id"] = uuid4()
        table.insert1({**row, attribute: _now() - timedelta(days=31)})
        assert len(table()) == 2
    book.forget_old()
    assert len(book.worker_log()) == len(book.error_log()) == 1


def test_a_step_may_stop_the_worker_and_run_duration_ends_it(lab: Lab, log_name: str) -> None:
    lab.add(2)
    worker = DataJointWorker("one", log_name, sleep_duration=3600)
    worker(lambda: worker.stop())
    worker(lab.Square)
    worker.run()
    assert lab.squares() == {}


def test_a_cycle_that_has_begun_is_gone_through_when_the_time_is_over(lab: Lab, log_name: str) -> None:
    lab.add(30)
    duration_s = 0.5
    worker = DataJointWorker("one", log_name, sleep_duration=3600)

    @worker
    def outlast() -> None:
        end = time.monotonic() + 2 * duration_s
        until(lambda: time.monotonic() > end, "end of the time")

    worker(lab.Square, max_calls=20)
    worker._run_duration = duration_s  # as scripts do, from their command lines
    worker.run()
    assert len(lab.Square()) == 20
    assert len(worker.worker_log()) == 2
    assert len(worker.error_log()) == 0


def test_without_a_duration_or_number_of_cycles_only_a_stop_ends_it(lab: Lab, log_name: str) -> None:
    lab.add(2)
    worker = DataJointWorker("one", log_name, run_duration=None, sleep_duration=0, max_idled_cycle=0)
    cycles: list[int] = []

    def end(most: int) -> None:
        cycles.append(len(lab.Square()))
        if len(cycles) == most:
            worker.stop()

    worker(end, most=4)
    worker.add_step(lab.Square, position_=0)
    worker.run()
    assert cycles == [2, 2, 2, 2]


@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_bad_input_says_what_is_wrong(lab: Lab, log_name: str, connection: Connection, dj: Any) -> None:
    for wrong, message in (
        (lambda: DataJointWorker("", log_name), "a name"),
        (lambda: DataJointWorker("one", log_name, sleep_duration=-1), "sleep_duration"),
        (lambda: DataJointWorker("one", log_name).run(), "has no steps"),
        (lambda: DataJointWorker("one", log_name)(42), "neither"),
        (lambda: DataJointWorker("one", log_name)(lab.Number), "neither"),
        (lambda: DataJointWorker("one", log_name)(lab.Square, max_cals=3), "there is no max_cals"),
    ):
        with pytest.raises(DataJointError, match=message):
            wrong()
    schema = dj.Schema(log_name, connection=connection)

    @schema
    class WorkerLog(dj.Manual):
        definition = "number : int32"

    worker = DataJointWorker("one", log_name)
    worker(lab.Square)
    with pytest.raises(DataJointError, match="worker_schema_name of its own"):
        worker.run()
