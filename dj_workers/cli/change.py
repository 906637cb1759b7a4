"""`dj-worker retry`, `ignore` and `unignore`: what operators do to jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from dj_jobs.keys import key_source_of
from dj_schema.errors import DataError
from dj_workers.cli import options
from dj_workers.cli.exit_codes import UsageMistakeError
from dj_workers.cli.keys import key_text, parse_keys
from dj_workers.cli.source import load
from dj_workers.plan import TableClass, name_of
from dj_workers.state import job_table_of


@click.command(no_args_is_help=True)
@options.module
@click.argument("table", required=False)
@click.argument("key", nargs=-1, metavar="[ATTR=VALUE]...")
@options.tables
@click.option("--all", "all_tables", is_flag=True, help="The failed jobs of all tables.")
def retry(module: str, table: str | None, key: tuple[str, ...], tables: list[str], all_tables: bool) -> None:
    """Have failed jobs of MODULE run again, with a new count of attempts.

    All failed jobs of TABLE, or those that the attributes name; a part of a key names several. An attribute
    that is named again begins another key.

    \b
    Examples:
      dj-worker retry my_lab.pipeline Detection
      dj-worker retry my_lab.pipeline Detection image_id=7 params_id=2
      dj-worker retry my_lab.pipeline Detection image_id=7 image_id=8
      dj-worker retry my_lab.pipeline --all
    """
    names = [*tables, *([] if table is None else [table])]
    if bool(names) == all_tables:
        raise click.UsageError("Name a table, or give --all.")
    _change(load(module).choose(names), key, "retry")


@click.command(no_args_is_help=True)
@options.module
@click.argument("table")
@click.argument("key", nargs=-1, metavar="[ATTR=VALUE]...")
def unignore(module: str, table: str, key: tuple[str, ...]) -> None:
    """Have ignored keys of TABLE run after all: all of them, or those that the attributes name.

    \b
    Example:
      dj-worker unignore my_lab.pipeline Detection image_id=7
    """
    _change([load(module).table(table)], key, "unignore")


def _change(tables: Sequence[TableClass], pairs: Sequence[str], verb: str) -> None:
    if pairs and len(tables) > 1:
        raise click.UsageError("Keys are those of one table; name one.")
    for cls in tables:
        jobs = job_table_of(cls())
        if jobs is None:
            n = 0
        else:
            keys = parse_keys(pairs, jobs)
            try:
                n = getattr(jobs, verb)(*([keys] if keys else []))
            except DataError as e:
                raise UsageMistakeError(str(e)) from e
        if pairs and not n:
            state = "failed" if verb == "retry" else "ignored"
            raise UsageMistakeError(f"no {state} job of {name_of(cls)} matches {' '.join(pairs)}.")
        click.echo(f"{name_of(cls)}: {n} {'job' if n == 1 else 'jobs'} pending again")


@click.command(no_args_is_help=True)
@options.module
@click.argument("table")
@click.argument("key", nargs=-1, required=True, metavar="ATTR=VALUE...")
def ignore(module: str, table: str, key: tuple[str, ...]) -> None:
    """Have keys of TABLE passed over from now on, whether they wait, have failed, or are new.

    Each key is named whole. An attribute that is named again begins another key. A key that is being
    computed, or is done, is refused, and what is named after it is left alone.

    \b
    Examples:
      dj-worker ignore my_lab.pipeline Detection image_id=7 params_id=2
      dj-worker ignore my_lab.pipeline Summary image_id=7 image_id=8
    """
    cls = load(module).table(table)
    target: Any = cls()
    jobs = target.jobs
    whole = jobs.heading.primary_key
    for given in parse_keys(key, jobs):
        if missing := [name for name in whole if name not in given]:
            raise UsageMistakeError(
                f"the key {key_text(given)} of {name_of(cls)} lacks {', '.join(missing)}."
            )
        try:
            found = key_source_of(target, [given]).keys() or (jobs & given).keys()
        except DataError as e:
            raise UsageMistakeError(str(e)) from e
        if not found:
            raise UsageMistakeError(f"there is no key {key_text(given)} in the key source of {name_of(cls)}.")
        jobs.ignore(found[0])
        click.echo(f"{name_of(cls)}: {key_text(found[0])} is ignored")
