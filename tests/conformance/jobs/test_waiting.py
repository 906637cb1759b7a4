"""What a call of populate waits for when nothing is due: the retries that it caused, and nothing else."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dj_jobs import claim as claims
from dj_jobs.events import Event, Events, Kind
from dj_jobs.job import Worker
from dj_jobs.options import Options
from dj_jobs.populate import reserved
from dj_schema.connection import Connection
from tests.conformance.jobs.test_workers import jobs_on, states


def failing_once(calls: list[int]) -> Any:
    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if key["id"] == 1 and calls.count(1) == 1:
            raise OSError("not this time")
        self.insert1(key)

    return make


def test_a_retry_is_waited_for_and_jobs_that_others_delayed_are_not(declare: Any, dj: Any) -> None:
    calls: list[int] = []
    table = declare(make=failing_once(calls), retry=dj.Retry(attempts=2, backoff=0.05))
    table.jobs.refresh({"id": 1})
    table.jobs.refresh({"id": 2}, delay=15)
    done = table.populate(reserve_jobs=True, refresh=False)
    assert done["success"] == 1
    assert calls == [1, 1]
    assert states(table) == {"pending": 1}


@pytest.mark.parametrize("by", ["deletion", "claim", "ignore"])
def test_a_retry_that_others_see_to_is_not_waited_for(
    declare: Any, dj: Any, connection: Connection, by: str
) -> None:
    calls: list[int] = []
    table = declare(make=failing_once(calls), retry=dj.Retry(attempts=2, backoff=15.0))
    table.jobs.refresh({"id": 1})
    table.jobs.refresh({"id": 2}, delay=15)

    def take(event: Event) -> None:
        if event.kind is not Kind.RETRIED:
            return
        jobs = jobs_on(other, table) & {"id": 1}
        if by == "claim":
            other.clock_offset_s = 60.0
            assert len(claims.claim(jobs, Worker("w", "h", 1), 1)) == 1
        elif by == "ignore":
            jobs.ignore({"id": 1})
        else:
            jobs.delete()

    with connection.clone() as other:
        outcomes = list(reserved(table(), Options(refresh=False), Events(take)))
    assert [o.result for o in outcomes] == ["retry"]
    assert calls == [1]
    assert states(table)["pending"] == 1


def test_a_retry_that_somebody_keeps_locked_is_asked_for_less_and_less(
    declare: Any, dj: Any, connection: Connection
) -> None:
    calls: list[int] = []
    table = declare(make=failing_once(calls), retry=dj.Retry(attempts=2, backoff=0.0))
    table.jobs.refresh({"id": 1})
    began: list[tuple[float, int]] = []
    n_sent: list[int] = []
    with connection.clone() as other:

        def lock(event: Event) -> None:
            if event.kind is Kind.RETRIED:
                other.start_transaction()
                other.query(f"SELECT id FROM {table.jobs.full_table_name} WHERE id = 1 FOR UPDATE")
                began.append((time.monotonic(), connection.n_statements))

        def unlock_in_time() -> bool:
            if began and time.monotonic() - began[0][0] > 2.0 and not n_sent:
                n_sent.append(connection.n_statements - began[0][1])
                other.cancel_transaction()
            return False

        outcomes = list(reserved(table(), Options(refresh=False), Events(lock), should_stop=unlock_in_time))
    assert [o.result for o in outcomes] == ["retry", "success"]
    assert n_sent[0] < 60  # in two seconds
