"""What `dj-worker celery` and `dj-worker dispatch` do, apart from their options."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import click
from celery import Celery
from celery.exceptions import CeleryError

from dj_schema.errors import ConnectionRefusedByServerError, LostConnectionError
from dj_schema.settings import Config
from dj_workers import logs
from dj_workers.cli import options
from dj_workers.cli.exit_codes import ExitCode
from dj_workers.host_clock import warn_of_clock
from dj_workers.metrics.dispatcher import BROKER, DATABASE, DispatcherMetrics
from dj_workers.metrics.serve import Serving
from dj_workers.notify import notifications_of
from dj_workers.plan import name_of
from dj_workers.pools.celery.broker import Broker
from dj_workers.pools.celery.dispatch import Dispatcher, Filled
from dj_workers.pools.celery.errors import BrokerError, BrokerRefusalError
from dj_workers.pools.celery.tables import load_tables
from dj_workers.shutdown import StoppedAtOnceError, StopRequests

log = logging.getLogger("datajoint.workers")

_SHORTEST_PAUSE_S = 0.25
_LONGEST_PAUSE_WITHOUT_SERVER_S = 60.0


def run_celery(
    modules: Sequence[str],
    tables: Sequence[str],
    exclude: Sequence[str],
    arguments: Sequence[str],
    metrics: tuple[str, int] | None = None,
) -> int:
    """Hand a command to Celery, with our application; return its exit code.

    Parameters
    ----------
    metrics : (host, port), optional
        Where a worker serves its metrics and probes.
    """
    from dj_workers.celery_app import app, worker

    if logs.is_json() and not {"worker", "beat"}.isdisjoint(arguments):
        arguments = ["--quiet", *arguments]  # no banner, which is text whatever the log is
    if {"worker", "beat"}.isdisjoint(arguments) or "--help" in arguments:
        return _start(app, arguments)
    if "worker" in arguments:
        worker.use(modules, tables, exclude)
    _warn_without_broker(worker.broker)
    if metrics is None or "worker" not in arguments:
        return _start(app, arguments)
    from dj_workers.pools.celery.watched import watched

    with watched(worker, *metrics):
        return _start(app, arguments)


def _start(app: Celery, arguments: Sequence[str]) -> int:
    """Do as `app.start`, which loses the exit code that a command ends with."""
    command: Any = importlib.import_module("celery.bin.celery").celery
    command.params[0].default = app
    try:
        code = command.main(args=list(arguments), standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as e:
        if logs.is_json():
            options.say(f"dj-worker: {e.format_message()}", logging.ERROR)
        else:
            e.show()
        return e.exit_code
    except CeleryError as e:
        options.say(f"dj-worker: {e}", logging.ERROR)
        return 1
    except SystemExit as e:
        return e.code if isinstance(e.code, int) else 1
    finally:
        command.params[0].default = None


def _warn_without_broker(broker: Broker) -> None:
    """A worker may start before its broker, and waits for it; but not without saying what is missing.

    Raises
    ------
    BrokerRefusalError
        Where it would wait for ever.
    """
    try:
        with broker:
            broker.check()
    except BrokerRefusalError:
        raise
    except BrokerError as e:
        log.warning("%s It is waited for.", e)


def run_dispatcher(
    modules: Sequence[str],
    tables: Sequence[str],
    exclude: Sequence[str],
    interval_s: float | None,
    is_once: bool,
    metrics: tuple[str, int] | None = None,
) -> ExitCode:
    """Keep queues filled until told to stop; a second signal ends it in the middle of a look.

    Parameters
    ----------
    metrics : (host, port), optional
        Where to serve metrics and probes.

    Raises
    ------
    BrokerError, LostConnectionError, ConnectionRefusedByServerError
        Where the broker or the database is away at the start or, with `is_once`, at any time; where the
        broker does not let us in.
    """
    config = Config.load()
    found = load_tables(modules or config.celery.modules, tables, exclude)
    longest_s = config.celery.dispatch_interval_s if interval_s is None else interval_s
    told = notifications_of(config, found, counts_failures=True)  # workers are many, and nobody tells for all
    with ExitStack() as around:
        broker = around.enter_context(Broker(config))
        dispatcher = Dispatcher(found, broker, config)
        figures = DispatcherMetrics(map(name_of, found), dispatcher.queues)
        if metrics is not None:
            probes = {"/healthz": figures.alive, "/readyz": figures.ready}
            around.enter_context(Serving(*metrics, figures.registry, probes))
        broker.check()
        warn_of_clock(found[0]._schema.connection)
        requests = around.enter_context(StopRequests(interrupts=True))
        around.enter_context(told)
        log.info("keeping %d queues filled, for %d tables", len(dispatcher.queues), len(found))
        try:
            if is_once:
                return ExitCode.FAILED_JOBS if _look(dispatcher, figures).broken else ExitCode.DONE
            _keep_filled(dispatcher, figures, requests, longest_s)
        except StoppedAtOnceError:
            return ExitCode.AT_ONCE
    return ExitCode.DONE


def _keep_filled(
    dispatcher: Dispatcher, figures: DispatcherMetrics, requests: StopRequests, longest_s: float
) -> None:
    pause_s = _SHORTEST_PAUSE_S
    while not requests:
        try:
            n_sent, most_s = _look(dispatcher, figures).n_sent, longest_s
        except BrokerRefusalError:
            raise
        except (BrokerError, LostConnectionError, ConnectionRefusedByServerError) as e:
            log.warning("nothing can be dispatched now, it is tried again soon: %s", e)
            n_sent, most_s = 0, _LONGEST_PAUSE_WITHOUT_SERVER_S
        pause_s = _SHORTEST_PAUSE_S if n_sent else min(pause_s * 2, most_s)
        requests.wait(min(pause_s, most_s))


def _look(dispatcher: Dispatcher, figures: DispatcherMetrics) -> Filled:
    figures.begins()
    try:
        filled = dispatcher.fill()
    except (BrokerError, LostConnectionError, ConnectionRefusedByServerError) as e:
        figures.failed(BROKER if isinstance(e, BrokerError) else DATABASE, e)
        raise
    figures.looked(filled.waiting, filled.sent, filled.broken)
    if filled.n_sent:
        log.info("%d messages sent, for %d jobs or more", filled.n_sent, filled.n_due)
    return filled
