"""Celery's workers, dispatchers and commands with our application, on a real Redis."""

from __future__ import annotations

import json
import signal
import threading
import urllib.request
import warnings
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery.exceptions import DuplicateNodenameWarning

from dj_schema.errors import DataJointError
from dj_workers.cli.exit_codes import ExitCode
from dj_workers.pools.celery.broker import Broker
from dj_workers.pools.celery.errors import BrokerError
from tests.support.launch import free_port
from tests.support.patience import PATIENCE_S
from tests.support.scrape import probe
from tests.workers.celery_lab import CeleryLab, address_of, until
from tests.workers.conftest import dj_worker, expected

pytestmark = pytest.mark.parametrize("server", ["postgresql"], indirect=True)


def test_work_is_sent_without_waiting(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(30)
    celery.config["celery.queue_length"] = 2
    nothing = {"success_count": 0, "error_list": [], "success": 0, "error": 0, "skip": 0}
    assert lab.Square.populate(reserve_jobs=True, dispatch="celery", wait=False) == nothing
    assert celery.n_waiting() == 2
    lab.Square.populate("number < 10", reserve_jobs=True, dispatch="celery", wait=False, max_calls=5)
    assert celery.n_waiting() == 4
    celery.start_worker(DJ_CELERY_JOBS_PER_MESSAGE="4")  # a message is passed on while there is more
    until(lambda: len(lab.Square()) == 30, "rows")
    assert lab.calls() == list(range(30))
    celery.wait_until_empty()


def test_beat_has_workers_dispatch(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(5, fail=[3])
    celery.start_worker()
    beat = celery.start("celery", "beat", DJ_CELERY_DISPATCH_INTERVAL_S="0.3")
    until(lambda: len(lab.Next()) == 4, "rows downstream")
    assert lab.squares() == expected(5, without={3})
    assert beat.end() == 0
    celery.wait_until_empty()


def test_autoscale_starts_processes_for_messages_that_wait(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(2, wait=[0, 1])
    lab.make_pipes()
    worker = celery.start_worker("--autoscale", "2,1", DJ_CELERY_JOBS_PER_MESSAGE="1")
    populating = celery.populate()
    lab.wait_until_started()
    lab.wait_until_started()  # the second one, beside the first
    has_ended = threading.Event()

    def let_go() -> None:
        """Say it again and again: one word lets go of all who wait for it, but not of who begins to later."""
        while not has_ended.is_set():
            lab.let_go()

    threading.Thread(target=let_go, daemon=True).start()
    assert populating.summary()["success_count"] == 2
    has_ended.set()
    assert lab.calls() == [0, 1]
    assert worker.end() == 0


def test_flower_shows_workers_and_messages(celery: CeleryLab) -> None:
    port = free_port()
    celery.start_worker("-E", "--hostname", "flowery@here")
    flower = celery.start(
        "celery", "flower", "--address=127.0.0.1", f"--port={port}", FLOWER_UNAUTHENTICATED_API="true"
    )
    celery.lab.add(2)
    celery.populate().summary()

    def ask(path: str) -> Any:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return {}

    until(lambda: "flowery@here" in ask("/api/workers?refresh=true"), "worker in Flower")
    celery.lab.Number.insert([{"number": 7}])
    celery.populate().summary()
    name = "dj_workers.wake_up"
    until(lambda: name in {task["name"] for task in ask("/api/tasks").values()}, "message in Flower")
    assert flower.popen.poll() is None


def test_sigterm_claims_no_more_and_lets_the_running_job_end(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(5, wait=[0])
    lab.make_pipes()
    worker = celery.start(
        *("celery", "--module", lab.name, "--tables", "Square"),
        *("--metrics-port", "0", "--metrics-host", "127.0.0.1"),
        *("worker", "--loglevel", "INFO", "--concurrency", "1", "--without-mingle", "--without-gossip"),
    )
    url = address_of(worker)
    lab.Square.populate(reserve_jobs=True, dispatch="celery", wait=False)
    lab.wait_until_started()
    worker.popen.send_signal(signal.SIGTERM)
    until(lambda: probe(url, "/readyz")[1]["reason"] == "the worker is stopping", "end of claiming")
    lab.let_go()
    assert worker.end() == 0
    assert lab.squares() == expected(1)
    assert lab.Square.jobs.progress() == lab.Square.jobs.pending.progress() | {"pending": 4, "total": 4}
    assert celery.n_waiting() > 0  # the others are still asked for


def test_what_does_not_end_in_time_is_released(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(1, wait=[0])
    lab.make_pipes()
    worker = celery.start_worker(DJ_JOBS_SHUTDOWN_TIMEOUT="0.2")
    lab.Square.populate(reserve_jobs=True, dispatch="celery", wait=False)
    lab.wait_until_started()
    assert worker.end() == 0
    assert "have not ended within 0.2 s; they are released" in worker.log
    [job] = lab.Square.jobs.proj("status", "_attempts", "_rescues").to_dicts()
    assert (job["status"], job["_attempts"], job["_rescues"]) == ("pending", 0, 0)


def test_sigquit_releases_the_running_job_at_once(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(1, wait=[0])
    lab.make_pipes()
    worker = celery.start_worker()
    lab.Square.populate(reserve_jobs=True, dispatch="celery", wait=False)
    lab.wait_until_started()
    worker.popen.send_signal(signal.SIGQUIT)
    worker.popen.wait(PATIENCE_S)
    [job] = lab.Square.jobs.proj("status", "_attempts", "_rescues").to_dicts()
    assert (job["status"], job["_attempts"], job["_rescues"]) == ("pending", 0, 0)
    assert celery.n_waiting() > 0


def test_a_table_says_its_queue_and_workers_take_from_chosen_ones(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(3)
    lab.Square.queue = f"{lab.schema.database}.gpu"
    try:
        populating = celery.populate()
        until(lambda: celery.n_waiting() > 0, "messages")
        celery.start_worker("-Q", lab.Square.queue)
        assert populating.summary()["success_count"] == 3
    finally:
        del lab.Square.queue


def test_each_of_several_workers_of_one_name_is_known_to_take_from_its_queue(celery: CeleryLab) -> None:
    for table in ("Square", "Next"):  # both are called celery@HOST, as others on this broker may be
        celery.start_worker(tables=table)
    no_warning = warnings.catch_warnings(action="error", category=DuplicateNodenameWarning)
    with Broker(celery.config) as broker, no_warning:
        for queue in map(celery.queue, ("Square", "Next")):
            until(partial(broker.has_taker, queue), f"worker for {queue}")
        assert not broker.has_taker(celery.queue("Unmade"))


STEPS = """
import dj_workers


@dj_workers.step()
def ingest():
    pass
"""


def test_with_json_celery_logs_objects_too(celery: CeleryLab) -> None:
    celery.lab.add(1)
    worker = celery.start(
        *("--log-format", "json", "celery", "-m", celery.lab.name, "--tables", "Square", "worker"),
        *("--loglevel", "INFO", "--concurrency", "1", "--without-mingle", "--without-gossip"),
    )
    worker.wait_for("ready.")
    assert celery.populate().summary()["success_count"] == 1
    worker.wait_for("succeeded in")
    for text, logger in (("ready.", "celery.apps.worker"), ("succeeded in", "celery.app.trace")):
        for line in [line for line in worker.lines if text in line]:  # a key may be sent for more than once
            assert (json.loads(line)["logger"], json.loads(line)["level"]) == (logger, "info")
    beat = celery.start("--log-format", "json", "celery", "-m", celery.lab.name, "beat", "--loglevel", "INFO")
    beat.wait_for("Sending due task")
    assert (worker.end(), beat.end()) == (0, 0)
    not_logged = {"", "worker: Warm shutdown (MainProcess)"}  # Celery's answer to SIGTERM, on stdout
    for line in {line.strip() for line in (*worker.lines, *beat.lines)} - not_logged:
        json.loads(line)


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://:pass/wo:rd@host:6379/0", "cannot be read"),
        ("amqp://guest:secret@host//", "has scheme amqp"),
        ("secret", "has no scheme"),
        ("redis://:secret@127.0.0.1:1/0", "the broker redis://127.0.0.1:1/0 does not answer"),
    ],
)
def test_a_wrong_broker_is_a_message_without_its_password(
    celery: CeleryLab, url: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJ_CELERY_BROKER_URL", url)
    ended = dj_worker("dispatch", celery.lab.name, "--exclude", "Unmade", "--once")
    assert message in ended.err
    assert "DJ_CELERY_BROKER_URL" in ended.err
    assert ended.code == ExitCode.NO_BROKER
    assert not any(part in ended.err for part in ("secret", "wo:rd", "Traceback"))


def test_a_broker_that_is_away_is_waited_for_and_its_password_not_shown(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(1)
    away = "redis://:s3cret@127.0.0.1:1/0"
    worker = celery.start("celery", "-m", lab.name, "--tables", "Square", "worker", DJ_CELERY_BROKER_URL=away)
    worker.wait_for("It is waited for.")
    worker.wait_for("Trying again", n=2)
    assert "s3cret" not in worker.log


def test_populate_tells_of_a_wrong_password_and_does_not_show_it(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(1)
    parts = urlsplit(celery.broker_url)
    celery.config["celery.broker_url"] = f"redis://:s3cret@{parts.hostname}:{parts.port}/0"
    with pytest.raises(BrokerError, match="does not let us in.*DJ_CELERY_BROKER_URL") as caught:
        lab.Square.populate(reserve_jobs=True, dispatch="celery")
    assert "s3cret" not in str(caught.value)
    assert lab.Square.jobs.progress()["total"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["celery", "worker"], ExitCode.USAGE, "no pipeline is named"),
        (["celery", "-m", "LAB", "worker"], ExitCode.USAGE, "Unmade has no make"),
        (
            ["celery", "-m", "STEPS", "--metrics-port", "0", "worker"],
            ExitCode.USAGE,
            "STEPS: there are steps",
        ),
        (["celery", "-m", "LAB", "--exclude", "ALL", "worker"], ExitCode.USAGE, "--exclude leaves no table"),
        (["dispatch", "STEPS", "--once"], ExitCode.USAGE, "no computed or imported table"),
        (["celery", "-m", "no_such_module", "worker"], ExitCode.NO_MODULE, "there is no module"),
        (["celery", "-m", "LAB", "--tables", "Sqare", "worker"], ExitCode.USAGE, "there are: Square, "),
        (["celery", "wroker"], ExitCode.USAGE, "No such command 'wroker'"),
        (["dispatch"], ExitCode.USAGE, "no pipeline is named"),
    ],
)
def test_bad_arguments_are_a_message(
    celery: CeleryLab, arguments: list[str], code: ExitCode, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJ_CELERY_BROKER_URL", celery.broker_url)
    (celery.lab.folder / "STEPS.py").write_text(STEPS)
    of_lab = {"LAB": celery.lab.name, "ALL": "Square,Next,Unmade"}
    ended = dj_worker(*(of_lab.get(a, a) for a in arguments))
    assert message in ended.out + ended.err
    assert ended.code == code
    assert "Traceback" not in ended.err


def test_what_cannot_be_sent_is_an_error_before_anything_is_written(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(2)
    for shift, message in ((object(), "cannot be done"), ((1, 2), "would change them")):
        with pytest.raises(DataJointError, match=message):
            lab.Square.populate(reserve_jobs=True, dispatch="celery", make_kwargs={"shift": shift})
    assert lab.Square.jobs.progress()["total"] == 0
    for options in (
        {"dispatch": "celery"},
        {"wait": False},
        {"dispatch": "clelery"},
        {"dispatch": "inline", "processes": 2},
    ):
        with pytest.raises(DataJointError, match="dispatch"):
            lab.Square.populate(**options)
