"""A worker of Celery with metrics and probes on a port, for all processes of its pool."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from celery import signals

from dj_jobs.events import Events
from dj_workers.health import OK, Flow, Health, Probe, WorkerHealth
from dj_workers.metrics.relay import Relay
from dj_workers.metrics.serve import Serving
from dj_workers.metrics.worker import WorkerMetrics
from dj_workers.pools.celery.broker import Broker
from dj_workers.pools.celery.errors import BrokerError
from dj_workers.vitals import Vitals

if TYPE_CHECKING:
    from dj_workers.pools.celery.worker import CeleryWorker


_PATIENCE_S = 3.0  # for another probe's question


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
    messages = Messages(Broker(worker.config, worker.app))
    health = WorkerHealth(vitals, lambda: first_fault(flow, messages))
    probes = {"/healthz": health.alive, "/readyz": health.ready}
    try:
        with Serving(host, port, metrics.registry, probes) as serving, relay:
            yield serving
    finally:
        flow.close()


class Messages:
    """Whether messages can come: asks the broker, on a connection of its own."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._lock = threading.Lock()

    def __call__(self) -> Health:
        if not self._lock.acquire(timeout=_PATIENCE_S):
            return Health(False, "the broker has not answered the last question yet")
        try:
            self._broker.check()
        except BrokerError as e:
            return Health(False, f"no messages come: {type(e).__name__}: {e}")
        finally:
            self._lock.release()
        return OK


def first_fault(*probes: Probe) -> Health:
    """Return the first answer that is none of health."""
    return next((health for ask in probes if not (health := ask()).is_ok), OK)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
