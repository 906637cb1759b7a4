"""Each query of the dashboard and of the alerts, on a real Prometheus that has scraped a real run."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dj_jobs.job import Worker
from dj_jobs.presence import Presence
from dj_workers.metrics.catalog import METRICS, Kind
from tests.support.scrape import get
from tests.support.servers import RunningPrometheus
from tests.workers.conftest import ROOT
from tests.workers.test_metrics import serving, until

DASHBOARD = json.loads((ROOT / "helm" / "files" / "dashboard.json").read_text())
PANELS = [p for p in DASHBOARD["panels"] if p["type"] != "row"]
QUERIES = [(p["title"], t["expr"]) for p in PANELS for t in p["targets"]]
VARIABLES = {"$schema": ".*", "$table": ".*", "$__rate_interval": "5m"}
pytestmark = pytest.mark.parametrize("server", ["postgresql"], indirect=True)


@pytest.fixture
def pipeline(
    tmp_path: Path, dj: Any, new_schema_name: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    monkeypatch.syspath_prepend(tmp_path)
    paths = [str(tmp_path), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("ROOMS_SCHEMA", new_schema_name())
    monkeypatch.setenv("ROOMS_DIED", str(tmp_path / "died"))
    shutil.copy(Path(__file__).with_name("rooms.py"), tmp_path / "rooms_of_test.py")
    import rooms_of_test  # type: ignore[import-not-found]

    yield rooms_of_test
    del sys.modules["rooms_of_test"]


def show_presence(table: Any) -> None:
    """Register this process, as a worker does that computes for a while."""
    connection = table._schema.connection
    Presence(connection, Worker.of_this_process(), [table._class_info.full_name]).beat(connection)


def query(server: RunningPrometheus, expression: str) -> list[Any]:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    status, text = get(f"{server.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    assert status == 200, f"{expression}: {text}"
    found: list[Any] = json.loads(text)["data"]["result"]
    return found


def test_every_panel_shows_something_of_a_real_run(
    pipeline: Any, prometheus: RunningPrometheus, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJ_CELERY_BROKER_URL", redis_url)
    monkeypatch.setenv("DJ_CELERY_QUEUE_PREFIX", f"{pipeline.schema.database}.")
    pipeline.Room.insert([{"room": i} for i in range(40)])
    run = ["run", "rooms_of_test", "--processes", "2", "--poll-interval", "0.1"]
    with (
        serving("exporter", "rooms_of_test", "--interval", "1", "--keys-interval", "1") as (_, exporter),
        serving(*run) as (_, worker),
        serving("dispatch", "rooms_of_test") as (_, dispatcher),
    ):
        targets = [
            {"targets": [url.removeprefix("http://")], "labels": {"job": job}}
            for job, url in (
                ("datajoint-exporter", exporter),
                ("datajoint-worker", worker),
                ("datajoint-dispatcher", dispatcher),
            )
        ]
        prometheus.targets.write_text(json.dumps(targets))
        addresses = {target for group in targets for target in group["targets"]}
        until(lambda: addresses <= {r["metric"]["instance"] for r in query(prometheus, "up == 1")})
        until(lambda: len(pipeline.Price()) == 36)
        # a rate needs an increase between two scrapes: some work comes after the first
        pipeline.Room.insert([{"room": i} for i in range(40, 50)])
        until(lambda: len(pipeline.Price()) == 45)
        pipeline.Area.jobs.ignore({"room": 3})
        ended = 'sum(datajoint_job_results_total{table="__price", result="succeeded"})'
        until(lambda: [r["value"][1] for r in query(prometheus, ended)] == ["45"])
        until(lambda: [r["value"][1] for r in query(prometheus, "sum(datajoint_keys_done)")] == ["90"])
        show_presence(pipeline.Area)
        until(lambda: bool(query(prometheus, "datajoint_workers_code")))
        # after a scrape that took too long there is nothing of its target, until the next one
        for title, expr in QUERIES:
            until(lambda expr=expr: bool(query(prometheus, expr)), title)  # type: ignore[misc]
        ignored = 'sum(datajoint_jobs{status="ignore"})'
        until(lambda: [r["value"][1] for r in query(prometheus, ignored)] == ["1"])
        deaths = "datajoint_worker_process_deaths_total"
        until(lambda: [r["value"][1] for r in query(prometheus, deaths)] == ["1"])
        for metric in METRICS:
            name = metric.name + ("_count" if metric.kind is Kind.HISTOGRAM else "")
            until(lambda name=name: bool(query(prometheus, name)), name)  # type: ignore[misc]


def test_panels_and_their_queries_are_those_of_documented_metrics(server: object) -> None:
    series = {m.name for m in METRICS}
    series |= {
        f"{m.name}_{s}" for m in METRICS if m.kind is Kind.HISTOGRAM for s in ("bucket", "sum", "count")
    }
    for title, expression in QUERIES:
        assert set(re.findall(r"\bdatajoint_\w+", expression)) <= series, title
    assert len({p["id"] for p in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(p["description"] for p in PANELS)
