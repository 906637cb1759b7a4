"""Every metric there is: name, type, labels and meaning. docs/metrics.md shows this table.

Labels take few values: tables of the pipeline, states, and classes of exceptions up to a limit. A key is
never a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

TABLE = ("schema", "table")
MOST_EXCEPTIONS = 50  # classes, a table and process; what comes later counts as "other"

# From a millisecond to a day: makes of pipelines are that different.
BUCKETS_S = (0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class By(StrEnum):
    """Who serves a metric."""

    WORKER = "worker"
    EXPORTER = "exporter"
    DISPATCHER = "dispatcher"
    ALL = "worker, exporter, dispatcher"


@dataclass(frozen=True)
class Metric:
    """One metric, named as in a query: a counter with its ``_total``."""

    name: str
    kind: Kind
    by: By
    labels: tuple[str, ...]
    meaning: str


def _counter(name: str, labels: Sequence[str], meaning: str, by: By = By.WORKER) -> Metric:
    return Metric(name, Kind.COUNTER, by, tuple(labels), meaning)


def _histogram(name: str, meaning: str) -> Metric:
    return Metric(name, Kind.HISTOGRAM, By.WORKER, TABLE, meaning)


def _gauge(name: str, by: By, labels: Sequence[str], meaning: str) -> Metric:
    return Metric(name, Kind.GAUGE, by, tuple(labels), meaning)


CLAIMS = _counter("datajoint_job_claims_total", TABLE, "Jobs that this worker has claimed.")
RESULTS = _counter(
    "datajoint_job_results_total",
    (*TABLE, "result"),
    "Jobs that ended here: succeeded, empty (no row), failed (for good), retried, fenced (claim lost), "
    "skipped, released, cancelled.",
)
FAILURES = _counter(
    "datajoint_job_failures_total",
    (*TABLE, "exception"),
    "Calls of make that ended in an exception, tried again or not, by its class.",
)
RESCUES = _counter(
    "datajoint_job_rescues_total", TABLE, "Jobs of dead workers that this worker has put back."
)
LEASE_LOSSES = _counter(
    "datajoint_job_lease_losses_total",
    TABLE,
    "Claims that this worker lost while it computed: fenced off, nothing was written.",
)
DURATION = _histogram(
    "datajoint_job_duration_seconds", "From the start of a job to its end, whatever the end."
)
FETCH = _histogram("datajoint_job_fetch_seconds", "The part of a make that fetches its inputs.")
COMPUTE = _histogram("datajoint_job_compute_seconds", "The part of a make that computes.")
INSERT = _histogram("datajoint_job_insert_seconds", "The part of a make that inserts, with the commit.")
PROCESSES = _gauge(
    "datajoint_worker_processes", By.WORKER, ("state",), "Processes of this worker: busy or idle."
)
DEATHS = _counter(
    "datajoint_worker_process_deaths_total", (), "Processes of this worker that ended unexpectedly."
)
LAST_PROGRESS = _gauge(
    "datajoint_worker_last_progress_timestamp_seconds",
    By.WORKER,
    (),
    "When this worker last claimed a job, ended one, or looked for one in vain.",
)
BUILD = _gauge(
    "datajoint_build_info", By.ALL, ("version", "python"), "Always 1; the labels are the versions."
)

JOBS = _gauge("datajoint_jobs", By.EXPORTER, (*TABLE, "status"), "Rows of the job table, by status.")
DUE = _gauge(
    "datajoint_jobs_due",
    By.EXPORTER,
    TABLE,
    "Pending jobs that a worker could take now: they are due, and their table is not paused.",
)
OLDEST = _gauge(
    "datajoint_job_oldest_pending_age_seconds",
    By.EXPORTER,
    TABLE,
    "For how long the first of the pending jobs has been due; 0 where none is.",
)
ERRORS = _gauge(
    "datajoint_job_errors",
    By.EXPORTER,
    (*TABLE, "exception"),
    "Jobs that have failed for good and wait for somebody, by class of the exception.",
)
EXPIRED = _gauge(
    "datajoint_job_expired_leases",
    By.EXPORTER,
    TABLE,
    "Reserved jobs whose worker has not renewed its lease in time, and that nobody has rescued yet.",
)
KEYS = _gauge("datajoint_keys", By.EXPORTER, TABLE, "Keys of the key source: rows that there should be.")
KEYS_DONE = _gauge(
    "datajoint_keys_done", By.EXPORTER, TABLE, "Keys that are computed, or ended without a row."
)
HOLDERS = _gauge(
    "datajoint_workers_busy", By.EXPORTER, (), "Workers that hold at least one job by a live lease."
)
ALIVE = _gauge(
    "datajoint_workers_alive",
    By.EXPORTER,
    (),
    "Worker processes that have shown themselves in the registry of workers of late, idle ones included.",
)
CODE = _gauge(
    "datajoint_workers_code",
    By.EXPORTER,
    ("code",),
    "Of these, how many run which version of the pipeline (setting jobs.version).",
)
COLLECTION_OK = _gauge(
    "datajoint_exporter_collection_success",
    By.EXPORTER,
    ("part",),
    "1 where the last look at the jobs (or the keys) worked, else 0; the figures are then those of before.",
)
COLLECTION_TIME = _gauge(
    "datajoint_exporter_collection_timestamp_seconds",
    By.EXPORTER,
    ("part",),
    "When the figures of the jobs (or the keys) were last read.",
)
COLLECTION_DURATION = _gauge(
    "datajoint_exporter_collection_duration_seconds",
    By.EXPORTER,
    ("part",),
    "How long the last look at the jobs (or the keys) took.",
)

QUEUE_MESSAGES = _gauge(
    "datajoint_dispatcher_queue_messages",
    By.DISPATCHER,
    ("queue",),
    "Messages of a queue of Celery that nobody has taken, after the dispatcher's last look.",
)
MESSAGES = _counter(
    "datajoint_dispatcher_messages_total", TABLE, "Messages that this dispatcher has sent.", By.DISPATCHER
)
DISPATCH_FAILURES = _counter(
    "datajoint_dispatcher_failures_total",
    ("part",),
    "Looks that failed, because the broker or the database was away, and tables that could not be looked at.",
    By.DISPATCHER,
)
LAST_LOOK = _gauge(
    "datajoint_dispatcher_last_look_timestamp_seconds",
    By.DISPATCHER,
    (),
    "When this dispatcher last looked with success; 0 where it has not yet.",
)

METRICS = (
    CLAIMS, RESULTS, FAILURES, RESCUES, LEASE_LOSSES, DURATION, FETCH, COMPUTE, INSERT, PROCESSES, DEATHS,
    LAST_PROGRESS, BUILD, JOBS, DUE, OLDEST, ERRORS, EXPIRED, KEYS, KEYS_DONE, HOLDERS, ALIVE, CODE,
    COLLECTION_OK, COLLECTION_TIME, COLLECTION_DURATION, QUEUE_MESSAGES, MESSAGES, DISPATCH_FAILURES,
    LAST_LOOK,
)  # fmt: skip


def counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    """Make the counter of a row of the table."""
    return Counter(metric.name, metric.meaning, metric.labels, registry=registry)


def gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(metric.name, metric.meaning, metric.labels, registry=registry)


def histogram(metric: Metric, registry: CollectorRegistry) -> Histogram:
    return Histogram(metric.name, metric.meaning, metric.labels, buckets=BUCKETS_S, registry=registry)


def as_markdown() -> str:
    """Return the table of docs/metrics.md."""
    lines = ["| metric | type | labels | served by | meaning |", "|---|---|---|---|---|"]
    for m in METRICS:
        labels = ", ".join(f"`{label}`" for label in m.labels) or "none"
        lines.append(f"| `{m.name}` | {m.kind.value} | {labels} | {m.by.value} | {m.meaning} |")
    return "\n".join(lines)
