"""A worker of Celery with metrics and probes on a port, for all processes of its pool."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from celery import signals

from dj_jobs.events import Events
from dj_workers.health import Flow, WorkerHealth
from dj_workers.metrics.relay import Relay
from dj_workers.metrics.serve import Serving
from dj_workers.metrics.worker import WorkerMetrics
from dj_workers.vitals import Vitals

if TYPE_CHECKING:
    from dj_workers.pools.celery.worker import CeleryWorker


@contextmanager
def watched(worker: CeleryWorker, host: str, port: int) -> Iterator[Serving]:
    """Serve what there is to know of the pool; enter it before Celery starts.

    Raises
    ------
    PortError
        Where the port cannot be had.
    """
    vitals = Vitals(exists=_exists)
    vitals.stop_is(worker.stop.__bool__)
    tables = worker.pipeline.tables
    metrics = WorkerMetrics(vitals, tables)
    relay = Relay(Events(metrics), vitals)
    worker.events.subscribe(relay.tell)

    # kept in names, because Celery holds its receivers weakly
    def on_prerun(**_: Any) -> None:
        relay.is_busy()

    def on_idle(**_: Any) -> None:
        relay.is_idle()

    signals.task_prerun.connect(on_prerun)
    signals.task_postrun.connect(on_idle)
    signals.worker_process_init.connect(on_idle)
    connection = next(iter(tables.values()))._schema.connection
    flow = Flow(connection, {table._class_info.schema for table in tables.values()})
    health = WorkerHealth(vitals, flow)
    probes = {"/healthz": health.alive, "/readyz": health.ready}
    try:
        with Serving(host, port, metrics.registry, probes) as serving, relay:
            yield serving
    finally:
        flow.close()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
