"""`datajoint.testing`: what the tests of a pipeline compute with."""

from __future__ import annotations

import os
from typing import Any

import pytest

from dj_schema.errors import DataJointError


def test_inline_computes_here_whatever_populate_asks_for(declare: Any, dj: Any) -> None:
    pids: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        pids.append(os.getpid())
        self.insert1(key)

    table = declare(make=make)
    with dj.testing.inline():
        assert table.populate({"id": 1}, processes=4)["success"] == 1
        assert table.populate({"id": 2}, processes=4, reserve_jobs=True)["success"] == 1
        assert table.populate(reserve_jobs=True, dispatch="celery")["success"] == 4
    assert set(pids) == {os.getpid()}


def test_drain_computes_tables_in_the_order_of_their_dependencies(result: Any, source: Any, dj: Any) -> None:
    class Next(dj.Computed):
        definition = """
        -> Result
        ---
        z : int64
        """

        def make(self, key: dict[str, Any]) -> None:
            if key["id"] == 0:
                raise ValueError("no")
            if key["id"] != 1:
                self.insert1({**key, "z": (result & key).fetch1("y") + 1})

    source._schema(Next, context={"Result": result})
    counts = dj.testing.drain(Next, result)
    schema = source.database
    assert counts == {
        f"{schema}.__result": {"success": 6},
        f"{schema}.__next": {"success": 4, "empty": 1, "error": 1},
    }
    assert dj.testing.drain(Next, result) == {f"{schema}.__result": {}, f"{schema}.__next": {}}


def test_drain_waits_for_retries_by_the_clock_alone(declare: Any, dj: Any) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if calls.count(key["id"]) < 3:
            raise OSError("later")
        self.insert1(key)

    table = declare(make=make, retry=dj.Retry(attempts=3, on=(OSError,), backoff=86_400.0, longest_s=1e6))
    (counts,) = dj.testing.drain(table).values()
    assert counts == {}
    (counts,) = dj.testing.drain(table, wait=True).values()
    assert counts == {"success": 6}
    assert table.connection.clock_offset_s == 0.0


def test_the_clock_lets_delays_end_and_leases_run_out(result: Any, dj: Any, connection: Any) -> None:
    from dj_jobs import claim as claims
    from dj_jobs.job import Worker

    jobs = result.jobs
    jobs.refresh(delay=3600)
    with dj.testing.clock(connection) as clock:
        assert claims.claim(jobs, Worker("w", "h", 1), 1) == []
        clock.move(hours=1, seconds=1)
        assert len(claims.claim(jobs, Worker("w", "h", 1), 1)) == 1
        clock.move(minutes=2)
        assert result.populate(reserve_jobs=True)["success"] == 6
    assert connection.clock_offset_s == 0.0


def test_drain_says_which_table_has_no_make(declare: Any, dj: Any) -> None:
    with pytest.raises(DataJointError, match="Result has no make"):
        dj.testing.drain(declare())
