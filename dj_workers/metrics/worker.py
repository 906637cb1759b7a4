"""The metrics of one worker: counters and histograms fed by the events of its jobs.

They live in the process that leads the worker. What its children do arrives there as events, so that the
figures are right with any number of processes, and what a dead child had told stays counted.
"""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from dj_jobs.events import Event, Kind
from dj_workers.metrics import catalog
from dj_workers.metrics.catalog import counter, gauge, histogram
from dj_workers.pools.messages import ErrorInWorker
from dj_workers.vitals import ENDS, Vitals

_WITH_ERROR = frozenset((Kind.FAILED, Kind.RETRIED))
OTHER = "other"


class WorkerMetrics:
    """Subscribe it to a worker's events.

    Parameters
    ----------
    vitals : Vitals, optional
        What the worker's processes are doing.
    tables : iterable of str
        ``schema.table`` of what it works on: their counters are served from the start, as zeros, so that
        the first event is an increase.
    """

    def __init__(self, vitals: Vitals | None = None, tables: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        self._exceptions: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._claims = counter(catalog.CLAIMS, self.registry)
        self._results = counter(catalog.RESULTS, self.registry)
        self._failures = counter(catalog.FAILURES, self.registry)
        self._rescues = counter(catalog.RESCUES, self.registry)
        self._lease_losses = counter(catalog.LEASE_LOSSES, self.registry)
        self._duration = histogram(catalog.DURATION, self.registry)
        self._parts = {
            "fetch_s": histogram(catalog.FETCH, self.registry),
            "compute_s": histogram(catalog.COMPUTE, self.registry),
            "insert_s": histogram(catalog.INSERT, self.registry),
        }
        if vitals is not None:
            self._show(vitals)
        for name in tables:
            self._begin(_labels(name))
        show_build(self.registry)

    def _begin(self, labels: tuple[str, str]) -> None:
        for counted in (self._claims, self._rescues, self._lease_losses):
            counted.labels(*labels)
        for result in ENDS:
            self._results.labels(*labels, result.value)

    def _show(self, vitals: Vitals) -> None:
        processes = gauge(catalog.PROCESSES, self.registry)
        processes.labels("busy").set_function(lambda: vitals.n_busy)
        processes.labels("idle").set_function(lambda: vitals.n_idle)
        gauge(catalog.LAST_PROGRESS, self.registry).set_function(lambda: vitals.last_progress)
        deaths = counter(catalog.DEATHS, self.registry)
        vitals.on_death(deaths.inc)

    def __call__(self, event: Event) -> None:
        labels = _labels(event.table)
        if event.kind is Kind.CLAIMED:
            self._claims.labels(*labels).inc(event.n)
        elif event.kind is Kind.RESCUED:
            self._rescues.labels(*labels).inc(event.n)
        elif event.kind in ENDS:
            self._ended(event, labels)

    def _ended(self, event: Event, labels: tuple[str, str]) -> None:
        self._results.labels(*labels, event.kind.value).inc(event.n)
        if event.kind is Kind.FENCED:
            self._lease_losses.labels(*labels).inc(event.n)
        if event.kind in _WITH_ERROR:
            self._failures.labels(*labels, self._exception(event.error, labels)).inc(event.n)
        if event.duration_s > 0:
            self._duration.labels(*labels).observe(event.duration_s)
        for name, part in self._parts.items():
            seconds: float = getattr(event, name)
            if seconds > 0:
                part.labels(*labels).observe(seconds)

    def _exception(self, error: BaseException | None, labels: tuple[str, str]) -> str:
        name = class_name_of(error)
        seen = self._exceptions[labels]
        if name not in seen and len(seen) >= catalog.MOST_EXCEPTIONS:
            return OTHER
        seen.add(name)
        return name


def _labels(table: str) -> tuple[str, str]:
    schema, _, name = table.partition(".")
    return schema, name


def class_name_of(error: BaseException | None) -> str:
    """Return the class of an exception, also of one that came from another process as text."""
    if error is None:
        return OTHER
    return error.class_name if isinstance(error, ErrorInWorker) else type(error).__name__


def our_version() -> str:
    """Return the version of this distribution."""
    try:
        return version("dj-workers")
    except PackageNotFoundError:
        return "source"


def show_build(registry: CollectorRegistry) -> None:
    """Serve the versions, and what prometheus_client knows of this process."""
    gauge(catalog.BUILD, registry).labels(our_version(), platform.python_version()).set(1)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
