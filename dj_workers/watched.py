"""A worker with its metrics and probes on a port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from dj_workers.health import OK, Flow, Health, Probe, WorkerHealth

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
    with ExitStack() as around:
        flow: Probe = _without_database
        if tables:
            schemas = {cls._class_info.schema for cls in tables}
            flow = around.enter_context(closing(Flow(tables[0]._schema.connection, schemas)))
        health = WorkerHealth(worker.vitals, flow)
        probes = {"/healthz": health.alive, "/readyz": health.ready}
        yield around.enter_context(Serving(host, port, metrics.registry, probes))


def _without_database() -> Health:
    """Jobs of a worker of steps alone always flow: there are none."""
    return OK
