"""`dj-worker workers`, `drain`, `pause`, `resume` and `require`: what operators do to a fleet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import click

from dj_jobs import registry
from dj_jobs.limits import check_required
from dj_jobs.registry import WorkerInfo
from dj_jobs.table import JobTable
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_workers.cli import options
from dj_workers.cli.exit_codes import UsageMistakeError
from dj_workers.cli.file import default_modules
from dj_workers.cli.source import Source, load_all
from dj_workers.plan import name_of

_TITLES = ["worker", "state", "started", "seen", "processes", "done", "failed", "rate", "version", "computes"]


@click.command()
@options.modules
@options.as_json
def workers(modules: tuple[str, ...], is_json: bool) -> None:
    """Show who works on MODULE: daemons, and calls of populate(reserve_jobs=True) that last.

    \b
    state     alive; draining; or silent, for longer than two leases (jobs.lease_timeout)
    computes  the keys that run now, and for how long when the worker was last seen

    Without MODULE, those of dj-worker.toml or DJ_WORKER_MODULES.

    \b
    Examples:
      dj-worker workers my_lab.pipeline
      dj-worker workers schema:my_lab --json
    """
    found = _workers(_source(modules))
    if is_json:
        options.print_json({"workers": [asdict(worker) for worker in found]})
    elif found:
        click.echo(options.columns(_TITLES, [_row(w) for w in found], right=(4, 5, 6, 7)))
        for worker in found:
            if worker.note:
                click.echo(f"{worker.name}: {worker.note}", err=True)
    else:
        click.echo("no worker has told that it is there")


@click.command(no_args_is_help=True)
@click.argument("arguments", nargs=-1, required=True, metavar="[MODULE]... NAME")
def drain(arguments: tuple[str, ...]) -> None:
    """Have the worker NAME end after its running jobs, as SIGTERM would, wherever it runs.

    It hears of it at once where it waits on PostgreSQL, else within a third of jobs.lease_timeout.

    \b
    Example:
      dj-worker drain my_lab.pipeline gpu-1
    """
    *modules, name = arguments
    source = _source(modules)
    n = max((registry.drain(connection, schema, name) for connection, schema in _places(source)), default=0)
    if not n:
        known = ", ".join(sorted({worker.name for worker in _workers(source)})) or "none"
        raise UsageMistakeError(f"there is no worker {name!r}; there are: {known}.")
    click.echo(f"{name} ends after its running jobs")


def _on_tables(name: str, doc: str, said: str, change: Callable[[JobTable], None]) -> click.Command:
    """Return a command that does something to the job tables that are named."""

    @click.command(name=name, help=doc, no_args_is_help=True)
    @click.argument("arguments", nargs=-1, required=True, metavar="[MODULE] TABLE...")
    def command(arguments: tuple[str, ...]) -> None:
        modules, tables = (arguments[:1], arguments[1:]) if len(arguments) > 1 else ((), arguments)
        for cls in _source(modules).choose(tables):
            change(JobTable.of_target(cls()))
            click.echo(f"{name_of(cls)} {said}")

    return command


pause = _on_tables(
    "pause",
    """Have nobody claim jobs of TABLE until `dj-worker resume`; running jobs go on.

    One TABLE alone is one of the modules of dj-worker.toml or DJ_WORKER_MODULES.

    \b
    Examples:
      dj-worker pause my_lab.pipeline Detection
      dj-worker pause Detection
    """,
    "is paused: jobs that run go on, no further ones begin",
    JobTable.pause,
)
resume = _on_tables(
    "resume",
    """Have jobs of TABLE claimed again after `dj-worker pause`.

    One TABLE alone is one of the modules of dj-worker.toml or DJ_WORKER_MODULES.

    \b
    Examples:
      dj-worker resume my_lab.pipeline Detection
      dj-worker resume Detection
    """,
    "goes on",
    JobTable.resume,
)


def _version(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        check_required(value)
    except DataJointError as e:
        raise click.BadParameter(str(e), context, parameter) from None
    return value


@click.command(no_args_is_help=True)
@options.module
@click.argument("table")
@click.argument("version", default="", callback=_version)
def require(module: str, table: str, version: str) -> None:
    """Have only workers of VERSION claim jobs of TABLE; without VERSION, all again.

    VERSION is one (2.1, or a commit) or a condition (">=2.1,<3"). A worker has the version that its setting
    jobs.version or jobs.version_method says; one of another version leaves the jobs alone, and says so.

    \b
    Example:
      dj-worker require my_lab.pipeline Detection ">=2.1"
    """
    cls = _source([module]).table(table)
    JobTable.of_target(cls()).require_version(version)
    click.echo(f"{name_of(cls)} is for {f'version {version}' if version else 'workers of any version'}")


def _source(modules: Sequence[str]) -> Source:
    names = list(modules) or default_modules()
    if not names:
        raise click.UsageError("Name a MODULE: here, as modules in dj-worker.toml, or in DJ_WORKER_MODULES.")
    return load_all(names)


def _places(source: Source) -> list[tuple[Connection, str]]:
    """The schemas whose registries there are, each with a connection to it."""
    by_schema = {cls._class_info.schema: cls._schema.connection for cls in source.tables}
    return [(connection, schema) for schema, connection in by_schema.items()]


def _workers(source: Source) -> list[WorkerInfo]:
    found: dict[Any, WorkerInfo] = {}
    for connection, schema in _places(source):
        for worker in registry.registered(connection, schema):
            found[worker.incarnation] = worker
    return sorted(found.values(), key=lambda worker: (worker.started, worker.name))


def _row(worker: WorkerInfo) -> list[str]:
    state = "silent" if not worker.is_alive else "draining" if worker.is_draining else "alive"
    running = [
        f"{r.table} {' '.join(f'{k}={v}' for k, v in r.key.items())} "
        f"({(worker.seen - r.since).total_seconds():.0f} s)"
        for r in worker.running
    ]
    rate = "-" if worker.rate_per_minute is None else f"{worker.rate_per_minute:.1f}/min"
    return [
        worker.name,
        state,
        f"{worker.started:%m-%d %H:%M}",
        f"{worker.seen:%H:%M:%S}",
        str(worker.processes),
        str(worker.n_done),
        str(worker.n_failed),
        rate,
        worker.version or "-",
        "; ".join(running) or "-",
    ]
