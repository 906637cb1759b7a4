"""A worker with its metrics and probes on a port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dj_workers.health import Flow, WorkerHealth

if TYPE_CHECKING:
    from dj_workers.daemon import Worker
    from dj_workers.metrics.serve import Serving


@contextmanager
def watched(worker: Worker, host: str, port: int) -> Iterator[Serving]:
    """Serve what there is to know of a worker, from before its first job until after its last.

    Raises
    ------
    PortError
        Where the port cannot be had; nothing has been claimed then.
    """
    from dj_workers.metrics.serve import Serving
    from dj_workers.metrics.worker import WorkerMetrics

    metrics = WorkerMetrics(worker.vitals, worker.plan.names)
    worker.events.subscribe(metrics)
    tables = worker.plan.tables
    flow = Flow(tables[0]._schema.connection, {cls._class_info.schema for cls in tables})
    health = WorkerHealth(worker.vitals, flow)
    try:
        with Serving(
            host, port, metrics.registry, {"/healthz": health.alive, "/readyz": health.ready}
        ) as serving:
            yield serving
    finally:
        flow.close()
