"""What is timed, in documented API only, so that it runs on ours and on the peer's `datajoint` alike.

``python workloads.py NAME SCHEMA SCALE`` is run by `benchmarks.run` with the interpreter of either, and
prints a JSON object a line: ``{"name": ..., "seconds": ..., "n": ...}``. Nothing here may need more than
the standard library, numpy and `datajoint`, nor import a neighbour: the peer's interpreter has none.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

N_ROWS = 100_000  # inserted and fetched
N_SINGLE = 2_000  # statements that touch one row
N_NEW_KEYS = 20_000  # for jobs.refresh
N_JOBS = 2_000  # computed
N_DECLARED = 31  # tables
N_IMPORTED = 200  # tables that are there, and are bound to their classes
N_SIGNALS = 2  # arrays of 8 MB
N_SESSIONS = 3  # each with so many rows that one make fetches:
N_FETCHED_DICTS = 20_000
SIGNAL_LENGTH = 1_000_000


def source_rows(n: int) -> list[dict[str, Any]]:
    """Return `n` rows of the table that everything here is computed from."""
    when = "2026-01-01 12:00:00"
    return [{"source_id": i, "x": i * 0.5, "label": f"row {i}", "when_added": when} for i in range(n)]


def emit(name: str, seconds: float, n: int) -> None:
    """Print one result."""
    print(json.dumps({"name": name, "seconds": seconds, "n": n}), flush=True)


@contextmanager
def timed(name: str, n: int) -> Iterator[None]:
    """Time the block and print the result."""
    start = time.perf_counter()
    yield
    emit(name, time.perf_counter() - start, n)


def expect(actual: object, expected: object) -> None:
    """Fail if the work was not done: a fast wrong answer is no result."""
    if actual != expected:
        raise SystemExit(f"expected {expected!r}, found {actual!r}")


class Bench:
    """A schema of our own on the server that the environment names.

    Parameters
    ----------
    schema : str
        Its name; `fresh` drops it first.
    scale : float
        Factor on every number of rows.
    """

    def __init__(self, schema: str, scale: float) -> None:
        self.dj: Any = importlib.import_module("datajoint")
        self.dj.config["safemode"] = False
        self.dj.config["database.use_tls"] = False
        self.dj.config["database.backend"] = os.environ["DJ_BACKEND"]
        if os.environ.get("BENCH_DATABASE"):
            self.dj.config["database.name"] = os.environ["BENCH_DATABASE"]
        self.name = schema
        self.scale = scale

    def n(self, full: int) -> int:
        return max(1, int(full * self.scale))

    def existing(self) -> Any:
        return self.dj.Schema(self.name)

    def fresh(self) -> Any:
        self.existing().drop(prompt=False)
        return self.existing()


def pipeline(dj: Any, schema: Any) -> tuple[Any, Any]:
    """Declare a source and the trivial computation on it."""

    @schema
    class Source(dj.Manual):
        definition = """
        source_id : int32
        ---
        x : float64
        label : varchar(32)
        when_added : datetime
        """

    @schema
    class Derived(dj.Computed):
        definition = """
        -> Source
        ---
        y : float64
        """

        def make(self, key: dict[str, Any]) -> None:
            x = (Source & key).fetch1("x")
            self.insert1({**key, "y": x * 2})

    return Source, Derived


def rows(bench: Bench) -> None:
    """Insert many, fetch them in each form, then one by one."""
    schema = bench.fresh()
    source, _ = pipeline(bench.dj, schema)
    n = bench.n(N_ROWS)
    data = source_rows(n)
    with timed("insert_dicts", n):
        source.insert(data)
    forms: dict[str, Callable[[], Any]] = {
        "to_dicts": source.to_dicts,
        "to_arrays": source.to_arrays,
        "to_pandas": source.to_pandas,
        "to_arrow": source.to_arrow,
        "keys": source.keys,
        "iterate": lambda: sum(1 for _ in source()),
    }
    for form, fetch in forms.items():
        fetch()
        with timed(f"fetch_{form}", n):
            fetch()
    single = bench.n(N_SINGLE)
    with timed("fetch1_by_key", single):
        for i in range(single):
            (source & {"source_id": i % n}).fetch1("x")
    with timed("insert1", single):
        for i in range(single):
            source.insert1({"source_id": n + i, "x": 1.0, "label": "one", "when_added": "2026-01-01"})
    expect(len(source()), n + single)
    schema.drop(prompt=False)


def refresh(bench: Bench) -> None:
    """Find the keys that are new to a job table, and then that none is."""
    schema = bench.fresh()
    source, derived = pipeline(bench.dj, schema)
    n = bench.n(N_NEW_KEYS)
    source.insert(source_rows(n))
    expect(len(derived.jobs), 0)  # and declares the table
    with timed("jobs_refresh", n):
        derived.jobs.refresh()
    expect(len(derived.jobs), n)
    with timed("jobs_refresh_nothing", n):
        derived.jobs.refresh()
    with timed("jobs_progress", n):
        derived.jobs.progress()
    schema.drop(prompt=False)


def direct(bench: Bench) -> None:
    """Populate without reservation."""
    schema = bench.fresh()
    source, derived = pipeline(bench.dj, schema)
    n = bench.n(N_JOBS)
    source.insert(source_rows(n))
    with timed("populate_direct", n):
        derived.populate()
    expect(len(derived()), n)
    schema.drop(prompt=False)


def jobs_prepare(bench: Bench) -> None:
    """Make jobs for `jobs_drain` to do."""
    source, derived = pipeline(bench.dj, bench.fresh())
    source.insert(source_rows(bench.n(N_JOBS)))
    derived.jobs.refresh(delay=-1)


def jobs_drain(bench: Bench) -> None:
    """Do jobs until none is left; started by a line on the standard input, once it said that it is ready."""
    _, derived = pipeline(bench.dj, bench.existing())
    len(derived())  # connected, and as far as it gets without a job
    print("ready", flush=True)
    sys.stdin.readline()
    derived.populate(reserve_jobs=True, refresh=False)
    print("done", flush=True)


def jobs_check(bench: Bench) -> None:
    """See that each job was done, and remove them."""
    schema = bench.existing()
    _, derived = pipeline(bench.dj, schema)
    expect(len(derived()), bench.n(N_JOBS))
    schema.drop(prompt=False)


def signals(bench: Bench) -> None:
    """Compute in three parts from arrays of 8 MB each."""
    import numpy as np

    schema = bench.fresh()
    dj = bench.dj

    @schema
    class Raw(dj.Manual):
        definition = """
        raw_id : int32
        ---
        signal : <blob>
        """

    @schema
    class Mean(dj.Computed):
        definition = """
        -> Raw
        ---
        mean : float64
        """

        def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
            return ((Raw & key).fetch1("signal"),)

        def make_compute(self, key: dict[str, Any], signal: Any) -> tuple[float]:
            return (float(signal.mean()),)

        def make_insert(self, key: dict[str, Any], mean: float) -> None:
            self.insert1({**key, "mean": mean})

    random = np.random.default_rng(0)
    n = bench.n(N_SIGNALS)
    Raw.insert([{"raw_id": i, "signal": random.standard_normal(SIGNAL_LENGTH)} for i in range(n)])
    with timed("fetch_8MB_array", 1):
        (Raw & {"raw_id": 0}).fetch1("signal")
    with timed("three_part_make_8MB", n):
        Mean.populate()
    expect(len(Mean()), n)
    schema.drop(prompt=False)


def many_inputs(bench: Bench) -> None:
    """Compute in three parts from 20,000 rows, fetched as dicts."""
    schema = bench.fresh()
    dj = bench.dj

    @schema
    class Session(dj.Manual):
        definition = "session_id : int32"

    @schema
    class Event(dj.Manual):
        definition = """
        -> Session
        event_id : int32
        ---
        x     : float64
        label : varchar(32)
        """

    @schema
    class Total(dj.Computed):
        definition = """
        -> Session
        ---
        total : float64
        """

        def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
            return ((Event & key).to_dicts(),)

        def make_compute(self, key: dict[str, Any], events: Any) -> tuple[float]:
            return (sum(event["x"] for event in events),)

        def make_insert(self, key: dict[str, Any], total: float) -> None:
            self.insert1({**key, "total": total})

    n = bench.n(N_FETCHED_DICTS)
    Session.insert([{"session_id": s} for s in range(N_SESSIONS)])
    Event.insert(
        [
            {"session_id": s, "event_id": i, "x": float(i), "label": f"event {i}"}
            for s in range(N_SESSIONS)
            for i in range(n)
        ]
    )
    with timed("three_part_make_dicts", N_SESSIONS):
        Total.populate()
    expect(len(Total()), N_SESSIONS)
    schema.drop(prompt=False)


def blobs(bench: Bench) -> None:
    """Insert and fetch small containers and middling arrays."""
    import numpy as np

    schema = bench.fresh()

    @schema
    class Blob(bench.dj.Manual):
        definition = """
        blob_id : int32
        ---
        data : <blob>
        """

    random = np.random.default_rng(0)
    values = {
        "small": [
            {"w": random.standard_normal(100), "p": {"a": 1, "b": "text"}} for _ in range(bench.n(2000))
        ],
        "250kB": [(random.standard_normal(125_000) * 100).astype("int16") for _ in range(bench.n(100))],
    }
    for size, data in values.items():
        blob_rows = [{"blob_id": i, "data": value} for i, value in enumerate(data)]
        with timed(f"insert_blobs_{size}", len(data)):
            Blob.insert(blob_rows)
        with timed(f"fetch_blobs_{size}", len(data)):
            Blob.to_dicts()
        Blob.delete(prompt=False)
    schema.drop(prompt=False)


def definitions_of_tree(n: int) -> dict[str, str]:
    """Return the definitions of `n` tables by class name, each below the one of half its number."""
    columns = "name='' : varchar(64)  # a name\nv=null : float64\nw : int16"
    tree = {f"T{i}": f"-> T{i // 2}\nt{i}_id : int32\n---\n{columns}" for i in range(1, n)}
    return {"T0": "t0_id : int32\n---\nv : float64", **tree}


def bind_tree(bench: Bench, schema: Any, context: dict[str, Any], n: int) -> None:
    """Declare the tables of a tree, or bind classes to them where they are there."""
    for name, definition in definitions_of_tree(n).items():
        context[name] = schema(type(name, (bench.dj.Manual,), {"definition": definition}))


def declare(bench: Bench) -> None:
    """Declare a tree of tables."""
    bench.fresh()
    context: dict[str, Any] = {}
    schema = bench.dj.Schema(bench.name, context=context)
    with timed("declare_31_tables", N_DECLARED):
        bind_tree(bench, schema, context, N_DECLARED)
    expect(len(schema.list_tables()), N_DECLARED)
    schema.drop(prompt=False)


def reimport(bench: Bench) -> None:
    """Bind the classes of a module to tables that are declared already, as each start of a program does."""
    bench.fresh()
    n = bench.n(N_IMPORTED)
    context: dict[str, Any] = {}
    bind_tree(bench, bench.dj.Schema(bench.name, context=context), context, n)
    again: dict[str, Any] = {}
    with timed("reimport_200_tables", n):
        schema = bench.dj.Schema(bench.name, context=again)
        bind_tree(bench, schema, again, n)
        expect(len(again["T1"]().heading.names), 5)
    schema.drop(prompt=False)


def frame(bench: Bench) -> None:
    """Insert a DataFrame; its times are texts, because the peer takes no others from one."""
    import pandas as pd

    schema = bench.fresh()
    source, _ = pipeline(bench.dj, schema)
    n = bench.n(N_ROWS)
    data = pd.DataFrame(source_rows(n)).set_index("source_id")
    with timed("insert_frame", n):
        source.insert(data)
    expect(len(source()), n)
    schema.drop(prompt=False)


def delete(bench: Bench) -> None:
    """Delete 90 % of a tree of four tables from its root."""
    schema = bench.fresh()
    dj = bench.dj

    @schema
    class A(dj.Manual):
        definition = "a : int32"

    @schema
    class B(dj.Manual):
        definition = """
        -> A
        b : int32
        """

    @schema
    class C(dj.Manual):
        definition = """
        -> B
        c : int32
        """

    @schema
    class D(dj.Manual):
        definition = """
        -> C
        ---
        v : float64
        """

    some = range(100)
    few = range(10)
    A.insert([{"a": a} for a in some])
    B.insert([{"a": a, "b": b} for a in some for b in few])
    C.insert([{"a": a, "b": b, "c": c} for a in some for b in few for c in few])
    D.insert([{"a": a, "b": b, "c": c, "v": 0.0} for a in some for b in few for c in few])
    with timed("cascading_delete", 90 + 900 + 9000 + 9000):
        (A & "a < 90").delete(prompt=False)
    expect(len(D()), 1000)
    schema.drop(prompt=False)


def compose(bench: Bench) -> None:
    """Compose a query of three tables and turn it into SQL, without asking the server."""
    schema = bench.fresh()
    dj = bench.dj

    @schema
    class Subject(dj.Manual):
        definition = """
        subject_id : int32
        ---
        weight : float32
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int32
        ---
        session_date : date
        """

    @schema
    class Trial(dj.Manual):
        definition = """
        -> Session
        trial : int32
        ---
        rt : float32
        """

    n = bench.n(500)
    with timed("compose_query", n):
        for i in range(n):
            late = Session & f"session_date > '2026-01-{1 + i % 28:02d}'"
            trials = late * Trial & {"trial": i}
            query = Subject.aggr(trials, mean_rt="avg(rt)", n="count(trial)") & "n > 3"
            query.make_sql()
    schema.drop(prompt=False)


WORKLOADS: dict[str, Callable[[Bench], None]] = {
    function.__name__: function
    for function in (
        *(rows, refresh, direct, jobs_prepare, jobs_drain, jobs_check, signals, many_inputs),
        *(blobs, declare, reimport, frame, delete, compose),
    )
}


def main() -> None:
    """Run one workload: NAME SCHEMA SCALE."""
    name, schema, scale = sys.argv[1:]
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    WORKLOADS[name](Bench(schema, float(scale)))


if __name__ == "__main__":
    main()
