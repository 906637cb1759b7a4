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


class Number(click.FloatRange):
    """A number in a range; NaN is in none, though no comparison with it says so."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return found


module = click.argument("module", metavar="MODULE")
as_json = click.option("--json", "is_json", is_flag=True, help="Print one JSON document, for programs.")


def split(_: click.Context, __: click.Parameter, value: Sequence[str]) -> list[str]:
    """Take names apart that commas separate."""
    return [name.strip() for item in value for name in item.split(",") if name.strip()]


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
metrics_host = click.option(
    "--metrics-host", default="0.0.0.0", show_default=True, help="The address to serve them at."
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
