"""Jobs that share a transaction: what others may do to them meanwhile, and what became of them is known."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from dj_jobs.events import Events
from dj_jobs.lease import renew_all
from dj_jobs.options import Options
from dj_jobs.populate import reserved
from dj_schema.connection import Connection
from dj_schema.errors import LostConnectionError
from tests.conformance.jobs.test_workers import jobs_on, states


def limit_waits(connection: Connection) -> None:
    """Have a statement that waits for a lock fail rather than wait for ever."""
    is_mysql = connection.settings.backend == "mysql"
    connection.query(f"SET SESSION {'innodb_lock_wait_timeout = 20' if is_mysql else 'lock_timeout = 20000'}")


@pytest.mark.parametrize("first", ["has no output", "is kept", "fails", "is there"])
def test_what_a_job_has_done_locks_nothing_while_the_next_one_runs(
    declare: Any, connection: Connection, first: str
) -> None:
    """Leases are renewed beside it, operators cancel and release."""
    calls: list[int] = []
    n_held: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if key["id"] == 2 and first == "fails":
            raise ValueError("on purpose")
        if key["id"] == 3 and calls.count(3) == 1:
            with connection.clone() as other:
                limit_waits(other)
                jobs = jobs_on(other, table)
                token, worker = (jobs & key).fetch1("_token", "_worker")
                n_held.append(len(jobs.reserved))
                n_held.append(renew_all(other, jobs.table_id, token, 60.0))
                n_held.append(
                    jobs.release(worker) if first == "is kept" else jobs.cancel("status = 'reserved'")
                )
        if key["id"] != 2 or first != "has no output":
            self.insert1(key)

    table = declare(make=make)
    table.jobs.refresh()
    if first == "is there":
        table.populate({"id": 2})
    with connection.config.override(jobs={"group_commit_s": 60, "keep_completed": first == "is kept"}):
        outcomes = list(reserved(table(), Options(suppress_errors=True), Events()))
    assert n_held[0] == n_held[1] == n_held[2] >= 1
    assert {o.result.value for o in outcomes if o.key["id"] > 2} <= {"cancelled", "lost", "success"}
    assert set(states(table)) <= {"success", "error", "ignore"}
    assert len(table) == 6 - states(table).get("ignore", 0) - states(table).get("error", 0)


@pytest.mark.parametrize("what", ["error", "retry"])
def test_a_failure_is_told_though_the_answer_to_its_commit_is_lost(
    declare: Any, connection: Connection, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if key["id"] == 2 and calls.count(2) == 1:
            cut.append(True)
            raise ValueError("on purpose")
        self.insert1(key)

    table = declare(make=make, retry=None if what == "error" else retry_at_once())
    table.jobs.refresh()
    cut: list[bool] = []
    main = threading.current_thread()  # others renew leases
    kind = type(connection.session())
    execute = kind.execute

    def execute_and_cut(self: Any, text: str, params: Any) -> Any:
        is_recording = "_history" in text and text.startswith("UPDATE") and not connection.in_transaction
        answer = execute(self, text, params)
        if (text == "COMMIT" or is_recording) and cut and threading.current_thread() is main:
            cut.clear()
            self.close()
            raise LostConnectionError("cut")
        return answer

    monkeypatch.setattr(kind, "execute", execute_and_cut)
    with connection.config.override(jobs={"group_commit_s": 60}):
        found = table.populate(reserve_jobs=True, refresh=False, suppress_errors=True)
    assert cut == []
    assert found["success"] == 5 + (what == "retry")
    assert [key for key, _ in found["error_list"]] == [{"id": 2}] * (what == "error")
    assert calls.count(2) == 1 + (what == "retry")
    assert states(table) == ({"error": 1} if what == "error" else {})


def retry_at_once() -> Any:
    from dj_jobs.retry import Retry

    return Retry(attempts=2, backoff=0.0)


def test_a_result_that_is_inserted_again_after_its_commit_has_succeeded(
    declare: Any, connection: Connection
) -> None:
    """The connection breaks in COMMIT, which the server ends while the result is inserted again."""
    calls: list[int] = []
    is_ready, may_end = threading.Event(), threading.Event()

    def first_try() -> None:
        """Do what the first try has left in the server, whose COMMIT takes its time."""
        with connection.clone() as other, other.transaction:
            other.query(f"INSERT INTO {table.full_table_name} (id, y) VALUES (1, 7)")
            assert other.run(f"DELETE FROM {table.jobs.full_table_name} WHERE id = 1").n_rows == 1
            is_ready.set()
            assert may_end.wait(60)

    def make_insert(self: Any, key: dict[str, Any], y: int) -> None:
        calls.append(y)
        if len(calls) == 1:
            server.start()
            assert is_ready.wait(60)
            raise LostConnectionError("cut")
        may_end.set()
        self.insert1({**key, "y": y})

    server = threading.Thread(target=first_try, daemon=True)
    table = declare(
        make_fetch=lambda self, key: (1,),
        make_compute=lambda self, key, one: (7,),
        make_insert=make_insert,
    )
    table.jobs.refresh({"id": 1})
    outcomes = list(reserved(table(), Options(refresh=False), Events()))
    server.join()
    assert [o.result.value for o in outcomes] == ["success"]
    assert calls == [7, 7]
    assert states(table) == {}


def test_a_result_without_rows_that_is_inserted_again_after_its_commit_is_done(
    declare: Any, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to COMMIT is lost, and at first nothing tells what became of it."""
    kind = type(connection.session())
    execute = kind.execute
    left = {"COMMIT": 1, "SELECT": 2}  # statements whose answers are lost: a read is sent again

    def execute_and_cut(self: Any, text: str, params: Any) -> Any:
        answer = execute(self, text, params)
        verb = text.split()[0]
        if calls and left.get(verb) and (verb == "COMMIT" or "_is_empty" in text):
            left[verb] -= 1
            self.close()
            raise LostConnectionError("cut")
        return answer

    def make_insert(self: Any, key: dict[str, Any], y: int) -> None:
        calls.append(y)

    calls: list[int] = []
    table = declare(
        make_fetch=lambda self, key: (1,), make_compute=lambda self, key, one: (7,), make_insert=make_insert
    )
    table.jobs.refresh({"id": 1})
    monkeypatch.setattr(kind, "execute", execute_and_cut)
    outcomes = list(reserved(table(), Options(refresh=False), Events()))
    assert left == {"COMMIT": 0, "SELECT": 0}
    assert calls == [7, 7]
    assert [o.result.value for o in outcomes] == ["empty"]
    assert states(table) == {"success": 1}
