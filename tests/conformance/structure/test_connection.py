"""A connection: what it does when it breaks, when it is forked, and when threads share it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import secrets
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

from dj_query.schema import Schema
from dj_schema.connection import Connection
from dj_schema.errors import (
    AccessError,
    ArgumentTypeError,
    ConfigError,
    ConnectionRefusedByServerError,
    DataError,
    DataJointError,
    DeadlockError,
    DuplicateError,
    IntegrityError,
    LockTimeoutError,
    LostConnectionError,
    MissingAttributeError,
    MissingTableError,
    QueryError,
    QuerySyntaxError,
    TransactionError,
    UnknownAttributeError,
)
from dj_schema.server_address import connection_settings
from dj_schema.settings import Config
from tests.conformance.structure.tables import table_class
from tests.conftest import make_connection
from tests.support.servers import ServerUnderTest
from tests.support.sessions import end

NewSchema = Callable[..., Schema]


@pytest.fixture
def other(connection: Connection) -> Any:
    with connection.clone() as clone:
        yield clone


@pytest.fixture
def table(new_schema: NewSchema, dj: ModuleType) -> Any:
    return new_schema()(table_class(dj, "Item", "k : int32\n---\nx = null : int8"))


# -- a session that breaks -------------------------------------------------------------------------------


def test_a_read_is_repeated_on_a_new_session(connection: Connection, other: Connection, table: Any) -> None:
    table.insert([{"k": 1}, {"k": 2}])
    before = connection.connection_id
    for read in (
        lambda: len(table()),
        lambda: table.to_dicts()[1]["k"],
        lambda: connection.query("SELECT 2")[0][0],
    ):
        end(other, connection.connection_id)
        assert read() == 2
    assert connection.connection_id != before
    assert connection.connection_id == _own_number(connection)


def _own_number(connection: Connection) -> int:
    text = "SELECT pg_backend_pid()" if connection.dialect.name == "postgresql" else "SELECT CONNECTION_ID()"
    return int(connection.query(text)[0][0])


@pytest.mark.rule("errors", "LostConnectionError")
def test_a_write_is_not_repeated_and_the_next_one_works(
    connection: Connection, other: Connection, table: Any
) -> None:
    end(other, connection.connection_id)
    with pytest.raises(LostConnectionError, match="not known"):
        table.insert1({"k": 1})
    table.insert1({"k": 2})
    assert [r["k"] for r in table.to_dicts()] == [2]


def test_a_transaction_begins_on_a_new_session(connection: Connection, other: Connection, table: Any) -> None:
    end(other, connection.connection_id)
    with connection.transaction:
        table.insert1({"k": 1})
    assert len(table()) == 1


def test_without_reconnect_a_lost_connection_stays_lost(
    connection: Connection, other: Connection, config: Config
) -> None:
    from dataclasses import replace

    with Connection(replace(connection.settings, reconnect=False), config) as strict:
        strict.ping()
        end(other, strict.connection_id)
        for _ in range(2):
            with pytest.raises(LostConnectionError):
                strict.query("SELECT 1")
        strict.connect()
        assert strict.query("SELECT 1") == [(1,)]


def test_a_query_says_itself_whether_it_reconnects(
    connection: Connection, other: Connection, config: Config
) -> None:
    from dataclasses import replace

    with Connection(replace(connection.settings, reconnect=False), config) as strict:
        strict.ping()
        end(other, strict.connection_id)
        assert strict.query("SELECT 1", reconnect=True).fetchall() == [(1,)]
    connection.ping()
    end(other, connection.connection_id)
    for _ in range(2):
        with pytest.raises(LostConnectionError):
            connection.query("SELECT 1", reconnect=False)
    assert connection.query("SELECT 1").fetchone() == (1,)


def test_a_transaction_is_lost_as_a_whole(connection: Connection, other: Connection, table: Any) -> None:
    def lose_it() -> None:
        with connection.transaction:
            table.insert1({"k": 1})
            end(other, connection.connection_id)
            table.insert1({"k": 2})

    with pytest.raises(LostConnectionError, match="whole of it again"):
        lose_it()
    assert not connection.in_transaction
    with ThreadPoolExecutor(1) as pool:  # the next thread has its turn
        pool.submit(table.insert1, {"k": 3}).result(timeout=30)
    with connection.transaction:
        table.insert1({"k": 4})
    assert sorted(r["k"] for r in table.to_dicts()) == [3, 4]


def test_nothing_of_a_block_runs_on_its_own_after_a_loss(
    connection: Connection, other: Connection, table: Any
) -> None:
    def pass_over_the_loss() -> None:
        with connection.transaction:
            end(other, connection.connection_id)
            for k in (1, 2, 3):
                with pytest.raises(LostConnectionError):
                    table.insert1({"k": k})
            with pytest.raises(LostConnectionError):
                len(table())

    with pytest.raises(LostConnectionError, match="nothing of it was kept"):
        pass_over_the_loss()
    assert len(table()) == 0
    table.insert1({"k": 1})


def test_a_block_inside_of_one_that_was_lost_is_refused_however_often(
    connection: Connection, other: Connection, table: Any
) -> None:
    def pass_over_each() -> None:
        with connection.transaction:
            end(other, connection.connection_id)
            for k in range(4):
                with pytest.raises(LostConnectionError), connection.transaction:
                    table.insert1({"k": k})

    with pytest.raises(LostConnectionError, match="nothing of it was kept"):
        pass_over_each()
    assert len(table()) == 0
    table.insert1({"k": 1})


def test_sql_that_the_server_would_commit_for_is_refused_in_a_transaction(
    connection: Connection, table: Any
) -> None:
    create = f"/* a note */ create table {table.database}.raw_one (k int)"

    def insert_and_create() -> None:
        with connection.transaction:
            table.insert1({"k": 1})
            connection.query(create)
            raise RuntimeError("undo")

    is_kept = connection.dialect.flags.has_transactional_ddl
    with pytest.raises(RuntimeError if is_kept else TransactionError, match="undo|inside a transaction"):
        insert_and_create()
    assert len(table()) == 0
    with connection.transaction:
        connection.query("CREATE TEMPORARY TABLE raw_two (k int)" if is_kept else "SELECT 1")
        table.insert1({"k": 2})
    connection.query(create)
    assert len(table()) == 1


def test_a_transaction_by_hand_ends_with_its_session(
    connection: Connection, other: Connection, table: Any
) -> None:
    connection.start_transaction()
    table.insert1({"k": 1})
    end(other, connection.connection_id)
    with pytest.raises(LostConnectionError):
        connection.commit_transaction()
    assert not connection.in_transaction
    with pytest.raises(TransactionError, match="no transaction is open"):
        connection.cancel_transaction()
    assert len(table()) == 0


def test_a_stream_that_breaks_is_an_error_and_not_an_end(
    connection: Connection, other: Connection, table: Any
) -> None:
    table.insert([{"k": k} for k in range(100)])
    quote = connection.dialect.quote
    name = f"{quote}{table().database}{quote}.{quote}item{quote}"
    if connection.dialect.name != "postgresql":
        pytest.skip("these servers stream on a session that is not to be seen from outside")
    batches = connection.stream_text(f"SELECT k FROM {name}", (), 10)
    assert len(next(batches)) == 10
    end(other, connection.connection_id)
    with pytest.raises(LostConnectionError):
        list(batches)
    assert len(table()) == 100


# -- closing ---------------------------------------------------------------------------------------------


@pytest.mark.rule("errors", "LostConnectionError")
def test_a_closed_connection_says_so_and_opens_again(connection: Connection) -> None:
    connection.ping()
    assert connection.is_connected
    assert "connected" in repr(connection)
    connection.close()
    connection.close()
    assert not connection.is_connected
    assert "closed" in repr(connection)
    with pytest.raises(LostConnectionError, match="was closed"):
        connection.query("SELECT 1")
    assert connection.connect().query("SELECT 1") == [(1,)]


def test_a_connection_closed_by_another_thread_ends_the_transaction(
    connection: Connection, table: Any
) -> None:
    def close_meanwhile() -> None:
        with connection.transaction:
            table.insert1({"k": 1})
            with ThreadPoolExecutor(1) as pool:
                pool.submit(connection.close).result(timeout=30)
            table.insert1({"k": 2})

    with pytest.raises(LostConnectionError):
        close_meanwhile()
    connection.connect()
    assert len(table()) == 0


def test_the_default_connection_is_made_anew(dj: ModuleType, connection: Connection) -> None:
    first = dj.conn()
    assert first is connection
    second = dj.conn(reset=True)
    assert second is not first
    assert dj.conn() is second
    assert not first.is_connected
    assert second.query("SELECT 1") == [(1,)]


def test_the_default_connection_opens_again_after_it_was_closed(dj: ModuleType) -> None:
    opened = dj.conn()
    opened.close()
    assert dj.conn() is opened
    assert opened.is_connected
    opened.close()
    assert isinstance(dj.list_schemas(), list)


def test_a_block_that_names_another_server_is_connected_to_that_one(
    dj: ModuleType, server: ServerUnderTest, new_schema_name: Callable[[], str]
) -> None:
    default = dj.conn()
    nowhere = dj.config.override(database={"host": "nowhere.invalid"})
    with nowhere, pytest.raises(ConnectionRefusedByServerError, match="nowhere.invalid"):
        dj.conn()
    with dj.config.override(safemode=True, database={"reconnect": False}):
        assert dj.conn() is default
    given = server.settings["host"]
    host = "localhost" if given == "127.0.0.1" else given  # the same server by another name, where it has one
    with dj.config.override(database={"host": host}):
        other = dj.conn()
        assert dj.conn() is other
        assert other is not default or host == given
        assert other.query("SELECT 1") == [(1,)]
        assert dj.Schema(new_schema_name()).connection is other
        assert dj.conn(reset=True) is not other
    assert dj.conn() is default


def test_certificates_are_read_by_a_connection_that_verifies_the_server_alone(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading those of the system takes longer than all else that opens a connection."""

    def read(*_: Any) -> None:
        raise OSError("certificates were read")

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", read)
    with connection.clone() as other:
        assert other.query("SELECT 1").fetchall() == [(1,)]
        if connection.dialect.name == "mysql":
            [(_, offered)] = other.query("SHOW VARIABLES LIKE 'have_ssl'").fetchall() or [("", "YES")]
            [(_, cipher)] = other.query("SHOW STATUS LIKE 'Ssl_cipher'").fetchall()
            assert bool(cipher) == (offered == "YES"), "encrypted where the server offers that"


