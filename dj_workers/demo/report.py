"""What the demonstration prints, for a terminal of a hundred columns or a file."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dj_workers.demo import facts
from dj_workers.demo.kill import Rescue

_WIDTH = 100


class Report:
    """Prints one part after the other."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
            sys.stdout.reconfigure(errors="backslashreplace")  # letters that a terminal lacks end no report
        width = None if sys.stdout.isatty() else _WIDTH
        self.console = Console(width=width, highlight=False)
        self.console.width = min(self.console.width, _WIDTH)

    def line(self, text: str = "") -> None:
        self.console.print(text)

    def head(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/bold]")

    def command(self, text: str) -> None:
        """Print a line to be copied."""
        self._as_it_is(text, "cyan")

    def _as_it_is(self, text: str, style: str) -> None:
        """Print a line without breaking it, whatever its length."""
        self.console.print(f"  {text}", style=style, markup=False, soft_wrap=True)

    # -- parts -------------------------------------------------------------------------------------

    def results(self, found: Sequence[facts.ImageResult], set_names: Sequence[str]) -> None:
        self.head("Blobs found, by photograph and parameter set")
        table = _table("photograph", *(f">{name}" for name in set_names), "best set")
        for row in found:
            counts = ("[red]none[/red]" if n is None else f"{n:,}" for n in row.n_blobs)
            table.add_row(escape(row.title), *counts, row.best or "-")
        self.console.print(table)

    def jobs(self, tables: Sequence[Any]) -> None:
        self.head("Jobs by status")
        table = _table("table", ">rows", ">success", ">error", ">pending", ">reserved", ">ignore")
        for target in tables:
            counts = target.jobs.progress()
            numbers = (counts[s] for s in ("success", "error", "pending", "reserved", "ignore"))
            table.add_row(type(target).__name__, f"{len(target):,}", *map(str, numbers))
        self.console.print(table)

    def workers(self, shares: Sequence[facts.WorkerShare], killed: str | None) -> None:
        self.head("Who computed them (host:process)")
        table = _table("table", "worker", ">jobs", ">busy seconds", ">jobs a second")
        for share in shares:
            note = " [red]killed[/red]" if share.worker == killed else ""
            rate = f"{share.jobs_per_s:.1f}" if share.n_jobs > 1 else "-"
            row = (share.table, share.worker + note, str(share.n_jobs), f"{share.busy_s:.1f}", rate)
            table.add_row(*row)
        if killed is not None and killed not in {share.worker for share in shares}:
            table.add_row("", f"{killed} [red]killed[/red]", "0", "-", "-")
        self.console.print(table)

    def failure(self, failure: facts.Failure, retry_command: str) -> None:
        n = len(failure.keys)
        jobs = "1 job" if n == 1 else f"{n} jobs"
        self.head(f"{jobs} of {failure.table} failed")
        self.line(f"[red]{escape(failure.message)}[/red]")
        for key in failure.keys:
            self.line("  " + ", ".join(f"{name} {value}" for name, value in key.items()))
        text = "The traceback, as the worker left it in the job table"
        self.line(text + (" (of the first of them):" if n > 1 else ":"))
        for line in failure.traceback.rstrip().splitlines():
            self._as_it_is(line, "dim")
        them = "it" if n == 1 else "them"
        self.line(f"To have {them} tried again by the next run, once the input is repaired:")
        self.command(retry_command)

    def rescue(self, rescue: Rescue | None) -> None:
        self.head("The worker that was killed")
        if rescue is None:
            self.line("[red]No worker could be caught in the middle of a job; run it again.[/red]")
            return
        key = ", ".join(f"{name} {value}" for name, value in rescue.key.items())
        self.line(f"{rescue.worker} got SIGKILL in the middle of Detection for {key}.")
        if rescue.taken_over_s is None or rescue.finished_s is None:
            self.line(f"[red]Nobody has finished that job: {rescue.status or 'it is still not done'}.[/red]")
            return
        outcome = "its rows were there" if rescue.status == "success" else "it failed for a reason of its own"
        self.line(f"{rescue.taken_over_s:.1f} s later {rescue.by} had taken the job over.")
        self.line(
            f"{rescue.finished_s:.1f} s after the kill {outcome}, in the job's attempt {rescue.n_attempts}."
        )

    def check(self, check: facts.Check) -> None:
        self.head("Is every row there, once?")
        table = _table("asked of the database", ">answer")
        for question, answer in (
            ("photographs x parameter sets", check.n_keys),
            ("rows of Detection", check.n_rows),
            ("jobs that failed, broken input", check.n_failed),
            ("missing", check.n_missing),
            ("there twice", check.n_rows - check.n_keys_in_rows),
            ("blobs that the rows of Detection count", check.n_blobs_counted),
            ("rows of Detection.Blob", check.n_blobs_stored),
            ("detections with more or fewer blobs than they count", check.n_incomplete),
        ):
            table.add_row(question, f"{answer:,}")
        self.console.print(table)
        if check.is_sound:
            self.line("[green]Yes: no row is missing, and none is there twice.[/green]")
        else:
            self.line("[red]No: these numbers do not add up.[/red]")

    def further(self, commands: dict[str, str]) -> None:
        self.head("Look further")
        for what, command in commands.items():
            self.line(f"{what}:")
            self.command(command)

    def picture(self, path: Path, n_panels: int) -> None:
        self.head("The blobs drawn over the photographs")
        self.line(f"{n_panels} photograph{'s' * (n_panels != 1)}, each with its best set, in")
        self.command(str(path))


def _table(*columns: str) -> Table:
    """Make a table; a column with a leading > holds numbers."""
    from rich.box import SIMPLE_HEAD

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        name = column.removeprefix(">")
        table.add_column(name, justify="right" if column.startswith(">") else "left", overflow="fold")
    return table
