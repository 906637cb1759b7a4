"""Several workers on one job table: each key once; workers that die, stop, or lose their connection."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dj_jobs import claim as claims
from dj_jobs import control
from dj_jobs.events import Event, Events
from dj_jobs.job import Worker
from dj_jobs.limits import Limits
from dj_jobs.options import Options
from dj_jobs.populate import direct, reserved
from dj_jobs.rescue import rescue
from dj_query.table import FreeTable
from dj_schema.connection import Connection
from dj_schema.errors import LostConnectionError
from dj_schema.sql import Ident, Param, sql
from tests.support.servers import ServerUnderTest
from tests.support.sessions import end, kill, live_sessions

N_WORKERS = 8
ROOT = Path(__file__).parents[3]


def states(table: Any) -> dict[str, int]:
    return {name: n for name, n in table.jobs.progress().items() if n and name != "total"}


def jobs_on(connection: Connection, table: Any) -> Any:
    """Return the jobs of a table on another connection."""
    from dj_jobs.table import JobTable

    return JobTable.of_target(FreeTable.at(connection, *table.table_id))


@pytest.fixture
def at_once(connection: Connection) -> Any:
    """Return what runs a function in several threads at once, each with a connection of its own."""

    def run(function: Callable[[Connection], Any], n: int = N_WORKERS) -> list[Any]:
        barrier = threading.Barrier(n)

        def one(_: int) -> Any:
            with connection.clone() as own:
                own.connect()
                barrier.wait(30)
                return function(own)

        with ThreadPoolExecutor(n) as pool:
            return list(pool.map(one, range(n)))

    return run


@pytest.mark.parametrize("has_limits", [False, True])
def test_a_claim_whose_session_was_lost_before_it_took_anything_is_made_again(
    declare: Any, connection: Connection, has_limits: bool
) -> None:
    """A worker that took it for a table with nothing to do would end."""

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)

    result = declare(make=make, **({"limits": Limits(concurrent=50)} if has_limits else {}))
    result.jobs.refresh()
    lost: list[int] = []
    events = Events()

    def lose(event: Event) -> None:
        if event.kind == "succeeded" and not lost:
            lost.append(own.connection_id)
            end(connection, own.connection_id)

    events.subscribe(lose)
    with connection.clone() as own:
        target = result()
        target._connection = own
        done = [o.result.name for o in reserved(target, Options(refresh=False), events)]
    assert lost
    assert done == ["SUCCESS"] * 6
    assert states(result) == {}


def test_eight_workers_claim_each_job_once(result: Any, source: Any, at_once: Any) -> None:
    source.insert({"id": i} for i in range(6, 500))
    assert result.jobs.refresh()["added"] == 500

    def work(connection: Connection) -> list[int]:
        jobs = jobs_on(connection, result)
        mine: list[int] = []
        while claimed := claims.claim(jobs, Worker.of_this_process(), 7):
            mine += [claim.key["id"] for claim in claimed]
        return mine

    taken = Counter(key for mine in at_once(work) for key in mine)
    assert taken == Counter(range(500))
    assert states(result) == {"reserved": 500}


def test_eight_workers_refresh_at_once(result: Any, source: Any, at_once: Any) -> None:
    source.insert({"id": i} for i in range(6, 300))
    _ = result.jobs

    def work(connection: Connection) -> int:
        target = result()
        target._connection = connection
        return int(target.jobs.refresh()["added"])

    assert sum(at_once(work)) == 300
    assert states(result) == {"pending": 300}


def test_eight_workers_make_the_job_table_at_once(result: Any, at_once: Any) -> None:
    assert at_once(lambda connection: len(jobs_on(connection, result))) == [0] * N_WORKERS


SCRIPT = """
import datajoint as dj, os, sys, time

schema = dj.Schema({schema!r})

@schema
class Source(dj.Manual):
    definition = '''
    id : int32
    ---
    x = 0 : int32
    '''

@schema
class Result(dj.Computed):
    definition = '''
    -> Source
    ---
    y = 0 : int64
    '''

    def make(self, key):
        {make}

