"""The metrics and probes of a dispatcher: how long queues are, what it sends, whether its looks succeed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry

from dj_workers.health import OK, Health
from dj_workers.metrics import catalog
from dj_workers.metrics.catalog import counter, gauge
from dj_workers.metrics.worker import show_build

_LOOK_IS_STUCK_S = 900.0
BROKER, DATABASE, TABLE = FAILURES = ("broker", "database", "table")


class DispatcherMetrics:
    """What one dispatcher tells; the look that runs is between `begins` and one of `looked` and `failed`.

    Parameters
    ----------
    tables, queues : iterable of str
        Served from the start, as zeros.
    """

    def __init__(self, tables: Iterable[str], queues: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        self._waiting = gauge(catalog.QUEUE_MESSAGES, self.registry)
        self._sent = counter(catalog.MESSAGES, self.registry)
        self._failures = counter(catalog.DISPATCH_FAILURES, self.registry)
        self._last_look = gauge(catalog.LAST_LOOK, self.registry)
        for name in tables:
            self._sent.labels(*name.split(".", 1))
        for queue in queues:
            self._waiting.labels(queue)
        for what in FAILURES:
            self._failures.labels(what)
        show_build(self.registry)
        self._since: float | None = None
        self._failure: str | None = "it has not looked yet"

    def begins(self) -> None:
        """A look at all tables and queues begins."""
        self._since = time.monotonic()

    def looked(self, waiting: Mapping[str, int], sent: Mapping[str, int], broken: Mapping[str, str]) -> None:
        """It has succeeded, but for tables that could not be looked at.

        Parameters
        ----------
        waiting : mapping
            Messages in each queue.
        sent : mapping
            Messages for each ``schema.table``.
        broken : mapping
            Why a table could not be looked at.
        """
        self._since = self._failure = None
        for queue, n in waiting.items():
            self._waiting.labels(queue).set(n)
        for table, n in sent.items():
            self._sent.labels(*table.split(".", 1)).inc(n)
        self._failures.labels(TABLE).inc(len(broken))
        self._last_look.set_to_current_time()

    def failed(self, what: str, error: Exception) -> None:
        """The broker or the database did not answer."""
        self._since, self._failure = None, f"{type(error).__name__}: {error}"
        self._failures.labels(what).inc()

    def alive(self) -> Health:
        """Fails where one look takes for ever."""
        since = self._since
        if since is not None and time.monotonic() - since > _LOOK_IS_STUCK_S:
            return Health(False, f"one look takes {time.monotonic() - since:.0f} s already")
        return OK

    def ready(self) -> Health:
        """Fails while nothing can be dispatched."""
        return OK if self._failure is None else Health(False, f"nothing is dispatched: {self._failure}")
