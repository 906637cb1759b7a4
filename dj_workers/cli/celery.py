"""`dj-worker celery` and `dj-worker dispatch`."""

from __future__ import annotations

import sys

import click

from dj_workers.cli import options


@click.command(
    no_args_is_help=True,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "-m",
    "--module",
    "modules",
    multiple=True,
    metavar="MODULE",
    callback=options.filled,
    help="The pipeline that a worker computes; repeatable. By default DJ_CELERY_MODULES.",
)
@options.tables
@options.exclude
@options.metrics_port
@options.metrics_host
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND [ARGS]...")
def celery(
    modules: tuple[str, ...],
    tables: list[str],
    exclude: list[str],
    metrics_port: int | None,
    metrics_host: str,
    arguments: tuple[str, ...],
) -> None:
    """Run a command of Celery, with the settings that suit DataJoint: worker, beat, inspect, flower, ...

    The broker is a Redis: DJ_CELERY_BROKER_URL, or celery.broker_url in the settings. A worker takes from
    the queues of its tables; -Q names others. SIGTERM lets the running jobs end, for as long as
    jobs.shutdown_timeout says, and releases the rest. COMMAND --help shows what Celery's command takes.

    \b
    Examples:
      dj-worker celery -m my_lab.pipeline worker --concurrency 4
      dj-worker celery -m my_lab.pipeline --tables Detection worker --autoscale 8,1
      dj-worker celery -m my_lab.pipeline worker -Q gpu
      dj-worker celery beat                     in place of dj-worker dispatch
      dj-worker celery inspect active
    """
    from dj_workers.pools.celery.command import run_celery

    metrics = None if metrics_port is None else (metrics_host, metrics_port)
    sys.exit(run_celery(modules, tables, exclude, arguments, metrics))


@click.command()
@options.modules
@options.tables
@options.exclude
@click.option(
    "--interval",
    type=options.Number(min=0.1),
    metavar="SECONDS",
    help="Look at least so often; by default the setting celery.dispatch_interval_s.",
)
@click.option("--once", is_flag=True, help="Look once, and end.")
@options.metrics_port
@options.metrics_host
def dispatch(
    modules: tuple[str, ...],
    tables: list[str],
    exclude: list[str],
    interval: float | None,
    once: bool,
    metrics_port: int | None,
    metrics_host: str,
) -> None:
    """Keep the queues of Celery filled by what is pending in MODULE.

    A queue holds celery.queue_length messages at most. Any number of dispatchers may run; none is needed
    while populate(dispatch="celery") waits for its own work.

    \b
    Examples:
      dj-worker dispatch my_lab.pipeline
      dj-worker dispatch my_lab.pipeline --tables Detection --interval 1
      dj-worker dispatch my_lab.pipeline --metrics-port 9400
    """
    from dj_workers.pools.celery.command import run_dispatcher

    metrics = None if metrics_port is None else (metrics_host, metrics_port)
    sys.exit(run_dispatcher(modules, tables, exclude, interval, once, metrics))
