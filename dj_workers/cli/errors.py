"""`dj-worker errors`."""

from __future__ import annotations

from typing import Any

import click

from dj_workers.cli import options
from dj_workers.cli.keys import key_text
from dj_workers.cli.source import load
from dj_workers.plan import TableClass, name_of
from dj_workers.state import job_table_of

_MOST = 1_000_000


@click.command(no_args_is_help=True)
@options.module
@click.argument("table", required=False)
@options.tables
@click.option("--traceback", "with_traceback", is_flag=True, help="Show the Python traceback of each.")
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST),
    default=50,
    show_default=True,
    metavar="N",
    help="At most so many a table.",
)
@options.as_json
def errors(
    module: str, table: str | None, tables: list[str], with_traceback: bool, limit: int, is_json: bool
) -> None:
    """Show the jobs of MODULE that failed for good: key, time, host and message, the latest first.

    \b
    Examples:
      dj-worker errors my_lab.pipeline
      dj-worker errors my_lab.pipeline Detection --traceback
      dj-worker errors schema:my_lab --json
    """
    chosen = load(module).choose([*tables, *([] if table is None else [table])])
    found = [error for cls in chosen for error in _errors(cls, limit, with_traceback)]
    if is_json:
        options.print_json({"module": module, "errors": found})
        return
    for error in found:
        where = f"{error['host']}:{error['pid']}"
        click.echo(
            f"{error['table']}  {key_text(error['key'])}  {error['time']:%Y-%m-%d %H:%M:%S} UTC  {where}"
        )
        click.echo("  " + error["message"].replace("\n", "\n  "))
        if with_traceback and error["traceback"]:
            click.echo("\n  " + error["traceback"].rstrip().replace("\n", "\n  ") + "\n")
    if not found:
        click.echo("no job has failed")
    else:
        click.echo(f"\nTo run them again: dj-worker retry {module} TABLE [attr=value ...]", err=True)


def _errors(cls: TableClass, limit: int, with_traceback: bool) -> list[dict[str, Any]]:
    jobs = job_table_of(cls())
    if jobs is None:
        return []
    key = jobs.heading.primary_key
    names = ["completed_time", "error_message", "host", "pid", *(["error_stack"] if with_traceback else [])]
    rows = jobs.errors.proj(*names).to_dicts(order_by="completed_time DESC", limit=limit)
    return [
        {
            "table": name_of(cls),
            "key": {name: row[name] for name in key},
            "message": row["error_message"],
            "time": row["completed_time"],
            "host": row["host"],
            "pid": row["pid"],
            **({"traceback": row["error_stack"]} if with_traceback else {}),
        }
        for row in rows
    ]
