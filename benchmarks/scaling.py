"""How many workers one PostgreSQL bears: ``python -m benchmarks.scaling``.

The processor time that the server spends on each kind of statement is measured here, by what the kernel
says of the session's process, so that a busy machine hardly matters. What thousands of workers make of it
is simulated.
"""

from __future__ import annotations

import argparse
import heapq
import math
import os
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datajoint as dj
from dj_jobs import claim as claims
from dj_jobs import lease
from dj_jobs.job import Worker
from dj_jobs.presence import Presence
from dj_jobs.rescue import is_our_turn, rescue
from dj_schema.connection import Connection
from dj_schema.server_address import connection_settings
from dj_schema.settings import Config
from tests.support.servers import RunFolder, Servers

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_MOST_CYCLES = 200_000  # of the simulation; by then the rate is steady, and the rest follows from it
_BATCH_S = 0.25  # of work is claimed at once, as the engine does
_LARGEST_BATCH = 200


@dataclass(frozen=True)
class Costs:
    """Processor seconds of the server.

    Attributes
    ----------
    claim_s, claimed_s : float
        Of a claim, and of each job that it claims.
    short_s, long_s : float
        Of the transaction of a job with one row: of short jobs, which share it, and of one alone.
    renewal_s, beat_s, look_s : float
        Of renewing a lease, of telling the registry, of looking for work in vain.
    turn_s : float
        Of asking whether it is this worker's turn to look for jobs of dead workers.
    row_s : float
        Of that look, for each job that is held by anybody.
    refresh_s : float
        Of a refresh, for each key, where nothing is new.
    """

    claim_s: float
    claimed_s: float
    short_s: float
    long_s: float
    renewal_s: float
    beat_s: float
    look_s: float
    turn_s: float
    row_s: float
    refresh_s: float


# -- measured --------------------------------------------------------------------------------------


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _cost_s(connection: Connection, do: Callable[[], object], n: int) -> float:
    """Processor time of the session for each of `n` calls."""
    before = _cpu_s(connection.connection_id)
    for _ in range(n):
        do()
    return (_cpu_s(connection.connection_id) - before) / n


@contextmanager
def _table(connection: Connection, n_jobs: int) -> Iterator[Any]:
    schema = dj.Schema(f"dj_bench_{secrets.token_hex(3)}", connection=connection)

    @schema
    class Number(dj.Manual):
        definition = "number : int32"

    @schema
    class Square(dj.Computed):
        definition = """
        -> Number
        ---
        square : int64
        """

        def make(self, key: dict[str, int]) -> None:
            self.insert1({**key, "square": key["number"] ** 2})

    Number().insert([{"number": n} for n in range(n_jobs)])
    Square().jobs.refresh()
    try:
        yield Square()
    finally:
        connection.script(connection.dialect.ddl.drop_schema(str(schema.database)))


def measure(connection: Connection, n_jobs: int = 30_000) -> Costs:
    """Measure on a table of so many jobs."""
    worker = Worker.of_this_process()
    with _table(connection, n_jobs) as table:
        jobs = table.jobs
        refresh_s = _cost_s(connection, jobs.refresh, 10) / n_jobs
        one_s = _cost_s(connection, lambda: claims.claim(jobs, worker, 1), 1000)
        hundred_s = _cost_s(connection, lambda: claims.claim(jobs, worker, 100), 50)
        n_held = len(jobs.reserved)
        many_s = _cost_s(connection, lambda: rescue(jobs), 100)
        _afresh(connection, jobs)
        [held] = claims.claim(jobs, worker, 1)
        none_s = _cost_s(connection, lambda: rescue(jobs), 1000)
        renewal = lease._renewal(connection, jobs.table_id, held.token, [held.key], 60.0)
        renewal_s = _cost_s(connection, lambda: connection.execute(renewal), 2000)
        turn_s = _cost_s(connection, lambda: is_our_turn(jobs, 3600.0), 2000)
        presence = Presence(connection, worker, [table.table_id])
        beat_s = _cost_s(connection, lambda: presence.beat(connection), 1000)
        claimed_s = (hundred_s - one_s) / 99
        claim_s = one_s - claimed_s
        short_s = _whole_job_s(connection, table, 5000) - claimed_s - claim_s / _LARGEST_BATCH
        connection.config["jobs.group_commit_s"] = 0.0
        long_s = _whole_job_s(connection, table, 3000) - claimed_s - claim_s / _LARGEST_BATCH
        jobs.delete()
        connection.query("VACUUM")
        look_s = none_s + _cost_s(connection, lambda: claims.claim(jobs, worker, 1), 1000)
    row_s = max(0.0, many_s - none_s) / n_held
    return Costs(claim_s, claimed_s, short_s, long_s, renewal_s, beat_s, look_s, turn_s, row_s, refresh_s)


