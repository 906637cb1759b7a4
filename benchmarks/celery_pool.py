"""Jobs of 10 ms of computing each, by two processes: those of Celery's workers, or of the process pool.

``python -m benchmarks.celery_pool NAME SCHEMA SCALE`` runs one of them and prints a result as `workloads.py`
does. The time is that from the first job's end to the last's, so that neither pays for its start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import datajoint as dj
from benchmarks.workloads import emit, expect

N_JOBS = 400
JOB_S = 0.01

dj.config["safemode"] = False
dj.config["database.use_tls"] = False
if os.environ.get("BENCH_DATABASE"):
    dj.config["database.name"] = os.environ["BENCH_DATABASE"]
schema = dj.Schema(os.environ.get("BENCH_SCHEMA") or sys.argv[2])


@schema
class Sample(dj.Manual):
    definition = "sample_id : int32"


@schema
class Spun(dj.Computed):
    definition = """
    -> Sample
    ---
    ended : float64
    """

    def make(self, key: dict[str, Any]) -> None:
        end = time.process_time() + JOB_S
        while time.process_time() < end:
            pass
        self.insert1({**key, "ended": time.time()})


def _start_worker() -> subprocess.Popen[str]:
    command = ("-m", "dj_workers.cli.main", "celery", "-m", "benchmarks.celery_pool", "worker")
    worker = subprocess.Popen(
        [sys.executable, *command, "-c", "2", "-l", "INFO"],
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "C_FORCE_ROOT": "1", "BENCH_SCHEMA": str(schema.database)},
    )
    assert worker.stdout is not None
    for line in worker.stdout:
        if "ready." in line:
            return worker
    raise SystemExit("the worker of Celery does not start")


def main(name: str, scale: float) -> None:
    """Compute all jobs one way."""
    n = max(20, int(N_JOBS * scale))
    Spun.delete()
    Spun().jobs.delete()
    Sample.insert([{"sample_id": i} for i in range(n)], skip_duplicates=True)
    if name == "celery":
        worker = _start_worker()
        try:
            summary = Spun.populate(reserve_jobs=True, dispatch="celery")
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    else:
        summary = Spun.populate(reserve_jobs=True, processes=2)
    expect(summary["success_count"], n)
    ended = sorted(row["ended"] for row in Spun.to_dicts())
    emit("populate_celery", ended[-1] - ended[0], n)
    schema.drop(prompt=False)


if __name__ == "__main__":
    from benchmarks.celery_pool import main as importable_main  # so that workers find the classes

    importable_main(sys.argv[1], float(sys.argv[3]))
