"""`dj-worker --log-format json run --otel`: what its log says, and what a collector receives."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.workers.conftest import Lab, dj_worker

pytestmark = pytest.mark.parametrize("server", ["postgresql"], indirect=True)
Received = list[tuple[str, bytes]]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    """Return what is posted to a collector that the environment names."""
    received: Received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_zipped = self.headers.get("Content-Encoding") == "gzip"
            received.append((self.path, gzip.decompress(body) if is_zipped else body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "squares")
        yield received
        server.shutdown()


def test_traces_metrics_and_log_lines_tell_of_each_job(lab: Lab, collector: Received) -> None:
    lab.add(5, fail=[3])
    run = ["run", lab.name, "--tables", "Square", "--once", "--processes", "2", "--otel"]
    ended = dj_worker("--log-format", "json", "--log-level", "debug", *run)
    assert ended.code == 1, ended.err
    table = f"{lab.schema.database}.__square"

    spans, metrics = [], []
    for path, body in collector:
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {a.key: a.value.string_value for a in resource.resource.attributes}
                assert names["service.name"] == "squares"
                spans += [s for scope in resource.scope_spans for s in scope.spans]
        else:
            for found in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                metrics += [m for scope in found.scope_metrics for m in scope.metrics]
    jobs = [s for s in spans if s.name == f"make {table}"]
    assert sorted(s.status.code for s in jobs) == [0, 0, 0, 0, 2]
    assert "datajoint.job.results" in {m.name for m in metrics}

    lines = [json.loads(line) for line in ended.err.splitlines() if line.startswith("{")]
    told = [line for line in lines if line.get("table") == table and "key" in line]
    ends = sorted((line["key"]["number"], line["event"]) for line in told if line["event"] != "started")
    assert ends == [(n, "failed" if n == 3 else "succeeded") for n in range(5)]
    [failed] = [line for line in told if line["event"] == "failed"]
    assert (failed["exception"], failed["attempt"], failed["level"]) == ("ValueError", 1, "warning")
    assert failed["worker"]
