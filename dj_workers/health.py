"""Probes: is this process alive, and can jobs flow: the database answers and leases could be renewed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dj_jobs.overview import check_renewal, job_tables_of
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_workers.vitals import Vitals

log = logging.getLogger("datajoint.workers")

KEEP_S = 10.0  # an answer is given again for so long, so that probes cost the server next to nothing
_PATIENCE_S = 3.0  # for another probe's look at the database


@dataclass(frozen=True)
class Health:
    """An answer to a probe."""

    is_ok: bool
    reason: str = "ok"


OK = Health(True)
Probe = Callable[[], Health]


class Flow:
    """Whether jobs can flow: asks the database, one statement a look, on a connection of its own.

    Parameters
    ----------
    schemas : iterable of str
        Those of the worker's tables. Their job tables are looked at in turn.
    """

    def __init__(
        self, connection: Connection, schemas: Iterable[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection.clone()
        self._schemas = sorted(set(schemas))
        self._clock = clock
        self._lock = threading.Lock()
        self._n_looks = 0
        self._last: tuple[float, Health] | None = None

    def __call__(self) -> Health:
        if not self._lock.acquire(timeout=_PATIENCE_S):
            return Health(False, "the database has not answered the last look at it yet")
        try:
            now = self._clock()
            if self._last is None or now - self._last[0] >= KEEP_S:
                self._last = (now, self._look())
            return self._last[1]
        finally:
            self._lock.release()

    def _look(self) -> Health:
        try:
            self._connection.ping()
            tables = [t for s in self._schemas for t in job_tables_of(self._connection, s)]
            if tables:
                check_renewal(self._connection, tables[self._n_looks % len(tables)])
            self._n_looks += 1
        except DataJointError as e:
            for schema in self._schemas:
                self._connection.catalog.forget(schema)  # maybe a job table was dropped
            return Health(False, f"jobs cannot flow: {type(e).__name__}: {e}")
        return OK

    def close(self) -> None:
        self._connection.close()


class WorkerHealth:
    """The two probes of a worker."""

    def __init__(self, vitals: Vitals, flow: Probe) -> None:
        self._vitals = vitals
        self._flow = flow

    def alive(self) -> Health:
        """Fails for a worker that only a new start helps."""
        stuck = self._vitals.stuck()
        return OK if stuck is None else Health(False, stuck)

    def ready(self) -> Health:
        """Fails while jobs cannot flow, though the worker may be all right."""
        if self._vitals.is_stopping:
            return Health(False, "the worker is stopping")
        alive = self.alive()
        return self._flow() if alive.is_ok else alive
