"""The log of a worker at work: a line when it begins, how far it is now and then, a line when it ends."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dj_jobs.events import Event, Kind
from dj_jobs.job import Result
from dj_jobs.presence import Activity
from dj_jobs.version import code_version
from dj_workers.vitals import ENDS
from dj_workers.workings import time_text

if TYPE_CHECKING:
    from dj_workers.daemon import Worker

log = logging.getLogger("datajoint.workers")

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 300.0
_MOST_NAMES = 8
_MOST_RUNNING = 3
_SAID = {Kind.SUCCEEDED: "done", Kind.EMPTY: "done", Kind.SKIPPED: "done"}
_RESULTS = {
    Result.SUCCESS: "done",
    Result.EMPTY: "done",
    Result.SKIP: "done",
    Result.ERROR: "failed",
}


@contextmanager
def told_in_log(worker: Worker) -> Iterator[None]:
    """Log what a worker does, for as long as it works."""
    started = time.monotonic()
    log.info("%s", beginning_text(worker), extra=_fields(worker, "begins"))
    presence = worker.presence
    progress = ProgressLog(presence.running if presence is not None else {}, lambda: not worker.vitals.n_busy)
    worker.events.subscribe(progress)
    try:
        with progress:
            yield
    finally:
        took_s = time.monotonic() - started
        fields = _fields(worker, "ends", duration_s=round(took_s, 3), counts=_counts(worker))
        log.info("%s", end_text(worker, took_s), extra=fields)


def beginning_text(worker: Worker) -> str:
    """Return what a worker is about to do, and where."""
    tables = sorted(worker.plan.names)
    more = f" and {len(tables) - _MOST_NAMES} more" if len(tables) > _MOST_NAMES else ""
    parts = [f"{', '.join(tables[:_MOST_NAMES])}{more}"] if tables else []
    if worker.work.steps:
        parts.append(_number(len(worker.work.steps), "step"))
    parts.append(_number(worker.processes, "process", "processes"))
    if (connection := worker.connection) is not None:
        parts.append(connection.settings.label + (f" as {connection.user}" if connection.user else ""))
        if version := code_version(connection.config):
            parts.append(f"version {version}")
    return f"worker {worker.identity.name} begins: {'; '.join(parts)}"


def end_text(worker: Worker, took_s: float) -> str:
    """Return what a worker has done, and why it ends."""
    sums: Counter[str] = Counter()
    for counts in _counts(worker).values():
        sums.update(counts)
    done = ", ".join(f"{n} {what}" for what, n in sorted(sums.items())) or "nothing done"
    return f"worker {worker.identity.name} ends after {time_text(took_s)}: {done}; {worker.why_it_ended}"


def _counts(worker: Worker) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for table, of_table in worker.tally.by_table.items():
        for result, n in of_table.items():
            counts.setdefault(table, Counter())[_RESULTS.get(result, result.value)] += n
    return counts


def _number(n: int, one: str, several: str | None = None) -> str:
    return f"{n} {one if n == 1 else several or one + 's'}"


def _fields(worker: Worker, event: str, **more: Any) -> dict[str, Any]:
    fields = {"event": event, "worker": worker.identity.name, "tables": sorted(worker.plan.names), **more}
    return {"job": fields}


class ProgressLog:
    """Logs what jobs became, soon after the first and then at pauses that double; a subscriber of events.

    Parameters
    ----------
    running : mapping
        What is being computed, by process; it changes.
    is_idle : callable
        Whether the worker waits for work.
    """

    def __init__(
        self,
        running: Mapping[Any, Activity],
        is_idle: Callable[[], bool],
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._running = running
        self._is_idle = is_idle
        self._first_pause_s = first_pause_s
        self._counts: dict[str, Counter[str]] = {}
        self._since = time.monotonic()
        self._lock = threading.Lock()
        self._has_news = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="datajoint-progress", daemon=True)

    def __enter__(self) -> ProgressLog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._has_news.set()
        self._thread.join()

    def __call__(self, event: Event) -> None:
        if event.kind in ENDS:
            with self._lock:
                counts = self._counts.setdefault(event.table, Counter())
                counts[_SAID.get(event.kind, event.kind.value)] += event.n
        if not self._has_news.is_set():
            with self._lock:
                self._since = time.monotonic()
            self._has_news.set()

    def _run(self) -> None:
        """Sleep while nothing happens, so that a worker that waits costs nothing here."""
        pause_s = self._first_pause_s
        while self._has_news.wait() and not self._stop.wait(pause_s):
            running = list(dict(self._running).values())
            if not running:
                self._has_news.clear()  # before the counts are taken: what comes now is said next time
            self._say(running)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S) if running else self._first_pause_s

    def _say(self, running: list[Activity]) -> None:
        now = time.monotonic()
        with self._lock:
            counts, self._counts = self._counts, {}
            span_s, self._since = now - self._since, now
        parts = [f"{table} {_counted(of_table, span_s)}" for table, of_table in sorted(counts.items())]
        parts += [_computes(activity, now) for activity in _longest(running)[:_MOST_RUNNING]]
        if len(running) > _MOST_RUNNING:
            parts.append(f"and {len(running) - _MOST_RUNNING} more")
        if parts:
            waits = "; waits for work" if not running and self._is_idle() else ""
            fields = {"event": "progress", "duration_s": round(span_s, 3), "counts": counts}
            log.info("in %s: %s%s", time_text(span_s), "; ".join(parts), waits, extra={"job": fields})


def _longest(running: list[Activity]) -> list[Activity]:
    return sorted(running, key=lambda activity: activity.since)


def _counted(counts: Mapping[str, int], span_s: float) -> str:
    n_done = counts.get("done", 0)
    rate = f" ({n_done / span_s:.3g}/s)" if n_done and span_s > 0 else ""
    return ", ".join(f"{n} {what}{rate if what == 'done' else ''}" for what, n in sorted(counts.items()))


def _computes(activity: Activity, now: float) -> str:
    key = " ".join(f"{name}={value}" for name, value in activity.key.items())
    return f"computes {activity.table} {key} for {time_text(now - activity.since)}"
