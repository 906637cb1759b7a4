"""What a review of the engine found, each by the smallest case that showed it."""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dj_jobs import claim as claims
from dj_jobs import finish
from dj_jobs.events import Event, Events
from dj_jobs.job import Worker
from dj_jobs.options import Options
from dj_jobs.populate import reserved
from dj_jobs.rescue import rescue
from dj_jobs.server_lock import turn
from dj_schema.connection import Connection
from dj_schema.errors import DataError, JobError
from tests.conformance.jobs.test_workers import jobs_on, states
from tests.support.sessions import end, is_running, wait_until_gone


class StopNowError(BaseException):
    """As a signal's handler raises it."""


@pytest.mark.parametrize("kind", ["claimed", "started", "succeeded"])
def test_an_interruption_anywhere_leaves_no_job_reserved_and_no_row_without_its_end(
    result: Any, kind: str
) -> None:
    class Interrupting(Events):
        """Events whose subscriber interrupts, as a signal would, at one of them."""

        def emit(self, event: Event) -> None:
            if event.kind == kind and event.key in (None, {"id": 0}, {"id": 3}):
                raise StopNowError

    events = Interrupting(lambda event: None)
    with pytest.raises(StopNowError):
        list(reserved(result(), Options(), events))
    assert states(result).get("reserved", 0) == 0
    assert len(result) + states(result)["pending"] == 6
    assert result.populate(reserve_jobs=True)["error"] == 0
    assert len(result) == 6


def test_who_refreshes_for_ever_does_not_hold_up_the_others(result: Any, connection: Connection) -> None:
    _ = result.jobs
    with connection.clone() as other, connection.config.override(jobs={"lease_timeout": 0.5}):
        with turn(other, ".".join(result.jobs.table_id)) as first:
            assert first.is_ours
            assert result.populate(reserve_jobs=True)["success"] == 6
        with turn(connection, ".".join(result.jobs.table_id)) as second:
            assert second.is_ours


def test_a_refresh_leaves_how_long_a_session_waits_for_locks(result: Any, connection: Connection) -> None:
    name = "@@innodb_lock_wait_timeout" if connection.settings.backend == "mysql" else "lock_timeout"
    connection.query(f"SET {name} = 7000")
    look = f"SELECT {name}" if name.startswith("@@") else f"SHOW {name}"
    before = connection.query(look)[0][0]
    assert before in (7000, "7s")
    assert result.jobs.refresh()["added"] == 6
    assert result.populate({"id": 0}, reserve_jobs=True)["success"] == 1
    assert connection.query(look)[0][0] == before


def test_a_refresh_in_a_transaction_takes_no_lock(result: Any, connection: Connection) -> None:
    _ = result.jobs
    with connection.transaction:
        assert result.jobs.refresh()["added"] == 6
        with connection.clone() as other, turn(other, ".".join(result.jobs.table_id)) as mine:
            assert mine.is_ours


def test_a_job_that_is_cancelled_in_a_group_is_told_as_such(declare: Any, connection: Connection) -> None:
    told: list[str] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        if key["id"] == 2 and "done" not in told:
            told.append("done")
            with connection.clone() as other:
                assert jobs_on(other, table).cancel({"id": 1}) == 1

    table = declare(make=make)
    with connection.config.override(jobs={"group_commit_s": 60}):
        outcomes = {o.key["id"]: o.result for o in reserved(table(), Options(), Events())}
    assert outcomes == {**dict.fromkeys(range(6), "success"), 1: "cancelled"}
    assert states(table) == {"ignore": 1}
    assert sorted(table.to_arrays("id").tolist()) == [0, 2, 3, 4, 5]


def test_dead_workers_are_found_while_others_run_statements_of_any_text(
    result: Any, connection: Connection
) -> None:
    result.jobs.refresh()
    is_mysql = connection.settings.backend == "mysql"
    take = "SELECT GET_LOCK('dj_test', 60)" if is_mysql else "SELECT pg_advisory_lock(4711)"
    with connection.clone() as holder, connection.clone() as waiting, ThreadPoolExecutor(1) as pool:
        with connection.clone() as gone:
            session = gone.connection_id
            assert len(claims.claim(jobs_on(gone, result), Worker.of_this_process("gone"), 2)) == 2
        wait_until_gone(connection, session)
        holder.query(take)
        waiter = pool.submit(waiting.query, f"{take}, %s", ["\N{BRAIN}"])
        try:
            while not is_running(connection, waiting.session_id):
                assert not waiter.done(), waiter.result()
            assert rescue(result.jobs) == 2
        finally:
            holder.close()
            waiter.result()


