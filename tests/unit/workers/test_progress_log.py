"""The lines that tell how far a worker is."""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from typing import Any

import pytest

from dj_jobs.events import Event, Kind
from dj_jobs.presence import Activity
from dj_workers.progress_log import ProgressLog


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._records: queue.Queue[logging.LogRecord] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._records.put(record)

    def next(self) -> tuple[str, dict[str, Any]]:
        record = self._records.get(timeout=60)
        return record.getMessage(), record.__dict__["job"]


@pytest.fixture
def lines() -> Iterator[_Lines]:
    handler, log = _Lines(), logging.getLogger("datajoint.workers")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


def test_what_became_of_jobs_is_said_once_with_what_runs(lines: _Lines) -> None:
    running = {n: Activity("lab.__slow", {"number": n}, n * 1000.0) for n in range(5)}
    progress = ProgressLog(running, lambda: False, first_pause_s=0.2)
    for kind in (Kind.CLAIMED, Kind.STARTED, Kind.SUCCEEDED, Kind.EMPTY, Kind.FAILED):
        progress(Event(kind, "lab.__fast", {"number": 1}))
    with progress:
        text, fields = lines.next()
        running.clear()
        progress(Event(Kind.RELEASED, "lab.__slow", n=3))
        later = [lines.next()[0]]
        while "released" not in later[-1]:  # before that, what runs may have been said again
            later.append(lines.next()[0])
    assert "lab.__fast 2 done (" in text
    assert ", 1 failed; computes lab.__slow number=0 for " in text
    assert text.endswith("; and 2 more")
    assert (fields["event"], fields["counts"]) == ("progress", {"lab.__fast": {"done": 2, "failed": 1}})
    assert "lab.__slow 3 released" in later[-1]
    assert not any("lab.__fast" in line for line in later)


def test_a_worker_that_waits_says_so_with_its_last_job(lines: _Lines) -> None:
    with ProgressLog({}, lambda: True, first_pause_s=0.0) as progress:
        progress(Event(Kind.SUCCEEDED, "lab.__fast", {"number": 1}))
        text, _ = lines.next()
    assert text.endswith("; waits for work")