def test_a_connection_is_a_context_manager(dj: ModuleType, server: ServerUnderTest) -> None:
    s = server.settings
    options = {"backend": s["backend"], "database_name": s["database_name"] or None}
    with dj.Connection(s["host"], s["user"], s["password"], s["port"], **options) as opened:
        assert opened.query("SELECT 1 AS one, 2 AS two", as_dict=True) == [{"one": 1, "two": 2}]
        assert (opened.host, opened.port, opened.user) == (s["host"], s["port"], s["user"])
    assert not opened.is_connected


def test_settings_of_a_block_name_the_server(dj: ModuleType, server: ServerUnderTest) -> None:
    dj.config["database.host"] = "nowhere.invalid"
    with dj.config.override({"database.host": server.settings["host"]}), dj.Connection() as opened:
        assert opened.query("SELECT 1") == [(1,)]
    with pytest.raises(ConnectionRefusedByServerError, match="nowhere.invalid"):
        dj.Connection().connect()


def test_a_pickled_connection_is_another_session(dj: ModuleType, connection: Connection) -> None:
    for original in (lambda: connection, lambda: dj.conn(reset=True)):
        opened = original()
        with pickle.loads(pickle.dumps(opened)) as copied:
            assert copied.connection_id != opened.connection_id
            assert copied.query("SELECT 1") == [(1,)]


