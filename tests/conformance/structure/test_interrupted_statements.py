"""An alarm at any moment: what its handler raises leaves the connection in step, and no part of an insert."""

from __future__ import annotations

import itertools
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import pytest

from dj_schema.connection import Connection

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


class Interrupting:
    """Raises a TimeoutError at a step of a driver's Python; a tracer of this thread."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.where = ""

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        is_drivers = {"pymysql", "psycopg"} & {*Path(code.co_filename).parts} and code.co_name != "__del__"
        if event == "line" and not self.where and is_drivers:
            self.left -= 1
            if self.left < 0:
                self.where = f"{code.co_name}, line {frame.f_lineno}"
                raise TimeoutError("too late")
        return self


def interrupt_at_each_step(connection: Connection, n_bytes: int) -> None:
    """Raise a TimeoutError at each step of the driver in turn, until the statement has ended before it."""
    value = "x" * n_bytes
    connection.ping()
    for step in range(_MOST_STEPS):
        tracer = Interrupting(step)
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


_BY_ITSELF = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
sys.unraisablehook = lambda _: None
from tests.conformance.structure.test_interrupted_statements import interrupt_at_each_step
interrupt_at_each_step(*pickle.load(sys.stdin.buffer))
"""


@pytest.mark.parametrize("n_bytes", [1, 1_000_000])
def test_a_timeout_at_any_step_of_a_driver_is_no_lost_connection(
    connection: Connection, n_bytes: int
) -> None:
    """In a process of its own: what others have loaded or left to be collected would be steps, too.

    Without TLS, whose sessions the driver has nothing to do with.
    """
    plain = Connection(replace(connection.settings, tls=False), connection.config)
    done = subprocess.run(
        [sys.executable, "-c", _BY_ITSELF],
        input=pickle.dumps((plain, n_bytes)),
        capture_output=True,
        cwd=Path(__file__).parents[3],
        timeout=200,
    )
    assert done.returncode == 0, done.stderr.decode()
