"""The metrics of the database: read at intervals in a thread, served from what was read last.

So a scrape costs no statement, however many there are, and a slow count cannot time one out. How old the
figures are is a metric too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dj_jobs.overview import TableJobs, TableProgress, overview, progress_of
from dj_jobs.registry import WorkerInfo, registered
from dj_schema.connection import Connection
from dj_schema.errors import ConnectionRefusedByServerError, DataJointError, LostConnectionError
from dj_workers.health import OK, Health
from dj_workers.metrics import catalog

log = logging.getLogger("datajoint.workers")

_MOST_BUSY = 0.2  # of the time is spent on reading, at most: then reads get rarer
_READ_IS_STUCK_S = 900.0
_MOST_VERSIONS = 20
_AWAY = (LostConnectionError, ConnectionRefusedByServerError)
_MISSED = 3  # intervals without figures, and the exporter is not ready


@dataclass
class Part:
    """What is read together.

    Attributes
    ----------
    read_at : float or None
        When it last worked, by the clock of the epoch.
    """

    interval_s: float
    figures: list[Any] = field(default_factory=list)
    read_at: float | None = None
    duration_s: float = 0.0
    is_ok: bool = False
    error: str = "it has not been read yet"
    due: float = 0.0


class Exporter(Collector):
    """Reads the jobs often, and the key sources, which may take long, rarely.

    Parameters
    ----------
    tables : sequence of AutoPopulate
        Whose keys are counted, all on the server of the connection.
    adds_jobs : bool
        Also bring the jobs in line with the keys, each time before these are counted.
    """

    def __init__(
        self,
        connection: Connection,
        schemas: Sequence[str],
        tables: Sequence[Any],
        interval_s: float,
        keys_interval_s: float,
        *,
        adds_jobs: bool = False,
    ) -> None:
        self._adds_jobs = adds_jobs
        self._connection = connection
        self._schemas = sorted(set(schemas))
        self._tables = list(tables)
        self.workers: list[WorkerInfo] = []
        self.jobs = Part(interval_s)
        self.keys = Part(keys_interval_s)
        self._reading_since: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="datajoint-exporter", daemon=True)

    def __enter__(self) -> Exporter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.read_due()
            pause_s = min(self.jobs.due, self.keys.due) - time.monotonic()
            self._stop.wait(max(0.1, pause_s))

    def read_due(self) -> None:
        """Read what is due."""
        if time.monotonic() >= self.jobs.due:
            self._read(self.jobs, self._read_jobs, "jobs")
        if time.monotonic() >= self.keys.due and not self._stop.is_set():
            self._read(self.keys, self._read_keys, "keys")

    def _read_jobs(self) -> tuple[list[Any], list[str]]:
        found = overview(self._connection, self._schemas)
        workers = {w.incarnation: w for s in self._schemas for w in registered(self._connection, s)}
        self.workers = [w for w in workers.values() if w.is_alive]  # one of several schemas is one
        return found, []

    def _read_keys(self) -> tuple[list[Any], list[str]]:
        for schema in self._schemas:
            self._connection.catalog.forget(schema)  # tables may have been declared since
        broken: dict[str, str] = {}
        if self._adds_jobs:
            self._of_each(lambda table: [table.jobs.refresh()], broken)
        try:
            found = progress_of(self._tables)
        except _AWAY:
            raise
        except DataJointError:  # of one table, mostly
            found = self._of_each(lambda table: progress_of([table]), broken)
        return found, list(broken.values())

    def _of_each(self, do: Callable[[Any], list[Any]], broken: dict[str, str]) -> list[Any]:
        """Do something for each table, and take note of those where it cannot be done."""
        done: list[Any] = []
        for table in self._tables:
            try:
                done += do(table)
            except _AWAY:
                raise
            except DataJointError as e:
                broken[table.full_table_name] = f"{table.full_table_name}: {type(e).__name__}: {e}"
        return done

    def _read(self, part: Part, read: Callable[[], tuple[list[Any], list[str]]], name: str) -> None:
        self._reading_since = started = time.monotonic()
        try:
            part.figures, broken = read()
            part.read_at = time.time()
        except DataJointError as e:
            broken = [f"{type(e).__name__}: {e}"]
        part.is_ok, part.error = not broken, "; ".join(broken)
        for reason in broken:
            log.warning("cannot read the %s: %s", name, reason)
        self._reading_since = None
        part.duration_s = time.monotonic() - started
        part.due = started + max(part.interval_s, part.duration_s / _MOST_BUSY)

    # -- what is served ----------------------------------------------------------------------------

    def describe(self) -> Iterator[Metric]:
        return iter(())  # nothing is read for the sake of names

    def collect(self) -> Iterator[Metric]:
        yield from _of_jobs(self.jobs.figures)
        yield from _of_workers(self.workers)
        yield from _of_keys(self.keys.figures)
        yield from self._of_itself()

    def _of_itself(self) -> Iterator[Metric]:
        ok, at, duration = map(
            _family, (catalog.COLLECTION_OK, catalog.COLLECTION_TIME, catalog.COLLECTION_DURATION)
        )
        for name, part in (("jobs", self.jobs), ("keys", self.keys)):
            ok.add_metric([name], float(part.is_ok))
            duration.add_metric([name], part.duration_s)
            if part.read_at is not None:
                at.add_metric([name], part.read_at)
        yield from (ok, at, duration)

    # -- probes ------------------------------------------------------------------------------------

    def alive(self) -> Health:
        """Fails where the reading thread has ended, or hangs."""
        if not self._thread.is_alive():
            return Health(False, "the thread that reads has ended")
        since = self._reading_since
        if since is not None and time.monotonic() - since > _READ_IS_STUCK_S:
            return Health(False, f"one look at the database takes {time.monotonic() - since:.0f} s already")
        return OK

    def ready(self) -> Health:
        """Fails where there are no figures of late."""
        part = self.jobs
        if part.read_at is None:
            return Health(False, f"the jobs cannot be read: {part.error}")
        age_s = time.time() - part.read_at
        if age_s > _MISSED * max(part.interval_s, part.duration_s / _MOST_BUSY):
            return Health(False, f"the last figures are {age_s:.0f} s old: {part.error}")
        return OK


def _family(metric: catalog.Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)


def _of_jobs(tables: list[TableJobs]) -> Iterator[Metric]:
    jobs, due, oldest, errors, expired = map(
        _family, (catalog.JOBS, catalog.DUE, catalog.OLDEST, catalog.ERRORS, catalog.EXPIRED)
    )
    workers: set[str] = set()
    for t in tables:
        labels = [t.schema, t.table]
        for status, n in t.counts.items():
            jobs.add_metric([*labels, status], n)
        due.add_metric(labels, t.n_due)
        oldest.add_metric(labels, t.oldest_pending_s or 0.0)
        expired.add_metric(labels, t.n_expired)
        for exception, n in t.errors.items():
            errors.add_metric([*labels, exception], n)
        workers.update(t.holders)
    busy = _family(catalog.HOLDERS)
    busy.add_metric([], len(workers))
    yield from (jobs, due, oldest, errors, expired, busy)


def _of_workers(workers: list[WorkerInfo]) -> Iterator[Metric]:
    alive, code = _family(catalog.ALIVE), _family(catalog.CODE)
    alive.add_metric([], len(workers))
    for version, n in Counter(w.version for w in workers).most_common(_MOST_VERSIONS):
        code.add_metric([version or "none"], n)
    yield from (alive, code)


def _of_keys(tables: list[TableProgress]) -> Iterator[Metric]:
    keys, done = _family(catalog.KEYS), _family(catalog.KEYS_DONE)
    for t in tables:
        keys.add_metric([t.schema, t.table], t.total)
        done.add_metric([t.schema, t.table], t.done)
    yield from (keys, done)