# -- transactions ----------------------------------------------------------------------------------------


def test_a_block_that_raises_is_undone(connection: Connection, table: Any) -> None:
    def fail() -> None:
        with connection.transaction:
            table.insert1({"k": 1})
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    assert len(table()) == 0
    assert not connection.in_transaction


def test_an_inner_block_that_fails_keeps_the_outer_work(connection: Connection, table: Any) -> None:
    def fail_inside() -> None:
        with connection.transaction:
            table.insert1({"k": 2})
            table.insert1({"k": 1})

    with connection.transaction:
        table.insert1({"k": 1})
        with pytest.raises(DuplicateError):
            fail_inside()
        with connection.transaction:
            table.insert1({"k": 3})
            with connection.transaction:
                table.insert1({"k": 4})
    assert sorted(r["k"] for r in table.to_dicts()) == [1, 3, 4]


def test_what_fails_in_a_transaction_undoes_itself_alone(connection: Connection, table: Any) -> None:
    """On every server, whatever fails: a write, a read, a stream, many rows."""
    connection.start_transaction()
    table.insert1({"k": 1})
    with pytest.raises(DuplicateError):
        table.insert1({"k": 1})
    connection.commit_transaction()
    with connection.transaction:
        for k in range(2, 9):  # from the fourth on, the text is sent by name
            table.insert1({"k": k})
            with pytest.raises(DuplicateError):
                table.insert1({"k": k})
            with pytest.raises(QueryError):
                connection.query(f"SELECT no_such FROM {table.full_table_name}")
        with pytest.raises(DuplicateError):
            table.insert([{"k": k} for k in range(1000, -1, -1)])
        with pytest.raises(MissingTableError):
            connection.query("SELECT 1 FROM no_such_schema.no_such_table")
        rows = iter(table)
        assert next(rows)["k"] == 1
        with pytest.raises(DuplicateError):
            table.insert1({"k": 1})
        assert len(list(rows)) == 7
        with connection.transaction, pytest.raises(DuplicateError):
            table.insert1({"k": 1})
        assert len(table()) == 8
        table.insert1({"k": 21})
    assert not connection.in_transaction
    assert sorted(r["k"] for r in table.to_dicts()) == [*range(1, 9), 21]


