"""`dj-worker status`."""

from __future__ import annotations

from dataclasses import asdict

import click

from dj_workers.cli import options
from dj_workers.cli.source import load
from dj_workers.state import TableState, state_of

_TITLES = ["table", "total", "done", "pending", "reserved", "error", "ignored", "oldest pending", "rate"]


@click.command(no_args_is_help=True)
@options.module
@options.tables
@options.exclude
@options.as_json
def status(module: str, tables: list[str], exclude: list[str], is_json: bool) -> None:
    """Show a line for each computed and imported table of MODULE.

    \b
    total           keys that there should be
    done            keys that are computed, or ended without a row
    pending         jobs that wait; keys that no refresh has seen yet have none
    reserved        jobs that a worker holds
    error, ignored  jobs that failed for good, or are passed over
    oldest pending  how long the first of them has waited
    rate            jobs a minute over the last ten; "-" where nothing keeps it (settings
                    jobs.keep_completed or jobs.add_job_metadata)

    \b
    Examples:
      dj-worker status my_lab.pipeline
      dj-worker status schema:my_lab --json
    """
    states = [state_of(table()) for table in load(module).choose(tables, exclude)]
    if is_json:
        options.print_json({"module": module, "tables": [asdict(s) for s in states]})
    else:
        click.echo(options.columns(_TITLES, [_row(s) for s in states], right=range(1, len(_TITLES))))


def _row(state: TableState) -> list[str]:
    counts = [state.total, state.done, state.pending, state.reserved, state.error, state.ignored]
    rate = "-" if state.rate_per_minute is None else f"{state.rate_per_minute:.1f}/min"
    return [state.table, *map(str, counts), _age(state.oldest_pending_s), rate]


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"
