"""What KEDA scales by, in SQL and in Prometheus, counts the same: what is computed or could be taken now."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from dj_query.schema import Schema
from tests.conftest import ServerUnderTest
from tests.support.compose import ROOT
from tests.support.servers import RunningPrometheus
from tests.workers.test_dashboard import query
from tests.workers.test_metrics import serving, until

BACKLOG = 1 + 3 + 2 + 1  # of the first, of the second, and the one that the third table computes


@pytest.fixture
def backlog(dj: ModuleType, new_schema: Callable[..., Schema]) -> Schema:
    """Return three tables: one with all kinds of jobs, one with jobs for later, one that is paused."""
    schema = new_schema()

    @schema
    class Number(dj.Manual):
        definition = "number : int32"

    def declare(name: str) -> Any:
        return schema(type(name, (dj.Computed,), {"definition": "-> Number"}), context={"Number": Number})

    first, second, third = declare("First"), declare("Second"), declare("Third")
    Number.insert([{"number": n} for n in range(5)])
    first.jobs.refresh()
    first.jobs.reserve({"number": 0})
    first.jobs.ignore({"number": 1})
    second.jobs.refresh("number < 2", delay=3600)
    second.jobs.refresh("number >= 3")
    third.jobs.refresh()
    third.jobs.reserve({"number": 4})
    third.jobs.pause()
    return schema


@pytest.fixture
def trigger(
    backlog: Schema, server: ServerUnderTest, program: Callable[[str], str], tmp_path: Path
) -> Callable[[str], dict[str, Any]]:
    """Return what renders the trigger of a group of these tables."""
    names = [f"{backlog.database}.~~{name}" for name in ("first", "second", "third")]

    def render(source: str) -> dict[str, Any]:
        values = {
            "database": {"backend": server.settings["backend"]},
            "workerGroups": {"a": {"autoscaling": {"enabled": True, "source": source, "jobTables": names}}},
        }
        (tmp_path / "values.yaml").write_text(json.dumps(values))
        command = [program("helm"), "template", "rel", str(ROOT / "helm"), "--kube-version", "1.31.0"]
        done = subprocess.run(
            [*command, "-f", str(tmp_path / "values.yaml")], capture_output=True, text=True, check=True
        )
        [scaled] = [d for d in yaml.safe_load_all(done.stdout) if d and d["kind"] == "ScaledObject"]
        [found] = scaled["spec"]["triggers"]
        assert found["type"] == (server.settings["backend"] if source == "sql" else source)
        metadata: dict[str, Any] = found["metadata"]
        return metadata

    return render


def test_the_sql_of_the_chart_counts_the_backlog(
    backlog: Schema, trigger: Callable[[str], dict[str, Any]]
) -> None:
    [row] = backlog.connection.query(trigger("sql")["query"]).fetchall()
    assert [int(n) for n in row] == [BACKLOG]


def test_the_query_of_the_chart_counts_the_same_in_prometheus(
    backlog: Schema, trigger: Callable[[str], dict[str, Any]], prometheus: RunningPrometheus
) -> None:
    expression = trigger("prometheus")["query"]
    assert [r["value"][1] for r in query(prometheus, expression)] == ["0"], "nothing is scraped yet"
    with serving("exporter", f"schema:{backlog.database}", "--interval", "1") as (_, url):
        prometheus.targets.write_text(
            json.dumps([{"targets": [url.removeprefix("http://")], "labels": {"job": "datajoint-exporter"}}])
        )
        held = f'datajoint_jobs{{status="reserved", schema="{backlog.database}"}}'
        until(lambda: len(query(prometheus, held)) == 3)
        # after a scrape that took too long it is nothing, until the next one
        until(lambda: [r["value"][1] for r in query(prometheus, expression)] == [str(BACKLOG)])
