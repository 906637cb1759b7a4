"""An interruption at any moment: the connection stays in step, no part of an insert is left, none goes on."""

from __future__ import annotations

import gc
import itertools
import os
import pickle
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any

import pytest

from dj_jobs.watch import InterruptedMakeError, Watch
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError, JobTimeoutError
from tests.support.sessions import is_running, runs_anywhere

_N_ALARMS = 100
_N_ROWS = 2_000
_MOST_STEPS = 20_000


class StoppedError(BaseException):
    """Not to be passed over by `except Exception`."""


@contextmanager
def alarms(kind: type[BaseException]) -> Iterator[Callable[[float], None]]:
    """Yield what sets an alarm, at whose end an error of this kind is raised."""

    def ring(*_: Any) -> None:
        raise kind

    before, hook = signal.signal(signal.SIGALRM, ring), sys.unraisablehook
    sys.unraisablehook = lambda _: None  # that of pytest would count an alarm in the end of an object
    try:
        yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds) and None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = hook


@pytest.mark.filterwarnings("ignore")  # the driver warns of results that it was not let read
@pytest.mark.parametrize("kind", [RuntimeError, TimeoutError, StoppedError])
def test_an_alarm_at_any_moment_leaves_the_connection_in_step(
    dj: Any, new_schema: Any, connection: Connection, kind: type[BaseException]
) -> None:
    class Number(dj.Manual):  # type: ignore[name-defined,misc]
        definition = """
        k : int32
        ---
        s = null : varchar(2000)
        """

    table = new_schema()(Number)
    table.insert([{"k": k, "s": "x" * (k % 1000)} for k in range(_N_ROWS)])
    new = itertools.count(_N_ROWS, 100)

    def insert() -> None:
        n = next(new)
        table.insert([{"k": n + i} for i in range(100)])

    def insert_in_two() -> None:
        n = next(new)
        with connection.transaction:
            table.insert([{"k": n + i} for i in range(3)])
            with connection.transaction:
                table.insert([{"k": n + i} for i in range(3, 100)])
            (table & "k < 9").to_dicts()

    def stream() -> None:
        with connection.transaction:
            list(table())

    uses = [insert, insert_in_two, stream, table.to_dicts, (table & "k < 40").to_dicts, lambda: list(table())]
    for use in uses:
        use()  # what is done once
    random = Random(1)
    for i in range(_N_ALARMS):
        with alarms(kind) as set_alarm, suppress(Exception, StoppedError):
            set_alarm(10 ** random.uniform(-5, -2))
            random.choice(uses)()
            set_alarm(0)
        connection.forsake_transaction()  # an alarm may come between a block and its end
        assert connection.query(f"SELECT {i}") == [(i,)]
    assert len(table) % 100 == 0
    assert all(
        len(table & f"k >= {n}" & f"k < {n + 100}") in (0, 100) for n in range(_N_ROWS, next(new), 100)
    )


def is_drivers(code: CodeType) -> bool:
    """Also what we put in the driver's place."""
    path = Path(code.co_filename)
    is_ours = "dialects" in path.parts and path.name in ("wire.py", "incoming.py", "arrival.py")
    return (is_ours or bool({"pymysql", "psycopg"} & {*path.parts})) and code.co_name != "__del__"


def makes_a_socket(code: CodeType) -> bool:
    is_of_sockets = Path(code.co_filename).name in ("socket.py", "ssl.py", "wire.py")
    return is_of_sockets and code.co_name in (
        "create_connection", "__init__", "wrap_socket", "_create", "detach", "do_handshake",
    )  # fmt: skip


class Interrupting:
    """Raises a TimeoutError at a step of some Python code; a tracer of this thread."""

    def __init__(self, step: int, is_meant: Callable[[CodeType], bool]) -> None:
        self.left = step
        self.is_meant = is_meant
        self.where = ""

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if event == "line" and not self.where and self.is_meant(code):
            self.left -= 1
            if self.left < 0:
                self.where = f"{code.co_name}, line {frame.f_lineno}"
                raise TimeoutError("too late")
        return self


def interrupt_at_each_step(connection: Connection, n_bytes: int) -> None:
    """Raise a TimeoutError at each step of the driver in turn, until the statement has ended before it."""
    value = "x" * n_bytes
    connection.ping()
    gc.disable()  # the end of a cursor is no step of the statement amid which it is collected
    for step in range(_MOST_STEPS):
        tracer = Interrupting(step, is_drivers)
        sys.settrace(tracer)
        try:
            found = connection.query("SELECT %s AS value", [value])
        except TimeoutError:
            found = None
        finally:
            sys.settrace(None)
        assert (found is None) == bool(tracer.where), f"passed over at {tracer.where}"
        assert connection.query(f"SELECT {step}") == [(step,)], tracer.where
        if not tracer.where:
            assert found == [(value,)]
            assert step > 10
            return
    raise AssertionError(f"not at its end after {_MOST_STEPS} steps")


def interrupt_opening_at_each_step(connection: Connection) -> None:
    """Raise a TimeoutError at each step in which a socket is made; see that files opened later stay open."""
    connection.ping()
    for step in range(_MOST_STEPS):
        tracer = Interrupting(step, makes_a_socket)
        other = connection.clone()
        kept: BaseException | None = None
        sys.settrace(tracer)
        try:
            other.connect()
        except (TimeoutError, DataJointError) as e:
            kept = e  # and with it what was made before it
        finally:
            sys.settrace(None)
        pipes = [os.pipe() for _ in range(2)]
        others = {fd: os.fstat(fd).st_ino for pipe in pipes for fd in pipe}
        other.close()
        del kept, other
        gc.collect()
        closed = [fd for fd, number in others.items() if _number_of(fd) != number]
        assert not closed, f"{tracer.where}: the descriptor of another was closed"
        for fd in others:
            os.close(fd)
        if not tracer.where:
            assert step > 10 or connection.dialect.name == "postgresql"  # whose driver is not Python here
            return
    raise AssertionError(f"not at its end after {_MOST_STEPS} steps")