def test_a_delete_that_fails_in_a_transaction_leaves_nothing_behind(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    parent = schema(table_class(dj, "Parent", "a : int32"))
    child = schema(table_class(dj, "Child", "-> Parent\nb : int32"), context={"Parent": parent})
    parent.insert1({"a": 1})
    child.insert1({"a": 1, "b": 2})
    place, name = parent.full_table_name, schema.database
    if connection.dialect.name == "postgresql":
        connection.query(
            f'CREATE FUNCTION "{name}".no() RETURNS trigger LANGUAGE plpgsql AS '
            "$$ BEGIN RAISE EXCEPTION 'not this one'; END $$"
        )
        connection.query(
            f'CREATE TRIGGER no BEFORE DELETE ON {place} FOR EACH ROW EXECUTE FUNCTION "{name}".no()'
        )
    else:
        connection.query(
            f"CREATE TRIGGER `{name}`.no BEFORE DELETE ON {place} FOR EACH ROW "
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'"
        )
    with connection.transaction:
        parent.insert1({"a": 5})
        with pytest.raises(DataJointError, match="not this one"):
            (parent & "a = 1").delete(prompt=False)
    assert (len(parent()), len(child())) == (2, 1)


def test_two_transactions_by_hand_are_refused(connection: Connection) -> None:
    connection.start_transaction()
    with pytest.raises(TransactionError, match="open already"):
        connection.start_transaction()
    connection.commit_transaction()
    with pytest.raises(TransactionError, match="no transaction is open"):
        connection.commit_transaction()


def test_a_block_whose_transaction_was_ended_inside_says_so(connection: Connection, table: Any) -> None:
    def end_inside() -> None:
        with connection.transaction:
            table.insert1({"k": 1})
            connection.commit_transaction()

    with pytest.raises(TransactionError, match="inside of it"):
        end_inside()
    assert len(table()) == 1


@pytest.mark.parametrize("end", ["COMMIT", "/* all */ rollback"])
def test_sql_that_ends_a_transaction_ends_it_for_us_too(connection: Connection, table: Any, end: str) -> None:
    def end_inside() -> None:
        with connection.transaction:
            table.insert1({"k": 1})
            connection.query(end)
            assert not connection.in_transaction
            table.insert1({"k": 2})

    with pytest.raises(TransactionError, match="inside of it"):
        end_inside()
    assert sorted(r["k"] for r in table.to_dicts()) == ([1, 2] if end == "COMMIT" else [2])
    connection.start_transaction()
    table.insert1({"k": 3})
    connection.query(end)
    with connection.transaction:
        table.insert1({"k": 4})
    assert len(table()) == (4 if end == "COMMIT" else 2)


@pytest.mark.parametrize("begin", ["BEGIN", "start transaction read only"])
def test_sql_that_would_begin_another_transaction_is_refused(
    connection: Connection, table: Any, begin: str
) -> None:
    with connection.transaction:
        table.insert1({"k": 1})
        with pytest.raises(TransactionError, match="open already"):
            connection.query(begin)
        table.insert1({"k": 2})
    assert len(table()) == 2


def test_the_loser_of_a_deadlock_is_rolled_back_as_a_whole(connection: Connection, table: Any) -> None:
    table.insert([{"k": 1, "x": 0}, {"k": 2, "x": 0}])
    both_have_one = threading.Barrier(2)
    name = table.full_table_name

    def cross(connection: Connection, first: int, second: int) -> str:
        update = f"UPDATE {name} SET x = %s WHERE k = %s"
        try:
            with connection.transaction:
                connection.query(update, (first, first))
                both_have_one.wait(timeout=30)
                try:
                    connection.query(update, (first, second))
                except DeadlockError:
                    # whoever passes over it has nothing to commit
                    with pytest.raises((TransactionError, LostConnectionError)):
                        connection.query(update, (9, first))
        except TransactionError:
            return "lost"
        return "won"

    with connection.clone() as one, connection.clone() as two, ThreadPoolExecutor(2) as pool:
        outcomes = [pool.submit(cross, one, 1, 2), pool.submit(cross, two, 2, 1)]
        found = [o.result(timeout=60) for o in outcomes]
        assert sorted(found) == ["lost", "won"]
        for clone in (one, two):
            assert not clone.in_transaction
            assert clone.query("SELECT 1") == [(1,)]
    winner = found.index("won") + 1
    assert {r["x"] for r in table.to_dicts()} == {winner}


# -- threads ---------------------------------------------------------------------------------------------


def test_threads_with_transactions_wait_for_each_other(connection: Connection, table: Any) -> None:
    inside: list[int] = []

    def work(k: int) -> int:
        with connection.transaction:
            inside.append(k)
            table.insert1({"k": k})
            with connection.transaction:
                table.insert1({"k": k + 100})
            assert inside[-1] == k
            return len(inside)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(work, range(12))) == list(range(1, 13))
    assert len(table()) == 24


