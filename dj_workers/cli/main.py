"""`dj-worker`: the commands, their exit codes, how errors are shown. Each command has a file of its own."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from importlib import import_module
from typing import Any

import click

from dj_schema.errors import DataJointError
from dj_workers import logs
from dj_workers.cli import options
from dj_workers.cli.exit_codes import ExitCode, ModuleError, UsageMistakeError, advice_on, code_of
from dj_workers.cli.output import told_if_unwritten

log = logging.getLogger("datajoint.workers")

_PROMETHEUS_FOLDERS = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
_UNUSED = f"{__name__}.unused"

# Imported when called, so that each starts fast: module, name, and the line that --help shows.
_COMMANDS = {
    "run": ("dj_workers.cli.run", "run", "Compute the tables of a pipeline until told to stop."),
    "status": ("dj_workers.cli.status", "status", "Show how far each table is."),
    "errors": ("dj_workers.cli.errors", "errors", "Show the jobs that failed, and why."),
    "retry": ("dj_workers.cli.change", "retry", "Have failed jobs run again."),
    "ignore": ("dj_workers.cli.change", "ignore", "Have a key passed over from now on."),
    "unignore": ("dj_workers.cli.change", "unignore", "Have ignored keys run after all."),
    "workers": ("dj_workers.cli.operate", "workers", "Show who works, on what, and how fast."),
    "drain": ("dj_workers.cli.operate", "drain", "Have a worker end after its running jobs."),
    "pause": ("dj_workers.cli.operate", "pause", "Have nobody claim jobs of a table."),
    "resume": ("dj_workers.cli.operate", "resume", "Have jobs of a paused table claimed again."),
    "require": ("dj_workers.cli.operate", "require", "Have only workers of a version claim jobs of a table."),
    "celery": ("dj_workers.cli.celery", "celery", "Run Celery: a worker, beat, or any other command."),
    "dispatch": ("dj_workers.cli.celery", "dispatch", "Keep the queues of Celery filled by what is pending."),
    "exporter": ("dj_workers.cli.exporter", "exporter", "Serve the state of the jobs to Prometheus."),
    "probe": ("dj_workers.cli.probe", "probe", "Ask a worker of this machine how it is."),
    "slurm": ("dj_workers.cli.slurm", "slurm", "Write a batch script that runs workers on SLURM."),
    "demo": ("dj_workers.demo.command", "demo", "Watch a real pipeline being computed on this machine."),
}


class _Commands(click.Group):
    """Commands by name; the file of one is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with told_if_unwritten():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        # prometheus_client looks at them when it is imported, as it is with the file of a command
        ctx.meta[_UNUSED] = [name for name in _PROMETHEUS_FOLDERS if os.environ.pop(name, None) is not None]
        try:
            return super().invoke(ctx)
        except (DataJointError, ModuleError) as e:
            if ctx.params["debug"] and not logs.is_json():
                traceback.print_exc()
            else:
                said = traceback.format_exc() if ctx.params["debug"] else f"{e}{advice_on(e)}"
                options.say(f"dj-worker: {said}", logging.ERROR)
            sys.exit(code_of(e))
        except click.ClickException as e:
            if ctx.params["log_format"] != logs.JSON:
                raise
            logs.set_up(ctx.params["log_level"], logs.JSON)  # the command may not have been found yet
            options.say(f"dj-worker: {e.format_message()}", logging.ERROR)
            sys.exit(e.exit_code)


def _print_version(context: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if not is_wanted or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("dj-workers")
    except PackageNotFoundError:
        found = "(run from its source, not installed)"
    click.echo(f"dj-worker {found}")
    context.exit()


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\n" + ExitCode.table(),
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="How much is logged, to stderr.",
)
@click.option(
    "--log-format",
    type=click.Choice(logs.FORMATS),
    default=logs.TEXT,
    show_default=True,
    help="json: an object a line, with the fields of the job.",
)
@click.option("--debug", is_flag=True, help="Show the Python traceback of an error.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it."
)
def main(log_level: str, log_format: str, debug: bool) -> None:
    """Compute DataJoint pipelines, and look after their jobs.

    MODULE is the pipeline: a module that can be imported from the current folder (my_lab.pipeline), or the
    path of a file (pipeline.py). Commands that need no code also take schema:NAME, a schema of the
    database. The server is the one of the pipeline's own settings: datajoint.json, .secrets/, or DJ_HOST,
    DJ_USER, DJ_PASS and so on.

    \b
    Examples:
      dj-worker run pipeline.py --processes 4          work until stopped by Ctrl-C or SIGTERM
      dj-worker run my_lab.pipeline --once             work until nothing is left
      dj-worker status my_lab.pipeline                 a line for each table
      dj-worker errors my_lab.pipeline Detection --traceback
      dj-worker retry my_lab.pipeline Detection image_id=7
    """
    logs.set_up(log_level, log_format)
    try:
        here = os.getcwd()
    except FileNotFoundError:
        raise UsageMistakeError("the current folder is not there any more; go to another.") from None
    if "" not in sys.path and here not in sys.path:
        sys.path.insert(0, here)
    for name in click.get_current_context().meta[_UNUSED]:
        log.warning("%s is not used: one process keeps the figures of all.", name)


if __name__ == "__main__":
    main()
