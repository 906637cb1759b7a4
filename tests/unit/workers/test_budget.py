"""Calls of `make` that several processes share."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dj_workers.pools.budget import Allotment, Budget
from dj_workers.pools.messages import Claiming
from dj_workers.pools.process import _Claims


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


class Taker:
    """A child, as far as its calls go."""

    def __init__(self) -> None:
        self.grant: Allotment | None = None

    def makes(self, n: int) -> None:
        assert self.grant is not None
        self.grant.n_done += n


def test_calls_that_are_given_back_when_all_others_have_ended_are_made() -> None:
    """The claim of one had found nothing, as that of another was in its way."""
    claims = _Claims(Budget(4, 2))
    first: Any = Taker()
    second: Any = Taker()
    assert (claims.order(first), claims.order(second)) == (Claiming(1), Claiming(1))
    for _ in range(2):
        second.makes(1)
        assert claims.order(second) == Claiming(1)
    second.makes(1)
    assert claims.order(second) is None
    assert claims.order(first) == Claiming(1)
    first.makes(1)
    assert claims.order(first) is None


def test_who_finds_nothing_ends_while_others_work_and_the_last_one_after_a_second_look() -> None:
    claims = _Claims(Budget(8, 2))
    first: Any = Taker()
    second: Any = Taker()
    assert (claims.order(first), claims.order(second)) == (Claiming(2), Claiming(1))
    assert claims.order(first) is None
    assert claims.order(second) == Claiming(2)
    assert claims.order(second) is None


def test_without_a_limit_who_finds_nothing_ends() -> None:
    claims = _Claims(Budget(None, 2))
    first: Any = Taker()
    assert claims.order(first) == Claiming(None)
    assert claims.order(first) is None
