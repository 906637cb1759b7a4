"""A make that passes over errors of the database: what it is run again for, and what it never undoes."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dj_schema import errors
from tests.conformance.jobs.test_bad_make import BOTH, is_duplicate, states
from tests.conformance.structure.test_connection import kill

_FAR = 10**7  # steps of a make that waits to be interrupted


@BOTH
def test_a_make_that_is_run_again_has_no_more_time_than_any(declare: Any, reserve_jobs: bool) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        self.insert1(key)
        assert is_duplicate(self, key)
        is_last = len(calls) == 2 or self.connection.dialect.name != "postgresql"
        for _ in range(_FAR if is_last else 0):
            self.heading.names  # noqa: B018 - a step of Python

    table = declare(make=make)
    [(_, message)] = table.populate(
        {"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True, timeout_s=1.0
    )["error_list"]
    assert "JobTimeoutError" in message
    assert len(table) == 0


@BOTH
def test_a_make_whose_first_run_had_no_row_ends_as_its_second(declare: Any, reserve_jobs: bool) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        with contextlib.suppress(errors.DataJointError):
            self.connection.query("SELECT * FROM no_such_table_here")
        with contextlib.suppress(errors.DataJointError):
            n = len(self & key)  # refused where the whole transaction has failed
            self.insert1({**key, "y": n})

    table = declare(make=make)
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6
    assert len(table) == 6
    if reserve_jobs:
        assert states(table) == {}


@BOTH
def test_what_is_raised_without_a_trace_of_the_error_passed_over_is_run_again_too(
    declare: Any, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        assert is_duplicate(self, key)
        n = None
        with contextlib.suppress(errors.DataJointError):
            n = len(self & key)
        if n is None:
            raise ValueError("nothing can be read")

    table = declare(make=make)
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6


@BOTH
def test_the_stack_of_a_make_that_was_run_again_is_that_of_its_last_run(
    declare: Any, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        with contextlib.suppress(errors.DuplicateError):
            self.insert1(key)
        len(self & key)
        raise KeyError("its own")

    table = declare(make=make)
    with pytest.raises(KeyError, match="its own") as caught:
        table.populate({"id": 1}, reserve_jobs=reserve_jobs)
    assert caught.value.__context__ is None
    if reserve_jobs:
        assert "FailedTransactionError" not in table.jobs.errors.fetch1("error_stack")


def test_populate_in_the_handler_of_an_error_blames_no_make_for_it(declare: Any, connection: Any) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        raise ValueError("its own")

    table = declare(make=make)
    try:
        raise errors.FailedTransactionError("another's")
    except errors.FailedTransactionError:
        done = table.populate(reserve_jobs=True, suppress_errors=True)
    assert done["error"] == 6
    assert sorted(set(calls)) == list(range(6))


@BOTH
def test_a_make_that_passes_over_the_loss_of_its_connection_writes_nothing_on_its_own(
    declare: Any, connection: Any, dj: Any, reserve_jobs: bool
) -> None:
    """Each part in a block of its own, and what fails is passed over."""

    class Part(dj.Part):  # type: ignore[name-defined,misc]
        definition = """
        -> master
        n : int32
        """

    seen: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        for n in range(5):
            with contextlib.suppress(errors.LostConnectionError), connection.transaction:
                if n == 1 and not seen:
                    kill(connection, other)
                    seen.append(n)
                self.Part.insert1({**key, "n": n})
        if seen == [1]:
            seen.append(2)
            assert len(seen_by(other, self)) == 0

    def seen_by(other: Any, table: Any) -> Any:
        return other.query(f"SELECT * FROM {table.Part.full_table_name}")

    table = declare(make=make, Part=Part)
    with connection.clone() as other:
        done = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)
        if reserve_jobs and not done["success"]:
            table.populate({"id": 1}, reserve_jobs=True)
    assert len(table.Part) == 5


@BOTH
@pytest.mark.parametrize("is_generator", [False, True], ids=["one part", "generator"])
@pytest.mark.parametrize("then", ["another statement", "nothing"])
def test_a_make_that_passes_over_a_deadlock_is_run_again(
    declare: Any, connection: Any, source: Any, reserve_jobs: bool, then: str, is_generator: bool
) -> None:
    """Nothing of it can be kept, and that is no failure of its key."""
    rows = source.full_table_name
    update = f"UPDATE {rows} SET x = x + 1 WHERE id"
    calls: list[int] = []
    has_rows, may_wait = threading.Event(), threading.Event()

    def other_one(other: Any) -> None:
        with contextlib.suppress(errors.DeadlockError), other.transaction:
            for i in (0, 2, 3, 4, 5):  # many rows: the one that has few is to lose
                other.query(f"{update} = %s", [i])
            has_rows.set()
            assert may_wait.wait(30)
            other.query(f"{update} = %s", [1])

    def insert(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if len(calls) == 1:
            connection.query(f"{update} = %s", [1])
            may_wait.set()
            with contextlib.suppress(errors.DeadlockError):
                connection.query(f"{update} = %s", [2])
                raise AssertionError("there was no deadlock")
            if then == "nothing":
                return
        self.insert1(key)

    def steps(self: Any, key: dict[str, Any]) -> Any:
        yield 0
        yield 0
        insert(self, key)

    table = declare(make=steps if is_generator else insert)
    with (
        connection.clone() as other,
        ThreadPoolExecutor(1) as pool,
        connection.config.override(jobs={"group_commit_s": 0}),
    ):
        if connection.dialect.name == "postgresql":
            other.query("SET deadlock_timeout = '1h'")  # whoever looks is the one who loses
        done = pool.submit(other_one, other)
        assert has_rows.wait(30)
        found = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)
        done.result(30)
    assert (found["success"], found["error_list"]) == (1, [])
    assert len(table) == 1
