"""`jobs.verify = "lock"`: inputs stay as they were fetched, by locks, or else by a second look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dj_schema.connection import Connection
from dj_schema.errors import LockTimeoutError
from tests.conformance.jobs.test_groups import limit_waits
from tests.support.sessions import kill

FORMS = pytest.mark.parametrize("form", ["three parts", "generator"])


@pytest.fixture(autouse=True)
def locks(connection: Connection) -> Iterator[None]:
    with connection.config.override(jobs={"verify": "lock"}):
        yield


@pytest.fixture
def other(connection: Connection) -> Iterator[Connection]:
    """Return a connection that does not wait long for locks."""
    with connection.clone() as other:
        if connection.settings.backend == "mysql":
            other.query("SET innodb_lock_wait_timeout = 1")
        else:
            other.query("SET lock_timeout = '300ms'")
        yield other


def members(form: str, fetch: Callable[..., Any], during: Callable[..., None]) -> dict[str, Any]:
    def make_fetch(self: Any, key: dict[str, Any]) -> tuple[Any, ...]:
        return (fetch(key),)

    def make_compute(self: Any, key: dict[str, Any], x: int) -> tuple[Any, ...]:
        assert not self.connection.in_transaction
        during(key)
        return (x + 1,)

    def make_insert(self: Any, key: dict[str, Any], y: int) -> None:
        assert self.connection.in_transaction
        self.insert1({**key, "y": y})

    def make(self: Any, key: dict[str, Any]) -> Any:
        x = fetch(key)
        yield (x,)
        assert not self.connection.in_transaction
        during(key)
        yield
        self.insert1({**key, "y": x + 1})

    if form == "generator":
        return {"make": make}
    return {"make_fetch": make_fetch, "make_compute": make_compute, "make_insert": make_insert}


@FORMS
@pytest.mark.parametrize("reserve_jobs", [False, True], ids=["direct", "reserved"])
def test_inputs_are_fetched_once_and_cannot_change(
    declare: Any, source: Any, other: Connection, form: str, reserve_jobs: bool
) -> None:
    fetched: list[int] = []
    refused: list[int] = []

    def fetch(key: dict[str, Any]) -> int:
        fetched.append(key["id"])
        return int((source & key).fetch1("x"))

    def during(key: dict[str, Any]) -> None:
        elsewhere = source()
        elsewhere._connection = other
        with pytest.raises(LockTimeoutError):
            elsewhere.update1({**key, "x": 100})
        refused.append(key["id"])

    table = declare(**members(form, fetch, during))
    assert table.populate("id < 2", reserve_jobs=reserve_jobs)["success"] == 2
    assert fetched == refused == [0, 1]
    assert table.to_arrays("y", order_by="id").tolist() == [1, 11]
    elsewhere = source()
    elsewhere._connection = other
    elsewhere.update1({"id": 0, "x": 7})  # nothing is locked any more


@FORMS
def test_rows_that_are_added_are_noticed(declare: Any, source: Any, other: Connection, form: str) -> None:
    added: list[int] = []

    def fetch(key: dict[str, Any]) -> int:
        return sum(row["x"] for row in (source & "id >= 4").to_dicts())

    def during(key: dict[str, Any]) -> None:
        if not added:
            elsewhere = source()
            elsewhere._connection = other
            elsewhere.insert1({"id": 9, "x": 1000})
            added.append(9)

    table = declare(**members(form, fetch, during))
    assert table.populate({"id": 3}, reserve_jobs=True)["success"] == 1
    assert table.fetch1("y") == 1091


@FORMS
def test_what_cannot_be_locked_is_compared(declare: Any, source: Any, other: Connection, form: str) -> None:
    changed: list[int] = []

    def fetch(key: dict[str, Any]) -> int:
        return len(source & "x > 0")

    def during(key: dict[str, Any]) -> None:
        if not changed:
            elsewhere = source()
            elsewhere._connection = other
            elsewhere.update1({"id": 0, "x": 5})
            changed.append(0)

    table = declare(**members(form, fetch, during))
    assert table.populate({"id": 3}, reserve_jobs=True)["success"] == 1
    assert table.fetch1("y") == 7


@FORMS
def test_locks_that_are_lost_are_no_failure(
    declare: Any, source: Any, connection: Connection, form: str
) -> None:
    calls: list[int] = []

    def fetch(key: dict[str, Any]) -> int:
        calls.append(connection.connection_id)
        return int((source & key).fetch1("x"))

    def during(key: dict[str, Any]) -> None:
        if len(calls) == 1:
            with connection.clone() as killer:
                kill(killer, calls[0])  # of the session that holds the locks

    table = declare(**members(form, fetch, during))
    assert table.populate({"id": 3}, reserve_jobs=True)["success"] == 1
    assert calls[0] != calls[1] == connection.connection_id
    assert table.fetch1("y") == 31


@FORMS
def test_a_make_that_fails_lets_go(declare: Any, source: Any, other: Connection, form: str) -> None:
    def during(key: dict[str, Any]) -> None:
        raise ValueError("no")

    table = declare(**members(form, lambda key: (source & key).fetch1("x"), during))
    assert table.populate({"id": 3}, reserve_jobs=True, suppress_errors=True)["error"] == 1
    limit_waits(other)  # as the server lets go of them when it has seen that their session is closed
    elsewhere = source()
    elsewhere._connection = other
    elsewhere.update1({"id": 3, "x": 7})


@FORMS
@pytest.mark.parametrize("query", ["last", "top", "with"])
def test_what_a_count_does_not_tell_is_compared(
    declare: Any, source: Any, dj: Any, other: Connection, form: str, query: str
) -> None:
    added: list[int] = []
    name = source.full_table_name

    def fetch(key: dict[str, Any]) -> int:
        if query == "last":
            (row,) = source.to_dicts(order_by="x DESC", limit=1)
        elif query == "top":
            (row,) = (source & dj.Top(limit=1, order_by="x DESC")).to_dicts()
        else:
            text = f"WITH last AS (SELECT max(x) AS x FROM {name}) SELECT x FROM last"
            (row,) = source.connection.query(text, as_dict=True)
        return int(row["x"])

    def during(key: dict[str, Any]) -> None:
        if not added:
            elsewhere = source()
            elsewhere._connection = other
            elsewhere.insert1({"id": 9, "x": 1000})
            added.append(9)

    table = declare(**members(form, fetch, during))
    assert table.populate({"id": 3}, reserve_jobs=True)["success"] == 1
    assert table.fetch1("y") == 1001


@pytest.mark.parametrize(
    "text",
    [
        "SELECT x FROM {0} WHERE id = %s;",
        "SELECT x FROM {0} WHERE id = %s -- the input",
        "SELECT x FROM {0} WHERE id = %s FOR UPDATE",
        "SELECT a.x, b.x FROM {0} AS a JOIN {0} AS b ON a.id = b.id WHERE a.id = %s",
    ],
    ids=["semicolon", "comment", "locked by itself", "names twice"],
)
def test_queries_of_your_own_that_cannot_be_locked_at_their_end_are_looked_at_again(
    declare: Any, source: Any, connection: Connection, text: str
) -> None:
    fetched: list[int] = []

    def fetch(key: dict[str, Any]) -> int:
        fetched.append(key["id"])
        rows = connection.query(text.format(source().full_table_name), [key["id"]])
        return int(rows[0][0])

    table = declare(**members("three parts", fetch, lambda key: None))
    assert table.populate({"id": 3}, reserve_jobs=True)["success"] == 1
    assert table.fetch1("y") == 31
    assert fetched == [3, 3]