def test_jobs_that_fail_in_a_group_leave_the_others_as_they_are(declare: Any, connection: Connection) -> None:
    """Where they have no savepoints, the first failure has those before it computed again, and no other.

    And itself, as its row waited for what it might have met.
    """
    calls: list[int] = []
    told: list[tuple[str, int]] = []
    batches: dict[int, object] = {}  # how many are claimed at once depends on how long the first one took

    def tell(event: Event) -> None:
        if event.key:
            told.append((event.kind, event.key["id"]))
            batches.setdefault(event.key["id"], event.token)

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if key["id"] != 1:  # which has no output
            self.insert1(key)
        if key["id"] in (2, 5):
            raise ValueError(f"of {key['id']}")

    table = declare(make=make)
    with connection.config.override(jobs={"group_commit_s": 60}):
        outcomes = {o.key["id"]: o for o in reserved(table(), Options(suppress_errors=True), Events(tell))}
    assert {k: o.result for k, o in outcomes.items()} == {
        0: "success", 1: "empty", 2: "error", 3: "success", 4: "success", 5: "error",
    }  # fmt: skip
    assert (outcomes[2].message, outcomes[5].message) == ("ValueError: of 2", "ValueError: of 5")
    assert sorted(table.to_arrays("id").tolist()) == [0, 3, 4]
    assert states(table) == {"success": 1, "error": 2}
    assert [len(table.jobs.attempts({"id": i})) for i in (2, 5)] == [1, 1]
    again = [i for i in (1, 2) if batches[i] == batches[2]]  # 0 came alone, and is committed
    assert calls == [0, 1, 2, *([] if connection.dialect.flags.has_cheap_savepoints else again), 3, 4, 5]
    ended = Counter(pair for pair in told if pair[0] in ("succeeded", "empty", "failed"))
    assert set(ended.values()) == {1}
    assert len(ended) == 6


def test_a_row_that_is_there_already_in_a_group_is_passed_over(declare: Any, connection: Connection) -> None:
    table = declare(make=lambda self, key: self.insert1(key))
    table.jobs.refresh()
    table.populate({"id": 4})
    with connection.config.override(jobs={"group_commit_s": 60}):
        found = table.populate(reserve_jobs=True, refresh=False)
    assert (found["success"], found["skip"], found["error"]) == (5, 1, 0)
    assert len(table) == 6
    assert states(table) == {}


def test_a_long_job_after_short_ones_is_not_thrown_away(declare: Any, connection: Connection) -> None:
    """The short ones wait for its commit, and stay ours meanwhile."""
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        self.insert1(key)
        if key["id"] == 5:
            with connection.clone() as other:
                jobs = jobs_on(other, table)
                held = (jobs.reserved & "id in (3, 4)").proj("_lease_until").to_dicts()
                while jobs.reserved & held:
                    continue  # until both have been renewed, a second or two after their claim
                assert rescue(jobs) == 0

    table = declare(make=make)
    with connection.config.override(jobs={"group_commit_s": 60}):
        assert table.populate(reserve_jobs=True)["success"] == 6
    assert calls == list(range(6))


def test_a_key_that_is_not_equal_to_itself_is_an_error(
    dj: Any, new_schema: Any, connection: Connection
) -> None:
    schema = new_schema()

    @schema
    class Level(dj.Manual):  # type: ignore[name-defined,misc]
        definition = "level : float32"

    class Loud(dj.Computed):  # type: ignore[name-defined,misc]
        definition = "-> Level"

        def make(self, key: dict[str, Any]) -> None:
            self.insert1(key)

    schema(Loud, context={"Level": Level})
    Level.insert1({"level": 0.1})
    if connection.settings.backend == "mysql":
        with pytest.raises(DataError, match="float32"):
            Loud.populate(reserve_jobs=True)
        assert len(Loud().jobs.reserved) == 0
    else:
        assert Loud.populate(reserve_jobs=True)["success"] == 1


def test_a_token_gives_back_all_that_it_holds(result: Any) -> None:
    jobs = result.jobs
    jobs.refresh()
    held = claims.claim(jobs, Worker("w", "h", 1), 4)
    finish.complete_all(jobs, held[:1])
    assert finish.release_token(jobs, held[0].token) == 3
    assert states(result) == {"pending": 5}


