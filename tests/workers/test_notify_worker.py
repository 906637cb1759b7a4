"""A worker, and the dispatcher of Celery, tell a webhook what has become of the jobs."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dj_jobs.control import CONTROL
from dj_query.table import FreeTable
from dj_workers.cli.exit_codes import ExitCode
from dj_workers.notify import Notice, Notifications
from dj_workers.notify.notice import ERROR
from dj_workers.notify.turns import Turns
from dj_workers.notify.watch import Judge, Work, works_of
from dj_workers.plan import name_of
from tests.workers.celery_lab import CeleryLab, until
from tests.workers.conftest import Lab, dj_worker, end_of, start_dj_worker

on_one_server = pytest.mark.parametrize("server", ["postgresql"], indirect=True)


@pytest.fixture
def on_message() -> list[Callable[[], object]]:
    """Return what is called while a message is on its way, to be replaced by a test."""
    return [lambda: None]


@pytest.fixture
def told(on_message: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the texts that a webhook gets, which the settings of workers name."""
    texts: list[str] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            on_message[0]()
            texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("DJ_NOTIFY_SLACK_WEBHOOK", f"http://127.0.0.1:{server.server_port}/s3cret")
    monkeypatch.setenv("DJ_NOTIFY_INTERVAL_S", "0")
    yield texts
    server.shutdown()
    server.server_close()
    thread.join()


@on_one_server
def test_a_worker_tells_what_failed_and_that_all_is_done(lab: Lab, told: list[str]) -> None:
    lab.add(5, fail=[1, 3])
    ended = dj_worker("run", lab.name, "--tables", "Square", "--once")
    assert ended.code == ExitCode.FAILED_JOBS, ended.err
    text = "\n".join(told)
    assert "2 jobs of" in text
    assert "2 x ValueError: 1 is bad [number=1; number=3]" in text
    assert "All work is done" in text
    assert "s3cret" not in ended.err


@on_one_server
def test_a_signal_while_the_last_notices_are_sent_leaves_the_exit_code_as_it_is(
    lab: Lab, told: list[str], on_message: list[Callable[[], object]]
) -> None:
    lab.add(2, fail=[1])
    worker = start_dj_worker("run", lab.name, "--tables", "Square", "--once")
    on_message[0] = lambda: worker.send_signal(signal.SIGINT)
    ended = end_of(worker)
    assert (ended.code, "Aborted" in ended.err) == (ExitCode.FAILED_JOBS, False), ended.err
    assert told


@on_one_server
def test_the_dispatcher_tells_for_workers_and_of_work_that_nobody_takes(
    celery: CeleryLab, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = celery.lab
    lab.add(3, fail=[2])
    monkeypatch.setenv("DJ_NOTIFY_GATHER_S", "0")
    celery.start("dispatch", lab.name, "--exclude", "Unmade", DJ_NOTIFY_STUCK_AFTER_S="0.5")
    until(lambda: any("is stuck" in text for text in told), "word of work that stands still")
    celery.start_worker()
    until(lambda: any("1 job of" in text for text in told), "word of a failure")
    until(lambda: any("All work is done" in text for text in told), "word of the end")


def test_a_look_sees_that_a_table_is_paused(lab: Lab) -> None:
    lab.add(2)
    lab.Square.jobs.refresh()
    name = name_of(lab.Square)
    with lab.schema.connection.clone() as connection:
        for change, is_paused in ((lab.Square.jobs.pause, True), (lab.Square.jobs.resume, False)):
            change()
            assert works_of([lab.Square], connection) == {name: Work(2, 0, 0, is_paused)}


def test_of_several_workers_one_tells_that_work_stands_still_or_is_done(lab: Lab) -> None:
    told: list[Notice] = []
    lab.add(2)
    lab.Square.jobs.refresh()

    def kinds() -> list[str]:
        return [notice.kind for notice in told]

    def n_told() -> int:
        """Turns that are taken."""
        control = FreeTable.at(lab.schema.connection, str(lab.schema.database), CONTROL)
        return len(control & "table_name LIKE 'tell %'" & "refreshed_time IS NOT NULL")

    # long enough that the work which comes later does not stand still, too, on a busy machine
    options = {"tables": [lab.Square], "gather_s": 0, "interval_s": 0, "stuck_after_s": 5}
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Notifications(told.append, **options))
        until(lambda: kinds() == ["stuck"], "word of work that stands still")
        lab.Square.populate(reserve_jobs=True)
        until(lambda: kinds() == ["stuck", "drained"], "word of the end")
        until(lambda: n_told() == 1, "that the work goes on is seen")
        lab.Number.insert1({"number": 2})
        lab.Square.jobs.refresh()
        until(lambda: n_told() == 0, "new work is seen")
        lab.Square.populate(reserve_jobs=True)
        until(lambda: len(told) == 3, "word of the second end")
    assert kinds() == ["stuck", "drained", "drained"]


class Dispatching:
    """What one dispatcher makes of its looks at a table."""

    def __init__(self, lab: Lab) -> None:
        self._table = lab.Square
        self._judge = Judge(900, counts_failures=True)
        self._turns = Turns(900)

    def n_told(self) -> int:
        """Look, and return how many failures it tells of."""
        with self._table._schema.connection.clone() as connection:
            changes = self._judge.look(works_of([self._table], connection), {}, 0.0)
            return sum(self._turns.n_untold(change, connection) for change in changes if change.kind == ERROR)


def test_of_several_dispatchers_one_tells_of_a_failure(lab: Lab) -> None:
    def fail(*numbers: int) -> None:
        lab.Number.insert([{"number": number, "what": "fail"} for number in numbers])
        lab.Square.populate(reserve_jobs=True, suppress_errors=True)

    fail(0)
    one, two = Dispatching(lab), Dispatching(lab)
    assert (one.n_told(), two.n_told()) == (0, 0)  # it failed before they looked
    fail(1, 2)
    assert (one.n_told(), two.n_told()) == (2, 0)
    fail(3)
    assert (two.n_told(), one.n_told()) == (1, 0)
    fail(4)
    assert one.n_told() == 1
    fail(5, 6)
    assert (two.n_told(), one.n_told()) == (2, 0)  # of the three that it has not seen, one is told
    lab.Square.jobs.ignore({"number": 0})
    assert (one.n_told(), two.n_told()) == (0, 0)
    fail(7)
    assert (two.n_told(), one.n_told()) == (1, 0)
    for number in range(1, 6):
        lab.Square.jobs.ignore({"number": number})
    three = Dispatching(lab)  # while nobody else looked, the count went down
    assert three.n_told() == 0
    fail(8)
    assert three.n_told() == 1
