"""``make bench``: time ours, the peer and the floor on one server, in turn, and print the ratios."""

from __future__ import annotations

import argparse
import compileall
import os
import sys
import tempfile
from datetime import date
from pathlib import Path

import pymysql

from benchmarks.figures import Figure, selected
from benchmarks.implementations import ROOT, Implementation, WorkloadFailed, implementations, run_group
from benchmarks.report import Measurements, as_markdown, as_text, errors, machine, table, write_into
from tests.support.launch import Unavailable
from tests.support.servers import SERVER_NAMES, VARIABLES, RunFolder, Servers, ServerUnderTest

README = Path(__file__).with_name("README.md")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--server", choices=SERVER_NAMES, default="postgresql", help="default: %(default)s")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a result or its beginning"
    )
    parser.add_argument("--all", action="store_true", help="also what has no bar to be held against")
    parser.add_argument(
        "--rounds", type=int, default=3, help="each runs so often, in turn; default: %(default)s"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the numbers of rows; default: 1")
    parser.add_argument("--peer", type=Path, help="the interpreter of the peer's environment")
    parser.add_argument(
        "--markdown",
        type=Path,
        nargs="?",
        const=README,
        help="write the table there; default: benchmarks/README.md",
    )
    return parser.parse_args()


def environment_of(server: ServerUnderTest) -> dict[str, str]:
    """Return the environment in which a program works on a server, without the developer's own settings."""
    settings = server.settings
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DJ_", "PYTHON"))}
    return inherited | {
        "DJ_BACKEND": settings["backend"],
        "DJ_HOST": settings["host"],
        "DJ_PORT": str(settings["port"]),
        "DJ_USER": settings["user"],
        # The embedded server asks for no password, but without one the peer would ask us.
        "DJ_PASS": settings["password"] or "none",
        "DJ_USE_TLS": "false",
        "BENCH_DATABASE": settings["database_name"],
    }


def _make_durable(server: ServerUnderTest) -> None:
    """Have a server that was started for this run wait for the disk, which it need not do for tests."""
    if server.name == "postgresql" or VARIABLES[server.name] in os.environ:
        return
    settings = server.settings
    with pymysql.connect(
        host=settings["host"], port=settings["port"], user=settings["user"], password=settings["password"]
    ) as connection:
        connection.cursor().execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")


def _compile() -> None:
    """Compile our modules, as installing them would: else the first run pays for a change of the code."""
    for package in ("dj_schema", "dj_query", "dj_jobs", "dj_workers", "datajoint"):
        compileall.compile_dir(ROOT / package, quiet=2)


def _measure(
    figures: tuple[Figure, ...], compared: tuple[Implementation, ...], rounds: int, scale: float
) -> Measurements:
    measured = Measurements()
    groups = list(dict.fromkeys(figure.group for figure in figures))
    for group in groups:
        able = [implementation for implementation in compared if implementation.runs(group)]
        for turn in range(rounds):
            # Who goes first changes, so that a drift of the machine favours nobody.
            for implementation in able[turn % len(able) :] + able[: turn % len(able)]:
                _measure_once(measured, implementation, group, scale)
    return measured


def _measure_once(measured: Measurements, implementation: Implementation, group: str, scale: float) -> None:
    place = (implementation.name, group)
    if place in measured.errors:
        return
    _say(f"{group}: {implementation.name} ")
    try:
        for result in run_group(implementation, group, scale):
            measured.add(implementation.name, result.name, result.seconds)
    except WorkloadFailed as error:
        measured.errors[place] = str(error)


def _say(text: str) -> None:
    """Show what is being timed, in one line that the next replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main() -> int:
    """Run, print, and return 1 if something could not be measured."""
    arguments = _arguments()
    try:
        figures = selected(tuple(arguments.only), arguments.all)
    except ValueError as error:
        sys.exit(f"--only: {error}")
    peer = arguments.peer.absolute() if arguments.peer is not None else None
    run = RunFolder.make(on_disk=True)
    try:
        servers = Servers(run)
        server = servers.get(arguments.server)
        _make_durable(server)
        environment = environment_of(server)
        _compile()
        if any(figure.group == "celery" for figure in figures):
            environment["DJ_CELERY_BROKER_URL"] = servers.redis_url()
        with tempfile.TemporaryDirectory(prefix="dj-bench-") as folder:
            compared = implementations(peer, environment, Path(folder))
            measured = _measure(figures, compared, arguments.rounds, arguments.scale)
        servers.close()
    except Unavailable as error:
        sys.exit(f"a server cannot be had: {error}")
    finally:
        run.close()
    return _report(figures, measured, arguments)


def _report(figures: tuple[Figure, ...], measured: Measurements, arguments: argparse.Namespace) -> int:
    rows = table(figures, measured, arguments.server)
    scale = "" if arguments.scale == 1 else f", rows scaled by {arguments.scale:g}"
    title = f"{arguments.server}, medians of {arguments.rounds} rounds{scale}; {machine()}"
    _say("")
    print(f"{title}\n\n{as_text(rows)}")
    failed = errors(measured)
    for place, text in failed.items():
        print(f"not measured: {place}: {text}")
    if arguments.markdown is not None:
        write_into(arguments.markdown, f"\n{date.today()}: {title}\n\n{as_markdown(rows)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