{then}
"""


@pytest.fixture
def start(source: Any, result: Any) -> Any:
    """Return what starts a process that declares the pipeline with a `make` of its own."""
    running: list[subprocess.Popen[str]] = []

    def start(
        make: str, then: str = "print(Result.populate(reserve_jobs=True), flush=True)", **env: str
    ) -> Any:
        code = SCRIPT.format(
            schema=source.database, make=textwrap.indent(textwrap.dedent(make), " " * 8).strip(), then=then
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


def test_processes_compute_each_key_once(result: Any, source: Any, start: Any) -> None:
    source.insert({"id": i} for i in range(6, 300))
    processes = [start("self.insert1({**key, 'y': os.getpid()})") for _ in range(4)]
    done = [eval(p.communicate(timeout=240)[0]) for p in processes]
    assert sum(d["success"] for d in done) == 300
    assert all(not d["error"] and not d["skip"] for d in done)
    assert len(result) == 300
    assert len(result.jobs) == 0


def test_the_key_of_a_killed_worker_is_rescued_at_once(
    result: Any, start: Any, connection: Connection
) -> None:
    victim = start("self.insert1(key); print(key['id'], flush=True); time.sleep(600)")
    key = int(victim.stdout.readline())
    assert (result.jobs & {"id": key}).fetch1("status") == "reserved"
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    wait_until_session_ends(result, key)
    assert result.populate(reserve_jobs=True)["success"] == 6
    assert len(result) == 6
    assert (result.jobs & {"id": key}).fetch1("status") == "success"  # kept for one lease
    assert len(result.jobs) == 1
    connection.clock_offset_s = 61.0
    result.jobs.refresh()
    assert len(result.jobs) == 0


def wait_until_session_ends(table: Any, key: int) -> None:
    """Wait until the server knows none of the sessions that hold a job: of its work, of its renewals."""
    job = table.jobs & {"id": key}
    while live_sessions(table.connection) & set(job.fetch1("connection_id", "_lease_session")):
        continue


def test_a_lease_that_ended_is_rescued_and_its_owner_is_fenced_off(
    declare: Any, connection: Connection
) -> None:
    calls: list[int] = []
    events: list[Event] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        self.insert1({**key, "y": len(calls)})
        if len(calls) == 1:
            jobs = jobs_on(other, table)  # another worker, while the first one sleeps
            assert expire_and_rescue(other, jobs) == 1
            assert len(claims.claim(jobs, Worker("other", "there", 1), 1)) == 1

    table = declare(make=make)
    with connection.clone() as other:
        outcomes = list(reserved(table(), Options(restrictions=({"id": 1},)), Events(events.append)))
        assert [o.result for o in outcomes] == ["lost"]
        assert "fenced" in [e.kind for e in events]
        assert len(table) == 0
        assert states(table) == {"reserved": 1}
    wait_until_session_ends(table, 1)
    assert table.populate({"id": 1}, reserve_jobs=True)["success"] == 1
    assert table.fetch1("y") == 2


def expire_on(connection: Connection, jobs: Any) -> None:
    past = connection.dialect.jobs.after(Param(-5.0))
    connection.execute(sql("UPDATE {} SET {} = {}", Ident(*jobs.table_id), Ident("_lease_until"), past))


def expire_and_rescue(connection: Connection, jobs: Any) -> int:
    """Let all leases have ended, and rescue: once more where one of them was renewed in between."""
    while True:
        expire_on(connection, jobs)
        if n := rescue(jobs):
            return n


def test_a_key_that_kills_its_workers_becomes_an_error(result: Any, connection: Connection) -> None:
    jobs = result.jobs
    jobs.refresh({"id": 1})
    with connection.config.override(jobs={"max_rescues": 3}):
        for _ in range(2):
            assert len(claims.claim(jobs, Worker("w", "h", 1), 1)) == 1
            expire_on(connection, jobs)
            assert rescue(jobs) == 1
            assert states(result) == {"pending": 1}
        assert claims.claim(jobs, Worker("w", "h", 1), 1)[0].attempt == 3
        expire_on(connection, jobs)
        assert rescue(jobs) == 1
    assert states(result) == {"error": 1}
    assert "died 3 times" in jobs.errors.fetch1("error_message")
    assert jobs.retry() == 1
    assert result.populate(reserve_jobs=True)["success"] == 6


def test_a_key_of_a_batch_is_given_up_only_for_a_worker_that_ran_it_by_itself(
    result: Any, connection: Connection
) -> None:
    jobs = result.jobs
    jobs.refresh()
    with connection.config.override(jobs={"max_rescues": 1}):
        assert len(claims.claim(jobs, Worker("w", "h", 1), 3)) == 3
        assert len(claims.claim(jobs, Worker("w", "h", 1), 1)) == 1
        expire_on(connection, jobs)
        assert rescue(jobs) == 4
        assert states(result) == {"pending": 5, "error": 1}
        assert "died once" in jobs.errors.fetch1("error_message")
        assert len(claims.claim(jobs & "_rescues > 0", Worker("w", "h", 1), 1)) == 1
        expire_on(connection, jobs)
        assert rescue(jobs) == 1
    assert states(result) == {"pending": 4, "error": 2}


def test_a_lease_is_renewed_while_make_runs(declare: Any, connection: Connection) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        with connection.clone() as other:
            jobs = jobs_on(other, table)
            before = (jobs & key).fetch1("_lease_until")
            while (jobs & key).fetch1("_lease_until") == before:
                continue  # a second or two: that it lasts a minute has nothing to do with it
            main, renewing = (jobs & key).fetch1("connection_id", "_lease_session")
            assert main == connection.connection_id
            assert renewing not in (0, main)
            assert rescue(jobs) == 0
        self.insert1(key)

    table = declare(make=make)
    assert table.populate({"id": 1}, reserve_jobs=True)["success"] == 1


def test_jobs_that_wait_behind_a_long_one_go_back(declare: Any, connection: Connection) -> None:
    order: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        order.append(key["id"])
        if key["id"] == 3:  # the batches before were of short jobs
            with connection.clone() as other:
                jobs = jobs_on(other, table)
                while (jobs & {"id": 4}).fetch1("status") != "pending":
                    continue
        self.insert1(key)

    table = declare(make=make)
    with connection.config.override(jobs={"lease_timeout": 0.6}):
        assert table.populate(reserve_jobs=True)["success"] == 6
    assert sorted(order) == list(range(6))
    assert len(table.jobs) == 0


@pytest.mark.parametrize("where", ["before the row", "after the row"])
@pytest.mark.parametrize("group_commit_s", [1e-9, 5.0])
def test_a_connection_lost_in_make_is_no_error_of_the_key(
    declare: Any, connection: Connection, where: str, group_commit_s: float
) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if where == "after the row":
            self.insert1(key)
        if calls.count(2) == 1 and key["id"] == 2:
            with connection.clone() as other:
                kill(other, connection.connection_id)
        if where == "before the row":
            self.insert1(key)

    table = declare(make=make)
    with connection.config.override(jobs={"group_commit_s": group_commit_s}):
        done = table.populate(reserve_jobs=True)
    assert (done["success"], done["error"]) == (6, 0)
    assert len(table) == 6
    assert len(table.jobs) == 0


def test_a_connection_lost_while_it_computes_is_opened_again(
    declare: Any, source: Any, connection: Connection
) -> None:
    def make(self: Any, key: dict[str, Any]) -> Any:
        yield (source & key).fetch1("x")
        with connection.clone() as other:
            kill(other, connection.connection_id)
        yield
        self.insert1(key)

    table = declare(make=make)
    done = table.populate(reserve_jobs=True)
    assert (done["success"], done["error"]) == (6, 0)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("answer", ["lost after the commit", "lost before the commit"])
def test_an_answer_to_commit_that_is_lost_is_looked_up(
    declare: Any, connection: Connection, monkeypatch: pytest.MonkeyPatch, kept: bool, answer: str
) -> None:
    """The session breaks at COMMIT, on either side of the server's doing."""
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        self.insert1(key)
        cut.append(True)

    table = declare(make=make)
    table.jobs.refresh({"id": 1})
    cut: list[bool] = []
    session = connection.session()
    kind = type(session)
    execute = kind.execute

    def execute_and_cut(self: Any, text: str, params: Any) -> Any:
        if text == "COMMIT" and cut and self is session:
            cut.clear()
            if answer == "lost after the commit":
                execute(self, text, params)
            self.close()
            raise LostConnectionError("cut")
        return execute(self, text, params)

    monkeypatch.setattr(kind, "execute", execute_and_cut)
    with connection.config.override(jobs={"keep_completed": kept}):
        done = table.populate(reserve_jobs=True, refresh=False)
    assert (done["success"], done["error"]) == (1, 0)
    assert calls == [1] * (1 if answer == "lost after the commit" else 2)
    assert states(table) == ({"success": 1} if kept else {})
    assert len(table) == 1


