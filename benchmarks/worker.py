"""What a worker costs while it waits, how soon it is woken, and whether its memory grows: by itself.

``python -m benchmarks.worker [--jobs 100000] [--idle-s 60]`` on the server that DJ_... names, by default an
embedded PostgreSQL in a folder of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from dj_workers.pools.memory import resident_mb

N_WAKES = 30


def pipeline(schema_name: str) -> Any:
    """Declare a table of numbers and one that is computed from it."""
    import datajoint as dj

    schema = dj.Schema(schema_name)

    @schema
    class Number(dj.Manual):
        definition = "number : int32"

    @schema
    class Double(dj.Computed):
        definition = """
        -> Number
        ---
        double  : int64
        started : float64
        """

        def make(self, key: dict[str, Any]) -> None:
            self.insert1({**key, "double": 2 * key["number"], "started": time.monotonic()})

    return schema, Number, Double


def work(schema_name: str, mode: str, n: int, idle_s: float) -> None:
    """Be the worker; print what was seen of it."""
    from dj_workers import Work, Worker

    schema, number, double = pipeline(schema_name)
    if mode == "memory":
        for n_jobs in (1000, n):
            start = len(number())
            number.insert({"number": i} for i in range(start, start + n_jobs))
            tally = Worker([double], Work(is_once=True)).run()
            assert sum(sum(c.values()) for c in tally.by_table.values()) == n_jobs, tally
            print(f"memory {n_jobs} {resident_mb(os.getpid()):.1f}", flush=True)
        return
    worker = Worker([double], Work())
    if mode == "idle":
        connection = schema.connection
        seen: list[tuple[float, float, int]] = []

        def note() -> None:
            used = resource.getrusage(resource.RUSAGE_SELF)
            seen.append((time.monotonic(), used.ru_utime + used.ru_stime, connection.n_statements))
            if len(seen) == 2:
                worker.stop()
            else:
                threading.Timer(idle_s, note).start()

        threading.Timer(25, note).start()  # its pauses have grown by then
        worker.run()
        (t0, cpu0, n0), (t1, cpu1, n1) = seen
        print(f"idle {100 * (cpu1 - cpu0) / (t1 - t0):.3f} {5 * (n1 - n0) / (t1 - t0):.2f}", flush=True)
    else:
        print("ready", flush=True)
        worker.run()


def child(schema_name: str, mode: str, options: argparse.Namespace) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.worker", "--schema", schema_name, "--mode", mode]
    command += ["--jobs", str(options.jobs), "--idle-s", str(options.idle_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wakes(schema_name: str, options: argparse.Namespace) -> list[float]:
    """Return the seconds from a refresh that is committed to the start of make in the waiting worker."""
    _, number, double = pipeline(schema_name)
    worker = child(schema_name, "wake", options)
    assert worker.stdout is not None
    worker.stdout.readline()
    time.sleep(5)
    latencies = []
    first = len(number())
    for i in range(first, first + N_WAKES):
        number.insert1({"number": i})
        double.jobs.refresh()
        told = time.monotonic()
        while not (rows := (double & {"number": i}).to_dicts()):
            time.sleep(0.02)
        latencies.append(rows[0]["started"] - told)
        time.sleep(1)
    worker.terminate()
    worker.wait()
    return latencies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--idle-s", type=float, default=60.0)
    parser.add_argument("--only", choices=["idle", "wake", "memory"], action="append")
    parser.add_argument("--schema", help=argparse.SUPPRESS)
    parser.add_argument("--mode", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.mode:
        work(options.schema, options.mode, options.jobs, options.idle_s)
        return
    with tempfile.TemporaryDirectory(prefix="dj-bench-") as folder:
        os.environ.setdefault("DJ_EMBEDDED_PATH", str(Path(folder) / "server"))
        report(options)


def report(options: argparse.Namespace) -> None:
    """Measure and print."""
    name = f"bench_worker_{os.getpid()}"
    schema, *_ = pipeline(name)
    chosen = options.only or ["idle", "wake", "memory"]
    try:
        if "wake" in chosen:
            latencies = wakes(name, options)
            median, most = statistics.median(latencies), max(latencies)
            print(f"woken after {1000 * median:.1f} ms (median of {N_WAKES}), {1000 * most:.1f} ms at most")
        if "idle" in chosen:
            said = child(name, "idle", options).communicate()[0].split()
            print(f"idle: {said[1]} % of a core, {said[2]} statements in 5 s")
        if "memory" in chosen:
            lines = [line.split() for line in child(name, "memory", options).communicate()[0].splitlines()]
            (_, n0, mb0), (_, n1, mb1) = (line for line in lines if line[:1] == ["memory"])
            print(
                f"memory: {mb0} MB after {n0} jobs, {mb1} MB after {n1} more: {float(mb1) / float(mb0):.3f} x"
            )
    finally:
        schema.drop(prompt=False)


if __name__ == "__main__":
    main()
