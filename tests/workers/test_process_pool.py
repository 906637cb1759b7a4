"""`populate(processes=n)`: each key by one of several processes, whatever happens to them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import ModuleType

import pytest

from dj_jobs import claim as claims
from dj_jobs.events import Event
from dj_jobs.job import Worker
from dj_jobs.table import JobTable
from dj_query.table import FreeTable
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_workers.pools.messages import ErrorInWorker, TracebackOfWorker
from tests.workers.conftest import Lab, expected

both_modes = pytest.mark.parametrize("reserve_jobs", [True, False], ids=["reserved", "direct"])


@both_modes
def test_each_key_is_computed_once_and_by_a_child(lab: Lab, reserve_jobs: bool) -> None:
    lab.add(40)
    summary = lab.Square.populate(processes=2, reserve_jobs=reserve_jobs)
    assert (summary["success_count"], summary["error_list"], summary["skip"]) == (40, [], 0)
    assert lab.squares() == expected(40)
    assert lab.calls() == list(range(40))
    assert os.getpid() not in {row["pid"] for row in lab.Square.to_dicts()}
    assert lab.Square.jobs.progress()["total"] == 0


@both_modes
def test_max_calls_is_exact_over_all_processes(lab: Lab, reserve_jobs: bool) -> None:
    lab.add(40)
    summary = lab.Square.populate(processes=3, reserve_jobs=reserve_jobs, max_calls=23)
    assert summary["success_count"] == 23 == len(lab.squares())
    assert len(lab.calls()) == 23
    assert len(lab.Square.jobs.reserved) == 0


def test_jobs_that_a_refresh_takes_from_the_dead_are_told(lab: Lab) -> None:
    lab.add(4)
    jobs = lab.Square.jobs
    jobs.refresh()
    assert len(claims.claim(jobs, Worker("w", "h", 1), 2)) == 2
    told: list[Event] = []
    jobs.connection.clock_offset_s = 61.0
    summary = lab.Square.populate(processes=2, reserve_jobs=True, on_event=told.append)
    assert summary["success_count"] == 4
    assert [event.n for event in told if event.kind == "rescued"] == [2]


@both_modes
def test_restrictions_and_make_kwargs_reach_the_children(lab: Lab, reserve_jobs: bool) -> None:
    lab.add(10)
    restrictions = ["number > 2", {"what": "square"}, lab.Number & "number < 6"]
    lab.Square.populate(*restrictions, processes=2, reserve_jobs=reserve_jobs, make_kwargs={"shift": 100})
    assert lab.squares() == {3: 109, 4: 116, 5: 125}


@both_modes
@pytest.mark.parametrize("end", ["die_once", "exit_once"])
def test_a_child_that_dies_in_a_job_is_replaced_and_its_key_computed(
    lab: Lab, reserve_jobs: bool, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    lab.add(20, **{end: [5]})
    with caplog.at_level("WARNING", "datajoint.workers"):
        summary = lab.Square.populate(processes=2, reserve_jobs=reserve_jobs)
    how = "was ended by SIGKILL" if end == "die_once" else "ended with exit code 0, its work unfinished"
    assert how in caplog.text
    assert summary["error_list"] == []
    assert lab.squares() == expected(20)
    jobs = lab.Square.jobs
    assert jobs.progress()["total"] == len(jobs.completed & "_rescues > 0")


@pytest.mark.slow
@both_modes
def test_a_key_that_kills_every_process_ends_as_an_error(lab: Lab, reserve_jobs: bool) -> None:
    lab.add(6, die=[2])
    summary = lab.Square.populate(processes=2, reserve_jobs=reserve_jobs, suppress_errors=True)
    [(key, message)] = summary["error_list"]
    assert key == {"number": 2}
    assert "WorkerLost" in message
    assert lab.squares() == expected(6, without={2})
    assert lab.calls().count(2) == lab.schema.connection.config.jobs.max_rescues


@both_modes
@pytest.mark.parametrize("deed", ["sleep", "hold"])
def test_a_process_whose_job_takes_too_long_and_cannot_be_interrupted_is_killed(
    lab: Lab, reserve_jobs: bool, deed: str
) -> None:
    """No key is blamed for that death: neither its own, nor one that its process held too."""
    lab.add(8, **{deed: [2]})
    config = lab.schema.connection.config
    with config.override(jobs={"max_rescues": 1, "keep_completed": True}):
        summary = lab.Square.populate(
            processes=2,
            reserve_jobs=reserve_jobs,
            suppress_errors=True,
            timeout_s=4,  # the other makes are not to take as long, on a busy machine either
        )
    [(key, message)] = summary["error_list"]
    assert key == {"number": 2}
    assert message.startswith("JobTimeoutError: the make took longer than its timeout_s of 4 seconds")
    assert lab.squares() == expected(8, without={2})
    assert lab.calls().count(2) == 1
    jobs = lab.Square.jobs
    assert len(jobs & "_rescues > 0") == 0
    assert len(jobs.errors) == reserve_jobs


@pytest.mark.parametrize("deed", ["sleep", "hold"])
@pytest.mark.parametrize("how", ["cancel", "release"])
def test_a_process_whose_job_is_taken_from_it_and_cannot_be_interrupted_is_killed(
    lab: Lab, connection: Connection, deed: str, how: str
) -> None:
    lab.add(5, **{deed: [0]})
    told: list[Event] = []

    def take(event: Event) -> None:
        told.append(event)
        starts = [e for e in told if e.kind == "started" and e.key == {"number": 0}]
        if event not in starts or len(starts) > 1:
            return
        with connection.clone() as other:
            jobs = JobTable.of_target(FreeTable.at(other, *lab.Square().table_id))
            if how == "cancel":
                assert jobs.cancel({"number": 0}) == 1
            else:
                other_number = FreeTable.at(other, *lab.Number().table_id)
                other_number.update1({"number": 0, "what": "square"})
                assert jobs.release(event.worker) >= 1

    config = lab.schema.connection.config
    with config.override(jobs={"max_rescues": 1, "keep_completed": True, "lease_timeout": 6.0}):
        summary = lab.Square.populate(processes=2, reserve_jobs=True, on_event=take)
    assert summary["error_list"] == []
    kinds = [event.kind for event in told if event.key == {"number": 0} and event.kind != "started"]
    jobs = lab.Square.jobs
    assert len(jobs & "_rescues > 0") == 0
    if how == "cancel":
        assert kinds == ["cancelled"]
        assert lab.squares() == expected(5, without={0})
        assert (jobs & {"number": 0}).fetch1("status") == "ignore"
        assert lab.calls().count(0) == 1
    else:
        assert sorted(kinds) == ["fenced", "succeeded"]
        assert lab.squares() == expected(5)


def test_a_process_is_also_killed_for_a_job_that_began_without_a_word(
    lab: Lab, connection: Connection
) -> None:
    """Of jobs in the middle of a batch the parent is not told that they begin."""
    lab.add(30, hold=[20])
    told: list[Event] = []

    def cancel() -> None:
        while 20 not in lab.calls():
            threading.Event().wait(0.01)
        with connection.clone() as other:
            jobs = JobTable.of_target(FreeTable.at(other, *lab.Square().table_id))
            assert jobs.cancel({"number": 20}) == 1

    canceller = threading.Thread(target=cancel, daemon=True)
    canceller.start()
    with lab.schema.connection.config.override(jobs={"lease_timeout": 9.0, "group_commit_s": 60}):
        summary = lab.Square.populate(processes=2, reserve_jobs=True, on_event=told.append)
    canceller.join()
    assert summary["error_list"] == []
    assert lab.squares() == expected(30, without={20})
    assert [e.kind for e in told if e.key == {"number": 20} and e.kind != "started"] == ["cancelled"]
    assert lab.calls().count(20) == 1
    assert len(lab.Square.jobs & "_rescues > 0") == 0


@both_modes
def test_an_error_of_make_is_raised_in_the_parent_with_the_traceback_of_the_child(
    lab: Lab, reserve_jobs: bool
) -> None:
    lab.add(1, fail=[0])
    with pytest.raises(ValueError, match="0 is bad") as caught:
        lab.Square.populate(processes=2, reserve_jobs=reserve_jobs)
    assert isinstance(caught.value.__cause__, TracebackOfWorker)
    assert "in fail" in str(caught.value.__cause__)
    assert len(lab.Square.jobs.errors) == (1 if reserve_jobs else 0)


@both_modes
def test_after_the_first_error_no_job_is_left_reserved(lab: Lab, reserve_jobs: bool) -> None:
    lab.add(30, fail=[3])
    with pytest.raises(ValueError, match="3 is bad"):
        lab.Square.populate(processes=2, reserve_jobs=reserve_jobs)
    assert len(lab.Square.jobs.reserved) == 0
    assert set(lab.squares().items()) <= set(expected(30).items())


@both_modes
def test_errors_are_listed_where_they_are_suppressed(lab: Lab, reserve_jobs: bool) -> None:
    lab.add(10, fail=[3, 7])
    summary = lab.Square.populate(processes=2, reserve_jobs=reserve_jobs, suppress_errors=True)
    errors = sorted(summary["error_list"], key=lambda pair: pair[0]["number"])
    assert errors == [({"number": n}, f"ValueError: {n} is bad") for n in (3, 7)]
    assert lab.squares() == expected(10, without={3, 7})


@both_modes
def test_an_exception_that_cannot_be_pickled_arrives_as_its_text(lab: Lab, reserve_jobs: bool) -> None:
    lab.add(1, fail_oddly=[0])
    with pytest.raises(ErrorInWorker, match="^OddError: 0 is odd$") as caught:
        lab.Square.populate(processes=2, reserve_jobs=reserve_jobs)
    assert "fail_oddly" in str(caught.value.__cause__)


def test_make_may_start_processes(lab: Lab) -> None:
    lab.add(2, start_process=[0, 1])
    lab.Square.populate(processes=2, reserve_jobs=True)
    assert lab.squares() == expected(2)


def test_what_cannot_be_pickled_is_named_before_anything_is_computed(lab: Lab) -> None:
    lab.add(2)
    with pytest.raises(DataJointError, match="cannot be pickled.*processes=1"):
        lab.Square.populate(processes=2, make_kwargs={"shift": threading.Lock()})
    assert lab.calls() == []


def test_a_module_that_does_not_import_in_a_child_is_an_error_of_populate(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.add(2)
    monkeypatch.setenv("SQUARES_PARENT", str(os.getpid()))
    with pytest.raises(ImportError, match="for one process alone"):
        lab.Square.populate(processes=2, reserve_jobs=True)
    assert len(lab.Square.jobs.reserved) == 0


def test_children_work_on_the_parents_server_in_the_schema_that_it_activated(
    new_module: Callable[[], Lab],
    new_schema_name: Callable[[], str],
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SQUARES_SCHEMA", raising=False)
    lab = new_module()
    lab.schema.activate(new_schema_name(), connection=connection)
    lab.add(5)
    monkeypatch.setenv("DJ_HOST", "127.0.0.1")
    monkeypatch.setenv("DJ_PORT", "1")  # where a child of its own accord would look, and find nothing
    lab.Square.populate(processes=2, reserve_jobs=True)
    assert lab.squares() == expected(5)


def test_settings_of_the_parent_hold_in_the_children(lab: Lab) -> None:
    lab.add(4)
    with lab.schema.connection.config.override(jobs={"keep_completed": True}):
        lab.Square.populate(processes=2, reserve_jobs=True)
    assert len(lab.Square.jobs.completed) == 4


def test_a_class_that_only_this_process_has_is_computed_in_forks(
    dj: ModuleType, new_schema_name: Callable[[], str], connection: Connection
) -> None:
    schema = dj.Schema(new_schema_name(), connection=connection)

    @schema
    class Origin(dj.Manual):
        definition = "number : int32"

    @schema
    class Local(dj.Computed):
        definition = """
        -> Origin
        ---
        pid : int64
        """

        def make(self, key: dict[str, int]) -> None:
            self.insert1({**key, "pid": os.getpid()})

    Origin.insert([{"number": n} for n in range(10)])
    assert Local.populate(processes=2, reserve_jobs=True)["success_count"] == 10
    assert os.getpid() not in {row["pid"] for row in Local.to_dicts()}


def test_nothing_to_do_starts_no_process_and_is_no_error(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUARES_PARENT", str(os.getpid()))  # a child would fail
    assert lab.Square.populate(processes=2, reserve_jobs=True)["success_count"] == 0
    assert lab.Square.populate(processes=2)["success_count"] == 0