def test_a_thread_does_not_get_into_the_transaction_of_another(connection: Connection, table: Any) -> None:
    is_open, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.transaction:
            table.insert1({"k": 1})
            is_open.set()
            assert may_end.wait(30)
            raise ValueError("undone")

    with ThreadPoolExecutor(2) as pool:
        holder = pool.submit(hold)
        assert is_open.wait(30)
        assert not connection.in_transaction
        waiting = pool.submit(table.insert1, {"k": 2})
        assert not waiting.done()
        may_end.set()
        with pytest.raises(ValueError, match="undone"):
            holder.result(timeout=30)
        waiting.result(timeout=30)
    assert [r["k"] for r in table.to_dicts()] == [2]


# -- forks -----------------------------------------------------------------------------------------------


def _in_child(work: Callable[[], Any]) -> Any:
    """Run in a forked child, and return what it returned."""
    context = multiprocessing.get_context("fork")
    results: Any = context.Queue()

    def run() -> None:
        try:
            results.put(work())
        except (AssertionError, DataJointError) as e:
            results.put(e)

    child = context.Process(target=run)
    child.start()
    found = results.get(timeout=60)
    child.join()
    assert child.exitcode == 0
    if isinstance(found, BaseException):
        raise found
    return found


def test_a_forked_child_has_a_session_of_its_own(connection: Connection, table: Any) -> None:
    mine = connection.connection_id
    stream = connection.stream_text("SELECT 1", ())
    next(stream)

    def work() -> tuple[int, int, int]:
        nonlocal stream
        with pytest.raises(LostConnectionError, match="parent process"):
            next(stream)
        del stream
        table.insert1({"k": 1})
        return os.getpid(), connection.connection_id, _own_number(connection)

    pid, theirs, seen = _in_child(work)
    assert pid != os.getpid()
    assert theirs == seen != mine
    assert connection.connection_id == mine == _own_number(connection)
    assert len(table()) == 1


