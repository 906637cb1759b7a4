"""An interruption at any step of Python around the start of a transaction, or amid a statement."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from contextlib import nullcontext
from types import FrameType
from typing import Any

import pytest

from dj_jobs.events import Events
from dj_jobs.options import Options
from dj_jobs.populate import reserved, run_keys
from dj_jobs.watch import Watch
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError, JobTimeoutError
from tests.conformance.jobs.test_hardening import StopNowError
from tests.conformance.jobs.test_workers import states
from tests.support.sessions import is_running, wait_until_gone

_FILES = (
    "contextlib.py",
    "transaction.py",
    "connection.py",
    "statements.py",
    "group.py",
    "loop.py",
    "populate.py",
    "make.py",
    "run.py",
)


@pytest.fixture(autouse=True)
def _nothing_left_over() -> None:
    """What other tests have left open is not to end amid the steps of this one."""
    gc.collect()


class Interrupting:
    """Raises at a step between the start of a transaction and the `make` in it; a tracer of this thread."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.is_on = False
        self.is_done = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        name, file = frame.f_code.co_name, frame.f_code.co_filename
        if event == "call" and name == "start_transaction":
            self.is_on = not self.is_done
        elif event == "call" and name == "make":
            self.is_on, self.is_done = False, True
        elif self.is_on and event in ("line", "return") and file.endswith(_FILES):
            self.left -= 1
            if self.left < 0:
                self.is_on, self.is_done = False, True
                self.interrupt()
        return self

    def interrupt(self) -> None:
        raise StopNowError


class TimingOut(Interrupting):
    """Has the time of the `make` be over there."""

    watch: Watch | None = None

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "call" and frame.f_code is Watch.__enter__.__code__:
            self.watch = frame.f_locals["self"]
        return super().__call__(frame, event, _) if self.watch is not None else self

    def interrupt(self) -> None:
        assert self.watch is not None
        self.watch.interrupt(JobTimeoutError("too late"))


@pytest.mark.parametrize("reserve_jobs", [True, False], ids=["reserved", "direct"])
def test_an_interruption_between_the_start_of_a_transaction_and_its_make_leaves_nothing_open(
    result: Any, connection: Connection, reserve_jobs: bool
) -> None:
    result.jobs.refresh({"id": 1})
    errors: list[BaseException] = []  # kept, with their frames, as a notebook keeps the last one
    while len(result) == 0:
        tracer = Interrupting(3 * len(errors))
        options = Options(refresh=False)
        if reserve_jobs:
            outcomes = reserved(result(), options, Events())
        else:
            outcomes = run_keys(result(), [{"id": 1}], options, Events())
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            list(outcomes)
        except StopNowError as e:
            errors.append(e)
        finally:
            sys.settrace(before)
        assert not connection.in_transaction
        if len(result) == 0:
            with connection.clone() as other:
                status = f"SELECT status FROM {result.jobs.full_table_name}"
                assert other.query(status).fetchall() == [("pending",)], errors[-1]
            with pytest.raises(DataJointError, match="filled by make"):
                result.insert1({"id": 1})
    assert len(errors) > 10
    assert states(result) == ({} if reserve_jobs else {"pending": 1})


@pytest.mark.parametrize("reserve_jobs", [True, False], ids=["reserved", "direct"])
def test_a_timeout_between_the_start_of_a_transaction_and_its_make_is_recorded(
    result: Any, connection: Connection, reserve_jobs: bool
) -> None:
    connection.config.jobs.group_commit_s = 0.0
    outcomes: list[Any] = []  # kept, with their errors and the frames of these
    while len(result) == 0:
        result.jobs.delete()
        result.jobs.refresh({"id": 1})
        tracer = TimingOut(len(outcomes))
        options = Options(refresh=False, suppress_errors=True)
        if reserve_jobs:
            running = reserved(result(), options, Events())
        else:
            running = run_keys(result(), [{"id": 1}], options, Events())
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            outcomes += running
        finally:
            sys.settrace(before)
        assert not connection.in_transaction
        with connection.clone() as other:
            status = other.query(f"SELECT status FROM {result.jobs.full_table_name}").fetchall()
        if len(result) == 0:
            assert isinstance(outcomes[-1].error, JobTimeoutError)
            assert status == [("error" if reserve_jobs else "pending",)]
    assert len(outcomes) > 10


@pytest.mark.parametrize("in_transaction", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.parametrize("kind", [StopNowError, RuntimeError, TimeoutError])
def test_an_interruption_in_a_statement_ends_it_on_the_server(
    connection: Connection, kind: type[BaseException], in_transaction: bool
) -> None:
    """Whatever a signal's handler raises comes out, and no answer is left for the statement after it."""
    is_mysql = connection.settings.backend == "mysql"

    was_raised = threading.Event()

    def interrupt(*_: Any) -> None:
        if not was_raised.is_set():
            was_raised.set()
            raise kind("too late")

    with connection.clone() as victim, connection.clone() as other:
        session = victim.connection_id

        def interrupt_when_it_runs() -> None:
            while not is_running(other, session, "300"):
                continue
            while not was_raised.is_set():  # one that comes right before Python begins to wait ends no wait
                os.kill(os.getpid(), signal.SIGALRM)
                was_raised.wait(0.5)

        before = signal.signal(signal.SIGALRM, interrupt)
        thread = threading.Thread(target=interrupt_when_it_runs)
        thread.start()
        try:
            with (
                pytest.raises(kind, match="too late"),
                victim.transaction if in_transaction else nullcontext(),
            ):
                victim.query("SELECT SLEEP(300)" if is_mysql else "SELECT pg_sleep(300)")
        finally:
            thread.join()
            signal.signal(signal.SIGALRM, before)
        assert not victim.in_transaction
        wait_until_gone(other, session)
        assert [victim.query(f"SELECT {i}") for i in range(3)] == [[(0,)], [(1,)], [(2,)]]
