"""Our queue: claim in batches, end each batch with one statement, no make. ``prepare | drain | check N``."""

from __future__ import annotations

import sys
from uuid import uuid4

import datajoint as dj
from dj_jobs import claim as claims
from dj_jobs import finish
from dj_jobs.job import Worker

BATCH = 200
schema = dj.Schema("bench_queue")


@schema
class Source(dj.Manual):
    definition = "id : int32"


@schema
class Target(dj.Computed):
    definition = "-> Source"

    def make(self, key: dict[str, int]) -> None:
        self.insert1(key)


def prepare(n: int) -> None:
    Target().jobs.delete()
    Source().insert(({"id": i} for i in range(n)), skip_duplicates=True)
    assert Target().jobs.refresh()["added"] == n


def drain() -> None:
    jobs = Target().jobs
    jobs.connection.ping()
    worker = Worker.of_this_process(f"bench-{uuid4().hex[:8]}")
    print("ready", flush=True)
    sys.stdin.readline()
    while claimed := claims.claim(jobs, worker, BATCH):
        finish.complete_all(jobs, claimed)  # one statement is a transaction of its own
    print("done", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(int(sys.argv[2]))
    elif sys.argv[1] == "drain":
        drain()
    else:
        assert len(Target().jobs) == 0
