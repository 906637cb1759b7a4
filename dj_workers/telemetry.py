"""Traces and metrics of jobs through OpenTelemetry (extra ``otel``): a span a job, with its parts below it.

Where they go is said by the variables of OpenTelemetry itself: OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_METRIC_EXPORT_INTERVAL, ...
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from dj_jobs.events import Event, Kind
from dj_jobs.job import error_message
from dj_schema.errors import ConfigError
from dj_workers.metrics.worker import class_name_of, our_version
from dj_workers.vitals import ENDS

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_NAME = "dj_workers"
_PARTS = ("fetch", "compute", "insert")  # in this order
_NS = 10**9


class Telemetry:
    """Subscribe it to the events of a worker.

    Parameters
    ----------
    traces, meters
        Providers of the SDK.
    now_s : callable
        The time of the epoch; an event comes at the end of what it tells of.
    """

    def __init__(
        self, traces: TracerProvider, meters: MeterProvider, now_s: Callable[[], float] = time.time
    ) -> None:
        self._tracer = traces.get_tracer(_NAME, our_version())
        meter = meters.get_meter(_NAME, our_version())
        self._now_s = now_s
        self._claims = meter.create_counter("datajoint.job.claims", "{job}", "jobs claimed")
        self._results = meter.create_counter("datajoint.job.results", "{job}", "jobs ended, by how")
        self._rescues = meter.create_counter("datajoint.job.rescues", "{job}", "jobs of dead workers")
        self._duration = meter.create_histogram("datajoint.job.duration", "s", "from start to end of a job")

    def __call__(self, event: Event) -> None:
        labels = {"datajoint.table": event.table}
        if event.kind is Kind.CLAIMED:
            self._claims.add(event.n, labels)
        elif event.kind is Kind.RESCUED:
            self._rescues.add(event.n, labels)
        elif event.kind in ENDS:
            self._results.add(event.n, {**labels, "datajoint.result": event.kind.value})
            if event.duration_s > 0:
                self._duration.record(event.duration_s, labels)
            if event.key is not None:  # else of keys that were not begun
                self._trace(event)

    def _trace(self, event: Event) -> None:
        from opentelemetry.trace import Status, StatusCode

        end_ns = int(self._now_s() * _NS)
        start_ns = end_ns - int(event.duration_s * _NS)
        span = self._tracer.start_span(
            f"make {event.table}", start_time=start_ns, attributes=self._attributes(event)
        )
        if event.error is not None:
            message = error_message(event.error)
            span.add_event(
                "exception",
                {"exception.type": class_name_of(event.error), "exception.message": message},
                timestamp=end_ns,
            )
            span.set_status(Status(StatusCode.ERROR, message))
        self._trace_parts(span, event, start_ns)
        span.end(end_ns)

    def _trace_parts(self, span: Span, event: Event, start_ns: int) -> None:
        from opentelemetry.trace import set_span_in_context

        parts = [(name, getattr(event, f"{name}_s")) for name in _PARTS]
        if sum(seconds > 0 for _, seconds in parts) < 2:
            return  # a make in one part is the span itself
        inside = set_span_in_context(span)
        for name, seconds in parts:
            end_ns = start_ns + int(seconds * _NS)
            self._tracer.start_span(name, context=inside, start_time=start_ns).end(end_ns)
            start_ns = end_ns

    @staticmethod
    def _attributes(event: Event) -> dict[str, Any]:
        return {
            "datajoint.table": event.table,
            "datajoint.key": json.dumps(event.key, default=str),
            "datajoint.result": event.kind.value,
            "datajoint.attempt": event.attempt,
            "datajoint.worker": event.worker,
        }


@contextmanager
def exported() -> Iterator[Telemetry]:
    """Send to where the environment says, from now until the end, and what is left at the end.

    Raises
    ------
    ConfigError
        Where the extra is not installed.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ConfigError('--otel needs OpenTelemetry: pip install "dj-workers[otel]".')
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.version": our_version()})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):  # what the SDK calls no name
        resource = resource.merge(Resource({"service.name": "dj-worker"}))
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    try:
        yield Telemetry(traces, meters)
    finally:
        traces.shutdown()
        meters.shutdown()
