"""`dj-worker exporter`."""

from __future__ import annotations

import click

from dj_workers.cli import options
from dj_workers.cli.exit_codes import UsageMistakeError
from dj_workers.cli.source import NOTHING_BUT_STEPS, load


@click.command(no_args_is_help=True)
@click.argument("modules", metavar="MODULE...", nargs=-1, required=True, callback=options.filled)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=9410,
    show_default=True,
    metavar="PORT",
    help="Serve at this port; 0: any free one.",
)
@options.metrics_host
@click.option(
    "--interval",
    type=options.Number(min=1),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="Count the jobs so often.",
)
@click.option(
    "--keys-interval",
    type=options.Number(min=1),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Count the keys of the key sources so often.",
)
@click.option(
    "--refresh",
    is_flag=True,
    help="Also add the jobs of new keys, as often as keys are counted: for workers that are started by need.",
)
@click.option("--once", is_flag=True, help="Print the metrics, and end.")
def exporter(
    modules: tuple[str, ...],
    metrics_port: int,
    metrics_host: str,
    interval: float,
    keys_interval: float,
    refresh: bool,
    once: bool,
) -> None:
    """Serve the state of the job tables of each MODULE to Prometheus.

    One exporter is enough for a database, however many workers there are. It needs no code: schema:NAME
    will do, as long as the tables have key sources of the usual kind. /metrics answers from what was read
    last, so that scrapes cost the database nothing; the docs say what each metric means (docs/metrics.md).

    \b
    Examples:
      dj-worker exporter my_lab.pipeline
      dj-worker exporter schema:my_lab schema:my_other_lab --interval 30
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import generate_latest

    from dj_workers.metrics.exporter import Exporter
    from dj_workers.metrics.serve import Serving
    from dj_workers.metrics.worker import show_build
    from dj_workers.shutdown import StopRequests

    sources = [load(module) for module in modules]
    if refresh and (without := [s.name for s in sources if not s.has_code]):
        raise UsageMistakeError(
            f"--refresh needs the code of the tables, for their key sources; {without[0]} has none. "
            "Name the module."
        )
    tables = [cls() for source in sources for cls in source.tables]
    if not tables:
        raise UsageMistakeError(f"{', '.join(modules)}: {NOTHING_BUT_STEPS}")
    if len({t.connection.settings for t in tables}) > 1:
        raise UsageMistakeError("these modules are on several servers; run an exporter for each.")
    tables = list({t.table_id: t for t in tables}.values())
    schemas = [t.database for t in tables]
    reading = Exporter(tables[0].connection, schemas, tables, interval, keys_interval, adds_jobs=refresh)
    registry = CollectorRegistry()
    registry.register(reading)
    show_build(registry)
    if once:
        reading.read_due()
        click.echo(generate_latest(registry).decode(), nl=False)
        return
    probes = {"/healthz": reading.alive, "/readyz": reading.ready}
    with Serving(metrics_host, metrics_port, registry, probes), StopRequests() as requests, reading:
        while not requests.wait(3600):
            pass
