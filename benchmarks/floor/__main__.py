"""``python -m benchmarks.floor NAME SCHEMA SCALE``: the same results as `benchmarks.workloads` prints."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks import workloads
from benchmarks.floor import statements as sql
from benchmarks.floor.server import Server, connect
from benchmarks.workloads import expect, source_rows, timed

COLUMNS = ("source_id", "x", "label", "when_added")


class Floor:
    """One workload's run, in a schema of its own."""

    def __init__(self, schema: str, scale: float) -> None:
        self.server: Server = connect()
        self.schema = schema
        self.scale = scale
        self._token = secrets.randbits(48)  # no two workers may count alike

    def n(self, full: int) -> int:
        return max(1, int(full * self.scale))

    def rows(self) -> None:
        """See `benchmarks.workloads.rows`."""
        server = self.server
        server.fresh(self.schema)
        server.create(sql.SOURCE)
        n = self.n(workloads.N_ROWS)
        data = source_rows(n)
        with timed("insert_dicts", n):
            server.insert_source(data)
        forms: dict[str, Callable[[], object]] = {
            "to_dicts": lambda: server.fetch_dicts(sql.SELECT_SOURCE),
            "to_arrays": self._arrays,
            "to_pandas": self._frame,
            "to_arrow": lambda: pa.table(dict(zip(COLUMNS, self._arrays(), strict=True))),
            "keys": lambda: server.fetch_dicts(sql.SELECT_KEYS),
            "iterate": lambda: sum(1 for _ in server.stream(sql.SELECT_SOURCE)),
        }
        for form, fetch in forms.items():
            fetch()
            with timed(f"fetch_{form}", n):
                fetch()
        single = self.n(workloads.N_SINGLE)
        with timed("fetch1_by_key", single):
            for i in range(single):
                server.fetch(sql.SELECT_X, (i % n,))
        with timed("insert1", single):
            for i in range(single):
                server.execute(sql.INSERT_SOURCE, (n + i, 1.0, "one", "2026-01-01"))
        server.drop(self.schema)

    def _arrays(self) -> list[np.ndarray[tuple[int], np.dtype[np.generic]]]:
        return [np.array(column) for column in zip(*self.server.fetch(sql.SELECT_SOURCE), strict=True)]

    def _frame(self) -> pd.DataFrame:
        return pd.DataFrame(dict(zip(COLUMNS, self._arrays(), strict=True))).set_index("source_id")

    def _jobs_schema(self) -> None:
        self.server.fresh(self.schema)
        self.server.create(sql.SOURCE, sql.DERIVED, sql.JOBS, sql.JOBS_INDEX)

    def _refresh(self) -> None:
        self.server.execute("BEGIN")
        self.server.execute(sql.DROP_STALE_JOBS)
        self.server.execute(sql.ADD_JOBS)
        self.server.execute("COMMIT")

    def refresh(self) -> None:
        """See `benchmarks.workloads.refresh`."""
        self._jobs_schema()
        n = self.n(workloads.N_NEW_KEYS)
        self.server.insert_source(source_rows(n))
        with timed("jobs_refresh", n):
            self._refresh()
        expect(self.server.fetch(sql.COUNT_JOBS)[0][0], n)
        with timed("jobs_refresh_nothing", n):
            self._refresh()
        with timed("jobs_progress", n):
            self.server.fetch(sql.COUNT_BY_STATUS)
        self.server.drop(self.schema)

    def _compute(self, key: int) -> None:
        x = self.server.fetch(sql.SELECT_X, (key,))[0][0]
        self.server.execute(sql.INSERT_DERIVED, (key, x * 2))

    def direct(self) -> None:
        """See `benchmarks.workloads.direct`."""
        self._jobs_schema()
        n = self.n(workloads.N_JOBS)
        self.server.insert_source(source_rows(n))
        with timed("populate_direct", n):
            for (key,) in self.server.fetch(sql.SELECT_KEYS):
                self.server.execute("BEGIN")
                self._compute(key)
                self.server.execute("COMMIT")
        expect(self.server.fetch(sql.COUNT_DERIVED)[0][0], n)
        self.server.drop(self.schema)

    def jobs_prepare(self) -> None:
        """See `benchmarks.workloads.jobs_prepare`."""
        self._jobs_schema()
        self.server.insert_source(source_rows(self.n(workloads.N_JOBS)))
        self._refresh()

    def jobs_drain(self) -> None:
        """See `benchmarks.workloads.jobs_drain`."""
        self.server.use(self.schema)
        print("ready", flush=True)
        sys.stdin.readline()
        while self._do_next():
            continue
        print("done", flush=True)

    def _do_next(self) -> bool:
        self._token += 1
        key = self.server.claim(self._token)
        if key is None:
            return False
        self.server.execute("BEGIN")
        self._compute(key)
        held = self.server.execute(sql.FINISH_JOB, (key, self._token))
        self.server.execute("COMMIT" if held else "ROLLBACK")
        return True

    def jobs_check(self) -> None:
        """See `benchmarks.workloads.jobs_check`."""
        self.server.use(self.schema)
        expect(self.server.fetch(sql.COUNT_DERIVED)[0][0], self.n(workloads.N_JOBS))
        self.server.drop(self.schema)

    def _signal(self, key: int) -> bytes:
        found: bytes = self.server.fetch(sql.SELECT_SIGNAL, (key,))[0][0]
        return found

    def _mean(self, key: int) -> None:
        fetched = self._signal(key)
        mean = float(np.load(BytesIO(fetched)).mean())
        self.server.execute("BEGIN")
        unchanged = self._signal(key) == fetched
        self.server.execute(sql.INSERT_MEAN, (key, mean))
        self.server.execute("COMMIT" if unchanged else "ROLLBACK")

    def signals(self) -> None:
        """See `benchmarks.workloads.signals`."""
        self.server.fresh(self.schema)
        self.server.create(sql.RAW, sql.MEAN)
        random = np.random.default_rng(0)
        n = self.n(workloads.N_SIGNALS)
        for key in range(n):
            packed = BytesIO()
            np.save(packed, random.standard_normal(workloads.SIGNAL_LENGTH))
            self.server.execute(sql.INSERT_RAW, (key, packed.getvalue()))
        with timed("fetch_8MB_array", 1):
            np.load(BytesIO(self._signal(0)))
        with timed("three_part_make_8MB", n):
            for key in range(n):
                self._mean(key)
        self.server.drop(self.schema)


WORKLOADS: dict[str, Callable[[Floor], None]] = {
    function.__name__: function
    for function in (
        *(Floor.rows, Floor.refresh, Floor.direct, Floor.signals),
        *(Floor.jobs_prepare, Floor.jobs_drain, Floor.jobs_check),
    )
}


if __name__ == "__main__":
    name, schema, scale = sys.argv[1:]
    WORKLOADS[name](Floor(schema, float(scale)))
