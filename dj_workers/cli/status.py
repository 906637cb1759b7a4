"""`dj-worker status`."""

from __future__ import annotations

import sys
from dataclasses import asdict, fields
from typing import Any

import click

from dj_schema.errors import ConnectionRefusedByServerError, DataJointError, LostConnectionError
from dj_workers.cli import options
from dj_workers.cli.exit_codes import ExitCode
from dj_workers.cli.source import load
from dj_workers.plan import TableClass, name_of
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

    A table that cannot be counted, for instance because its key_source raises, has the reason in its line
    (--json: broken), and the exit code is 1.

    \b
    Examples:
      dj-worker status my_lab.pipeline
      dj-worker status schema:my_lab --json
    """
    chosen = load(module).choose(tables, exclude)
    found = [_state_or_reason(table) for table in chosen]
    if is_json:
        options.print_json({"module": module, "tables": [*map(_document, chosen, found)]})
    else:
        rows = [*map(_row, chosen, found)]
        click.echo(options.columns([*_TITLES, ""], rows, right=range(1, len(_TITLES))))
    if any(isinstance(state, str) for state in found):
        sys.exit(ExitCode.FAILED_JOBS)


def _state_or_reason(table: TableClass) -> TableState | str:
    """Return why a table cannot be counted, where it cannot: that is to hide no other."""
    try:
        return state_of(table())
    except (LostConnectionError, ConnectionRefusedByServerError):
        raise
    except DataJointError as e:
        return f"{type(e).__name__}: {e}"


def _document(table: TableClass, state: TableState | str) -> dict[str, Any]:
    if isinstance(state, str):
        return {**dict.fromkeys(f.name for f in fields(TableState)), "table": name_of(table), "broken": state}
    return {**asdict(state), "broken": None}


def _row(table: TableClass, state: TableState | str) -> list[str]:
    if isinstance(state, str):
        return [name_of(table), *["-"] * (len(_TITLES) - 1), state]
    counts = [state.total, state.done, state.pending, state.reserved, state.error, state.ignored]
    rate = "-" if state.rate_per_minute is None else f"{state.rate_per_minute:.1f}/min"
    return [state.table, *map(str, counts), _age(state.oldest_pending_s), rate, ""]


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"
