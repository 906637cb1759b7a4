"""Whether jobs can flow, as /readyz asks it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_workers.health import KEEP_S, OK, Flow, WorkerHealth
from dj_workers.vitals import Vitals
from tests.conftest import ServerUnderTest, make_connection


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def jobs(dj: ModuleType, new_schema: Callable[..., Schema]) -> Any:
    schema = new_schema()

    @schema
    class Number(dj.Manual):
        definition = "number : int32"

    @schema
    class Square(dj.Computed):
        definition = "-> Number"

        def make(self, key: dict[str, int]) -> None:
            self.insert1(key)

    square = Square()
    square.jobs.refresh()
    return square.jobs


def test_jobs_flow_while_leases_can_be_renewed(jobs: Any) -> None:
    clock = Clock()
    flow = Flow(jobs.connection, [jobs.database], clock)
    try:
        assert flow() is OK
        jobs.connection.script(jobs.connection.dialect.ddl.drop_schema(jobs.database))
        assert flow() is OK, "an answer is kept for a while, so that probes cost next to nothing"
        clock.now += KEEP_S
        assert not flow().is_ok
        assert "jobs cannot flow: " in flow().reason
    finally:
        flow.close()


@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_a_right_that_is_missing_makes_a_worker_not_ready(
    jobs: Any, server: ServerUnderTest, config: Any
) -> None:
    owner: Connection = jobs.connection
    user = f"{jobs.database}_reader"
    owner.query(f"CREATE ROLE {user} LOGIN PASSWORD 'x'")
    owner.query(f'GRANT USAGE ON SCHEMA "{jobs.database}" TO {user}')
    owner.query(f'GRANT SELECT ON ALL TABLES IN SCHEMA "{jobs.database}" TO {user}')
    try:
        with make_connection(server, config, user=user, password="x") as reader:
            flow = Flow(reader, [jobs.database])
            health = WorkerHealth(Vitals(), flow)
            assert health.alive() is OK
            assert "AccessError" in health.ready().reason
            flow.close()
    finally:
        owner.query(f"DROP OWNED BY {user}")
        owner.query(f"DROP ROLE {user}")


def test_a_database_that_is_away_makes_a_worker_not_ready(server: ServerUnderTest, config: Any) -> None:
    away = make_connection(server, config, host="127.0.0.1", port=1, password="x")
    flow = Flow(away, ["lab"])
    health = WorkerHealth(Vitals(), flow)
    assert health.alive() is OK
    assert "ConnectionRefusedByServerError" in health.ready().reason
    flow.close()
