"""What keeps a worker from its work is said, and what to do about it; no clock but the server's counts."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dj_jobs.events import Events
from dj_jobs.limits import Limits
from dj_jobs.registry import registered
from dj_jobs.rescue import is_our_turn
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_schema.settings import Config
from dj_schema.sql import Ident, sql
from dj_workers import Work, Worker
from dj_workers.plan import name_of
from dj_workers.pools.celery.message import WakeUp
from dj_workers.pools.celery.work import Ending, Pipeline
from tests.support.accounts import READING, account
from tests.support.servers import ServerUnderTest

Declare = Callable[..., Any]
_NOW = ("now", "utcnow", "today")
ROOT = Path(__file__).parents[3]


def make(self: Any, key: dict[str, Any]) -> None:
    self.insert1(key)


@pytest.fixture
def reader(
    result: Any, connection: Connection, server: ServerUnderTest, config: Config
) -> Iterator[Connection]:
    """A user who may read the tables of the test, and not change them."""
    result.jobs.refresh()
    with account(connection, server, config, result().database, READING) as opened:
        yield opened


def test_one_worker_looks_for_the_dead_in_an_interval(
    result: Any, declare: Declare, dj: Any, connection: Connection
) -> None:
    jobs, others = result.jobs, declare("Other", make=make).jobs
    with dj.testing.clock(connection) as clock:
        assert [is_our_turn(jobs, 20.0) for _ in range(3)] == [True, False, False]
        assert [is_our_turn(others, 20.0) for _ in range(2)] == [True, False]
        clock.move(seconds=10)
        assert not is_our_turn(jobs, 20.0)
        clock.move(seconds=11)
        assert [is_our_turn(jobs, 20.0) for _ in range(2)] == [True, False]


def test_without_rights_on_the_job_table_a_worker_says_which_it_needs(
    result: Any, reader: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result._schema, "_connection", reader)
    tally = Worker([result], Work(is_once=True)).run()
    (reason,) = tally.broken.values()
    assert "AccessError" in reason
    assert f"the job table ~~{result().table_name.lstrip('_')}" in reason
    assert f"grant them to {reader.user}" in reason
    assert "--exclude Result" in reason
    assert tally.has_failures


def test_a_worker_of_celery_says_once_which_rights_it_needs_and_again_when_it_lacks_them_again(
    result: Any,
    source: Any,
    connection: Connection,
    reader: Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipeline = Pipeline.of([result], Events())
    wake_up = WakeUp(name_of(result), 10)

    def work(by: Connection) -> Ending:
        with monkeypatch.context() as context:
            context.setattr(result._schema, "_connection", by)
            return pipeline.work(wake_up, 60, lambda: False)

    assert [work(by) for by in (reader, reader, connection)] == [
        Ending.BROKEN, Ending.BROKEN, Ending.NOTHING_DUE
    ]  # fmt: skip
    source.insert1({"id": 1000})
    result.jobs.refresh()
    assert work(reader) is Ending.BROKEN
    said = [r.getMessage() for r in caplog.records if "grant them to" in r.getMessage()]
    assert len(said) == 2
    assert f"leaves jobs of {name_of(result)} alone: AccessError: " in said[0]


def test_tables_in_a_circle_are_named(declare: Declare, result: Any, connection: Connection) -> None:
    other = declare("Other", make=make)
    for child, parent in ((result, other), (other, result)):
        connection.execute(
            sql(
                "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({})",
                Ident(*child().table_id), Ident("id"), Ident(*parent().table_id), Ident("id"),
            )
        )  # fmt: skip
    with pytest.raises(DataJointError, match=r"in a circle: \S+__(other|result) -> \S+ -> \S+"):
        Worker([result, other])


def test_a_host_whose_clock_is_ten_minutes_off_works_by_the_time_of_the_server(
    declare: Declare, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 600)
    table = declare(make=make, limits=Limits(per_minute=3, concurrent=1))
    with connection.config.override(jobs={"keep_completed": True}):
        tally = Worker([table], Work(is_once=True)).run()
    assert tally.has_failures is False
    assert connection.clock_offset_s == 0
    now = connection.query("SELECT CURRENT_TIMESTAMP")[0][0].replace(tzinfo=None)
    rows = table.jobs.to_dicts()
    assert [row["status"] for row in rows].count("success") == 3  # the limit a minute
    names = ("created_time", "scheduled_time", "reserved_time", "completed_time")
    for row in rows:
        assert all(abs(now - row[name]) < timedelta(minutes=5) for name in names if row[name] is not None)
    assert registered(connection, table().database) == []


@pytest.mark.parametrize("package", ["dj_schema", "dj_query", "dj_jobs"])
def test_no_module_that_speaks_to_the_server_asks_the_clock_of_its_host(package: str) -> None:
    """So no time of a client can enter a statement, however wrong it is."""
    clocks = {
        f"{owner}.{call}" for owner in ("datetime", "dt.datetime", "datetime.datetime") for call in _NOW
    }
    clocks |= {f"{owner}.today" for owner in ("date", "dt.date", "datetime.date")}
    clocks |= {f"time.{call}" for call in ("time", "time_ns", "localtime", "gmtime", "strftime", "ctime")}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in clocks
    ]
    assert found == []
