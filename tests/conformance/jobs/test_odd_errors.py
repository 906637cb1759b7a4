"""Errors of a make like no other: what they are equal to, what they hold, what they are raised as."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import numpy as np
import pytest

from dj_jobs.retry import comes_of_fault
from dj_schema.errors import DeadlockError, JobTimeoutError


@dataclasses.dataclass
class FitError(Exception):
    """Compares its arrays, as any dataclass does: no truth value comes of that."""

    residuals: Any


class UnequalError(Exception):
    """Cannot be compared at all."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise TypeError("not comparable")


def _errors() -> dict[str, tuple[Exception, Exception]]:
    return {
        "of arrays": (FitError(np.arange(3)), FitError(np.arange(3))),
        "not comparable": (UnequalError(), UnequalError()),
    }


@pytest.mark.parametrize("kind", _errors())
@pytest.mark.parametrize("reserve_jobs", [False, True])
def test_errors_of_a_make_are_not_compared(declare: Any, kind: str, reserve_jobs: bool) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] == 3:
            first, second = _errors()[kind]
            raise second from first
        self.insert1(key)

    table = declare(make=make)
    done = table.populate(reserve_jobs=reserve_jobs, suppress_errors=True)
    assert (done["success"], done["error"]) == (5, 1)
    if reserve_jobs:
        assert [row["id"] for row in table.jobs.errors.to_dicts()] == [3]


def test_a_group_is_a_fault_where_an_error_of_it_is_one() -> None:
    assert comes_of_fault(ExceptionGroup("both", [ValueError(), ExceptionGroup("in", [DeadlockError("x")])]))
    assert not comes_of_fault(ExceptionGroup("both", [ValueError(), KeyError()]))


@pytest.mark.parametrize("reserve_jobs", [False, True])
def test_a_deadlock_that_comes_in_a_group_is_tried_again(declare: Any, reserve_jobs: bool) -> None:
    seen: list[Any] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        seen.append(key)
        if len(seen) == 1:
            raise ExceptionGroup("tasks", [DeadlockError("of another session")])
        self.insert1(key)

    table = declare(make=make)
    assert table.populate({"id": 1}, reserve_jobs=reserve_jobs)["success"] == 1
    assert len(seen) == 2


@pytest.mark.parametrize("reserve_jobs", [False, True])
def test_a_make_that_raises_what_closes_generators_leaves_no_row(declare: Any, reserve_jobs: bool) -> None:
    has_raised: list[Any] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        if key["id"] == 3 and not has_raised:
            has_raised.append(key)
            raise GeneratorExit

    table = declare(make=make)
    table.populate({"id": 0}, reserve_jobs=reserve_jobs)  # its jobs share a transaction from then on
    with pytest.raises(GeneratorExit):
        table.populate(reserve_jobs=reserve_jobs)
    assert not table & {"id": 3}
    if reserve_jobs:
        assert len(table.jobs.reserved) == 0
    table.populate(reserve_jobs=reserve_jobs)
    assert len(table()) == 6


@pytest.mark.parametrize("reserve_jobs", [False, True])
def test_a_timeout_reaches_a_make_through_a_group_of_tasks(declare: Any, reserve_jobs: bool) -> None:
    async def compute() -> None:
        while True:
            await asyncio.sleep(0)

    async def compute_all() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(compute())

    def make(self: Any, key: dict[str, Any]) -> None:
        asyncio.run(compute_all())

    table = declare(make=make)
    done = table.populate(
        {"id": 1},
        reserve_jobs=reserve_jobs,
        timeout_s=0.1,
        suppress_errors=True,
        return_exception_objects=True,
    )
    ((_, error),) = done["error_list"]
    assert isinstance(error, JobTimeoutError)
