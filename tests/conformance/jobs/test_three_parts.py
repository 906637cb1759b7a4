"""Make in three parts and as a generator: the transaction of each part, and inputs that change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dj_schema import errors

BOTH = pytest.mark.parametrize("reserve_jobs", [False, True], ids=["direct", "reserved"])


def three_parts(source: Any, during: Callable[[dict[str, Any]], None] = lambda key: None) -> dict[str, Any]:
    """Return the members of a class that adds one, and does something `during` its computation."""

    def make_fetch(self: Any, key: dict[str, Any]) -> tuple[Any, ...]:
        return ((source & key).fetch1("x"),)

    def make_compute(self: Any, key: dict[str, Any], x: int) -> tuple[Any, ...]:
        assert not self.connection.in_transaction
        during(key)
        return (x + 1,)

    def make_insert(self: Any, key: dict[str, Any], y: int) -> None:
        assert self.connection.in_transaction
        self.insert1({**key, "y": y})

    return {"make_fetch": make_fetch, "make_compute": make_compute, "make_insert": make_insert}


def generator(source: Any, during: Callable[[dict[str, Any]], None] = lambda key: None) -> dict[str, Any]:
    def make(self: Any, key: dict[str, Any]) -> Any:
        x = (source & key).fetch1("x")
        yield (x,)
        assert not self.connection.in_transaction
        during(key)
        yield (x + 1,)
        assert self.connection.in_transaction
        self.insert1({**key, "y": x + 1})

    return {"make": make}


FORMS = pytest.mark.parametrize("form", [three_parts, generator])


@BOTH
@FORMS
def test_no_transaction_is_open_while_it_computes(
    declare: Any, source: Any, reserve_jobs: bool, form: Callable[..., dict[str, Any]]
) -> None:
    table = declare(**form(source))
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6
    assert table.to_arrays("y", order_by="id").tolist() == [1, 11, 21, 31, 41, 51]


@BOTH
@FORMS
def test_changed_inputs_are_computed_again(
    declare: Any, source: Any, reserve_jobs: bool, form: Callable[..., dict[str, Any]]
) -> None:
    calls: list[dict[str, Any]] = []

    def during(key: dict[str, Any]) -> None:
        calls.append(key)
        if len(calls) == 1:
            source.update1({**key, "x": 100})

    table = declare(**form(source, during))
    assert table.populate({"id": 3}, reserve_jobs=reserve_jobs)["success"] == 1
    assert calls == [{"id": 3}] * 2
    assert table.fetch1("y") == 101


@FORMS
def test_the_attempt_on_changed_inputs_is_counted(
    declare: Any, source: Any, form: Callable[..., dict[str, Any]]
) -> None:
    seen: list[dict[str, Any]] = []

    def during(key: dict[str, Any]) -> None:
        seen.extend(table.jobs.proj("status", "_attempts", "_faults", "error_message").to_dicts())
        if len(seen) == 1:
            source.update1({**key, "x": 100})

    table = declare(**form(source, during))
    table.populate({"id": 3}, reserve_jobs=True)
    assert [(s["status"], s["_attempts"] + s["_faults"]) for s in seen] == [("reserved", 1), ("reserved", 2)]
    assert seen[1]["error_message"].startswith("InputChangedError")


@FORMS
def test_inputs_that_keep_changing_become_an_error(
    declare: Any, source: Any, connection: Any, form: Callable[..., dict[str, Any]]
) -> None:
    def during(key: dict[str, Any]) -> None:
        source.update1({**key, "x": (source & key).fetch1("x") + 1})

    table = declare(**form(source, during))
    with connection.config.override(jobs={"max_infrastructure_retries": 2}):
        done = table.populate({"id": 3}, reserve_jobs=True, suppress_errors=True)
        assert (done["error"], (source & "id = 3").fetch1("x")) == (1, 33)
        assert table.jobs.errors.fetch1("error_message").startswith("InputChangedError")
        assert table.populate({"id": 4}, suppress_errors=True)["error"] == 1
    assert len(table) == 0


@BOTH
@FORMS
def test_inputs_that_are_gone_are_no_error_of_the_key(
    declare: Any, source: Any, reserve_jobs: bool, form: Callable[..., dict[str, Any]]
) -> None:
    seen: list[Any] = []

    def during(key: dict[str, Any]) -> None:
        seen.append(key)
        (source & key).delete_quick()

    table = declare(**form(source, during))
    done = table.populate({"id": 3}, reserve_jobs=reserve_jobs, suppress_errors=True)
    assert len(seen) == 1
    assert len(table) == 0
    if reserve_jobs:
        assert len(table.jobs) == 0
    assert (done["error"], done["skip"]) == (0, 1)


def test_a_key_that_left_the_key_source_is_dropped_rather_than_failed(declare: Any, source: Any) -> None:
    table = declare(**three_parts(source))
    table.jobs.refresh()
    (source & "id < 2").delete_quick()
    done = table.populate(reserve_jobs=True, refresh=False)
    assert (done["success"], done["skip"], done["error"]) == (4, 2, 0)
    assert len(table.jobs) == 0


@BOTH
def test_whole_tuples_go_to_parameters_of_their_names(declare: Any, source: Any, reserve_jobs: bool) -> None:
    def make_fetch(self: Any, key: dict[str, Any], scale: int = 1) -> tuple[Any, ...]:
        return (source & key).fetch1("id", "x")

    def make_compute(self: Any, key: dict[str, Any], fetched: tuple[Any, ...], scale: int) -> tuple[Any, ...]:
        assert isinstance(fetched, tuple)
        return (sum(fetched) * scale,)

    def make_insert(
        self: Any, key: dict[str, Any], fetched: tuple[Any, ...], computed: tuple[Any, ...]
    ) -> None:
        self.insert1({**key, "y": computed[0] + fetched[0]})

    table = declare(make_fetch=make_fetch, make_compute=make_compute, make_insert=make_insert)
    assert table.populate(reserve_jobs=reserve_jobs, make_kwargs={"scale": 2})["success"] == 6
    assert table.to_arrays("y", order_by="id").tolist() == [2 * (i + 10 * i) + i for i in range(6)]


@BOTH
@pytest.mark.parametrize("value", [5, [1, 2], {"a": 1}, np.arange(3), None], ids=repr)
def test_what_is_no_tuple_is_one_item(declare: Any, reserve_jobs: bool, value: Any) -> None:
    got: list[Any] = []

    def make_compute(self: Any, key: dict[str, Any], item: Any) -> Any:
        got.append(item)
        return item

    def make_insert(self: Any, key: dict[str, Any], item: Any) -> None:
        got.append(item)
        self.insert1(key)

    table = declare(make_fetch=lambda self, key: value, make_compute=make_compute, make_insert=make_insert)
    assert table.populate({"id": 0}, reserve_jobs=reserve_jobs)["success"] == 1
    assert all(g is value for g in got)


@BOTH
def test_a_generator_may_yield_nothing_at_either_point(declare: Any, source: Any, reserve_jobs: bool) -> None:
    def make(self: Any, key: dict[str, Any]) -> Any:
        x = (source & key).fetch1("x")
        yield
        y = x + 1
        yield
        self.insert1({**key, "y": y})

    assert declare(make=make).populate(reserve_jobs=reserve_jobs)["success"] == 6


@BOTH
@pytest.mark.parametrize("n_yields", [0, 1, 3])
def test_a_generator_yields_twice(declare: Any, reserve_jobs: bool, n_yields: int) -> None:
    def make(self: Any, key: dict[str, Any]) -> Any:
        for _ in range(n_yields):
            yield
        if n_yields > 2:
            self.insert1(key)

    table = declare(make=make)
    with pytest.raises(errors.MakeError, match="yield twice"):
        table.populate(reserve_jobs=reserve_jobs)
    assert len(table) == 0


@BOTH
def test_the_most_derived_class_says_how_it_computes(declare: Any, source: Any, reserve_jobs: bool) -> None:
    parts = type("Parts", (), three_parts(source))
    assert declare("A", base=parts).populate(reserve_jobs=reserve_jobs)["success"] == 6

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "y": -1})

    own = declare("B", base=parts, make=make)
    own.populate(reserve_jobs=reserve_jobs)
    assert set(own.to_arrays("y").tolist()) == {-1}

    mended = declare("C", base=parts, make_compute=lambda self, key, x: (x + 2,))
    mended.populate(reserve_jobs=reserve_jobs)
    assert mended.to_arrays("y", order_by="id").tolist() == [2, 12, 22, 32, 42, 52]

    in_base = declare("D", base=type("Made", (), {"make": make}))
    assert in_base.populate(reserve_jobs=reserve_jobs)["success"] == 6


def test_static_parts_and_helpers_with_names_of_parts(declare: Any, source: Any) -> None:
    members = three_parts(source) | {"make_compute": staticmethod(lambda key, x: x + 1)}
    assert declare("A", **members).populate()["success"] == 6

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "y": self.make_fetch(key)})

    helped = declare("B", make=make, make_fetch=lambda self, key: 7)
    assert helped.populate()["success"] == 6


def test_missing_parts_are_named(declare: Any, source: Any) -> None:
    members = three_parts(source)
    del members["make_insert"]
    with pytest.raises(errors.MakeError, match="make_insert is missing"):
        declare("A", **members).populate()
    with pytest.raises(errors.MakeError, match="no make"):
        declare("B").populate()


@BOTH
def test_other_tables_may_be_populated_while_it_computes(
    declare: Any, source: Any, result: Any, reserve_jobs: bool
) -> None:
    table = declare(
        "Outer", **three_parts(source, lambda key: result.populate(key, reserve_jobs=reserve_jobs))
    )
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6
    assert len(result) == 6


@BOTH
def test_large_arrays_are_compared(dj: Any, new_schema: Any, reserve_jobs: bool) -> None:
    schema = new_schema()

    @schema
    class Signal(dj.Manual):  # type: ignore[name-defined,misc]
        definition = """
        id : int32
        ---
        signal : <blob>
        """

    signal = np.arange(200_000, dtype="f8")
    signal[3] = np.nan
    Signal.insert([{"id": i, "signal": signal * i} for i in range(2)])
    n_computed = []

    @schema
    class Mean(dj.Computed):  # type: ignore[name-defined,misc]
        definition = """
        -> Signal
        ---
        mean : float64
        """

        def make_fetch(self, key: dict[str, Any]) -> Any:
            return (Signal & key).fetch1("signal")

        def make_compute(self, key: dict[str, Any], signal: Any) -> Any:
            n_computed.append(key)
            if len(n_computed) == 1:
                changed = signal.copy()
                changed[-1] += 1e-9
                Signal.update1({**key, "signal": changed})
            return float(np.nanmean(signal))

        def make_insert(self, key: dict[str, Any], mean: Any) -> None:
            self.insert1({**key, "mean": mean})

    assert Mean.populate(reserve_jobs=reserve_jobs)["success"] == 2
    assert len(n_computed) == (3 if signal[-1] + 1e-9 != signal[-1] else 2)
