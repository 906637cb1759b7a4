"""``make bench-engine``: the job engine by itself, on one server."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.report import machine
from benchmarks.run import environment_of
from tests.support.launch import Unavailable
from tests.support.servers import SERVER_NAMES, RunFolder, Servers

ROOT = Path(__file__).resolve().parents[2]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-engine ARGS=...", description=__doc__)
    parser.add_argument("--server", choices=SERVER_NAMES, default="postgresql", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="of the queues, in turn; default: %(default)s")
    parser.add_argument("--others", type=Path, help="the interpreter that has procrastinate and pgqueuer")
    return parser.parse_args()


def main() -> int:
    """Run, print, and return 1 where a bar is not met."""
    arguments = _arguments()
    folder = RunFolder.make(on_disk=True)
    try:
        servers = Servers(folder)
        environment = {**environment_of(servers.get(arguments.server)), "PYTHONPATH": str(ROOT)}
        print(f"{arguments.server}; {machine()}\n")
        is_met = _scale(environment)
        if arguments.server == "postgresql" and arguments.others is not None:
            is_met &= _queues(str(arguments.others.absolute()), environment, arguments.rounds)
        servers.close()
    except Unavailable as error:
        sys.exit(f"no {arguments.server}: {error}")
    finally:
        folder.close()
    return 0 if is_met else 1


def _scale(environment: dict[str, str]) -> bool:
    os.environ.update(environment)  # before the first use of its settings
    from benchmarks.engine.scale import Scale

    scale = Scale()
    is_met = True
    try:
        for line in scale.lines():
            relation = "at most" if line.is_at_most else "at least"
            mark = "ok" if line.is_met else "MISSED"
            print(f"{line.label:<60} {line.value:10.3g}   {relation} {line.bar:g}   {mark}")
            is_met &= line.is_met
    finally:
        scale.schema.drop(prompt=False)
    return is_met


def _queues(others: str, environment: dict[str, str], rounds: int) -> bool:
    from benchmarks.engine.queues import N_JOBS, N_WORKERS, compare

    seconds = compare(others, environment, rounds)
    ours = seconds.pop("us")
    rate = N_JOBS / ours
    print(
        f"\nclaim and complete {N_JOBS:,} jobs, {N_WORKERS} workers, batches, no make: {rate:,.0f} a second"
    )
    is_met = True
    for name, other in seconds.items():
        mark = "ok" if other >= ours else "MISSED"
        print(f"{name + ' / us':<60} {other / ours:10.3g}   at least 1   {mark}")
        is_met &= other >= ours
    return is_met


if __name__ == "__main__":
    sys.exit(main())
