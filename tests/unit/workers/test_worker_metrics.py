"""Events become metrics; labels stay few."""

from __future__ import annotations

from dataclasses import replace

from dj_jobs.events import Event, Kind
from dj_workers.metrics.catalog import MOST_EXCEPTIONS
from dj_workers.metrics.worker import WorkerMetrics
from dj_workers.pools.messages import ErrorInWorker, Note

LABELS = {"schema": "lab", "table": "__root"}


def test_classes_of_exceptions_are_counted_up_to_a_limit() -> None:
    metrics = WorkerMetrics()
    for i in range(MOST_EXCEPTIONS + 5):
        error = type(f"Error{i}", (Exception,), {})()
        for _ in range(2):
            metrics(Event(Kind.FAILED, "lab.__root", {"n": i}, error=error))

    def n(exception: str) -> float | None:
        name = "datajoint_job_failures_total"
        return metrics.registry.get_sample_value(name, {**LABELS, "exception": exception})

    assert n("Error0") == n(f"Error{MOST_EXCEPTIONS - 1}") == 2
    assert n(f"Error{MOST_EXCEPTIONS}") is None
    assert n("other") == 10


def test_an_exception_that_came_as_text_keeps_its_class() -> None:
    metrics = WorkerMetrics()
    metrics(Event(Kind.RETRIED, "lab.__root", {"n": 1}, error=ErrorInWorker("CudaError", "no memory")))
    value = metrics.registry.get_sample_value
    assert value("datajoint_job_failures_total", {**LABELS, "exception": "CudaError"}) == 1
    assert value("datajoint_job_results_total", {**LABELS, "result": "retried"}) == 1


def test_a_lost_claim_is_a_lost_lease_and_no_failure() -> None:
    metrics = WorkerMetrics()
    metrics(Event(Kind.FENCED, "lab.__root", {"n": 1}, error=RuntimeError("lost")))
    value = metrics.registry.get_sample_value
    assert value("datajoint_job_lease_losses_total", LABELS) == 1
    assert value("datajoint_job_failures_total", {**LABELS, "exception": "RuntimeError"}) is None


def test_a_note_brings_all_of_an_event_and_its_exception() -> None:
    event = Event(Kind.FAILED, "lab.__root", {"n": 1}, 1, 2, "host:1", 3.5, error=ValueError("x"))
    there = Note.of(event).restored()
    assert replace(there, error=None) == replace(event, error=None)
    assert isinstance(there.error, ValueError)
    assert str(there.error) == "x"
