"""A worker whose account has the rights that it needs by the documentation, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dj_jobs import claim as claims
from dj_jobs.job import Worker
from dj_jobs.rescue import rescue
from dj_schema.connection import Connection
from dj_schema.errors import DuplicateError, JobError
from dj_schema.settings import Config
from dj_workers import Work
from dj_workers import Worker as Crew
from tests.conformance.jobs.test_three_parts import three_parts
from tests.conformance.jobs.test_workers import jobs_on
from tests.support.accounts import WORKING, account
from tests.support.servers import ServerUnderTest
from tests.support.sessions import wait_until_gone


def one_part(source: Any) -> dict[str, Any]:
    has_failed: list[dict[str, Any]] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] == 3 and not has_failed:
            has_failed.append(key)
            raise OSError("once")
        with self.connection.transaction:
            self.insert1(key)
        try:
            self.insert1(key)
        except DuplicateError:
            self.update1({**key, "y": 1})

    return {"make": make}


@pytest.fixture(params=[one_part, three_parts])
def table(request: pytest.FixtureRequest, declare: Any, source: Any) -> Any:
    return declare(**request.param(source))


def nothing(table: Any) -> None:
    """No table of jobs: the account makes it."""


def job_table(table: Any) -> None:
    """The table of jobs; those that workers make for each other are not there, and cannot be made."""
    _ = table.jobs


def all_tables(table: Any) -> None:
    Crew([table], Work(is_once=True, max_calls=1)).run()
    table.delete(prompt=False)
    table.jobs.delete()


@pytest.fixture(params=[nothing, job_table, all_tables])
def worker(
    request: pytest.FixtureRequest,
    table: Any,
    connection: Connection,
    server: ServerUnderTest,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Connection]:
    """A connection with these rights, which the class uses."""
    prepare: Callable[[Any], None] = request.param
    prepare(table)
    with (
        account(
            connection, server, config, table().database, WORKING, may_create=prepare is nothing
        ) as opened,
        monkeypatch.context() as patch,
    ):
        patch.setattr(table._schema, "_connection", opened)
        yield opened


@pytest.mark.parametrize("verify", ["fingerprint", "lock"])
def test_a_worker_computes_all(table: Any, worker: Connection, verify: str) -> None:
    worker.config.jobs.verify = verify
    tally = Crew([table], Work(is_once=True)).run()
    assert not tally.broken
    n_failed = len(table.jobs.errors)
    assert table.jobs.retry() == n_failed
    assert table.populate(reserve_jobs=True)["success"] == n_failed
    assert len(table()) == 6
    table.delete(prompt=False)
    assert table.populate()["success"] == 6


def test_a_worker_does_what_operators_do(table: Any, worker: Connection) -> None:
    jobs = table.jobs
    assert jobs.refresh()["added"] == 6
    jobs.ignore({"id": 0})
    assert jobs.cancel({"id": 1}) == 1
    assert jobs.unignore() == 2
    assert jobs.reserve({"id": 2})
    assert jobs.release(jobs.reserved.proj("_worker").fetch1("_worker")) == 1
    with worker.clone() as other:
        session = other.connection_id
        assert len(claims.claim(jobs_on(other, table), Worker.of_this_process(), 2)) == 2
    wait_until_gone(worker, session)
    assert rescue(jobs) == 2
    assert jobs.reserve({"id": 3})
    assert jobs.delete() == 6
    assert jobs.refresh()["added"] == 6
    try:
        jobs.pause()
    except JobError as e:
        assert "ask for the right to create tables" in str(e)
    else:
        assert jobs.rules.paused_by
        jobs.resume()
