"""What a port of ours serves: metrics as numbers by name and labels, and the answers to probes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def get(url: str, timeout_s: float = 10) -> tuple[int, str]:
    """Return the status and the body."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


class Scrape:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self.series: Series = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @classmethod
    def of(cls, base_url: str) -> Scrape:
        status, text = get(f"{base_url}/metrics")
        assert status == 200, text
        return cls(text)

    def value(self, name: str, **labels: str) -> float:
        """Return the sum over the series of a name that have these labels."""
        wanted = set(labels.items())
        return sum(v for (n, has), v in self.series.items() if n == name and wanted <= has)

    def names(self) -> set[str]:
        return {name for name, _ in self.series}

    def labels(self, name: str) -> list[dict[str, str]]:
        return [dict(has) for n, has in self.series if n == name]


def probe(base_url: str, path: str) -> tuple[int, Any]:
    """Ask a probe."""
    status, text = get(f"{base_url}{path}")
    return status, json.loads(text)
