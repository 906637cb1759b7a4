"""Events become spans and metrics of OpenTelemetry."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dj_jobs.events import Event, Kind
from dj_workers.pools.messages import ErrorInWorker
from dj_workers.telemetry import Telemetry

NS = 10**9


@pytest.fixture
def told() -> tuple[Telemetry, InMemorySpanExporter, InMemoryMetricReader]:
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(spans))
    return Telemetry(traces, MeterProvider([reader]), now_s=lambda: 1000.0), spans, reader


def test_a_job_is_a_span_with_its_parts_below_it(told: Any) -> None:
    telemetry, spans, _ = told
    parts = {"fetch_s": 1.0, "compute_s": 5.0, "insert_s": 2.0}
    telemetry(Event(Kind.STARTED, "lab.__root", {"n": 1}))
    telemetry(Event(Kind.SUCCEEDED, "lab.__root", {"n": 1}, 1, 2, "host:7", 8.0, **parts))
    found = {span.name: span for span in spans.get_finished_spans()}
    job = found.pop("make lab.__root")
    assert (job.start_time, job.end_time) == (992 * NS, 1000 * NS)
    assert dict(job.attributes) == {
        "datajoint.table": "lab.__root", "datajoint.key": '{"n": 1}', "datajoint.result": "succeeded",
        "datajoint.attempt": 2, "datajoint.worker": "host:7",
    }  # fmt: skip
    times = {name: (s.start_time // NS, s.end_time // NS) for name, s in found.items()}
    assert times == {"fetch": (992, 993), "compute": (993, 998), "insert": (998, 1000)}
    assert all(span.parent.span_id == job.context.span_id for span in found.values())


def test_a_failure_is_an_error_of_its_span(told: Any) -> None:
    telemetry, spans, _ = told
    telemetry(Event(Kind.FAILED, "lab.__root", {"n": 1}, error=ErrorInWorker("CudaError", "no memory")))
    [span] = spans.get_finished_spans()
    assert not span.status.is_ok
    assert span.events[0].attributes["exception.type"] == "CudaError"


def test_jobs_are_counted(told: Any) -> None:
    telemetry, _, reader = told
    telemetry(Event(Kind.CLAIMED, "lab.__root", n=3))
    for kind in (Kind.SUCCEEDED, Kind.SUCCEEDED, Kind.RETRIED):
        telemetry(Event(kind, "lab.__root", {"n": 1}, duration_s=0.5))
    metrics = {m.name: m for m in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics}
    assert [p.value for p in metrics["datajoint.job.claims"].data.data_points] == [3]
    results = metrics["datajoint.job.results"].data.data_points
    assert {p.attributes["datajoint.result"]: p.value for p in results} == {"succeeded": 2, "retried": 1}
    [duration] = metrics["datajoint.job.duration"].data.data_points
    assert (duration.count, duration.sum) == (3, 1.5)
