"""What a waiting worker asks, and what wakes it."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dj_jobs.look import Look, Work
from dj_jobs.wakeup import Listener, News, tell
from dj_schema.connection import Connection

Declare = Callable[..., Any]


@pytest.fixture
def work_on(result: Any) -> Callable[..., Work]:
    """Return what tells what there is to do on the table of the test."""

    def look(*restrictions: Any, priority: int | None = None) -> Work:
        (work,) = Look([result()], restrictions, priority)().values()
        return work

    return look


def test_there_is_work_until_every_key_has_its_row(
    result: Any, source: Any, work_on: Callable[..., Work]
) -> None:
    assert work_on() is Work.NOW  # no job table yet
    result.populate(reserve_jobs=True)
    assert work_on() is Work.NONE
    source.insert1({"id": 6})
    assert work_on() is Work.NOW
    assert work_on("id < 6") is Work.NONE
    result.populate(reserve_jobs=True)
    assert work_on() is Work.NONE


def test_a_row_that_is_gone_is_work_again_also_where_its_job_is_kept(
    result: Any, connection: Connection, work_on: Callable[..., Work]
) -> None:
    with connection.config.override(jobs={"keep_completed": True}):
        result.populate(reserve_jobs=True)
        assert work_on() is Work.NONE
        (result & {"id": 2}).delete(prompt=False)
        assert work_on() is Work.NOW


def test_what_is_due_later_or_held_by_others_is_work_for_later(
    result: Any, connection: Connection, work_on: Callable[..., Work]
) -> None:
    result.jobs.refresh(delay=3600)
    assert work_on() is Work.LATER
    connection.clock_offset_s = 4000
    assert work_on() is Work.NOW
    connection.clock_offset_s = 0
    result.jobs.delete()
    result.jobs.refresh(priority=7)
    assert work_on(priority=6) is Work.LATER
    for i in range(6):
        result.jobs.reserve({"id": i})
    assert work_on() is Work.LATER


def test_a_paused_table_is_no_work(result: Any, work_on: Callable[..., Work]) -> None:
    result.jobs.refresh()
    result.jobs.pause()
    assert work_on() is Work.NONE
    result.jobs.resume()
    assert work_on() is Work.NOW


def test_jobs_of_the_dead_are_work(result: Any, connection: Connection, work_on: Callable[..., Work]) -> None:
    from dj_jobs import claim as claims
    from dj_jobs.job import Worker

    result.jobs.refresh()
    assert len(claims.claim(result.jobs, Worker.of_this_process(), 10)) == 6
    assert work_on() is Work.LATER
    connection.clock_offset_s = 3600
    assert work_on() is Work.NOW
    connection.clock_offset_s = 0


def test_a_look_at_any_number_of_tables_is_one_statement(
    result: Any, declare: Declare, connection: Connection
) -> None:
    other = declare("Other", make=lambda self, key: self.insert1(key))
    for table in (result, other):
        table.populate(reserve_jobs=True)
    look = Look([result(), other()])
    n = connection.n_statements
    assert set(look().values()) == {Work.NONE}
    assert connection.n_statements == n + 1


# -- being woken -----------------------------------------------------------------------------------


@pytest.fixture
def heard(result: Any, connection: Connection) -> Iterator[Callable[[], set[News]]]:
    """Return what says what a listener was told of the table up to now."""
    result.jobs.refresh()
    name = result().table_id
    listener = Listener(connection, [(name, news) for news in News])
    listener.open()

    def told() -> set[News]:
        fd = listener.fileno()
        if fd is None:
            return set()
        tell(connection, name, News.WORKERS)  # which comes last
        found: set[News] = set()
        while News.WORKERS not in found:
            assert select.select([fd], [], [], 30)[0]
            found |= {news for _, news in listener.heard()}
        return found - {News.WORKERS}

    yield told
    listener.close()


def hears(connection: Connection, *news: News) -> set[News]:
    """What is heard where the server can tell; the others have to look."""
    return set(news) if connection.settings.backend != "mysql" else set()


def test_rows_and_jobs_are_told(
    result: Any, source: Any, connection: Connection, heard: Callable[[], set[News]]
) -> None:
    result.populate(reserve_jobs=True, refresh=False)
    assert heard() == hears(connection, News.ROWS)
    source.insert1({"id": 6})
    result.jobs.refresh()
    assert heard() == hears(connection, News.JOBS)


def test_what_operators_do_is_told(
    result: Any, connection: Connection, heard: Callable[[], set[News]]
) -> None:
    result.jobs.ignore({"id": 1})
    result.jobs.unignore()
    assert heard() == hears(connection, News.JOBS)
    result.jobs.pause()
    assert heard() == hears(connection, News.JOBS)


def test_what_is_rolled_back_is_not_told(
    result: Any, connection: Connection, heard: Callable[[], set[News]]
) -> None:
    result.jobs.ignore({"id": 1})
    connection.start_transaction()
    result.jobs.unignore()
    connection.cancel_transaction()
    result.populate({"id": 2}, reserve_jobs=True, refresh=False)
    assert heard() == hears(connection, News.ROWS)


@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_a_listener_whose_session_ends_listens_anew(result: Any, connection: Connection) -> None:
    name = result().table_id
    listener = Listener(connection, [(name, News.JOBS)])
    assert listener.open()
    connection.query("SELECT pg_terminate_backend(%s)", [listener._connection.session_id])
    while listener.fileno() is not None:
        select.select([listener.fileno()], [], [], 30)
        assert listener.heard() == set()
    assert listener.open()
    result.jobs.refresh()
    assert select.select([listener.fileno()], [], [], 30)[0]
    assert listener.heard() == {(name, News.JOBS)}
    listener.close()


def test_a_listener_holds_a_session_only_where_there_is_something_to_hear(
    connection: Connection, result: Any
) -> None:
    listener = Listener(connection, [(result().table_id, News.JOBS)])
    assert listener.open() == bool(listener._connection.session_id)
    listener.close()