def _number_of(fd: int) -> int | None:
    try:
        return os.fstat(fd).st_ino
    except OSError:
        return None


_BY_ITSELF = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
sys.unraisablehook = lambda _: None
from tests.conformance.structure import test_interrupted_statements as tests
function, arguments = pickle.load(sys.stdin.buffer)
getattr(tests, function)(*arguments)
"""


def run_by_itself(function: Callable[..., None], *arguments: Any) -> None:
    """In a process of its own: what others have loaded or left to be collected would be steps, too."""
    done = subprocess.run(
        [sys.executable, "-c", _BY_ITSELF],
        input=pickle.dumps((function.__name__, arguments)),
        capture_output=True,
        cwd=Path(__file__).parents[3],
        timeout=200,
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("n_bytes", [1, 1_000_000])
def test_a_timeout_at_any_step_of_a_driver_is_no_lost_connection(
    connection: Connection, n_bytes: int
) -> None:
    """Without TLS, whose sessions the driver has nothing to do with."""
    plain = Connection(replace(connection.settings, tls=False), connection.config)
    run_by_itself(interrupt_at_each_step, plain, n_bytes)


def test_a_timeout_while_a_session_opens_closes_no_file_of_another(connection: Connection) -> None:
    run_by_itself(interrupt_opening_at_each_step, connection)


def read(connection: Connection, text: str) -> None:
    connection.query(text)


def stream(connection: Connection, text: str) -> None:
    list(connection.stream_text(text, (), batch_rows=1))


def stream_in_transaction(connection: Connection, text: str) -> None:
    with connection.transaction:
        stream(connection, text)


def read_arrow(connection: Connection, text: str) -> None:
    connection.fetch_arrow(text, ())


@pytest.mark.parametrize("n_rows", [0, 9])
@pytest.mark.parametrize("use", [read, stream, stream_in_transaction, read_arrow])
def test_the_server_ends_what_is_interrupted_while_it_works(
    dj: Any, new_schema: Any, connection: Connection, use: Callable[[Connection, str], None], n_rows: int
) -> None:
    """Also where some rows had come before; on MySQL, that would else wait for a lock as long as it may."""
    if use is read_arrow and connection.dialect.name == "postgresql":
        pytest.skip("ADBC, through which its rows come, waits in native code")

    class Number(dj.Manual):  # type: ignore[name-defined,misc]
        definition = "k : int32"

    table = new_schema()(Number)
    table.insert([{"k": k} for k in range(n_rows + 1)])
    mark = f"mark_{secrets.token_hex(4)}"
    text = f"SELECT REPEAT('x', 40000) AS s, k AS {mark} FROM {table.full_table_name} ORDER BY k FOR UPDATE"
    if connection.dialect.name == "postgresql":
        slow = f"CASE WHEN k < {n_rows} THEN 0 ELSE length(pg_sleep(240)::text) END"
        text = f"SELECT REPEAT('x', 40000) AS s, {slow} AS n FROM {table.full_table_name}"
    session = connection.connection_id
    watch = Watch()

    def runs(other: Connection) -> bool:
        if connection.dialect.name == "postgresql":  # which runs a FETCH of it
            return is_running(other, session)
        return runs_anywhere(other, mark)

    def interrupt() -> None:
        with connection.clone() as other:
            while not runs(other):
                continue
        watch.interrupt(JobTimeoutError("too late"))

    with connection.clone() as holder, holder.transaction:
        holder.query(f"SELECT k FROM {table.full_table_name} WHERE k = {n_rows} FOR UPDATE")
        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        with pytest.raises(InterruptedMakeError), watch:
            use(connection, text)
        interrupter.join()
        connection.forsake_transaction()
        assert connection.query("SELECT 42") == [(42,)]
        end = time.monotonic() + 30
        while runs(holder):
            assert time.monotonic() < end, "it goes on in the server"


def test_a_statement_of_a_handler_amid_another_one_is_refused_and_disturbs_nothing(
    connection: Connection,
) -> None:
    refused: list[str] = []

    def ask(*_: Any) -> None:
        try:
            connection.query("SELECT 7")
        except DataJointError as e:  # and goes on, as careless handlers do
            refused.append(str(e))

    is_mysql = connection.settings.backend == "mysql"
    session = connection.connection_id
    with alarm(ask):
        [(_, found)] = connection.query(f"SELECT {'SLEEP' if is_mysql else 'pg_sleep'}(1), 3")
    assert found == 3
    (message,) = refused
    assert "connection.clone()" in message
    assert connection.connection_id == session
    assert [connection.query(f"SELECT {n}")[0][0] for n in (42, 43)] == [42, 43]


def test_what_a_handler_has_heard_on_another_connection_is_no_answer_on_this_one(
    connection: Connection,
) -> None:
    def ask(*_: Any) -> None:
        with connection.clone() as other:
            other.query("SELECT nothing")

    sleep = "SELECT SLEEP(3600)" if connection.settings.backend == "mysql" else "SELECT pg_sleep(3600)"
    with alarm(ask), pytest.raises(DataJointError, match="nothing"):
        connection.query(sleep)
    assert [connection.query(f"SELECT {n}")[0][0] for n in (42, 43)] == [42, 43]


@contextmanager
def alarm(handler: Callable[..., None]) -> Iterator[None]:
    """Have a signal come amid the statement of a block."""
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
