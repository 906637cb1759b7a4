"""What the database says about a run: results, jobs, workers, failures, and whether all is there once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any

from dj_query.universal import U


@dataclass(frozen=True)
class ImageResult:
    """One photograph: how many blobs by parameter set (None: no result), and the name of the best set."""

    title: str
    n_blobs: tuple[int | None, ...]
    best: str


@dataclass(frozen=True)
class WorkerShare:
    """What one worker process did of one table."""

    table: str
    worker: str
    n_jobs: int
    busy_s: float
    jobs_per_s: float


@dataclass(frozen=True)
class Failure:
    """Jobs of one table that failed with the same error."""

    table: str
    keys: tuple[dict[str, Any], ...]
    message: str
    traceback: str


@dataclass(frozen=True)
class Check:
    """Whether what should be there is there, once."""

    n_keys: int
    n_rows: int
    n_failed: int
    n_missing: int
    n_keys_in_rows: int
    n_blobs_counted: int
    n_blobs_stored: int
    n_incomplete: int

    @property
    def is_sound(self) -> bool:
        return (
            self.n_missing == self.n_incomplete == 0
            and self.n_keys == self.n_rows + self.n_failed
            and self.n_rows == self.n_keys_in_rows
            and self.n_blobs_counted == self.n_blobs_stored
        )


def computed_tables(pipeline: ModuleType) -> list[Any]:
    """Return the tables that workers fill, those first that others need."""
    classes = (pipeline.Detection, pipeline.BestDetection)
    order = pipeline.schema.list_tables()
    return sorted((cls() for cls in classes), key=lambda table: order.index(table.table_name))


def set_names(pipeline: ModuleType) -> dict[int, str]:
    rows = pipeline.DetectionParams.to_dicts(order_by="KEY")
    return {row["params_id"]: row["name"] for row in rows}


def results(pipeline: ModuleType) -> list[ImageResult]:
    names = set_names(pipeline)
    found = {(d["image_id"], d["params_id"]): d["n_blobs"] for d in pipeline.Detection.to_dicts()}
    best = {b["image_id"]: names[b["params_id"]] for b in pipeline.BestDetection.to_dicts()}
    images = pipeline.Image.proj("title").to_dicts(order_by="KEY")
    return [
        ImageResult(
            image["title"],
            tuple(found.get((image["image_id"], params_id)) for params_id in names),
            best.get(image["image_id"], ""),
        )
        for image in images
    ]


def worker_shares(table: Any) -> list[WorkerShare]:
    """Return who did how many jobs; the rate is over the time from its first claim to its last end."""
    ended = table.jobs & [{"status": "success"}, {"status": "error"}]
    jobs = ended.proj("_worker", "duration", "reserved_time", "completed_time").to_dicts()
    by_worker: dict[str, list[dict[str, Any]]] = {}
    for job in jobs:
        by_worker.setdefault(job["_worker"], []).append(job)
    return [_share(table, worker, by_worker[worker]) for worker in sorted(by_worker)]


def _share(table: Any, worker: str, jobs: list[dict[str, Any]]) -> WorkerShare:
    at_work_s = _span_s((j["reserved_time"] for j in jobs), (j["completed_time"] for j in jobs))
    return WorkerShare(
        table=type(table).__name__,
        worker=worker,
        n_jobs=len(jobs),
        busy_s=sum(j["duration"] or 0.0 for j in jobs),
        jobs_per_s=len(jobs) / max(at_work_s, 0.001),
    )


def _span_s(starts: Iterable[datetime], ends: Iterable[datetime]) -> float:
    return (max(ends) - min(starts)).total_seconds()


def failures(table: Any) -> list[Failure]:
    """Return the jobs that failed for good, those with one message together."""
    jobs = table.jobs.errors.to_dicts(order_by="KEY")
    key_names = table.jobs.heading.primary_key
    by_message: dict[str, list[dict[str, Any]]] = {}
    for job in jobs:
        by_message.setdefault(job["error_message"], []).append(job)
    return [
        Failure(
            type(table).__name__,
            tuple({name: job[name] for name in key_names} for job in same),
            message,
            same[0]["error_stack"] or "",
        )
        for message, same in by_message.items()
    ]


def check(pipeline: ModuleType) -> Check:
    """Ask the database whether a detection is missing, is there twice, or has other blobs than it says."""
    detection = pipeline.Detection()
    failed = detection.jobs.errors.proj()
    keys = pipeline.Image.proj() * pipeline.DetectionParams.proj()
    missing = keys - pipeline.Detection.proj() - failed.keys()
    counted = pipeline.Detection.aggr(pipeline.Detection.Blob, "n_blobs", n_stored="count(blob)")
    return Check(
        n_keys=len(keys),
        n_rows=len(detection),
        n_failed=len(failed),
        n_missing=len(missing),
        n_keys_in_rows=len(U(*detection.primary_key) & detection),
        n_blobs_counted=int(sum(detection.to_arrays("n_blobs"))),
        n_blobs_stored=len(pipeline.Detection.Blob()),
        n_incomplete=len(counted & "n_stored <> n_blobs"),
    )