def test_a_fork_inside_a_transaction_leaves_it_to_the_parent(connection: Connection, table: Any) -> None:
    def leave_the_block() -> str:
        try:
            block.__exit__(None, None, None)
        except TransactionError as e:
            return str(e)
        return "no error"

    block = connection.transaction
    with block:
        table.insert1({"k": 1})
        assert "parent's" in _in_child(leave_the_block)
        assert _in_child(lambda: (connection.in_transaction, len(table()))) == (False, 0)
        assert connection.in_transaction
        table.insert1({"k": 2})
    assert len(table()) == 2


def test_a_fork_while_another_thread_holds_the_turn_does_not_hang(connection: Connection, table: Any) -> None:
    is_open, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.transaction:
            table.insert1({"k": 1})
            is_open.set()
            assert may_end.wait(60)

    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(hold)
        assert is_open.wait(30)
        assert _in_child(lambda: len(table())) == 0
        may_end.set()
        holder.result(timeout=30)
    assert len(table()) == 1


# -- who is let in ---------------------------------------------------------------------------------------

SECRET = "a-secret-that-nobody-may-see"


@pytest.fixture
def stranger(connection: Connection, server: ServerUnderTest, config: Config) -> Any:
    """A user who may log in and nothing else."""
    name = f"djt_{os.getpid()}_{secrets.token_hex(3)}"
    with connection.clone() as administrator:
        if connection.dialect.name == "postgresql":
            names = [name]
            administrator.query(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")
        else:  # an anonymous user of localhost would come before name@'%'
            names = [f"{name}@'%'", f"{name}@localhost"]
            for full in names:
                administrator.query(f"CREATE USER {full} IDENTIFIED BY '{SECRET}'".replace("%", "%%"), ())
        with make_connection(server, config, user=name, password=SECRET) as opened:
            yield opened
        for full in names:
            kind = "ROLE" if connection.dialect.name == "postgresql" else "USER"
            administrator.query(f"DROP {kind} {full}".replace("%", "%%"), ())


@pytest.mark.rule("errors", "AccessError")
def test_a_user_without_rights_is_told_what_is_missing(
    stranger: Connection, connection: Connection, new_schema: NewSchema, new_schema_name: Any, dj: ModuleType
) -> None:
    name = new_schema_name()
    with pytest.raises(AccessError, match=f"{stranger.user}.*may not create the schema {name!r}.*right") as e:
        Schema(name, connection=stranger)
    assert e.value.code
    schema = new_schema()
    table = schema(table_class(dj, "Item", "k : int32"))
    free = object.__new__(dj.FreeTable)
    free.__dict__.update(table().__dict__)
    free._connection = stranger
    for attempt in (lambda: len(free), lambda: free.insert1({"k": 1}), lambda: free.delete_quick()):
        with pytest.raises(AccessError) as refused:
            attempt()
        assert SECRET not in str(refused.value)
    with pytest.raises(DataJointError):
        Schema(schema.name, connection=stranger)(table_class(dj, "Mine", "k : int32"))
    connection.catalog.forget()
    assert schema.list_tables() == ["item"]
    assert SECRET not in repr(stranger) + repr(stranger.settings)


def test_a_wrong_password_is_told_without_it(server: ServerUnderTest, config: Config) -> None:
    wrong = make_connection(server, config, password=SECRET, user="djt_nobody")
    with pytest.raises(
        ConnectionRefusedByServerError, match="djt_nobody.*Check database.host, port, user"
    ) as e:
        wrong.connect()
    assert SECRET not in str(e.value) + repr(e.value) + repr(wrong) + repr(wrong.settings)
    assert SECRET not in "".join(map(str, _causes(e.value)))


def _causes(error: BaseException | None) -> Any:
    while error is not None:
        yield error
        error = error.__cause__


def _is_encrypted(connection: Connection) -> bool:
    if connection.dialect.name == "postgresql":
        return bool(connection.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0][0])
    return bool(connection.query("SHOW STATUS LIKE 'Ssl_cipher'")[0][1])


