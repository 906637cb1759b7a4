"""`dj-worker demo`: a database, a pipeline, workers that compute it, and a report of what they did."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import nullcontext
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from click.core import ParameterSource
from rich.markup import escape

from dj_workers.demo.folder import PIPELINE, SCHEMA, DemoFolder

_EXTRAS = 'pip install "dj-workers[embedded,demo]"'


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Where the database and the picture go; a later run finds the work done there.",
)
@click.option("--fresh", is_flag=True, help="Start over: drop what earlier runs computed.")
@click.option("--kill", is_flag=True, help="Start over, and kill one worker while it computes (SIGKILL).")
@click.option("--processes", type=click.IntRange(min=2), default=2, show_default=True, help="Workers.")
@click.option("--images", type=click.IntRange(min=1), help="Use only so many photographs.")
def demo(folder: Path, fresh: bool, kill: bool, processes: int, images: int | None) -> None:
    """Compute a real pipeline with several worker processes, and show what became of it.

    Starts a PostgreSQL of its own, looks for blobs in photographs with three sets of parameters, meets an
    input that is broken on purpose, and reports: results, jobs by status, the share of each worker, the
    error with its traceback and how to retry it, a picture. All of it is kept, so that a second run finds
    nothing to do.

    Exit codes: 0 as expected; 1 rows are missing, or no worker could be killed or replaced; 2 wrong usage,
    or a part that is not installed.
    """
    _require_extras()
    root = click.get_current_context().find_root()
    is_chosen = root.get_parameter_source("log_level") is ParameterSource.COMMANDLINE
    if not is_chosen:
        logging.getLogger("datajoint").setLevel(logging.WARNING)  # the report says what there is to say
    try:
        lab = DemoFolder.enter(folder, keep_log_level=is_chosen)
    except OSError as e:
        raise click.BadParameter(f"{folder} cannot be used: {e.strerror}.", param_hint="--folder") from e
    if not run(lab, fresh=fresh, kill=kill, processes=processes, n_images=images):
        sys.exit(1)


def _require_extras() -> None:
    from dj_schema.dialects.embedded import is_available

    missing = [name for name in ("skimage", "matplotlib") if find_spec(name) is None]
    if not is_available():
        missing.append("the embedded PostgreSQL")
    if missing:
        raise click.UsageError(
            f"The demonstration needs {', '.join(missing)}. Install what it needs: {_EXTRAS}"
        )


def run(folder: DemoFolder, *, fresh: bool, kill: bool, processes: int, n_images: int | None) -> bool:
    """Run the demonstration; return whether all went as it should."""
    from dj_workers.demo import facts
    from dj_workers.demo.report import Report

    report = Report()
    report.line(f"A PostgreSQL of its own, in {escape(str(folder.path))}, keeps all of this demonstration.")
    if fresh or kill:
        _start_over()
    pipeline = import_module(PIPELINE)
    _insert_images(pipeline, n_images)
    tables = facts.computed_tables(pipeline)
    n_due = sum(_refresh(table) for table in tables)
    rescue = None
    if n_due:
        rescue = _compute(report, pipeline, tables, processes, kill)
    else:
        report.line("[green]All work is done already[/green]: no job is left. (--fresh starts over.)")
    is_rescued = not kill or (rescue is not None and rescue.finished_s is not None)
    _show(report, folder, pipeline, tables, rescue if kill else None, kill)
    return is_rescued and facts.check(pipeline).is_sound


def _start_over() -> None:
    """Drop the schema, before the pipeline is imported and declares it again."""
    from dj_query.schema import Schema
    from dj_schema.connection import Connection
    from dj_schema.server_address import connection_settings
    from dj_schema.settings import Config

    config = Config.load()
    with Connection(connection_settings(config), config) as connection:
        Schema(SCHEMA, connection=connection).drop(prompt=False)


def _insert_images(pipeline: ModuleType, n_images: int | None) -> None:
    from dj_workers.demo import images

    known = set(pipeline.Image.to_arrays("image_id").tolist())
    wanted = [*(p.image_id for p in images.PHOTOGRAPHS[:n_images]), images.BROKEN_ID]
    if not known.issuperset(wanted):
        pipeline.Image.insert(images.rows(n_images), skip_duplicates=True)


def _refresh(table: Any) -> int:
    """Bring the jobs of a table up to date; return how many are to be computed."""
    table.jobs.refresh()
    counts = table.jobs.progress()
    return int(counts["pending"] + counts["reserved"])


def _compute(report: Any, pipeline: ModuleType, tables: list[Any], processes: int, kill: bool) -> Any:
    """Have workers fill the tables, one after the other; return what became of the job of a killed worker."""
    from dj_workers.demo.kill import Killer

    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "5")  # in a file each state of a bar is a line
    started = time.perf_counter()
    report.line(f"{processes} worker processes share the work:")
    rescue = None
    for table in tables:
        if not _refresh(table):
            continue
        killer = Killer(table.jobs) if kill and rescue is None else None
        with killer or nullcontext():
            table.populate(
                reserve_jobs=True, processes=processes, display_progress=True, suppress_errors=True
            )
        rescue = rescue or (killer.rescue if killer is not None else None)
    report.line(f"Done after {time.perf_counter() - started:.1f} s.")
    return rescue


def _show(
    report: Any, folder: DemoFolder, pipeline: ModuleType, tables: list[Any], rescue: Any, kill: bool
) -> None:
    from dj_workers.demo import facts, picture

    report.results(facts.results(pipeline), list(facts.set_names(pipeline).values()))
    report.jobs(tables)
    shares = [share for table in tables for share in facts.worker_shares(table)]
    report.workers(shares, rescue.worker if rescue is not None else None)
    for table in tables:
        for failure in facts.failures(table):
            report.failure(failure, _retry_command(folder, failure))
    if kill:
        report.rescue(rescue)
    report.check(facts.check(pipeline))
    report.picture(folder.picture, picture.draw(pipeline, folder.picture))
    further = {"Where the work stands, from any shell": folder.command_line("status", PIPELINE)}
    if not kill:
        again = folder.command_line("demo", "--folder", ".", "--kill")
        further["What happens when a worker is killed (computes all of it again)"] = again
    report.further(further)


def _retry_command(folder: DemoFolder, failure: Any) -> str:
    """Name the failed jobs by what their keys have in common; `retry` leaves jobs that did not fail alone."""
    shared = set.intersection(*(set(key.items()) for key in failure.keys))
    pairs = [f"{name}={value}" for name, value in sorted(shared)]
    return folder.command_line("retry", PIPELINE, failure.table, *pairs)
