"""What `populate(reserve_jobs=True)` promises, whoever computes: this process, others, Celery's workers."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from dj_jobs.events import Event
from dj_schema.errors import DataJointError
from tests.contracts.conftest import Pool, key_of


def test_each_key_is_computed_once(pool: Pool) -> None:
    pool.pipeline.add(30)
    summary = pool.populate()
    assert summary == {"success_count": 30, "error_list": [], "success": 30, "error": 0, "skip": 0}
    assert pool.pipeline.scores() == {n: n / 2 for n in range(30)}
    assert pool.pipeline.calls() == list(range(30))
    assert pool.pipeline.Score.jobs.progress()["total"] == 0
    assert (os.getpid() in {row["pid"] for row in pool.pipeline.Score.to_dicts()}) == (pool.name == "inline")
    assert pool.populate()["success_count"] == 0


def test_restrictions_of_any_kind_and_arguments_reach_make(pool: Pool) -> None:
    pool.pipeline.add(12)
    early = pool.pipeline.Trial & "day < '2026-01-09'"
    some = [key_of(1), key_of(3), key_of(7), key_of(9)]
    summary = pool.populate("number > 1", early, some, make_kwargs={"bonus": 100.0})
    assert summary["success_count"] == 2
    assert pool.pipeline.scores() == {3: 101.5, 7: 103.5}


def test_max_calls_is_exact_and_only_urgent_jobs_are_computed(pool: Pool) -> None:
    pool.pipeline.add(25)
    pool.pipeline.Score.jobs.refresh("number < 20", priority=1)
    assert pool.populate(priority=2, max_calls=17)["success_count"] == 17
    assert len(pool.pipeline.calls()) == 17
    assert set(pool.pipeline.scores()) < set(range(20))
    assert len(pool.pipeline.Score.jobs.reserved) == 0


def test_a_paused_table_is_told_of_and_left_alone(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    pool.pipeline.add(3)
    pool.pipeline.Score.jobs.refresh()
    pool.pipeline.Score.jobs.pause()
    assert pool.populate()["success_count"] == 0
    if pool.name != "process":  # whose children tell of it
        assert "is paused, by " in caplog.text
    assert pool.pipeline.Score.jobs.progress()["pending"] == 3
    pool.pipeline.Score.jobs.resume()
    assert pool.populate()["success_count"] == 3


def test_errors_are_listed_and_the_others_computed(pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    pool.pipeline.add(8, fail=[3], fail_oddly=[5], nothing=[6])
    summary = pool.populate(suppress_errors=True, display_progress=True)
    assert "Score: 100%" in capsys.readouterr().err
    assert (summary["success_count"], summary["error"], summary["skip"]) == (6, 2, 0)
    assert sorted(summary["error_list"], key=lambda pair: pair[0]["number"]) == [
        (key_of(3), "ValueError: 3 is bad"),
        (key_of(5), "TooWarmError: 5 degrees: too warm"),
    ]
    assert sorted(pool.pipeline.scores()) == [0, 1, 2, 4, 7]
    assert len(pool.pipeline.Score.jobs.errors) == 2
    again = pool.populate(suppress_errors=True)
    assert (again["success_count"], again["error_list"]) == (0, [])


def test_a_subscriber_is_told_what_happens_and_may_raise(pool: Pool) -> None:
    told: list[Event] = []

    def listen(event: Event) -> None:
        told.append(event)
        raise RuntimeError("a subscriber of a user")

    pool.pipeline.add(6, fail=[3], nothing=[5])
    if pool.name == "celery":
        with pytest.raises(DataJointError, match="on_event hears nothing"):
            pool.populate(on_event=listen)
        return
    summary = pool.populate(suppress_errors=True, on_event=listen)
    assert (summary["success_count"], summary["error"]) == (5, 1)
    kinds = Counter(event.kind.value for event in told)
    assert {kind: kinds[kind] for kind in ("started", "succeeded", "empty", "failed")} == {
        "started": 6, "succeeded": 4, "empty": 1, "failed": 1,
    }  # fmt: skip
    assert sum(event.n for event in told if event.kind == "claimed") >= 6
    (failed,) = [event for event in told if event.kind == "failed"]
    assert (failed.key, str(failed.error), failed.attempt) == (key_of(3), "3 is bad", 1)
    assert failed.table == ".".join(pool.pipeline.Score().table_id)
    assert all(event.worker for event in told)
    told.clear()
    assert pool.populate()["success_count"] == 0
    assert told == []


def test_the_first_error_is_raised_and_no_job_stays_reserved(pool: Pool) -> None:
    pool.pipeline.add(1, fail=[0])
    with pytest.raises(ValueError, match="^0 is bad$") as caught:
        pool.populate()
    jobs = pool.pipeline.Score.jobs
    assert (len(jobs.reserved), len(jobs.errors)) == (0, 1)
    if pool.name != "inline":
        assert "in fail" in str(caught.value.__cause__)


def test_a_retry_that_is_due_soon_is_waited_for_and_a_dead_process_replaced(pool: Pool) -> None:
    deaths = {} if pool.name == "inline" else {"die_once": [4]}
    pool.pipeline.add(6, fail_once=[2], **deaths)
    summary = pool.populate()
    assert (summary["success_count"], summary["error_list"]) == (6, [])
    assert sorted({*pool.pipeline.calls()}) == list(range(6))
    assert pool.pipeline.calls().count(2) >= 2
    jobs = pool.pipeline.Score.jobs
    assert jobs.progress()["total"] == len(jobs.completed & "_rescues > 0")
