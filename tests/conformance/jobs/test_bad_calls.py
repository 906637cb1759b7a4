"""Arguments that cannot be meant are refused by name, before anything is computed or written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dj_schema import errors
from tests.conformance.jobs.test_workers import states

NO_NUMBERS = ["2", 1.5, True, [1], b"1"]
NO_SECONDS: list[Any] = ["2", True, 1j]


@pytest.mark.parametrize("name", ["max_calls", "limit", "processes"])
@pytest.mark.parametrize("value", [*NO_NUMBERS, -1])
def test_a_number_of_populate_that_is_none(result: Any, name: str, value: Any) -> None:
    with pytest.raises(errors.DataJointError, match=rf"^{name} must be a whole number from [01], not ") as e:
        result.populate(reserve_jobs=True, **{name: value})
    assert isinstance(e.value, TypeError) == (value != -1)
    assert len(result) == 0


@pytest.mark.parametrize("value", [*NO_SECONDS, float("nan"), float("inf"), 0, -1.5])
def test_a_timeout_that_is_none(result: Any, value: Any) -> None:
    with pytest.raises(errors.DataJointError, match="^timeout_s must be a number of seconds"):
        result.populate(timeout_s=value)
    assert len(result) == 0


@pytest.mark.parametrize("name", ["delay", "stale_timeout", "orphan_timeout"])
@pytest.mark.parametrize("value", [*NO_SECONDS, float("nan"), float("-inf")])
def test_seconds_of_a_refresh_that_are_none(result: Any, name: str, value: Any) -> None:
    with pytest.raises(errors.DataJointError, match=f"^{name} must be a number of seconds"):
        result.jobs.refresh(**{name: value})
    assert states(result) == {}


@pytest.mark.parametrize("value", [*NO_NUMBERS, -1, 128])
def test_a_priority_that_is_none(result: Any, value: Any) -> None:
    with pytest.raises(errors.DataJointError, match=r"^(the )?priority"):
        result.jobs.refresh(priority=value)
    assert states(result) == {}


def test_numbers_of_numpy_are_numbers(result: Any) -> None:
    added = result.jobs.refresh(priority=np.uint8(3), delay=np.float32(0), orphan_timeout=np.int64(60))
    assert added["added"] == 6
    done = result.populate(reserve_jobs=True, max_calls=np.int64(2), timeout_s=np.float64(30), refresh=False)
    assert done["success"] == 2


@pytest.mark.parametrize("name", ["user", "status", "host", "version"])
def test_a_key_attribute_with_the_name_of_a_column_of_job_tables(new_schema: Any, dj: Any, name: str) -> None:
    class Source(dj.Manual):  # type: ignore[name-defined,misc]
        definition = f"{name} : varchar(16)"

    class Result(dj.Computed):  # type: ignore[name-defined,misc]
        definition = "-> Source"

        def make(self, key: dict[str, Any]) -> None:
            self.insert1(key)

    class Other(dj.Computed):  # type: ignore[name-defined,misc]
        definition = f"-> Source.proj(own_{name}='{name}')"
        make = Result.make

    schema = new_schema()
    source = schema(Source)
    result, other = schema(Result, context={"Source": source}), schema(Other, context={"Source": source})
    source.insert1(["ada"])
    with pytest.raises(
        errors.DefinitionError, match=rf"column '{name}' of its own.*proj\(own_{name}='{name}'\)"
    ):
        result.populate(reserve_jobs=True)
    assert len(schema.list_tables()) == 3
    assert other.populate(reserve_jobs=True)["success"] == 1
    assert result.populate()["success"] == 1
