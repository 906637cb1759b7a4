"""A million jobs: to add them, to claim beside them, and sixteen workers that do not waste a claim."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np

import datajoint as dj
from dj_jobs import claim as claims
from dj_jobs import finish
from dj_jobs.job import Worker
from dj_jobs.table import JobTable
from dj_query.table import FreeTable
from dj_schema.sql import Ident, sql

MILLION = 1_000_000
N_WORKERS = 16
N_CLAIMED = 10_000


@dataclass(frozen=True)
class Line:
    """One line of the report: what was found, and what is asked for."""

    label: str
    value: float
    bar: float
    is_at_most: bool = True

    @property
    def is_met(self) -> bool:
        return self.value <= self.bar if self.is_at_most else self.value >= self.bar


class Scale:
    """Tables of a million keys, in a schema of their own."""

    def __init__(self) -> None:
        self.schema = dj.Schema("bench_scale")

        @self.schema
        class Source(dj.Manual):
            definition = "id : int32"

        class Target(dj.Computed):
            definition = "-> Source"

            def make(self, key: dict[str, int]) -> None:
                self.insert1(key)

        self.schema(Target, context={"Source": Source})
        self.source, self.target = Source, Target
        self.connection = self.schema.connection
        self._fill(MILLION)

    def _fill(self, n: int) -> None:
        rows = np.empty(n, dtype=[("id", np.int32)])
        rows["id"] = np.arange(1, n + 1)
        self.source().insert(rows)
        self._analyze(Ident(*self.source().table_id))

    def _analyze(self, table: Ident) -> None:
        verb = "ANALYZE {}" if self.connection.settings.backend != "mysql" else "ANALYZE TABLE {}"
        self.connection.execute(sql(verb, table))

    def refresh(self) -> Line:
        """Compare with the bare INSERT of the same rows into a table of the same columns and indexes."""
        jobs = self.target().jobs
        bare = Ident("bench_scale", "bare")
        like = "CREATE TABLE {} (LIKE {} INCLUDING ALL)"
        if self.connection.settings.backend == "mysql":
            like = "CREATE TABLE {} LIKE {}"
        self.connection.execute(sql(like, bare, Ident(*jobs.table_id)))
        started = time.perf_counter()
        self.connection.execute(
            sql(
                "INSERT INTO {} ({}, {}, {}) SELECT {}, 'pending', 5 FROM {}",
                bare,
                Ident("id"),
                Ident("status"),
                Ident("priority"),
                Ident("id"),
                Ident(*self.source().table_id),
            )
        )
        floor_s = time.perf_counter() - started
        self.connection.script(self.connection.dialect.ddl.drop_table("bench_scale", "bare"))
        started = time.perf_counter()
        assert jobs.refresh()["added"] == MILLION
        return Line(
            "refresh of 1,000,000 keys / bare INSERT ... SELECT", (time.perf_counter() - started) / floor_s, 3
        )

    def claims(self) -> Line:
        """Claims beside a million finished jobs, against claims where there are none."""
        jobs = self.target().jobs
        table = Ident(*jobs.table_id)
        now = self.connection.dialect.jobs.NOW
        finish_most = "UPDATE {} SET {} = 'success', {} = {} WHERE {} > 5000"
        self.connection.execute(
            sql(finish_most, table, Ident("status"), Ident("completed_time"), now, Ident("id"))
        )
        self._analyze(table)
        with_million = self._claim_s(jobs)
        self.connection.execute(sql("DELETE FROM {} WHERE {} > 5000", table, Ident("id")))
        if self.connection.settings.backend != "mysql":
            self.connection.query(f'VACUUM ANALYZE "{jobs.table_id[0]}"."{jobs.table_id[1]}"')
        without = self._claim_s(jobs)
        return Line("a claim beside 1,000,000 finished jobs / without", with_million / without, 1.2)

    def _claim_s(self, jobs: JobTable) -> float:
        worker = Worker.of_this_process()
        times = []
        for _ in range(150):
            started = time.perf_counter()
            claimed = claims.claim(jobs, worker, 5)
            times.append(time.perf_counter() - started)
            finish.release_all(jobs, claimed)
        return statistics.median(times)

    def wasted(self) -> Line:
        """Sixteen workers on ten thousand jobs: jobs that two of them had, or that none had."""
        jobs = self.target().jobs
        jobs.delete()
        assert jobs.refresh(f"id <= {N_CLAIMED}")["added"] == N_CLAIMED
        taken: Counter[int] = Counter()
        lock = threading.Lock()

        def work(number: int) -> None:
            with self.connection.clone() as own:
                mine = JobTable.of_target(FreeTable.at(own, *self.target().table_id))
                worker = Worker(f"bench-{number}", "here", number)
                while claimed := claims.claim(mine, worker, 25):
                    with lock:
                        taken.update(c.key["id"] for c in claimed)
                    finish.complete_all(mine, claimed)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(N_WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        n_wasted = sum(taken.values()) - len(taken) + (N_CLAIMED - len(taken))
        return Line(f"wasted claims, {N_WORKERS} workers on {N_CLAIMED:,} jobs", n_wasted, 0)

    def lines(self) -> list[Line]:
        return [self.refresh(), self.claims(), self.wasted()]