@pytest.mark.rule("configuration", "database")
def test_tls_is_used_where_the_server_offers_it_unless_it_is_asked_for(
    server: ServerUnderTest, config: Config
) -> None:
    config["database.use_tls"] = None
    with make_connection(server, config) as opened:
        is_offered = _is_encrypted(opened)
    config["database.use_tls"] = False
    with make_connection(server, config) as opened:
        assert not _is_encrypted(opened)
    config["database.use_tls"] = True
    must = make_connection(server, config)
    is_socket = str(server.settings["host"]).startswith("/")  # which nobody else can listen to
    if is_offered or is_socket:
        with must:
            assert _is_encrypted(must) is not is_socket
    else:
        with pytest.raises(ConnectionRefusedByServerError, match="use_tls"):
            must.connect()


def test_files_for_tls_that_are_not_there_are_named(
    server: ServerUnderTest, config: Config, tmp_path: Path
) -> None:
    config["database.use_tls"] = {"ca": str(tmp_path / "absent.pem")}
    if str(server.settings["host"]).startswith("/"):
        with make_connection(server, config) as opened:  # a socket that nobody else can listen to
            assert not _is_encrypted(opened)
        return
    with pytest.raises(ConnectionRefusedByServerError, match="absent.pem"):
        make_connection(server, config).connect()


def test_a_server_that_is_down_is_named(server: ServerUnderTest, config: Config) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        down = make_connection(server, config, host="127.0.0.1", port=taken.getsockname()[1])
        with pytest.raises(ConnectionRefusedByServerError, match=r"127\.0\.0\.1.*Check database\.host"):
            down.query("SELECT 1")
        assert not down.is_connected


_GREETING = b"".join(  # of a MySQL 8 that then says no more
    (
        b"\x0a8.0.0\0",
        (1).to_bytes(4, "little") + b"saltsalt\0",
        b"\xff\xf7\xff\x02\x00\xff\xc7\x15" + bytes(10),
        b"saltsaltsalt\0mysql_native_password\0",
    )
)


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("postgresql", b""),
        ("mysql", b""),
        ("mysql", len(_GREETING).to_bytes(3, "little") + b"\0" + _GREETING),
    ],
    ids=["postgresql", "mysql", "mysql that greets"],
)
def test_a_server_that_does_not_answer_is_given_up(backend: str, says: bytes) -> None:
    config = Config()
    config["database"] = {"connect_timeout_s": 2, "use_tls": False, "user": "u", "password": SECRET}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config["database"] = {"backend": backend, "host": "127.0.0.1", "port": silent.getsockname()[1]}
        taken: list[socket.socket] = []

        def greet() -> None:
            taken.append(silent.accept()[0])
            taken[0].sendall(says)

        threading.Thread(target=greet, daemon=True).start()
        stuck = Connection(connection_settings(config), config)
        with pytest.raises(ConnectionRefusedByServerError, match=r"127\.0\.0\.1.*tim.*Check database\.host"):
            stuck.connect()
        assert not stuck.is_connected
        for opened in taken:
            opened.close()


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"host": 5}, "database.host"),
        ({"host": "h", "port": "abc"}, "database.port"),
        ({"host": "h", "port": 0}, "database.port"),
        ({"host": "h:99999"}, "database.port"),
        ({"host": "h", "user": 5}, "database.user"),
        ({"host": "h", "password": 5}, "database.password"),
        ({"host": "h", "backend": "sqlite"}, "database.backend"),
        ({"host": "h", "use_tls": "perhaps"}, "database.use_tls"),
    ],
)
def test_what_a_call_says_of_the_server_is_checked_as_settings_are(
    wrong: dict[str, Any], setting: str
) -> None:
    with pytest.raises(ConfigError, match=f"Setting {setting}: .*given in the call"):
        connection_settings(Config(), **wrong)
    assert connection_settings(Config(), host="h", port="3307").port == 3307  # type: ignore[arg-type]


