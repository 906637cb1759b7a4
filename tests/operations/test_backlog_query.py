"""The SQL by which KEDA scales counts what is due or being computed, on each server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from dj_query.schema import Schema
from tests.conftest import ServerUnderTest
from tests.support.compose import ROOT


def test_the_query_of_the_chart_counts_the_backlog(
    dj: ModuleType,
    server: ServerUnderTest,
    new_schema: Callable[..., Schema],
    program: Callable[[str], str],
    tmp_path: Path,
) -> None:
    schema = new_schema()

    @schema
    class Number(dj.Manual):
        definition = "number : int32"

    def declare(name: str) -> Any:
        return schema(type(name, (dj.Computed,), {"definition": "-> Number"}), context={"Number": Number})

    first, second = declare("First"), declare("Second")
    Number.insert([{"number": n} for n in range(5)])
    first.jobs.refresh()
    first.jobs.reserve({"number": 0})
    first.jobs.ignore({"number": 1})
    second.jobs.refresh("number < 2", delay=3600)
    second.jobs.refresh("number >= 3")
    names = [f"{schema.database}.{t.jobs.table_name}" for t in (first, second)]
    backend = server.settings["backend"]
    values = {
        "database": {"backend": backend},
        "workerGroups": {"a": {"autoscaling": {"enabled": True, "source": "sql", "jobTables": names}}},
    }
    (tmp_path / "values.yaml").write_text(json.dumps(values))
    command = [program("helm"), "template", "rel", str(ROOT / "helm"), "--kube-version", "1.31.0"]
    done = subprocess.run(
        [*command, "-f", str(tmp_path / "values.yaml")], capture_output=True, text=True, check=True
    )
    [scaled] = [d for d in yaml.safe_load_all(done.stdout) if d and d["kind"] == "ScaledObject"]
    [trigger] = scaled["spec"]["triggers"]
    assert trigger["type"] == backend
    [row] = schema.connection.query(trigger["metadata"]["query"]).fetchall()
    assert [int(n) for n in row] == [4 + 2]
