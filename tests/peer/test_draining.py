"""A worker of ours and one of the peer on one job table, on PostgreSQL and MySQL: with the same result."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dj_query.table import FreeTable
from dj_schema.connection import Connection
from tests.peer.conftest import seen
from tests.support.patience import PATIENCE_S

PROGRAM = Path(__file__).parent / "squares.py"
N = 100
BAD = [number for number in range(N) if number % 20 == 7]
OTHER = {"ours": "peer", "peer": "ours"}
on_both = pytest.mark.parametrize("server", ["postgresql", "mysql"], indirect=True)  # the peer has no MariaDB


class Tables:
    """What is in a schema that both work on."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self.schema = schema
        self._results = FreeTable.at(connection, schema, "__square")
        self._jobs = FreeTable.at(connection, schema, "~~square")

    @property
    def makers(self) -> dict[int, str]:
        """Who made the result of each number, once it is the right one."""
        rows = self._results.to_dicts()
        assert all(row["square"] == row["number"] ** 2 for row in rows)
        return {row["number"]: row["maker"] for row in rows}

    @property
    def jobs(self) -> dict[int, str]:
        return {row["number"]: row["status"] for row in self._jobs.to_dicts()}

    def errors(self) -> dict[int, str]:
        return {row["number"]: row["error_message"] for row in self._jobs.to_dicts()}


@pytest.fixture
def new_tables(
    start: Callable[..., Any], new_schema_name: Callable[[], str], connection: Connection
) -> Callable[[str], Tables]:
    """Return what has one of the two declare the tables."""

    def declared(by: str) -> Tables:
        name = new_schema_name()
        seen(start(by, PROGRAM, "declare", name))
        return Tables(connection, name)

    return declared


def wait_for(process: Any, word: str) -> None:
    for line in process.stdout:
        if line.startswith(word):
            return
    pytest.fail(f"no {word}: {process.communicate()[1][-3000:]}")


def go_on(process: Any) -> None:
    process.stdin.write("go on\n")
    process.stdin.flush()


@on_both
@pytest.mark.parametrize("declared_by", ["ours", "peer"])
def test_both_drain_one_job_table(
    start: Callable[..., Any], new_tables: Callable[[str], Tables], declared_by: str
) -> None:
    tables = new_tables(declared_by)
    workers = {who: start(who, PROGRAM, "drain", tables.schema) for who in OTHER}
    for worker in workers.values():
        wait_for(worker, "READY")
    for worker in workers.values():
        go_on(worker)
    done = {who: seen(worker) for who, worker in workers.items()}
    makers = tables.makers
    assert sorted(makers) == [number for number in range(N) if number not in BAD]
    for who in OTHER:
        assert done[who]["success"] == list(makers.values()).count(who) > 0
    assert sorted(done["ours"]["errors"] + done["peer"]["errors"]) == BAD
    assert tables.jobs == dict.fromkeys(BAD, "error")
    assert tables.errors() == {number: f"ValueError: {number} is bad" for number in BAD}


@on_both
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("owner", ["ours", "peer"])
def test_a_job_that_the_other_takes_for_an_orphan_has_one_result(
    start: Callable[..., Any], new_tables: Callable[[str], Tables], owner: str, when: str
) -> None:
    """The reset does not ask whether its owner lives. Ours has lost its claim then, and writes nothing.

    The peer writes what it began to write; ours finds the result and passes over the key.
    """
    tables = new_tables("ours")
    holder = start(owner, PROGRAM, "hold", tables.schema, "3", when)
    wait_for(holder, "WAITING")
    assert tables.jobs[3] == "reserved"
    assert seen(start(OTHER[owner], PROGRAM, "reset", tables.schema)) == 1
    assert tables.jobs[3] == "pending"
    other = start(OTHER[owner], PROGRAM, "hold", tables.schema, "3", "never")
    if when == "before":
        assert seen(other)["success"] == 1
        go_on(holder)
        holder.wait(PATIENCE_S)
    else:  # the row is there, not committed, and whoever inserts it too waits
        while tables.jobs[3] != "reserved":
            assert other.poll() is None
            time.sleep(0.05)
        go_on(holder)
        holder.wait(PATIENCE_S)
        other.wait(PATIENCE_S)
    if owner == "ours":
        assert seen(holder) == {"success": 0, "errors": []}
    makers = tables.makers
    assert list(makers) == [3]
    assert makers[3] == (owner if (owner, when) == ("peer", "after") else OTHER[owner])
    assert 3 not in tables.jobs