def _afresh(connection: Connection, jobs: Any) -> None:
    """All jobs pending again, and no dead rows in the way."""
    jobs.delete()
    jobs.refresh()
    connection.query("VACUUM (ANALYZE)")


def _whole_job_s(connection: Connection, table: Any, n: int) -> float:
    return _cost_s(connection, lambda: table.populate(reserve_jobs=True, refresh=False, max_calls=n), 1) / n


# -- simulated -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """What so many workers reach.

    Attributes
    ----------
    load : float
        Of the server's cores, from 0 to 1.
    """

    jobs_per_s: float
    ideal_per_s: float
    load: float


def simulate(
    costs: Costs,
    *,
    cores: int,
    n_workers: int,
    job_s: float,
    n_jobs: int,
    lease_s: float = 60.0,
    seed: int = 1,
) -> Rate:
    """Let workers claim, compute and commit against a server of so many cores, each statement in turn."""
    chance = random.Random(seed)
    batch = max(1, min(_LARGEST_BATCH, int(_BATCH_S / job_s)))
    is_short = job_s <= 0.05  # of which several share a transaction
    # every worker does each of these at a third of a lease, and one of them looks at what all hold
    each_s = costs.beat_s + costs.turn_s + (costs.renewal_s if job_s > lease_s / 3 else 0)
    upkeep = n_workers * (each_s + batch * costs.row_s) / (lease_s / 3)
    slower = 1 / max(0.05, 1 - upkeep / cores)  # what is left of the cores
    claim_s = (costs.claim_s + batch * costs.claimed_s) * slower
    end_s = batch * (costs.short_s if is_short else costs.long_s) * slower
    free = [0.0] * cores  # when each core is free again
    waiting = [(chance.uniform(0, job_s * batch), False, i) for i in range(n_workers)]
    heapq.heapify(waiting)
    n_cycles = max(n_workers * 3, min(_MOST_CYCLES, math.ceil(n_jobs / batch)))
    n_done, busy_s, now, steady_from, n_before = 0, 0.0, 0.0, 0.0, 0
    while n_done < n_cycles:
        now, is_end, i = heapq.heappop(waiting)
        service_s = end_s if is_end else claim_s
        ends_at = max(now, heapq.heappop(free)) + service_s
        heapq.heappush(free, ends_at)
        busy_s += service_s
        if is_end:
            n_done += 1
            if n_done == n_workers:  # the first round is the start
                steady_from, n_before, busy_s = ends_at, n_done, 0.0
            heapq.heappush(waiting, (ends_at, False, i))
        else:
            compute_s = batch * job_s * chance.uniform(0.7, 1.3)
            heapq.heappush(waiting, (ends_at + compute_s, True, i))
    span_s = max(now - steady_from, 1e-9)
    rate = (n_done - n_before) * batch / span_s
    load = min(1.0, busy_s / slower / span_s / cores + upkeep / cores)
    return Rate(rate, n_workers / job_s, load)


# -- shown -----------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=8, help="of the server; default: %(default)s")
    parser.add_argument("--jobs", type=int, default=10_000_000)
    arguments = parser.parse_args()
    run = RunFolder.make(on_disk=True)
    servers = Servers(run)
    try:
        config = Config()
        settings = connection_settings(config, **servers.get("postgresql").settings)
        with Connection(settings, config) as connection:
            costs = measure(connection)
    finally:
        servers.close()
        run.close()
    _show(costs, arguments.cores, arguments.jobs)


def _show(costs: Costs, cores: int, n_jobs: int) -> None:
    print("| processor time of the server (measured) | microseconds |\n|---|---:|")
    for name, seconds in vars(costs).items():
        print(f"| {name.removesuffix('_s')} | {seconds * 1e6:.1f} |")
    print(
        f"\n{n_jobs:,} jobs on {cores} cores (simulated): jobs a second, of the ideal, load of the server\n"
    )
    sizes = (10, 100, 1000, 5000)
    print("| job | " + " | ".join(f"{n} workers" for n in sizes) + " |\n|---|" + "---:|" * len(sizes))
    for job_s in (0.01, 0.1, 1.0, 10.0, 60.0):
        cells = []
        for n_workers in sizes:
            rate = simulate(costs, cores=cores, n_workers=n_workers, job_s=job_s, n_jobs=n_jobs)
            share = rate.jobs_per_s / rate.ideal_per_s
            cells.append(f"{rate.jobs_per_s:,.0f}/s, {min(1.0, share):.0%}, {rate.load:.0%}")
        print(f"| {job_s:g} s | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
