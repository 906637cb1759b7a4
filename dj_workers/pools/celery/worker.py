"""A Celery worker of ours: which pipeline, what its tasks do, what Celery's signals mean for it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from celery import Celery, signals

from dj_jobs.events import Events
from dj_jobs.job_log import log_event
from dj_schema.errors import DataJointError
from dj_schema.settings import Config
from dj_workers import logs
from dj_workers.cli.exit_codes import ModuleError, code_of
from dj_workers.cli.options import say_error
from dj_workers.host_clock import warn_of_clock
from dj_workers.pools.celery.app import DISPATCH, WAKE_UP, dispatch_queue
from dj_workers.pools.celery.broker import Broker
from dj_workers.pools.celery.dispatch import Dispatcher
from dj_workers.pools.celery.errors import BrokerError
from dj_workers.pools.celery.message import MOST_REFUSALS, WakeUp
from dj_workers.pools.celery.stopping import StopFlag, pids_of_running_tasks, stop_at_once_after
from dj_workers.pools.celery.tables import load_tables
from dj_workers.pools.celery.work import Ending, Pipeline
from dj_workers.routes import queues_of

log = logging.getLogger("datajoint.workers")


class CeleryWorker:
    """What a process of Celery knows of pipelines.

    Attributes
    ----------
    events : Events
        Subscribe to it for what happens to jobs in this process.
    """

    def __init__(self, app: Celery, config: Config) -> None:
        self.app = app
        self.config = config
        self.events = Events(log_event)
        self.stop = StopFlag()
        self._pipeline: Pipeline | None = None
        self._broker: Broker | None = None

    def use(self, modules: Sequence[str], tables: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        """Import pipelines now, and compute these of their tables."""
        found = load_tables(modules or self.config.celery.modules, tables, exclude)
        self._pipeline = Pipeline.of(found, self.events)

    @property
    def pipeline(self) -> Pipeline:
        """The tables; those of the settings, where none were named."""
        if self._pipeline is None:
            self.use(())
        assert self._pipeline is not None
        return self._pipeline

    @property
    def broker(self) -> Broker:
        if self._broker is None:
            self._broker = Broker(self.config, self.app)
        return self._broker

    def queues(self) -> list[str]:
        """The queues of its tables, and that of the messages of beat."""
        return [*queues_of(self.pipeline.tables.values(), self.config), dispatch_queue(self.config)]

    # -- tasks -------------------------------------------------------------------------------------

    def wake_up(self, message_id: str, delivery: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
        """Compute what a message asks for; return how it ended, for Celery's log."""
        wake_up = WakeUp.of_arguments(arguments)
        ending = self.pipeline.work(wake_up, self.config.celery.seconds_per_message, lambda: bool(self.stop))
        if ending is Ending.HAS_MORE:
            self._pass_on(wake_up, message_id, delivery)
        elif ending is Ending.NOT_FOR_US and wake_up.n_refused < MOST_REFUSALS:
            self._pass_on(wake_up.refused(), str(uuid4()), delivery)
        return ending.value

    def _pass_on(self, wake_up: WakeUp, message_id: str, delivery: Mapping[str, Any]) -> None:
        """Send a message once more, unless enough wait anyway; if that fails, a dispatcher sees to it."""
        queue = delivery["routing_key"]
        try:
            if self.broker.n_waiting(queue) < self.config.celery.queue_length:
                self.broker.send(wake_up, queue, delivery.get("priority") or 0, message_id)
        except BrokerError as e:
            log.warning("jobs of %s wait for a dispatcher: %s", wake_up.table, e)

    def dispatch(self) -> str:
        """Fill the queues, as beat asks for; of several such messages only the last does."""
        if self.broker.n_waiting_dispatches():
            return "another message asks for the same"
        filled = Dispatcher(self.pipeline.tables.values(), self.broker, self.config).fill()
        return f"{filled.n_sent} messages sent"

    # -- signals -----------------------------------------------------------------------------------

    def started(self, instance: Any, options: Mapping[str, Any]) -> None:
        """Import the pipeline, and take from its queues where the command line names none."""
        queues = self.queues()
        warn_of_clock(next(iter(self.pipeline.tables.values()))._schema.connection)
        if not options.get("queues"):
            self.app.amqp.queues.select(queues)

    def forked(self) -> None:
        """Share no connection to the broker with the parent; those to the database see to themselves."""
        self._broker = None

    def shutting_down(self) -> None:
        """Claim no more, and release what does not end in time."""
        if not self.stop:
            self.stop.set()
            stop_at_once_after(self.config.jobs.shutdown_timeout, pids_of_running_tasks)


def attach(app: Celery, config: Config) -> CeleryWorker:
    """Give an application our tasks, and have its signals come to a `CeleryWorker`."""
    worker = CeleryWorker(app, config)

    @app.task(name=WAKE_UP, bind=True)
    def wake_up(task: Any, /, **arguments: Any) -> str:
        return worker.wake_up(task.request.id, task.request.delivery_info, arguments)

    @app.task(name=DISPATCH)
    def dispatch() -> str:
        return worker.dispatch()

    # Celery logs what its receivers raise and goes on; a worker without a pipeline must not.
    @signals.celeryd_init.connect(weak=False)
    def on_start(instance: Any = None, options: Any = None, **_: Any) -> None:
        try:
            worker.started(instance, options or {})
        except (DataJointError, ModuleError) as e:
            say_error(e)
            sys.exit(code_of(e))

    @signals.after_setup_logger.connect(weak=False)
    @signals.after_setup_task_logger.connect(weak=False)
    def on_log(logger: logging.Logger, **_: Any) -> None:
        if logs.is_json():
            for handler in logger.handlers:
                handler.setFormatter(logs.formatter(logs.JSON))

    @signals.worker_process_init.connect(weak=False)
    def on_fork(**_: Any) -> None:
        worker.forked()

    @signals.worker_shutting_down.connect(weak=False)
    def on_shutdown(**_: Any) -> None:
        worker.shutting_down()

    return worker
