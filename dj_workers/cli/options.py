"""Arguments and options that several commands share."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import click

from dj_workers.logs import line_of

F = TypeVar("F", bound=Callable[..., Any])


_MOST = 1e9  # seconds or megabytes; clocks and timers of the system take no more than some of them


class Number(click.FloatRange):
    """A number in a range; neither NaN, which no comparison tells, nor one that is as good as infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value!r} is not a number.", param, ctx)
        if found > _MOST:
            self.fail(f"{value!r} is too much; at most {_MOST:.0f}, or leave it out.", param, ctx)
        return found


def filled(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Refuse an empty text: a variable of a script that was not set is not to mean everything."""
    for text in [value] if isinstance(value, str) else value or ():
        if not text.strip():
            raise click.BadParameter("it is empty.", context, parameter)
    return value


def split(context: click.Context, parameter: click.Parameter, value: Sequence[str]) -> list[str]:
    """Take names apart that commas separate."""
    found = [[name.strip() for name in item.split(",") if name.strip()] for item in value]
    if not all(found):
        raise click.BadParameter("it names nothing; leave it out, or give names.", context, parameter)
    return [name for names in found for name in names]


module = click.argument("module", metavar="MODULE", callback=filled)
modules = click.argument("modules", nargs=-1, metavar="[MODULE]...", callback=filled)
as_json = click.option("--json", "is_json", is_flag=True, help="Print one JSON document, for programs.")

tables = click.option(
    "--tables",
    multiple=True,
    metavar="A,B",
    callback=split,
    help="Only these: class names, or schema.table. Repeatable.",
)
exclude = click.option(
    "--exclude", multiple=True, metavar="A,B", callback=split, help="All but these. Repeatable."
)

metrics_port = click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve /metrics, /healthz and /readyz at this port; 0: any free one.",
)


def _host(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        filled(context, parameter, value).encode("idna")
    except UnicodeError:
        raise click.BadParameter(f"{value!r} is no name of a host.", context, parameter) from None
    return value


metrics_host = click.option(
    "--metrics-host",
    default="0.0.0.0",
    show_default=True,
    metavar="HOST",
    callback=_host,
    help="The address to serve them at.",
)


def say(text: str, level: int = logging.INFO) -> None:
    """Say it on stderr, in the format of the log; where that cannot be written the log has told."""
    with suppress(OSError):
        click.echo(line_of(text, level).rstrip("\n"), err=True)


def say_error(error: Exception) -> None:
    """Say what ended a command."""
    say(f"dj-worker: {error}", logging.ERROR)


def print_json(value: Any) -> None:
    """Print one document."""
    click.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return rows in columns; those with the numbers in `right` are flush right."""
    table = [list(titles), *map(list, rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(titles))]
    lines = [
        "  ".join(
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]
    return "\n".join(line.rstrip() for line in lines)
