"""The start of a job goes as bytes to the process that looks for it, and is the same there."""

from __future__ import annotations

import pickle
from uuid import UUID

import pytest

from dj_jobs.events import Event, Kind
from dj_workers.pools.messages import Note, dumped_start, loaded_start


@pytest.mark.parametrize("token", [None, UUID(int=7)])
@pytest.mark.parametrize("timeout_s", [None, 2.5])
def test_a_start_is_the_same_by_either_way(token: UUID | None, timeout_s: float | None) -> None:
    event = Event(
        Kind.STARTED, "a.b", {"id": 3, "name": "x"}, 1, 2, "host:1", token=token, timeout_s=timeout_s
    )
    told: Note = pickle.loads(pickle.dumps(Note.of(event)))
    assert loaded_start(dumped_start(event)) == told.restored() == event


def test_there_may_be_no_job() -> None:
    assert loaded_start(pickle.dumps(None)) is None