def test_what_is_no_query_and_what_are_no_values_is_refused(connection: Connection) -> None:
    for query in (None, 5, b"SELECT 1"):
        with pytest.raises(ArgumentTypeError, match="SQL is text"):
            connection.query(query)  # type: ignore[arg-type]
    for values in (1, "abc", {1, 2}):
        with pytest.raises(ArgumentTypeError, match=r"\[value\]"):
            connection.query("SELECT %s", values)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="placeholders"):
        connection.query("SELECT %s, %s", [1])
    with pytest.raises(DataError, match="placeholders"):
        connection.query("SELECT 1", [1])
    assert [tuple(row) for row in connection.query("SELECT %s, %s", (1, 2))] == [(1, 2)]
    assert [tuple(row) for row in connection.query("SELECT %(a)s", cast(Any, {"a": 1}))] == [(1,)]


# -- the server's errors ---------------------------------------------------------------------------------


def test_every_error_of_the_server_is_one_of_ours(
    connection: Connection, new_schema: NewSchema, dj: ModuleType
) -> None:
    schema = new_schema()
    context = {"Parent": schema(table_class(dj, "Parent", "p : int32\n---\nname : varchar(3)\nn : int8"))}
    schema(table_class(dj, "Child", "-> Parent\n---\ne : enum('a','b')\nd : date"), context=context)
    s = schema.name
    connection.query(f"INSERT INTO {s}.parent VALUES (1, 'a', 1)")
    connection.query(f"INSERT INTO {s}.child VALUES (1, 'a', '2020-01-01')")
    cases: list[tuple[str, type[Exception]]] = [
        (f"INSERT INTO {s}.parent VALUES (1, 'b', 1)", DuplicateError),
        (f"INSERT INTO {s}.child VALUES (2, 'a', '2020-01-01')", IntegrityError),
        (f"DELETE FROM {s}.parent", IntegrityError),
        (f"DROP TABLE {s}.parent", IntegrityError),
        (f"INSERT INTO {s}.parent (p, name, n) VALUES (2, NULL, 1)", MissingAttributeError),
        (f"INSERT INTO {s}.parent (p) VALUES (2)", MissingAttributeError),
        (f"INSERT INTO {s}.parent VALUES (2, 'too long', 1)", DataError),
        (f"INSERT INTO {s}.parent VALUES (2, 'a', 200)", DataError),
        (f"INSERT INTO {s}.parent VALUES (99999999999, 'a', 1)", DataError),
        (f"INSERT INTO {s}.child VALUES (1, 'z', '2020-01-01')", DataError),
        (f"INSERT INTO {s}.child VALUES (1, 'a', '2020-13-01')", DataError),
        (f"SELECT nothing FROM {s}.parent", UnknownAttributeError),
        (f"SELECT * FROM {s}.nothing", MissingTableError),
        ("SELECT * FROM djt_no_such_schema.nothing", MissingTableError),
        ("SELEC 1", QuerySyntaxError),
        ("SELECT no_such_function(1)", QuerySyntaxError),
        ("SELECT (SELECT 1 UNION SELECT 2)", QueryError),
        (f"CREATE TABLE {s}.parent (p int)", QueryError),
    ]
    for statement, kind in cases:
        with pytest.raises(kind) as e:
            connection.query(statement)
        assert type(e.value).__module__ == "dj_schema.errors", statement
        if isinstance(e.value, QueryError):
            assert e.value.code
            assert e.value.statement == statement
    assert connection.query("SELECT 1") == [(1,)]


def test_a_lock_that_is_not_granted_is_a_lock_timeout(
    connection: Connection, other: Connection, table: Any
) -> None:
    table.insert1({"k": 1})
    is_postgres = connection.dialect.name == "postgresql"
    other.query("SET lock_timeout = '50ms'" if is_postgres else "SET innodb_lock_wait_timeout = 1")
    with connection.transaction:
        connection.query(f"UPDATE {table.full_table_name} SET x = 1")
        with pytest.raises(LockTimeoutError):
            other.query(f"UPDATE {table.full_table_name} SET x = 2")
