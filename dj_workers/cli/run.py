"""`dj-worker run`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import click

from dj_jobs.job import Result
from dj_jobs.keys import key_source_of
from dj_schema.errors import ConnectionRefusedByServerError, DataJointError, LostConnectionError
from dj_workers import logs
from dj_workers.cli import file, options, run_options
from dj_workers.cli.exit_codes import ExitCode, UsageMistakeError
from dj_workers.cli.source import WITHOUT_CODE, Source, load_all
from dj_workers.daemon import Worker
from dj_workers.notify import notifications_of
from dj_workers.plan import TableClass, check_makes, name_of
from dj_workers.routes import queue_of
from dj_workers.shutdown import AroundWork, StoppedAtOnceError
from dj_workers.telemetry import exported
from dj_workers.vitals import Vitals
from dj_workers.watched import watched
from dj_workers.work import Tally, Work

log = logging.getLogger("datajoint.workers")


@run_options.with_environment
@click.command()
@run_options.all_options
def run(modules: tuple[str, ...], **given: Any) -> None:
    """Compute the computed and imported tables of each MODULE, those first that others depend on.

    Any number of workers may run on one pipeline, on any number of machines: each key is computed by one
    of them. New rows upstream are found by themselves. A worker that dies loses nothing: its jobs go to the
    others, and with --processes it is replaced. Functions marked with dj_workers.step are called too.

    Ctrl-C or SIGTERM ends the worker after the running jobs, and releases those that take longer than
    --shutdown-timeout; a second one releases all at once. SIGUSR1 has it print what it is doing.

    Each option may also stand in dj-worker.toml (processes = 4), and in the environment
    (DJ_WORKER_PROCESSES=4), which wins over the file; the command line wins over both. MODULE is there
    modules = ["my_lab.pipeline"], and DJ_WORKER_MODULES.

    \b
    Examples:
      dj-worker run my_lab.pipeline --processes 4
      dj-worker run pipeline.py --tables Detection,Summary --once
      dj-worker run pipeline.py --restrict "subject_id < 100" --max-calls 50
      dj-worker run my_lab.ephys my_lab.behavior --run-duration 3600 --name night-1
    """
    if not modules:
        raise click.UsageError("Name a MODULE: here, as modules in dj-worker.toml, or in DJ_WORKER_MODULES.")
    work = run_options.work_of(given)
    for name, meant in file.mistaken_variables(run).items():
        log.warning("%s is the variable of no option; do you mean %s?", name, meant)
    worker: Worker | None = None
    try:
        with AroundWork(lambda: worker is not None and worker.has_begun, lambda: _doing(worker)) as around:
            source = load_all(modules, may_print=True)
            around.check()
            chosen = _with_make(source, given["tables"], given["exclude"], given["queues"])
            _check_conditions(chosen, given["restrict"])
            worker = _worker(chosen, source, work, given)
            sys.exit(_run(worker, chosen, given))
    except StoppedAtOnceError:
        options.say("dj-worker: stopped before it began")
        sys.exit(ExitCode.DONE)


def _doing(worker: Worker | None) -> str:
    """What SIGUSR1 prints while the worker does not work, and tells itself."""
    if worker is None:
        return "dj-worker: imports the pipeline\n"
    return f"dj-worker {worker.identity.name}: {'ends' if worker.has_begun else 'begins'}\n"


def _worker(chosen: list[TableClass], source: Source, work: Work, given: dict[str, Any]) -> Worker:
    return Worker(
        [*chosen, *source.steps],
        work,
        processes=given["processes"],
        name=given["name"],
        vitals=Vitals(given["stuck_after"], given["job_stuck_after"]),
    )


def _run(worker: Worker, chosen: list[TableClass], given: dict[str, Any]) -> ExitCode:
    with ExitStack() as around:
        if chosen:
            told = notifications_of(chosen[0]._schema.connection.config, chosen)
            worker.events.subscribe(around.enter_context(told))
        if given["otel"]:
            worker.events.subscribe(around.enter_context(exported()))
        if given["metrics_port"] is not None:
            around.enter_context(watched(worker, given["metrics_host"], given["metrics_port"]))
        tally = worker.run()
    if click.get_current_context().find_root().params["log_format"] == logs.TEXT:
        _show(chosen, tally)
    if worker.was_stopped_at_once:
        return ExitCode.AT_ONCE
    return ExitCode.FAILED_JOBS if tally.has_failures else ExitCode.DONE


def _with_make(source: Source, tables: list[str], exclude: list[str], queues: list[str]) -> list[TableClass]:
    if not source.has_code:
        raise UsageMistakeError(WITHOUT_CODE.format(source.name))
    chosen = source.choose(tables, exclude)
    if not chosen and not source.steps:
        raise UsageMistakeError("--exclude leaves no table.")
    if queues:
        chosen = [cls for cls in chosen if queue_of(cls, cls._schema.connection.config) in queues]
        if not chosen:
            raise UsageMistakeError(
                f"no table of {source.name} is of the queue {' or '.join(queues)}: name it in the class "
                "(queue = ...) or in the setting celery.queues."
            )
    check_makes(chosen)
    return chosen


def _check_conditions(tables: list[TableClass], conditions: Sequence[str]) -> None:
    """Refuse what no table can be restricted by; what fits some is told of with the others, by the work."""
    for condition in conditions:
        reasons = [_misfit(table, condition) for table in tables]
        if tables and all(reasons):
            raise UsageMistakeError(f"--restrict {condition!r} fits no table: {reasons[0]}")


def _misfit(table: TableClass, condition: str) -> str:
    """Say why a table cannot be restricted by a condition; nothing where it can, or its own code is wrong."""
    try:
        key_source_of(table(), [])
    except DataJointError:
        return ""
    try:
        key_source_of(table(), [condition])
    except (LostConnectionError, ConnectionRefusedByServerError):
        raise
    except DataJointError as e:
        return str(e)
    return ""


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
    steps = tally.broken.keys() - set(map(name_of, tables))
    rows += [[name, "", "", "", tally.broken[name]] for name in sorted(steps)]
    if rows:
        options.say(options.columns(["table", "done", "failed", "other", ""], rows, right=(1, 2, 3)))
    else:
        options.say("nothing to do")
