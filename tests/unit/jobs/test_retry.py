"""When a failure is final, how long the next try waits, and which moves a job may make."""

from __future__ import annotations

from typing import Any

import pytest

import datajoint as dj
from dj_jobs.retry import INFRASTRUCTURE, Retry, Verdict, verdict
from dj_jobs.states import EDGES, Status, sources_of, target_of
from dj_schema.errors import ArgumentTypeError, ClaimLostError, DataJointError


def decide(
    error: BaseException, retry: Retry, attempt: int = 1, n_faults: int = 0, jitter: float = 1.0
) -> Verdict:
    return verdict(error, attempt=attempt, n_faults=n_faults, retry=retry, max_faults=3, jitter=jitter)


def test_a_failure_is_final_when_attempts_are_used_up() -> None:
    retry = Retry(attempts=3, backoff=1.0)
    assert [decide(ValueError(), retry, n).is_final for n in (1, 2, 3, 4)] == [False, False, True, True]
    assert decide(ValueError(), Retry()).is_final


def test_only_the_named_exceptions_are_tried_again() -> None:
    retry = Retry(attempts=3, on=(OSError,))
    assert not decide(ConnectionError(), retry).is_final
    assert decide(ValueError(), retry).is_final


@pytest.mark.parametrize("on", [OSError, [OSError, KeyError], {OSError}, (OSError,)])
def test_a_class_or_any_collection_of_classes_may_be_named(on: Any) -> None:
    assert decide(ValueError(), Retry(attempts=2, on=on)).is_final
    assert not decide(ConnectionError(), Retry(attempts=2, on=on)).is_final


@pytest.mark.parametrize("on", ["OSError", ["OSError"], [OSError()], (int,), 5, None])
def test_what_is_no_exception_class_is_refused_where_it_is_written(on: Any) -> None:
    with pytest.raises(ArgumentTypeError, match="exception classes"):
        Retry(attempts=2, on=on)


@pytest.mark.parametrize(
    "bad", [{"attempts": 0}, {"attempts": 1.5}, {"attempts": "3"}, {"backoff": -1}, {"backoff": "2 s"}]
)
def test_numbers_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(DataJointError, match=next(iter(bad))):
        Retry(**bad)


@pytest.mark.parametrize("bad", [{"retry": 3}, {"retry": Retry}, {"limits": {"concurrent": 1}}])
def test_a_class_whose_rules_are_none_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ArgumentTypeError, match=next(iter(bad))):
        type(dj.Computed)("Result", (dj.Computed,), {"definition": "id : int32", **bad})


def test_waits_double_up_to_the_longest_and_are_spread() -> None:
    retry = Retry(attempts=99, backoff=2.0, longest_s=10)
    assert [decide(OSError(), retry, n).wait_s for n in (1, 2, 3, 4, 5)] == [2, 4, 8, 10, 10]
    assert decide(OSError(), retry, 3, jitter=0).wait_s == 4
    assert retry.wait_s(2000, 1.0) == 10
    own = Retry(attempts=99, backoff=lambda attempt: attempt * 100, longest_s=150)
    assert [decide(OSError(), own, n).wait_s for n in (1, 2)] == [100, 150]


@pytest.mark.parametrize("kind", INFRASTRUCTURE, ids=lambda kind: kind.__name__)
def test_faults_of_infrastructure_have_a_budget_of_their_own(kind: type[DataJointError]) -> None:
    retry = Retry(attempts=1)
    verdicts = [decide(kind("gone"), retry, attempt=50, n_faults=n) for n in range(5)]
    assert [v.is_final for v in verdicts] == [False, False, False, True, True]
    assert all(v.is_fault for v in verdicts)
    assert verdicts[0].wait_s < verdicts[1].wait_s <= 30


def test_a_lost_claim_is_nobodys_failure() -> None:
    assert not decide(ClaimLostError("gone"), Retry()).is_final


def test_states_are_those_of_the_job_table() -> None:
    assert [s.value for s in Status] == ["pending", "reserved", "success", "error", "ignore"]


def test_every_state_is_reached_and_only_done_ones_stay() -> None:
    reached = {target for _, target in EDGES.values()}
    left = {state for sources, _ in EDGES.values() for state in sources}
    assert reached == {*Status, None}
    assert left == {*Status, None}
    assert (sources_of("claim"), target_of("claim")) == ([Status.PENDING], Status.RESERVED)
    assert target_of("complete_and_forget") is None
    assert [name for name, (_, target) in EDGES.items() if target == Status.RESERVED] == ["claim"]