@pytest.mark.parametrize("end", ["complete", "error"])
def test_complete_and_error_are_for_the_claim_that_was_made(result: Any, end: str) -> None:
    jobs = result.jobs
    jobs.refresh()
    key = {"id": 1}
    me = Worker.of_this_process()
    assert jobs.reserve(key)
    assert jobs.release(me.name) == 1
    (other,) = claims.claim(jobs & key, me, 1)  # another claim, of this very process
    with pytest.raises(JobError, match="not reserved"):
        jobs.complete(key) if end == "complete" else jobs.error(key, "late")
    assert (jobs & key).fetch1("_token") == other.token


def test_a_worker_whose_connection_breaks_keeps_its_key(
    declare: Any, source: Any, connection: Connection
) -> None:
    """From its first second on the session that renews vouches for it, too."""

    def make_fetch(self: Any, key: dict[str, Any]) -> Any:
        return (source & key).fetch1("x")

    def make_compute(self: Any, key: dict[str, Any], x: int) -> int:
        with connection.clone() as other:
            jobs = jobs_on(other, table)
            while (jobs & key).fetch1("_lease_session") == 0:
                continue
            end(other, connection.connection_id)
            assert rescue(jobs) == 0
        return x + 1

    def make_insert(self: Any, key: dict[str, Any], y: int) -> None:
        self.insert1({**key, "y": y})

    table = declare(make_fetch=make_fetch, make_compute=make_compute, make_insert=make_insert)
    assert table.populate({"id": 1}, reserve_jobs=True)["success"] == 1


def test_a_statement_that_cannot_be_prepared_fails_its_own_job_alone(
    declare: Any, connection: Connection
) -> None:
    """A text that came often is prepared for the types of its values, before its job has a savepoint."""

    def make(self: Any, key: dict[str, Any]) -> None:
        value = key["id"] if key["id"] != 5 else True  # PostgreSQL compares no integer with a boolean
        connection.query(f"SELECT count(*) FROM {table.full_table_name} WHERE id = %s", [value])
        self.insert1(key)

    table = declare(make=make)
    with connection.config.override(jobs={"group_commit_s": 60}):
        done = table.populate(reserve_jobs=True, suppress_errors=True)
    failed = [5] if connection.dialect.name == "postgresql" else []
    assert [key["id"] for key, _ in done["error_list"]] == failed
    assert all("QuerySyntaxError: operator does not exist" in message for _, message in done["error_list"])
    assert len(table) == done["success"] == 6 - len(failed)


def test_rows_that_are_refused_at_the_commit_fail_their_own_job_alone(
    declare: Any, connection: Connection
) -> None:
    if connection.dialect.name != "postgresql":
        pytest.skip("this server has no constraints that wait for the commit")

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "y": key["id"] if key["id"] != 4 else 2})

    table = declare(make=make)
    table.jobs.refresh()
    connection.query(f"ALTER TABLE {table.full_table_name} ADD UNIQUE (y) DEFERRABLE INITIALLY DEFERRED")
    with connection.config.override(jobs={"group_commit_s": 60}):
        done = table.populate(reserve_jobs=True, suppress_errors=True)
    assert done["success"] == 5
    ((key, message),) = done["error_list"]
    assert key == {"id": 4}
    assert message.startswith("DuplicateError")
    assert states(table) == {"error": 1}


@pytest.mark.parametrize("n_faults", [1, 3])
def test_a_failure_is_recorded_once_nobody_else_holds_its_job(
    declare: Any, connection: Connection, n_faults: int
) -> None:
    lost: list[str] = []

    class LettingGo(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "is recorded again" in record.getMessage():
                lost.append(record.getMessage())
                if len(lost) == n_faults:
                    other.cancel_transaction()

    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] == 1:
            other.start_transaction()
            other.query(f"UPDATE {table.jobs.full_table_name} SET priority = 7 WHERE id = 1")
            raise ValueError("no such thing")
        self.insert1(key)

    table = declare(make=make)
    log, handler = logging.getLogger("datajoint.jobs"), LettingGo()
    log.addHandler(handler)
    try:
        with connection.clone() as other, connection.config.override(jobs={"group_commit_s": 0}):
            is_mysql = connection.settings.backend == "mysql"
            connection.query("SET innodb_lock_wait_timeout = 1" if is_mysql else "SET lock_timeout = '50ms'")
            done = table.populate(reserve_jobs=True, suppress_errors=True)
    finally:
        log.removeHandler(handler)
    assert len(lost) == n_faults
    assert (done["success"], done["error_list"]) == (5, [({"id": 1}, "ValueError: no such thing")])
    assert states(table) == {"error": 1}
    assert [attempt.outcome for attempt in table.jobs.attempts({"id": 1})] == ["error"]
