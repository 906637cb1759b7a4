"""The three that are compared, as processes: ours, the peer, and the floor."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workloads import N_JOBS

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "benchmarks" / "workloads.py"
SCHEMA = "dj_bench"
IMPORT_TIMES = 5
_CELERY_AND_WHAT_IT_IS_HELD_AGAINST = {"us": "celery", "floor": "process"}


class WorkloadFailed(Exception):
    """A workload ended with an error; the text is its last line."""


@dataclass(frozen=True)
class Result:
    """What one run measured."""

    name: str
    seconds: float
    n: int


@dataclass(frozen=True)
class Implementation:
    """How to run a workload on one of the three.

    Attributes
    ----------
    name : str
        ``us``, ``peer`` or ``floor``.
    command : tuple of str
        What goes before NAME SCHEMA SCALE.
    groups : frozenset of str or None
        What it can run; None is everything.
    environment : mapping
        All of it, so that the developer's own configuration does not leak in.
    folder : Path
        An empty folder to run in, so that neither finds another's `datajoint` there.
    """

    name: str
    command: tuple[str, ...]
    groups: frozenset[str] | None
    environment: Mapping[str, str]
    folder: Path

    def runs(self, group: str) -> bool:
        if group == "celery":
            return self.name in _CELERY_AND_WHAT_IT_IS_HELD_AGAINST
        return self.groups is None or group in self.groups

    def start(self, workload: str, scale: float) -> subprocess.Popen[str]:
        """Start one workload with its streams connected to us."""
        return self._start([*self.command, workload, f"{SCHEMA}_{self.name}", str(scale)])

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=dict(self.environment),
        )

    def complete(self, workload: str, scale: float) -> Iterator[Result]:
        """Run one workload to its end."""
        yield from _results(_output(self.start(workload, scale)))

    def celery(self, scale: float) -> Iterator[Result]:
        """Compute by Celery's workers or, as what stands for the floor, by our own pool of processes."""
        pool = _CELERY_AND_WHAT_IT_IS_HELD_AGAINST[self.name]
        command = [sys.executable, "-m", "benchmarks.celery_pool", pool, f"{SCHEMA}_{self.name}", str(scale)]
        yield from _results(_output(self._start(command)))

    def import_seconds(self) -> Iterator[Result]:
        """Yield how much longer an interpreter takes that imports `datajoint`, and that begins to use it."""
        bare = self._fastest("pass")
        yield Result("import", self._fastest("import datajoint; assert datajoint.__file__") - bare, 1)
        used = self._fastest(
            "import datajoint; datajoint.Schema, datajoint.Manual, datajoint.config['loglevel']"
        )
        yield Result("first_use", used - bare, 1)

    def _fastest(self, statement: str) -> float:
        seconds = []
        for _ in range(IMPORT_TIMES):
            start = time.perf_counter()
            _output(self._start([self.command[0], "-P", "-W", "ignore", "-c", statement]))
            seconds.append(time.perf_counter() - start)
        # The first run may have had to compile and to read the disk; noise only ever adds.
        return min(seconds[1:])


def _output(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate()
    if process.returncode:
        lines = errors.strip().splitlines() or [f"ended with status {process.returncode}"]
        raise WorkloadFailed(lines[-1])
    return output


def _results(output: str) -> Iterator[Result]:
    for line in output.splitlines():
        if line.startswith("{"):
            yield Result(**json.loads(line))


def run_group(implementation: Implementation, group: str, scale: float) -> list[Result]:
    """Run what produces the results of one group, once."""
    if group == "import":
        return list(implementation.import_seconds())
    if group == "celery":
        return list(implementation.celery(scale))
    if group.startswith("jobs_"):
        return [_drain(implementation, int(group.removeprefix("jobs_")), scale)]
    return list(implementation.complete(group, scale))


def _drain(implementation: Implementation, n_workers: int, scale: float) -> Result:
    """Let workers that are connected and waiting do all jobs; time from the word to the last one's end."""
    list(implementation.complete("jobs_prepare", scale))
    workers = [implementation.start("jobs_drain", scale) for _ in range(n_workers)]
    try:
        for worker in workers:
            _expect_line(worker, "ready")
        start = time.perf_counter()
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            _expect_line(worker, "done")
        seconds = time.perf_counter() - start
        for worker in workers:
            _output(worker)
    finally:
        for worker in workers:
            worker.kill()
    list(implementation.complete("jobs_check", scale))
    return Result(f"populate_reserved_{n_workers}", seconds, int(N_JOBS * scale))


def _expect_line(worker: subprocess.Popen[str], word: str) -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.strip() == word:
            return
    _output(worker)
    raise WorkloadFailed(f"ended without saying {word!r}")


def implementations(
    peer: Path | None, environment: Mapping[str, str], folder: Path
) -> tuple[Implementation, ...]:
    """Return those to compare; without the peer's interpreter, ours and the floor."""
    ours = {**environment, "PYTHONPATH": str(ROOT)}
    all_three = [
        Implementation("us", (sys.executable, str(SCRIPT)), None, ours, folder),
        Implementation(
            "floor",
            (sys.executable, "-m", "benchmarks.floor"),
            frozenset(("rows", "refresh", "direct", "signals", "jobs_1", "jobs_4")),
            ours,
            folder,
        ),
    ]
    if peer is not None:
        all_three.insert(1, Implementation("peer", (str(peer), str(SCRIPT)), None, environment, folder))
    return tuple(all_three)
