"""`dj-worker slurm`: a batch script for clusters that run SLURM."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click

from dj_workers.cli import options, run_options
from dj_workers.cli.exit_codes import UsageMistakeError
from dj_workers.cli.run import run as run_command
from dj_workers.cli.source import SCHEMA_PREFIX, WITHOUT_CODE

_SPARE_S = 30  # between the end of the running jobs and the time limit
_EARLIEST_S = 65535  # before the limit that sbatch takes for a signal
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d{1,2}){0,2})")

_SCRIPT = """\
#!/bin/bash
# Workers for {module}, as a job array of SLURM: sbatch {name}
# Before the time limit the worker of a task claims no more, ends what it can, and the task is queued again.
{directives}

set -u
cd {folder}
export DJ_JOBS_SHUTDOWN_TIMEOUT={shutdown_s}

is_at_limit=0
n_told=0
worker=
drain() {{
  is_at_limit=$1
  n_told=$((n_told + 1))
  [ -z "$worker" ] || kill -TERM "$worker"
}}
# USR1 comes {lead_s} s before the time limit; TERM from scancel, after which nothing is queued again.
trap 'drain 1' USR1
trap 'drain 0' TERM INT

{command} &
worker=$!
[ "$n_told" = 0 ] || kill -TERM "$worker"

# A signal ends `wait`, not the worker, whose exit code is there for the next `wait` though it has ended.
while n_before=$n_told; wait "$worker"; code=$?; [ "$n_before" != "$n_told" ]; do :; done
if [ "$is_at_limit" = 1 ]; then
  scontrol requeue "${{SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}}${{SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}}"
fi
exit "$code"
"""


@click.command(
    no_args_is_help=True,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True},
)
@options.module
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Tasks of the array."
)
@click.option(
    "--time", "time_limit", default="04:00:00", show_default=True, metavar="D-HH:MM:SS", help="Of each task."
)
@click.option("--cpus", type=click.IntRange(min=1), default=1, show_default=True, help="Of each task.")
@click.option("--mem", metavar="SIZE", help="Memory of each task: 16G.")
@click.option("--gpus", metavar="N", help="GPUs of each task: 1, or a100:1.")
@click.option("--partition", metavar="NAME")
@click.option("--account", metavar="NAME")
@click.option(
    "--drain-before",
    type=click.IntRange(_SPARE_S + 1, _EARLIEST_S),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="Stop claiming so long before the time limit.",
)
@click.option(
    "--idle-exit",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="A task ends, and its node is free, after so long without work.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it there, not to stdout."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS OF RUN]")
def slurm(
    module: str,
    workers: int,
    time_limit: str,
    cpus: int,
    mem: str | None,
    gpus: str | None,
    partition: str | None,
    account: str | None,
    drain_before: int,
    idle_exit: int,
    output: Path | None,
    arguments: tuple[str, ...],
) -> None:
    """Write a batch script of SLURM that computes MODULE in an array of tasks, a worker each.

    Shortly before the time limit a worker claims no more, ends what it can and releases the rest; its task
    is then queued again. What comes after -- goes to dj-worker run. The script runs in the current folder,
    with the environment that sbatch is called in.

    \b
    Examples:
      dj-worker slurm my_lab.pipeline --workers 20 --time 12:00:00 --mem 8G | sbatch
      dj-worker slurm my_lab.pipeline --gpus 1 --output gpu.sh -- --tables Segmentation
    """
    if module.startswith(SCHEMA_PREFIX):
        raise UsageMistakeError(WITHOUT_CODE.format(module))
    if seconds_of(time_limit) <= drain_before:
        raise UsageMistakeError(
            f"--drain-before {drain_before} leaves no time to work of --time {time_limit}; give more time."
        )
    shutdown_s = drain_before - _SPARE_S
    given = [module, "--processes", str(cpus)]
    if not _options_of_run([*given, *arguments], shutdown_s)["once"]:
        given += ["--idle-exit", str(idle_exit)]
    run = ["dj-worker", "run", *given, *arguments]
    found = {
        "job-name": f"dj-{_named(Path(module).stem)}",
        "array": f"1-{workers}",
        "time": time_limit,
        "cpus-per-task": str(cpus),
        "mem": mem,
        "gpus": gpus,
        "partition": partition,
        "account": account,
        "signal": f"B:USR1@{drain_before}",
        "output": "%x-%A_%a.log",
        "open-mode": "append",
    }
    for name, value in found.items():
        if value is not None and not re.fullmatch(r"[\w.:@%+/-]+", value):
            raise UsageMistakeError(f"{value!r} is no value for --{name} of sbatch.")
    directives = [f"#SBATCH --{name}={value}" for name, value in found.items() if value is not None]
    script = _SCRIPT.format(
        module=shlex.quote(module),
        name=output.name if output else "SCRIPT",
        directives="\n".join([*directives, "#SBATCH --requeue"]),
        folder=shlex.quote(str(Path.cwd())),
        shutdown_s=shutdown_s,
        command=shlex.join(run),
        lead_s=drain_before,
    )
    if output is None:
        click.echo(script, nl=False)
    else:
        try:
            output.write_text(script)
        except OSError as e:
            raise UsageMistakeError(f"{output} cannot be written: {e.strerror}.") from e
        click.echo(f"written; submit it with: sbatch {shlex.quote(str(output))}", err=True)


def _named(text: str) -> str:
    """Return a text as a word for a directive, which has no quotes."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-")


def _options_of_run(arguments: list[str], shutdown_s: int) -> dict[str, Any]:
    """Return what `dj-worker run` would make of its arguments, which must not fail in each task only.

    Raises
    ------
    click.UsageError, UsageMistakeError
        Where it would refuse them, or they would keep a task beyond its time limit.
    """
    given = run_command.make_context("run", arguments).params
    timeout_s = run_options.work_of(given).shutdown_timeout_s
    if timeout_s is not None and timeout_s > shutdown_s:
        raise UsageMistakeError(
            f"--shutdown-timeout {timeout_s:g} is too long: --drain-before {shutdown_s + _SPARE_S} leaves "
            f"{shutdown_s} s for the running jobs. Give more with --drain-before."
        )
    return given


def seconds_of(limit: str) -> int:
    """Return the seconds of a time limit as SLURM writes it: minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S.

    Raises
    ------
    UsageMistakeError
        Where it is none.
    """
    match = _TIME.fullmatch(limit)
    if match is None:
        raise UsageMistakeError(f"{limit!r} is no time limit; write it as HH:MM:SS or D-HH:MM:SS.")
    parts = [int(part) for part in match["clock"].split(":")]
    if match["days"] is not None:
        hours, minutes, seconds = [*parts, 0, 0][:3]
        return ((int(match["days"]) * 24 + hours) * 60 + minutes) * 60 + seconds
    if len(parts) == 1:
        return parts[0] * 60
    hours, minutes, seconds = [0, *parts][-3:]
    return (hours * 60 + minutes) * 60 + seconds
