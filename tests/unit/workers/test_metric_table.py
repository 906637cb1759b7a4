"""The table of metrics: as documented, and named as Prometheus wants it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dj_workers.metrics.catalog import METRICS, Kind, Metric, as_markdown

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_the_documented_table_is_that_of_the_code() -> None:
    found = re.search(r"<!-- metrics: .*? -->\n(.*?)\n<!-- end of metrics -->", PAGE.read_text(), re.S)
    assert found is not None
    assert found[1] == as_markdown(), "print as_markdown() into docs/metrics.md"


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_names_and_labels_follow_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"datajoint_[a-z][a-z_]*[a-z]", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    if metric.kind is Kind.HISTOGRAM:
        assert metric.name.endswith("_seconds")
    assert not re.search(r"_(ms|millis|minutes|hours|percent|count|sum|bucket)$", metric.name)
    assert set(metric.labels) <= {
        "schema", "table", "status", "result", "exception", "state", "part", "version", "python", "code",
        "queue",
    }  # fmt: skip
    assert metric.meaning.endswith((".", "\N{FULL STOP}"))
    assert len({m.name for m in METRICS}) == len(METRICS)
