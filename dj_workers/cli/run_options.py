"""The options of `dj-worker run`: on the command line, in the environment, in `dj-worker.toml`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from dj_schema.errors import DataJointError
from dj_workers.cli import file, options
from dj_workers.daemon import check_name
from dj_workers.work import Work


def _name(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    try:
        check_name(value)
    except DataJointError as e:
        raise click.BadParameter(str(e), context, parameter) from None
    return value


class Whole(click.types.StringParamType):
    """A text that the environment gives whole, though the option may be given several times."""

    name = "text"

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return [rv] if rv else []


def _seconds(name: str, least: float, said: str, **more: Any) -> Any:
    return click.option(name, type=options.Number(min=least), metavar="SECONDS", help=said, **more)


def _number(name: str, said: str, **more: Any) -> Any:
    return click.option(name, type=click.IntRange(min=1), metavar="N", help=said, **more)


MOST_PROCESSES = 1024  # a machine goes down by what is more, which is a slip of the keyboard

ALL = [
    click.argument("modules", nargs=-1, metavar="MODULE...", callback=options.filled),
    file.config,
    options.tables,
    options.exclude,
    click.option(
        "--queue",
        "queues",
        multiple=True,
        metavar="NAME",
        callback=options.split,
        help="Only tables of this queue: the one that the table's class or the setting celery.queues names. "
        "Repeatable.",
    ),
    click.option(
        "--restrict",
        multiple=True,
        type=Whole(),
        metavar="SQL",
        callback=options.filled,
        help="Compute only keys of the key source that this condition holds for. Repeatable; all must hold.",
    ),
    click.option(
        "--priority",
        type=click.IntRange(min=0),
        metavar="N",
        help="Only jobs as urgent as N, or more: lower is more urgent.",
    ),
    click.option(
        "--name",
        metavar="NAME",
        callback=_name,
        help="What `dj-worker workers` and `drain` call it; by default host:process.",
    ),
    click.option(
        "--processes",
        type=click.IntRange(1, MOST_PROCESSES),
        metavar="N",
        default=1,
        show_default=True,
        help="Compute in N processes at once.",
    ),
    _number("--max-tasks-per-child", "Replace a process after N calls of make."),
    click.option(
        "--max-memory-mb",
        type=options.Number(min=1),
        metavar="MB",
        help="Replace a process that holds more memory, once its running job is done.",
    ),
    click.option("--once", is_flag=True, help="End when nothing is left that can be computed now."),
    click.option(
        "--drain",
        is_flag=True,
        help="End when no job is left at all: wait for retries, and for what other workers hold.",
    ),
    _seconds("--run-duration", 0.1, "End after so long, once the running jobs are done."),
    _seconds("--idle-exit", 0, "End after so long without work."),
    _number("--max-idle-cycles", "End after N looks in a row that found nothing."),
    _number("--max-calls", "End after N calls of make, exactly."),
    _seconds(
        "--poll-interval",
        0.1,
        "Look for new work at least so often. Pauses are short after work, and grow to this. On PostgreSQL, "
        "what other workers do is heard at once; looking finds what other programs insert.",
        default=10.0,
        show_default=True,
    ),
    _seconds("--sleep-duration", 0.1, "Sleep so long between two looks, rather than pauses that grow."),
    _seconds(
        "--shutdown-timeout",
        0.1,
        "After SIGTERM or SIGINT, release the jobs that still run after so long; by default "
        "jobs.shutdown_timeout.",
    ),
    click.option(
        "--otel", is_flag=True, help="Send traces and metrics by OpenTelemetry, where OTEL_... says."
    ),
    options.metrics_port,
    options.metrics_host,
    _seconds(
        "--stuck-after",
        1,
        "/healthz fails where looking for work takes so long.",
        default=900.0,
        show_default=True,
    ),
    _seconds(
        "--job-stuck-after", 1, "/healthz fails where one job takes so long; by default it may take any time."
    ),
]


def all_options(command: Any) -> Any:
    """Give a command all of these, each with its variable in the environment."""
    for option in reversed(ALL):
        command = option(command)
    return command


def with_environment(command: click.Command) -> click.Command:
    """Have each option read `DJ_WORKER_<NAME>` too, and say so in --help."""
    for parameter in command.params:
        if parameter.envvar is None:
            parameter.envvar = file.environment(file.written_name(parameter))
    return command


def work_of(given: dict[str, Any]) -> Work:
    """Return what the options ask for.

    Raises
    ------
    click.UsageError
        Where two of them do not go together.
    """
    ends = {"--once": given["once"], "--drain": given["drain"], "--idle-exit": given["idle_exit"] is not None}
    ends["--max-idle-cycles"] = given["max_idle_cycles"] is not None
    chosen = [name for name, is_given in ends.items() if is_given]
    if len(chosen) > 1 and ends["--once"]:
        raise click.UsageError(
            f"--once ends when nothing is left; {chosen[1]} waits for more. Give one of them."
        )
    return Work(
        is_once=given["once"],
        is_drain=given["drain"],
        idle_exit_s=given["idle_exit"],
        max_idle_cycles=given["max_idle_cycles"],
        run_duration_s=given["run_duration"],
        max_calls=given["max_calls"],
        poll_interval_s=given["poll_interval"],
        sleep_duration_s=given["sleep_duration"],
        restrictions=given["restrict"],
        priority=given["priority"],
        max_tasks_per_child=given["max_tasks_per_child"],
        max_memory_mb=given["max_memory_mb"],
        shutdown_timeout_s=given["shutdown_timeout"],
    )