@pytest.mark.parametrize("answer", ["after the commit", "before the commit", "before another's commit"])
def test_a_lost_answer_to_the_commit_of_a_populate_without_jobs_is_no_guess(
    declare: Any, connection: Connection, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Only PostgreSQL tells what became of a transaction; elsewhere a row that is there may be of anybody."""
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        is_first = self.connection is connection
        self.insert1({**key, "y": 1 if is_first else 2})
        if is_first:
            calls.append(key["id"])
            cut.append(len(calls) == 1)

    table = declare(make=make)
    cut: list[bool] = []
    session = connection.session()
    kind = type(session)
    execute = kind.execute

    def meanwhile() -> None:
        with connection.clone() as own:
            other = table()
            other._connection = own
            assert other.populate({"id": 1})["success"] == 1

    def execute_and_cut(self: Any, text: str, params: Any) -> Any:
        if text == "COMMIT" and self is session and any(cut):
            cut.clear()
            if answer == "after the commit":
                execute(self, text, params)
            self.close()
            if answer == "before another's commit":
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(meanwhile).result()
            raise LostConnectionError("cut")
        return execute(self, text, params)

    monkeypatch.setattr(kind, "execute", execute_and_cut)
    done = table.populate({"id": 1}, suppress_errors=True)
    counts = (done["success"], done["skip"], done["error"])
    assert table.fetch1("y") == (2 if answer == "before another's commit" else 1)
    if answer == "before the commit":
        assert counts == (1, 0, 0)
        assert calls == [1, 1]
    elif connection.settings.backend == "mysql":
        assert counts == (0, 0, 1)
        assert "does not tell whose rows" in done["error_list"][0][1]
    else:
        assert counts == ((1, 0, 0) if answer == "after the commit" else (0, 1, 0))


def test_a_make_without_output_whose_commit_has_no_answer_has_one_effect_where_the_server_tells(
    declare: Any, source: Any, connection: Connection, dj: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has written elsewhere may be all that it does."""

    @source._schema
    class Note(dj.Manual):  # type: ignore[name-defined,misc]
        definition = "note : int32"

    def make(self: Any, key: dict[str, Any]) -> None:
        Note.insert1([len(Note())])
        cut.append(True)

    table = declare(make=make)
    cut: list[bool] = []
    kind = type(connection.session())
    execute = kind.execute

    def execute_and_cut(self: Any, text: str, params: Any) -> Any:
        answer = execute(self, text, params)
        if text == "COMMIT" and cut == [True]:
            cut.append(False)
            self.close()
            raise LostConnectionError("cut")
        return answer

    monkeypatch.setattr(kind, "execute", execute_and_cut)
    outcomes = list(direct(table(), Options(({"id": 1},)), Events()))
    assert [o.result.name for o in outcomes] == ["EMPTY"]
    assert len(Note()) == (1 if connection.dialect.name == "postgresql" else 2)


def release(jobs: Any) -> None:
    assert jobs.release(jobs.reserved.proj("_worker").fetch1("_worker")) == 1


def cancel(jobs: Any) -> None:
    assert jobs.cancel() == 1
    assert jobs.unignore() == 1


def delete(jobs: Any) -> None:
    assert jobs.delete() == 1
    assert jobs.refresh({"id": 1})["added"] == 1


def cancel_and_delete(jobs: Any) -> None:
    assert jobs.cancel() == 1
    assert jobs.ignored.delete() == 1
    assert jobs.refresh({"id": 1})["added"] == 1


def drop(jobs: Any) -> None:
    jobs.drop()
    assert jobs.target.jobs.refresh({"id": 1})["added"] == 1


def take_orphan(jobs: Any) -> None:
    assert jobs.refresh({"id": 1}, orphan_timeout=-1)["orphaned"] == 1


@pytest.mark.parametrize("take_back", [release, cancel, delete, cancel_and_delete, drop, take_orphan])
@pytest.mark.parametrize("who", ["a worker", "a worker without jobs"])
def test_a_lost_answer_does_not_make_the_row_of_another_worker_ours(
    declare: Any,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    take_back: Callable[[Any], None],
    who: str,
) -> None:
    """The session breaks before COMMIT; before its worker asks, somebody else computes the key."""

    def make(self: Any, key: dict[str, Any]) -> None:
        is_first = self.connection is connection
        self.insert1({**key, "y": 1 if is_first else 2})
        if is_first:
            cut.append(True)

    table = declare(make=make)
    table.jobs.refresh()
    (table.jobs & "id <> 1").delete()
    cut: list[bool] = []
    session = connection.session()
    kind = type(session)
    execute = kind.execute

    def meanwhile() -> None:
        with connection.clone() as own:
            other = table()
            other._connection = own
            take_back(other.jobs)
            other.populate({"id": 1}, reserve_jobs=who == "a worker", refresh=False)
            if who != "a worker":
                assert other.jobs.refresh({"id": 1})["removed"] == 1

    def execute_and_cut(self: Any, text: str, params: Any) -> Any:
        if text == "COMMIT" and cut and self is session:
            cut.clear()
            self.close()
            with ThreadPoolExecutor(1) as pool:
                pool.submit(meanwhile).result()
            raise LostConnectionError("cut")
        return execute(self, text, params)

    monkeypatch.setattr(kind, "execute", execute_and_cut)
    events: list[Event] = []
    outcomes = list(reserved(table(), Options(refresh=False), Events(events.append)))
    assert [o.result for o in outcomes] == ["lost"]
    assert "fenced" in [e.kind for e in events]
    assert table.fetch1("y") == 2


def test_a_removal_is_known_however_long_the_question_takes(result: Any, connection: Connection) -> None:
    jobs = result.jobs
    jobs.refresh()
    before = time.monotonic()
    with connection.clone() as other, ThreadPoolExecutor(1) as pool:
        control.note_removal(jobs_on(other, result))
        place = f"`{jobs.table_id[0]}`.`~job_control`"
        if connection.settings.backend == "mysql":
            other.query(f"LOCK TABLES {place} WRITE")
        else:
            other.start_transaction()
            other.query(f"LOCK TABLE {place.replace('`', chr(34))}")
        asked = time.monotonic()
        answer = pool.submit(control.was_any_removed, jobs, before)
        while time.monotonic() - asked < 0.5 + 2 * (asked - before):
            continue
        if connection.settings.backend == "mysql":
            other.query("UNLOCK TABLES")
        else:
            other.commit_transaction()
        assert answer.result(30)
    while control.was_any_removed(jobs, time.monotonic()):
        continue  # a moment comes out too early by as long as the answer takes


def test_what_is_kept_of_a_job_that_was_taken_back_goes_after_a_lease(
    result: Any, connection: Connection
) -> None:
    jobs = result.jobs
    jobs.refresh({"id": 1})
    assert len(claims.claim(jobs, Worker("w", "h", 1), 1)) == 1
    assert jobs.release("w") == 1
    assert result.populate({"id": 1}, reserve_jobs=True)["success"] == 1
    assert states(result) == {"success": 1}
    connection.clock_offset_s = 61.0
    jobs.refresh({"id": 1})
    assert len(jobs) == 0


def test_a_row_of_another_program_ends_the_job(declare: Any, connection: Connection) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        with connection.clone() as other:
            FreeTable.at(other, *table.table_id).insert1({**key, "y": 7}, allow_direct_insert=True)
        self.insert1(key)

    table = declare(make=make)
    done = table.populate(reserve_jobs=True)
    assert (done["success"], done["skip"], done["error"]) == (0, 6, 0)
    assert set(table.to_arrays("y").tolist()) == {7}
    assert len(table.jobs) == 0


def test_a_stopped_worker_does_not_keep_its_inputs_locked(
    result: Any, source: Any, start: Any, connection: Connection
) -> None:
    """With `jobs.verify = "lock"`, a session of its own holds them."""
    sleeper = start(
        "x = (Source & key).fetch1('x')\nyield (x,)\nprint(key['id'], flush=True); sys.stdin.readline()\n"
        "yield\nself.insert1({**key, 'y': -1})",
        then="from dj_jobs.options import Options; from dj_jobs.populate import reserved\n"
        "from dj_jobs.events import Events\n"
        "only = Options(restrictions=({'id': 1},))\n"
        "print([str(o.result) for o in reserved(Result(), only, Events())], flush=True)",
        DJ_JOBS_VERIFY="lock",
    )
    assert int(sleeper.stdout.readline()) == 1
    free = f"SELECT id FROM {source().full_table_name} WHERE id = 1 FOR UPDATE SKIP LOCKED"
    assert connection.query(free).fetchall() == []
    os.kill(sleeper.pid, signal.SIGSTOP)
    connection.clock_offset_s = 61.0
    assert rescue(result.jobs) == 1
    connection.clock_offset_s = 0.0
    with connection.clone() as other:
        if connection.settings.backend == "mysql":
            other.query("SET innodb_lock_wait_timeout = 20")
        else:
            other.query("SET lock_timeout = '20s'")
        elsewhere = source()
        elsewhere._connection = other
        elsewhere.update1({"id": 1, "x": 5})
    (mine,) = claims.claim(result.jobs & {"id": 1}, Worker.of_this_process(), 1)
    os.kill(sleeper.pid, signal.SIGCONT)
    out, _ = sleeper.communicate("go on\n", timeout=60)
    assert out.strip() == "['lost']"
    assert len(result) == 0
    assert (result.jobs & {"id": 1}).fetch1("_token") == mine.token


@pytest.mark.parametrize(
    ("how", "holds"), [("cancel", "its inputs"), ("release", "its inputs"), ("release", "its row")]
)
def test_what_a_stopped_worker_has_locked_is_free_when_its_jobs_are_taken_from_it(
    result: Any, source: Any, start: Any, connection: Connection, how: str, holds: str
) -> None:
    """By an operator, before its lease is over."""
    locked = "x = (Source & key).fetch1('x')\nyield (x,)\n"
    row = "self.insert1({**key, 'y': -1})\n"
    tell = "print(key['id'], flush=True); sys.stdin.readline()\n"
    sleeper = start(
        f"{locked}{tell}yield\n{row}" if holds == "its inputs" else f"{row}{tell}",
        then="print(Result.populate({'id': 1}, reserve_jobs=True, refresh=True)['success'], flush=True)",
        DJ_JOBS_VERIFY="lock",
    )
    assert int(sleeper.stdout.readline()) == 1
    os.kill(sleeper.pid, signal.SIGSTOP)
    if how == "cancel":
        assert result.jobs.cancel({"id": 1}) == 1
    else:
        release(result.jobs)
    with connection.clone() as other:
        if connection.settings.backend == "mysql":
            other.query("SET innodb_lock_wait_timeout = 20")
        else:
            other.query("SET lock_timeout = '20s'")
        elsewhere = source()
        elsewhere._connection = other
        elsewhere.update1({"id": 1, "x": 5})
        if how == "release":
            mine = result()
            mine._connection = other
            assert mine.populate({"id": 1}, reserve_jobs=True)["success"] == 1
    os.kill(sleeper.pid, signal.SIGCONT)
    out, _ = sleeper.communicate("go on\n", timeout=60)
    assert out.strip() == "0"
    assert result.to_arrays("y").tolist() == ([6] if how == "release" else [])


def test_a_stopped_worker_that_continues_writes_nothing(
    result: Any, start: Any, connection: Connection, server: ServerUnderTest
) -> None:
    sleeper = start(
        "self.insert1({**key, 'y': -1}); print(key['id'], flush=True); sys.stdin.readline()",
        then="from dj_jobs.options import Options; from dj_jobs.populate import reserved\n"
        "from dj_jobs.events import Events\n"
        "only = Options(restrictions=({'id': 1},))\n"
        "print([str(o.result) for o in reserved(Result(), only, Events())], flush=True)",
    )
    assert int(sleeper.stdout.readline()) == 1
    os.kill(sleeper.pid, signal.SIGSTOP)
    jobs = result.jobs
    assert expire_and_rescue(connection, jobs) == 1
    (mine,) = claims.claim(jobs & {"id": 1}, Worker.of_this_process(), 1)
    os.kill(sleeper.pid, signal.SIGCONT)
    out, _ = sleeper.communicate("go on\n", timeout=60)
    assert out.strip() == "['lost']"
    assert len(result) == 0
    assert (jobs & {"id": 1}).fetch1("_token") == mine.token
