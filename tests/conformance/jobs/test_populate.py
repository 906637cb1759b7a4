"""populate, direct and with jobs: what it computes, what it returns, what is left behind."""

from __future__ import annotations

from typing import Any

import pytest

from dj_jobs.events import Event

BOTH = pytest.mark.parametrize("reserve_jobs", [False, True], ids=["direct", "reserved"])


@BOTH
def test_populate_computes_what_is_missing_once(result: Any, reserve_jobs: bool) -> None:
    assert result.populate(reserve_jobs=reserve_jobs) == {
        "success_count": 6,
        "error_list": [],
        "success": 6,
        "error": 0,
        "skip": 0,
    }
    assert result.to_dicts(order_by="id") == [{"id": i, "y": 10 * i + 1} for i in range(6)]
    assert result.populate(reserve_jobs=reserve_jobs)["success_count"] == 0
    assert result.progress() == (0, 6)
    if reserve_jobs:
        assert result.jobs.progress()["total"] == 0


@BOTH
@pytest.mark.parametrize("name", ["max_calls", "limit"])
def test_populate_stops_after_max_calls(result: Any, reserve_jobs: bool, name: str) -> None:
    assert result.populate(reserve_jobs=reserve_jobs, **{name: 4})["success_count"] == 4
    assert result.to_arrays("id", order_by="id").tolist() == [0, 1, 2, 3]
    assert result.populate(reserve_jobs=reserve_jobs, **{name: 0})["success_count"] == 0
    if reserve_jobs:
        assert result.jobs.progress()["reserved"] == 0


@BOTH
def test_populate_takes_restrictions_of_each_kind(
    result: Any, source: Any, dj: Any, reserve_jobs: bool
) -> None:
    for restriction in (
        {"id": 0},
        "id = 1",
        source & "x = 20",
        [{"id": 3}],
        dj.AndList(["id > 3", "id < 5"]),
    ):
        assert result.populate(restriction, reserve_jobs=reserve_jobs)["success_count"] == 1, restriction
    assert result.to_arrays("id", order_by="id").tolist() == [0, 1, 2, 3, 4]
    assert result.populate(source & "x > 10", "id = 5", reserve_jobs=reserve_jobs)["success_count"] == 1


@BOTH
def test_an_error_stops_populate_or_is_reported(declare: Any, reserve_jobs: bool) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] % 2:
            raise ValueError(f"bad {key['id']}")
        self.insert1({**key, "y": 1})

    table = declare(make=make)
    with pytest.raises(ValueError, match="bad 1"):
        table.populate(reserve_jobs=reserve_jobs)
    assert table.to_arrays("id").tolist() == [0]
    if reserve_jobs:
        assert table.jobs.progress() | {"total": 5} == {
            "pending": 4, "reserved": 0, "success": 0, "error": 1, "ignore": 0, "total": 5,
        }  # fmt: skip
        table.jobs.errors.delete()
    done = table.populate(reserve_jobs=reserve_jobs, suppress_errors=True)
    assert (done["success"], done["error"]) == (2, 3)
    assert sorted(done["error_list"], key=str) == [({"id": i}, f"ValueError: bad {i}") for i in (1, 3, 5)]
    if reserve_jobs:
        errors = table.jobs.errors.to_dicts(order_by="id")
        assert [e["error_message"] for e in errors] == [f"ValueError: bad {i}" for i in (1, 3, 5)]
        assert all("in make\n" in e["error_stack"] for e in errors)
        table.jobs.errors.delete()
    done = table.populate(reserve_jobs=reserve_jobs, suppress_errors=True, return_exception_objects=True)
    assert [type(e) for _, e in done["error_list"]] == [ValueError] * 3


def test_a_short_job_costs_few_statements(result: Any, source: Any) -> None:
    """Counted over all that populate does: refresh, claims, makes with a fetch and an insert, commits."""
    n = 400
    source.insert({"id": i} for i in range(6, n))
    _ = result.jobs
    connection = source.connection
    batches: list[Event] = []  # of as many jobs as this machine computes in a quarter of a second
    before = connection.n_statements
    with connection.config.override(jobs={"group_commit_s": 60}):
        done = result.populate(
            reserve_jobs=True,
            on_event=lambda event: batches.append(event) if event.kind == "claimed" else None,
        )
    assert done["success"] == n
    # of the four of a job, two go together with the next one on PostgreSQL: SAVEPOINT and its RELEASE
    assert connection.n_statements - before <= 4 * n + 15 * len(batches)


def test_a_make_that_comes_later_is_seen(declare: Any, dj: Any) -> None:
    table = declare()
    with pytest.raises(dj.errors.MakeError, match="has no make"):
        table.populate()
    table.make = lambda self, key: self.insert1(key)
    assert table.populate()["success"] == 6
