"""The jobs of whole schemas at a glance, beside what the tables themselves say."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from dj_jobs.overview import check_renewal, job_tables_of, overview, progress_of
from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError


@pytest.fixture
def lab(dj: ModuleType, new_schema: Callable[..., Schema]) -> dict[str, Any]:
    schema = new_schema()

    @schema
    class Number(dj.Manual):
        definition = "number : int32"

    @schema
    class Root(dj.Computed):
        definition = """
        -> Number
        ---
        root : float64
        """

        def make(self, key: dict[str, int]) -> None:
            number = key["number"]
            if number == 9:
                return
            if number < 0:
                raise ValueError(f"{number} is negative: no root")
            if number == 8:
                raise KeyError(number)
            self.insert1({**key, "root": number**0.5})

    @schema
    class Twice(dj.Imported):
        definition = "-> Root"

        def make(self, key: dict[str, int]) -> None:
            self.insert1(key)

    return {"schema": schema, "Number": Number, "Root": Root, "Twice": Twice}


def test_overview_counts_what_each_job_table_holds(lab: dict[str, Any], connection: Connection) -> None:
    name = lab["schema"].database
    empty = {t.table: (t.total, t.oldest_pending_s) for t in overview(connection, [name])}
    assert empty == {"__root": (0, None), "_twice": (0, None)}
    lab["Number"].insert([{"number": n} for n in (-3, -2, -1, 0, 1, 4, 8, 9)])
    jobs = lab["Root"].jobs
    jobs.refresh()
    jobs.ignore({"number": 1})
    lab["Root"].populate("number < 1 OR number > 7", reserve_jobs=True, refresh=False, suppress_errors=True)
    lab["Number"].insert([{"number": n} for n in (16, 25)])
    jobs.refresh()
    assert jobs.reserve({"number": 16})
    found = {t.table: t for t in overview(connection, [name])}
    root = found["__root"]
    assert root.counts == {"pending": 2, "reserved": 1, "success": 1, "error": 4, "ignore": 1}
    assert root.errors == {"ValueError": 3, "KeyError": 1}
    assert root.oldest_pending_s is not None
    assert 0 <= root.oldest_pending_s < 600
    assert root.holders == {}, "a job reserved by hand has no lease"
    assert found["_twice"].total == 0


def test_due_is_what_a_worker_could_take_now(lab: dict[str, Any], connection: Connection) -> None:
    lab["Number"].insert([{"number": n} for n in range(5)])
    jobs = lab["Root"].jobs
    jobs.refresh("number < 2")
    jobs.refresh("number >= 2", delay=3600)

    def due() -> tuple[int, int]:
        [root] = [t for t in overview(connection, [lab["schema"].database]) if t.table == "__root"]
        return root.counts["pending"], root.n_due

    assert due() == (5, 2)
    jobs.pause()
    assert due() == (5, 0)
    jobs.resume()
    assert due() == (5, 2)


def test_overview_asks_one_statement_a_schema(lab: dict[str, Any], connection: Connection) -> None:
    for table in ("Root", "Twice"):
        lab[table].jobs.refresh()
    overview(connection, [lab["schema"].database])
    asked: list[str] = []
    execute = connection.execute
    connection.execute = lambda statement, **k: (asked.append(str(statement)), execute(statement, **k))[1]  # type: ignore[method-assign]
    try:
        assert len(overview(connection, [lab["schema"].database])) == 2
        assert len(progress_of([lab["Root"](), lab["Twice"]()])) == 2
    finally:
        del connection.execute
    assert len(asked) == 2


def test_leases_and_their_holders_are_seen(lab: dict[str, Any], connection: Connection) -> None:
    from dj_jobs.claim import claim
    from dj_jobs.job import Worker

    lab["Number"].insert([{"number": n} for n in range(5)])
    jobs = lab["Root"].jobs
    jobs.refresh()
    assert len(claim(jobs, Worker("a", "h", 1), 2)) == 2
    connection.config["jobs.lease_timeout"] = 0.001
    assert len(claim(jobs, Worker("b", "h", 2), 1)) == 1
    for _ in range(1000):
        [root] = [t for t in overview(connection, [lab["schema"].database]) if t.table == "__root"]
        if root.n_expired:
            break
    assert (root.holders, root.n_expired) == ({"a": 2}, 1)


def test_a_dropped_job_table_is_noticed(lab: dict[str, Any], connection: Connection) -> None:
    name = lab["schema"].database
    lab["Root"].jobs.refresh()
    overview(connection, [name])
    other = connection.clone()
    from dj_jobs.table import JobTable
    from dj_query.virtual import VirtualModule

    JobTable.of_target(VirtualModule("m", name, connection=other).Root()).drop()
    other.close()
    assert [t.total for t in overview(connection, [name])] == [0, 0]


def test_a_schema_that_there_is_not_is_an_error(lab: dict[str, Any], connection: Connection) -> None:
    with pytest.raises(DataJointError, match="no schema 'djt_nowhere'"):
        overview(connection, ["djt_nowhere"])


def test_progress_counts_keys_and_those_done(lab: dict[str, Any]) -> None:
    lab["Number"].insert([{"number": n} for n in (-1, 0, 1, 4, 9)])
    lab["Root"].populate(reserve_jobs=True, suppress_errors=True)
    found = {p.table: (p.total, p.done) for p in progress_of([lab["Root"](), lab["Twice"]()])}
    assert found == {"__root": (5, 4), "_twice": (3, 0)}


def test_leases_can_be_renewed_or_it_is_said(lab: dict[str, Any], connection: Connection) -> None:
    lab["Root"].jobs.refresh()
    name = lab["schema"].database
    [table] = job_tables_of(connection, name)
    check_renewal(connection, table)
    read_only = (
        "SET default_transaction_read_only = on"
        if connection.settings.backend == "postgresql"
        else "SET SESSION TRANSACTION READ ONLY"
    )
    connection.query(read_only)
    with pytest.raises(DataJointError):
        check_renewal(connection, table)
