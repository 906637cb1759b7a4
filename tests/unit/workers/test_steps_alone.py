"""A worker that has steps and no tables, and so no database."""

from __future__ import annotations

import os
import signal

import pytest

from dj_schema.errors import DataJointError
from dj_workers import Work, Worker
from dj_workers.watched import watched
from tests.support.scrape import Scrape, probe


def poke() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


def test_it_tells_what_it_does(capfd: pytest.CaptureFixture[str]) -> None:
    tally = Worker([poke], Work(is_once=True), name="w").run()
    assert not tally.broken
    assert capfd.readouterr().err.endswith(
        "dj-worker w: calls tests.unit.workers.test_steps_alone.poke, and has no tables\n"
    )


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 201])
def test_a_name_that_nobody_could_drain_it_by_is_refused(name: str) -> None:
    with pytest.raises(DataJointError, match="the name of a worker has 1 to 200 characters"):
        Worker([poke], name=name)


def test_it_serves_metrics_and_probes() -> None:
    with watched(Worker([poke], Work(is_once=True)), "127.0.0.1", 0) as serving:
        url = f"http://127.0.0.1:{serving.port}"
        assert probe(url, "/readyz") == probe(url, "/healthz") == (200, {"ok": True, "reason": "ok"})
        assert Scrape.of(url).value("datajoint_build_info") == 1
