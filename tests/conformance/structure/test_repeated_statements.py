"""Statements that come again and again: parsed by the server once where it can, and right all the same."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.errors import DuplicateError, QueryError
from dj_schema.transaction import transaction
from tests.conformance.jobs.test_hardening import StopNowError
from tests.conformance.jobs.test_interruptions import until
from tests.conformance.structure.tables import table_class
from tests.support.sessions import is_running

NewSchema = Callable[..., Schema]


@pytest.fixture
def other(connection: Connection) -> Iterator[Connection]:
    with connection.clone() as clone:
        yield clone


@pytest.fixture
def item(new_schema: NewSchema, dj: ModuleType) -> Any:
    table = new_schema()(table_class(dj, "Item", "k : int64\n---\nx = null : int32"))
    table.insert([{"k": k, "x": k} for k in range(10)])
    return table


def retype(connection: Connection, table: Any) -> None:
    """Give a column another type, as someone else on the server does."""
    verb = "ALTER COLUMN x TYPE" if connection.dialect.name == "postgresql" else "MODIFY x"
    connection.query(f"ALTER TABLE {table().full_table_name} {verb} double precision")


def test_a_text_that_repeats_is_prepared_once(connection: Connection, item: Any) -> None:
    assert [(item & {"k": k % 10}).fetch1("x") for k in range(20)] == [k % 10 for k in range(20)]
    if connection.dialect.name == "postgresql":
        found = connection.query(
            "SELECT statement FROM pg_prepared_statements WHERE statement LIKE %s", ("%x%",)
        )
        assert len(found) == 1
        assert "$1" in found[0][0]


def test_values_of_other_types_may_follow_in_the_same_text(connection: Connection, item: Any) -> None:
    values = [1, 2, 3, 4, 40_000, 2**40, -1]
    assert [connection.query("SELECT %s + 0", (v,))[0][0] for v in values] == values
    item.update1({"k": 1, "x": None})
    assert [(item & {"k": k}).fetch1("x") for k in (0, 1, 0, 1, 0, 1)] == [0, None, 0, None, 0, None]


def test_percent_signs_of_a_repeated_text_stay(connection: Connection) -> None:
    for n in range(6):
        assert connection.query("SELECT '100%%s', %s", (n,)) == [("100%s", n)]


def test_names_of_columns_are_those_of_a_repeated_statement(connection: Connection, item: Any) -> None:
    for n in range(6):
        found = connection.query("SELECT %s AS number", (n,), as_dict=True)
        assert found == [{"number": n}]


def test_an_error_of_a_repeated_statement_is_ours(connection: Connection, item: Any) -> None:
    for n in range(10, 16):
        item.insert1({"k": n, "x": 0})
    with pytest.raises(DuplicateError):
        item.insert1({"k": 10, "x": 0})
    item.insert1({"k": 16, "x": 0})
    assert len(item()) == 17


def test_a_repeated_statement_takes_a_table_that_someone_else_changed(
    connection: Connection, other: Connection, item: Any
) -> None:
    assert [(item & {"k": 3}).fetch1("x") for _ in range(6)] == [3] * 6
    retype(other, item)
    assert [(item & {"k": 3}).fetch1("x") for _ in range(6)] == [3] * 6


def test_in_a_transaction_such_a_change_fails_once_and_is_forgotten(
    connection: Connection, other: Connection, item: Any
) -> None:
    assert [(item & {"k": 3}).fetch1("x") for _ in range(6)] == [3] * 6
    retype(other, item)
    try:
        with connection.transaction:
            assert (item & {"k": 3}).fetch1("x") == 3
    except QueryError:
        assert connection.dialect.name == "postgresql"
    with connection.transaction:
        assert [(item & {"k": 3}).fetch1("x") for _ in range(6)] == [3] * 6


def test_a_repeated_statement_that_fails_in_a_savepoint_undoes_that_alone(
    connection: Connection, item: Any
) -> None:
    with connection.transaction:
        for n in range(10, 16):
            with transaction(connection):
                item.insert1({"k": n, "x": 0})
        with pytest.raises(DuplicateError), transaction(connection):
            item.insert1({"k": 15, "x": 1})
        with transaction(connection):
            item.insert1({"k": 16, "x": 0})
    assert len(item()) == 17
    assert (item & {"k": 15}).fetch1("x") == 0


def test_a_table_changed_by_someone_else_fails_one_transaction_at_most(
    connection: Connection, other: Connection, item: Any
) -> None:
    def fetched() -> list[Any]:
        with connection.transaction:
            found = []
            for _ in range(6):
                with transaction(connection):
                    found.append((item & {"k": 3}).fetch1("x"))
            return found

    assert fetched() == [3] * 6
    retype(other, item)
    with suppress(QueryError):  # where the server keeps the plan, it finds the columns changed
        fetched()
    assert fetched() == [3] * 6


@pytest.mark.parametrize("n_before", [0, 5], ids=["first", "repeated"])
def test_an_interruption_of_what_was_sent_with_a_savepoint_goes_on(
    connection: Connection, other: Connection, n_before: int
) -> None:
    is_mysql = connection.settings.backend == "mysql"
    take = "SELECT GET_LOCK(%s, 60)" if is_mysql else "SELECT pg_advisory_xact_lock(hashtext(%s))"
    held = uuid4().hex

    def stop(number: int, frame: Any) -> None:
        raise StopNowError

    def interrupt(session: int) -> None:
        with connection.clone() as watching:
            until(lambda: is_running(watching, session))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)

    def take_all(names: list[str]) -> None:
        with connection.transaction:
            for name in names:
                if name == held:
                    interrupted.append(pool.submit(interrupt, connection.session_id))
                with transaction(connection):
                    connection.query(take, [name])

    interrupted: list[Future[None]] = []
    before = signal.signal(signal.SIGUSR2, stop)
    try:
        with ThreadPoolExecutor(1) as pool, other.transaction:
            other.query(take, [held])
            with pytest.raises(StopNowError):
                take_all([*(uuid4().hex for _ in range(n_before)), held])
            assert [future.result() for future in interrupted] == [None]
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert connection.query("SELECT 1") == [(1,)]
