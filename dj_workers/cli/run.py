"""`dj-worker run`."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import click

from dj_jobs.job import Result
from dj_schema.errors import MakeError
from dj_workers.cli import options
from dj_workers.cli.exit_codes import ExitCode, UsageMistakeError
from dj_workers.cli.source import Source, load
from dj_workers.daemon import Tally, Work, Worker
from dj_workers.notify import notifications_of
from dj_workers.plan import TableClass, name_of
from dj_workers.telemetry import exported
from dj_workers.vitals import Vitals
from dj_workers.watched import watched


@click.command(no_args_is_help=True)
@options.module
@options.tables
@options.exclude
@click.option(
    "--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Compute in N at once."
)
@click.option("--once", is_flag=True, help="End when nothing is left to compute.")
@click.option(
    "--idle-exit", type=click.FloatRange(min=0), metavar="SECONDS", help="End after so long without work."
)
@click.option(
    "--max-calls", type=click.IntRange(min=1), metavar="N", help="End after N calls of make, exactly."
)
@click.option(
    "--restrict",
    multiple=True,
    metavar="SQL",
    help="Compute only keys of the key source that this condition holds for. Repeatable; all must hold.",
)
@click.option(
    "--priority", type=int, metavar="N", help="Only jobs as urgent as N, or more: lower is more urgent."
)
@click.option(
    "--poll-interval",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Look for new work at least so often.",
)
@click.option("--otel", is_flag=True, help="Send traces and metrics by OpenTelemetry, where OTEL_... says.")
@options.metrics_port
@options.metrics_host
@click.option(
    "--stuck-after",
    type=click.FloatRange(min=1),
    default=900.0,
    show_default=True,
    metavar="SECONDS",
    help="/healthz fails where looking for work takes so long.",
)
@click.option(
    "--job-stuck-after",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="/healthz fails where one job takes so long; by default a job may take any time.",
)
def run(
    module: str,
    tables: list[str],
    exclude: list[str],
    processes: int,
    once: bool,
    idle_exit: float | None,
    max_calls: int | None,
    restrict: tuple[str, ...],
    priority: int | None,
    poll_interval: float,
    otel: bool,
    metrics_port: int | None,
    metrics_host: str,
    stuck_after: float,
    job_stuck_after: float | None,
) -> None:
    """Compute the computed and imported tables of MODULE, those first that others depend on.

    Any number of workers may run on one pipeline, on any number of machines: each key is computed by one
    of them. New rows upstream are found by themselves. A worker that dies loses nothing: its jobs go to the
    others, and with --processes it is replaced.

    Ctrl-C or SIGTERM ends the worker after the running jobs; a second one releases them and ends at once.

    \b
    Examples:
      dj-worker run my_lab.pipeline --processes 4
      dj-worker run pipeline.py --tables Detection,Summary --once
      dj-worker run pipeline.py --restrict "subject_id < 100" --max-calls 50
    """
    if once and idle_exit is not None:
        raise click.UsageError(
            "--once ends when nothing is left; --idle-exit waits for more. Give one of them."
        )
    chosen = _with_make(load(module), tables, exclude)
    work = Work(
        is_once=once,
        idle_exit_s=idle_exit,
        max_calls=max_calls,
        poll_interval_s=poll_interval,
        restrictions=restrict,
        priority=priority,
    )
    worker = Worker(chosen, work, processes=processes, vitals=Vitals(stuck_after, job_stuck_after))
    with ExitStack() as around:
        told = notifications_of(chosen[0]._schema.connection.config, chosen)
        worker.events.subscribe(around.enter_context(told))
        if otel:
            worker.events.subscribe(around.enter_context(exported()))
        if metrics_port is not None:
            around.enter_context(watched(worker, metrics_host, metrics_port))
        tally = worker.run()
    _show(chosen, tally)
    if worker.was_stopped_at_once:
        sys.exit(ExitCode.AT_ONCE)
    sys.exit(ExitCode.FAILED_JOBS if tally.has_failures else ExitCode.DONE)


def _with_make(source: Source, tables: list[str], exclude: list[str]) -> list[TableClass]:
    from dj_workers.plan import check_makes

    if not source.has_code:
        raise UsageMistakeError(
            f"{source.name} names tables, but not the code that computes them. "
            "Name the module or the file that defines their classes."
        )
    chosen = source.choose(tables, exclude)
    if not chosen:
        raise UsageMistakeError("--exclude leaves no table.")
    try:
        check_makes(chosen)
    except MakeError as e:
        raise UsageMistakeError(str(e)) from e
    return chosen


def _show(tables: list[TableClass], tally: Tally) -> None:
    """Say on stderr, as a log would, what was done."""
    rows = []
    for name in map(name_of, tables):
        counts = tally.by_table.get(name, {})
        if counts or name in tally.broken:
            done = counts.get(Result.SUCCESS, 0) + counts.get(Result.EMPTY, 0)
            other = sum(n for r, n in counts.items() if r not in (Result.SUCCESS, Result.EMPTY, Result.ERROR))
            rows.append(
                [name, str(done), str(counts.get(Result.ERROR, 0)), str(other), tally.broken.get(name, "")]
            )
    if rows:
        options.say(options.columns(["table", "done", "failed", "other", ""], rows, right=(1, 2, 3)))
    else:
        options.say("nothing to do")
