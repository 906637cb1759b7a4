"""Calls of `make` that several processes share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dj_workers.pools.budget import Allotment, Budget


@given(
    n_calls=st.integers(0, 200),
    n_takers=st.integers(1, 8),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_takers_make_exactly_as_many_calls_as_there_are(
    n_calls: int, n_takers: int, shares: list[float]
) -> None:
    """Whatever part of each allotment is used, and whoever gives the rest back."""
    budget = Budget(n_calls, n_takers)
    n_done = 0
    for share in shares:
        if (allotment := budget.take()) is None:
            break
        assert allotment.n_calls is not None
        allotment.n_done = int(allotment.n_calls * share)
        n_done += allotment.n_done
        assert budget.give_back(allotment) == (allotment.n_done == allotment.n_calls)
        assert n_done + (budget.left or 0) == n_calls
    while (allotment := budget.take()) is not None:
        assert allotment.n_calls is not None
        n_done += allotment.n_calls
    assert n_done == n_calls


def test_without_a_limit_there_is_always_more() -> None:
    budget = Budget(None, 2)
    assert budget.take() == budget.take() == Allotment(None)


def test_everyone_gets_something_while_there_is_enough() -> None:
    budget = Budget(8, 4)
    assert [budget.take() is not None for _ in range(4)] == [True] * 4
