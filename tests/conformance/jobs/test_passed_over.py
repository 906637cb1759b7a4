"""A make that passes over errors of the database: what it is run again for, and what it never undoes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dj_schema import errors
from tests.conformance.jobs.test_bad_make import BOTH, is_duplicate, states
from tests.conformance.jobs.test_interruptions import spin, until
from tests.support.sessions import end, is_waiting_for_row


@BOTH
def test_a_make_that_is_run_again_has_no_more_time_than_any(declare: Any, reserve_jobs: bool) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        self.insert1(key)
        assert is_duplicate(self, key)
        if len(calls) == 2 or self.connection.dialect.name != "postgresql":
            spin()

    table = declare(make=make)
    [(_, message)] = table.populate(
        {"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True, timeout_s=1.0
    )["error_list"]
    assert "JobTimeoutError" in message
    assert len(table) == 0


@BOTH
def test_a_make_whose_first_run_had_no_row_ends_as_its_second(declare: Any, reserve_jobs: bool) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        with contextlib.suppress(errors.DataJointError):
            self.connection.query("SELECT * FROM no_such_table_here")
        with contextlib.suppress(errors.DataJointError):
            n = len(self & key)  # refused where the whole transaction has failed
            self.insert1({**key, "y": n})

    table = declare(make=make)
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6
    assert len(table) == 6
    if reserve_jobs:
        assert states(table) == {}


@BOTH
def test_what_is_raised_without_a_trace_of_the_error_passed_over_is_run_again_too(
    declare: Any, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        assert is_duplicate(self, key)
        n = None
        with contextlib.suppress(errors.DataJointError):
            n = len(self & key)
        if n is None:
            raise ValueError("nothing can be read")

    table = declare(make=make)
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6


@BOTH
def test_the_stack_of_a_make_that_was_run_again_is_that_of_its_last_run(
    declare: Any, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        with contextlib.suppress(errors.DuplicateError):
            self.insert1(key)
        len(self & key)
        raise KeyError("its own")

    table = declare(make=make)
    with pytest.raises(KeyError, match="its own") as caught:
        table.populate({"id": 1}, reserve_jobs=reserve_jobs)
    assert caught.value.__context__ is None
    if reserve_jobs:
        assert "FailedTransactionError" not in table.jobs.errors.fetch1("error_stack")


def test_populate_in_the_handler_of_an_error_blames_no_make_for_it(declare: Any, connection: Any) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        raise ValueError("its own")

    table = declare(make=make)
    try:
        raise errors.FailedTransactionError("another's")
    except errors.FailedTransactionError:
        done = table.populate(reserve_jobs=True, suppress_errors=True)
    assert done["error"] == 6
    assert sorted(set(calls)) == list(range(6))


@BOTH
def test_a_make_that_passes_over_the_loss_of_its_connection_writes_nothing_on_its_own(
    declare: Any, connection: Any, dj: Any, reserve_jobs: bool
) -> None:
    """Each part in a block of its own, and what fails is passed over."""

    class Part(dj.Part):  # type: ignore[name-defined,misc]
        definition = """
        -> master
        n : int32
        """

    seen: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        for n in range(5):
            with contextlib.suppress(errors.LostConnectionError), connection.transaction:
                if n == 1 and not seen:
                    end(other, connection.connection_id)
                    seen.append(n)
                self.Part.insert1({**key, "n": n})
        if seen == [1]:
            seen.append(2)
            assert len(seen_by(other, self)) == 0

    def seen_by(other: Any, table: Any) -> Any:
        return other.query(f"SELECT * FROM {table.Part.full_table_name}")

    table = declare(make=make, Part=Part)
    with connection.clone() as other:
        done = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)
        if reserve_jobs and not done["success"]:
            table.populate({"id": 1}, reserve_jobs=True)
    assert len(table.Part) == 5


@BOTH
@pytest.mark.parametrize("is_generator", [False, True], ids=["one part", "generator"])
@pytest.mark.parametrize("then", ["another statement", "nothing", "an error of its own"])
def test_a_make_that_passes_over_a_deadlock_is_run_again(
    declare: Any, connection: Any, source: Any, reserve_jobs: bool, then: str, is_generator: bool
) -> None:
    """Nothing of it can be kept, and that is no failure of its key."""
    calls: list[int] = []

    def insert(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if len(calls) == 1:
            lose()
            if then == "nothing":
                return
            if then == "an error of its own":
                raise ValueError("no row came")
        self.insert1(key)

    def steps(self: Any, key: dict[str, Any]) -> Any:
        yield 0
        yield 0
        insert(self, key)

    table = declare(make=steps if is_generator else insert)
    with losing(connection, source) as lose, connection.config.override(jobs={"group_commit_s": 0}):
        found = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)
    assert (found["success"], found["error_list"]) == (1, [])
    assert len(table) == 1


@BOTH
@pytest.mark.parametrize("form", ["one part", "three parts"])
def test_what_a_make_raises_for_a_fault_is_a_fault_too(
    declare: Any, connection: Any, reserve_jobs: bool, form: str
) -> None:
    """As in ``raise AnalysisError from lost``, and in a handler without that."""
    calls: list[int] = []

    def work(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        try:
            if len(calls) <= 2:
                end(other, connection.connection_id)
            connection.query("SELECT 1")
        except errors.LostConnectionError as e:
            raise ValueError("no analysis") from (e if len(calls) == 1 else None)

    def make(self: Any, key: dict[str, Any]) -> None:
        work(self, key)
        self.insert1(key)

    parts = {
        "make_fetch": lambda self, key: 0,
        "make_compute": lambda self, key, x: 0,
        "make_insert": lambda self, key, x: make(self, key),
    }
    table = declare(**({"make": make} if form == "one part" else parts))
    with connection.clone() as other, connection.config.override(jobs={"group_commit_s": 0}):
        done = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)
    assert (done["success"], done["error_list"]) == (1, [])
    assert len(calls) == 3


@BOTH
def test_an_error_of_a_make_that_has_passed_over_a_lost_connection_is_none_of_its_key(
    declare: Any, connection: Any, reserve_jobs: bool
) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if len(calls) == 1:
            end(other, connection.connection_id)
            with contextlib.suppress(errors.LostConnectionError):
                connection.query("SELECT 1")
            raise ValueError("nothing came")
        self.insert1(key)

    table = declare(make=make)
    with connection.clone() as other, connection.config.override(jobs={"group_commit_s": 0}):
        done = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)
    assert (done["success"], done["error_list"]) == (1, [])


@BOTH
def test_a_make_whose_time_is_over_is_not_run_again_for_what_its_end_asks_a_lost_session(
    declare: Any, connection: Any, reserve_jobs: bool
) -> None:
    calls: list[int] = []
    is_mysql = connection.settings.backend == "mysql"

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        try:
            connection.query("SELECT SLEEP(300)" if is_mysql else "SELECT pg_sleep(300)")
        finally:
            connection.query("SELECT 1")

    table = declare(make=make)
    [(_, message)] = table.populate(
        {"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True, timeout_s=0.5
    )["error_list"]
    assert "JobTimeoutError" in message
    assert calls == [1]


def test_a_fault_that_was_being_handled_when_populate_was_called_makes_none_of_an_error(
    declare: Any, connection: Any
) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        raise ValueError("its own")

    table = declare(make=make)
    for reserve_jobs in (False, True):
        try:
            raise errors.LostConnectionError("another's")
        except errors.LostConnectionError:
            done = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)
        assert len(done["error_list"]) == 1
    assert calls == [1, 1]


@BOTH
def test_an_error_of_this_package_that_is_raised_for_what_could_not_be_read_is_run_again_too(
    declare: Any, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        assert is_duplicate(self, key)
        n = None
        with contextlib.suppress(errors.DataJointError):
            n = len(self & key)
        if n is None:
            raise errors.MakeError("nothing can be read")

    table = declare(make=make)
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6


@BOTH
@pytest.mark.parametrize("verify", ["fingerprint", "lock"])
@pytest.mark.parametrize("is_generator", [False, True], ids=["three parts", "generator"])
@pytest.mark.parametrize("then", ["a read", "nothing"])
def test_what_is_fetched_may_pass_over_an_error_too(
    declare: Any, source: Any, connection: Any, reserve_jobs: bool, verify: str, is_generator: bool, then: str
) -> None:
    """Also where it is fetched again, in the transaction of the insert."""

    def fetch(key: dict[str, Any]) -> int:
        x = (source & key).fetch1("x")
        with contextlib.suppress(errors.MissingTableError):
            connection.query(f"SELECT y FROM {source.database}.no_such_table")
        return int((source & key).fetch1("x")) if then == "a read" else int(x)

    def steps(self: Any, key: dict[str, Any]) -> Any:
        x = fetch(key)
        yield x
        yield
        self.insert1({**key, "y": x})

    parts = {
        "make_fetch": lambda self, key: fetch(key),
        "make_compute": lambda self, key, x: x,
        "make_insert": lambda self, key, x: self.insert1({**key, "y": x}),
    }
    table = declare(**({"make": steps} if is_generator else parts))
    with connection.config.override(jobs={"verify": verify}):
        done = table.populate(reserve_jobs=reserve_jobs, suppress_errors=True)
    assert (done["success"], done["error_list"]) == (6, [])
    assert table.to_arrays("y", order_by="id").tolist() == [0, 10, 20, 30, 40, 50]


@BOTH
@pytest.mark.parametrize("form", ["one part", "generator"])
@pytest.mark.parametrize("statement", ["SET no_such_variable = 1", "SET TRANSACTION ISOLATION LEVEL NONE"])
def test_a_setting_that_is_refused_may_be_passed_over_or_is_told_as_what_it_is(
    declare: Any, connection: Any, reserve_jobs: bool, form: str, statement: str
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        with contextlib.suppress(errors.DataJointError):
            connection.query(statement)

    def steps(self: Any, key: dict[str, Any]) -> Any:
        yield 0
        yield
        make(self, key)

    table = declare(make=make if form == "one part" else steps)
    done = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)
    if "TRANSACTION" in statement and connection.dialect.name == "postgresql":  # has no savepoint before it
        [(_, message)] = done["error_list"]
        assert "FailedTransactionError" in message
        assert len(table) == 0
    else:
        assert (done["success"], done["error_list"]) == (1, [])


@BOTH
@pytest.mark.parametrize("where", ["in the block", "at its end"])
def test_a_deadlock_that_is_passed_over_in_a_block_is_no_failure_of_the_key(
    declare: Any, connection: Any, source: Any, reserve_jobs: bool, where: str
) -> None:
    """What was passed over is told by the block, and by any statement in it, as the deadlock that it was."""
    calls: list[int] = []

    def insert(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        with connection.transaction:
            if len(calls) == 1:
                lose()
                if where == "in the block":
                    len(self & key)
        self.insert1(key)

    table = declare(make=insert)
    with losing(connection, source) as lose, connection.config.override(jobs={"group_commit_s": 0}):
        found = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)
    assert (found["success"], found["error_list"]) == (1, [])
    assert len(table) == 1


@BOTH
@pytest.mark.parametrize("is_passed_over", [False, True], ids=["raised", "passed over"])
def test_a_make_whose_inputs_are_altered_after_its_snapshot_is_run_again(
    declare: Any, connection: Any, new_schema: Any, dj: Any, reserve_jobs: bool, is_passed_over: bool
) -> None:
    """MySQL and MariaDB cannot read a table as it was before; PostgreSQL reads it as it is."""

    class Setting(dj.Manual):  # type: ignore[name-defined,misc]
        definition = "k : int32"

    setting = new_schema()(Setting)
    setting.insert1([7])
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        assert len(self & key) == 0  # the snapshot
        if len(calls) == 1:
            algorithm = ", ALGORITHM=COPY" if connection.settings.backend == "mysql" else ""
            other.query(f"ALTER TABLE {setting.full_table_name} ADD COLUMN n integer{algorithm}")
        with contextlib.suppress(errors.QueryError) if is_passed_over else contextlib.nullcontext():
            assert setting.to_arrays("k").tolist() == [7]
        self.insert1(key)

    table = declare(make=make)
    with connection.clone() as other:
        done = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)
    assert (done["success"], done["error_list"]) == (1, [])
    assert len(calls) == (2 if connection.settings.backend == "mysql" else 1)


@BOTH
def test_a_block_after_an_error_that_was_passed_over_undoes_nothing_that_was_before_it(
    declare: Any, connection: Any, reserve_jobs: bool
) -> None:
    """PostgreSQL refuses its savepoint, and one of that name is there: of the block before it."""

    def make(self: Any, key: dict[str, Any]) -> None:
        with contextlib.suppress(KeyError), connection.transaction:
            self.insert1({**key, "y": 1})
            raise KeyError
        self.insert1({**key, "y": 2})
        assert is_duplicate(self, key)
        with contextlib.suppress(KeyError, errors.TransactionError), connection.transaction:
            self.update1({**key, "y": 3})
            raise KeyError

    table = declare(make=make)
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6
    assert table.to_arrays("y").tolist() == [2] * 6


@contextlib.contextmanager
def losing(connection: Any, source: Any) -> Iterator[Callable[[], None]]:
    """Yield what has the connection lose to a deadlock once, and passes over that."""
    update = f"UPDATE {source.full_table_name} SET x = x + 1 WHERE id"
    has_rows, may_wait = threading.Event(), threading.Event()

    def other_one(other: Any) -> None:
        with contextlib.suppress(errors.DeadlockError), other.transaction:
            for i in (0, 2, 3, 4, 5):  # many rows: the one that has few is to lose
                other.query(f"{update} = %s", [i])
            has_rows.set()
            assert may_wait.wait(30)
            other.query(f"{update} = %s", [1])

    def lose() -> None:
        connection.query(f"{update} = %s", [1])
        may_wait.set()
        until(lambda: is_waiting_for_row(observer, other.session_id))
        with contextlib.suppress(errors.DeadlockError):
            connection.query(f"{update} = %s", [2])
            raise AssertionError("there was no deadlock")

    with connection.clone() as other, connection.clone() as observer, ThreadPoolExecutor(1) as pool:
        if connection.dialect.name == "postgresql":
            other.query("SET deadlock_timeout = '1h'")  # whoever looks is the one who loses
        done = pool.submit(other_one, other)
        assert has_rows.wait(30)
        yield lose
        done.result(30)
