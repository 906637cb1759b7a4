"""What a waiting worker costs the server, and how its pauses go."""

from __future__ import annotations

import select
from collections.abc import Iterator

import pytest

from dj_jobs.job import Worker
from dj_jobs.presence import Presence
from dj_workers import Work
from dj_workers.lookout import Lookout
from dj_workers.plan import plan_of
from tests.workers.conftest import Lab


@pytest.fixture
def lookout(lab: Lab) -> Iterator[Lookout]:
    """Return what a worker on two tables without work goes by; it looks once in an hour."""
    for table in (lab.Square, lab.Next):
        table.populate(reserve_jobs=True)
    connection = lab.schema.connection
    plan = plan_of([lab.Square, lab.Next])
    presence = Presence(connection, Worker("w", "hopper", 1), [(lab.schema.database, "__square")])
    presence.beat(connection)
    lookout = Lookout(plan, Work(sleep_duration_s=3600), presence)
    lookout.listen()
    yield lookout
    lookout.close()


def test_a_look_is_one_statement_and_waiting_is_none(lab: Lab, lookout: Lookout) -> None:
    connection = lab.schema.connection
    assert lookout.due() == set()
    n = connection.n_statements
    assert lookout.due() == set()
    assert connection.n_statements == n
    assert 50 < lookout.wait_s() <= 60  # the next sign of life
    lookout._next_look = 0.0
    assert lookout.due() == set()
    assert connection.n_statements == n + 1
    assert lookout.n_idle == 2


def test_what_is_heard_names_the_tables_to_look_at(lab: Lab, lookout: Lookout) -> None:
    assert lookout.due() == set()
    lab.add(1)
    lab.Square.populate(reserve_jobs=True)
    if lab.schema.connection.settings.backend == "mysql":
        assert lookout.filenos() == []
        lookout._next_look = 0.0
        assert lookout.due() == {f"{lab.schema.database}.__next"}
        return
    assert select.select(lookout.filenos(), [], [], 30)[0]
    heard = lookout.due()
    assert f"{lab.schema.database}.__square" in heard  # its job was added
    while f"{lab.schema.database}.__next" not in heard:
        assert select.select(lookout.filenos(), [], [], 30)[0]
        heard |= lookout.due()


def test_a_worker_of_two_tables_hears_of_them_alone(lab: Lab, lookout: Lookout) -> None:
    lookout.due()
    lab.Unmade.jobs.refresh()
    lab.add(1)
    assert lab.Unmade.jobs.refresh()["added"] == 1
    assert lookout.due() == set()


def test_after_a_step_it_looks_at_once(lab: Lab, lookout: Lookout) -> None:
    assert lookout.due() == set()
    lab.add(1)
    assert lookout.due() == set()
    lookout.called_step()
    assert lookout.due() == {f"{lab.schema.database}.__square"}
