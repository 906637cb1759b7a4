"""A worker, and the dispatcher of Celery, tell a webhook what has become of the jobs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dj_workers.cli.exit_codes import ExitCode
from tests.workers.celery_lab import CeleryLab, until
from tests.workers.conftest import Lab, dj_worker

pytestmark = pytest.mark.parametrize("server", ["postgresql"], indirect=True)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the texts that a webhook gets, which the settings of workers name."""
    texts: list[str] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
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


def test_a_worker_tells_what_failed_and_that_all_is_done(lab: Lab, told: list[str]) -> None:
    lab.add(5, fail=[1, 3])
    ended = dj_worker("run", lab.name, "--tables", "Square", "--once")
    assert ended.code == ExitCode.FAILED_JOBS, ended.err
    text = "\n".join(told)
    assert "2 jobs of" in text
    assert "2 x ValueError: 1 is bad [number=1; number=3]" in text
    assert "All work is done" in text
    assert "s3cret" not in ended.err


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
