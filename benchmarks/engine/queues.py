"""Claim and complete alone, by four workers: ours, procrastinate and pgqueuer in turn on one PostgreSQL."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent
N_WORKERS = 4
N_JOBS = 4_000


def run(python: str, script: str, environment: Mapping[str, str]) -> float:
    """Let workers that are connected and waiting drain all jobs; return the seconds to the last one's end."""
    command = [python, "-W", "ignore", str(FOLDER / script)]
    subprocess.run([*command, "prepare", str(N_JOBS)], check=True, env=environment)
    workers = [
        subprocess.Popen(
            [*command, "drain", str(N_JOBS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        for _ in range(N_WORKERS)
    ]
    for worker in workers:
        _expect(worker, "ready")
    started = time.perf_counter()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        _expect(worker, "done")
    seconds = time.perf_counter() - started
    for worker in workers:
        worker.communicate()
    subprocess.run([*command, "check", str(N_JOBS)], check=True, env=environment)
    return seconds


def _expect(worker: subprocess.Popen[str], word: str) -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.strip() == word:
            return
    raise RuntimeError(f"a worker ended without saying {word!r}")


def compare(others: str, environment: Mapping[str, str], rounds: int) -> dict[str, float]:
    """Return the median seconds of each.

    Parameters
    ----------
    others : str
        The interpreter of the environment that has the other queues.
    """
    runs = {
        "us": (sys.executable, "queue_ours.py"),
        "procrastinate": (others, "queue_procrastinate.py"),
        "pgqueuer": (others, "queue_pgqueuer.py"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        names = list(runs)
        for name in names[turn % 3 :] + names[: turn % 3]:
            seconds[name].append(run(*runs[name], environment))
    return {name: statistics.median(found) for name, found in seconds.items()}
