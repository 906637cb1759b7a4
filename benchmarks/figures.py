"""Which results there are, in the order of the table, and the bars that they are held against."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bar:
    """What is asked of a result: how much faster than the peer, how close to the floor."""

    peer_over_us: float | None = None
    us_over_floor: float | None = None


@dataclass(frozen=True)
class Figure:
    """One result.

    Attributes
    ----------
    name : str
        As the workload prints it.
    group : str
        The run that produces it; see `benchmarks.implementations.GROUPS`.
    label : str
        As the table shows it.
    bars : mapping of str to Bar
        By server; those of PostgreSQL and of MySQL were set, the others are only shown.
    """

    name: str
    group: str
    label: str
    bars: dict[str, Bar] = field(default_factory=dict)


def _postgres(peer_over_us: float | None, us_over_floor: float | None = None) -> dict[str, Bar]:
    return {"postgresql": Bar(peer_over_us, us_over_floor)}


def _both(peer_over_us: float) -> dict[str, Bar]:
    return {"postgresql": Bar(peer_over_us), "mysql": Bar(peer_over_us)}


FIGURES = (
    Figure("populate_reserved_1", "jobs_1", "populate reserved, 1 worker, trivial make", _postgres(3, 1.5)),
    Figure(
        "populate_reserved_4",
        "jobs_4",
        "populate reserved, 4 processes",
        {"postgresql": Bar(4, 1.5), "mysql": Bar(6, 1.5), "mariadb": Bar(6, 1.5)},
    ),
    Figure("jobs_refresh", "refresh", "jobs.refresh, 20,000 new keys", _postgres(50, 2)),
    Figure("three_part_make_8MB", "signals", "three-part make, 8 MB array fetched", _postgres(100)),
    Figure("three_part_make_dicts", "many_inputs", "three-part make, 20,000 dicts fetched", _postgres(10)),
    Figure("insert_dicts", "rows", "insert 100,000 dicts", {**_postgres(4, 2.5), "mysql": Bar(3)}),
    Figure("fetch_to_dicts", "rows", "fetch 100,000 rows: to_dicts", _both(3)),
    Figure("fetch_to_arrays", "rows", "fetch 100,000 rows: to_arrays", _both(2)),
    Figure("fetch_to_pandas", "rows", "fetch 100,000 rows: to_pandas", _both(4)),
    Figure("fetch_to_arrow", "rows", "fetch 100,000 rows: to_arrow", _both(10)),
    Figure("fetch_iterate", "rows", "fetch 100,000 rows: iterate", _postgres(3)),
    Figure("fetch1_by_key", "rows", "fetch1 by key", _postgres(2, 1.8)),
    Figure("import", "import", "import datajoint (over a bare interpreter)", _both(4)),
    Figure("compose_query", "compose", "compose a query and compile it", _both(3)),
    Figure("declare_31_tables", "declare", "declare 31 tables", _both(2)),
    Figure("reimport_200_tables", "reimport", "bind classes to 200 declared tables", _both(5)),
    Figure("insert_frame", "frame", "insert a DataFrame of 100,000 rows", _both(5)),
    Figure("cascading_delete", "delete", "delete with cascade, 18,990 rows", _both(1)),
    Figure("first_use", "import", "import datajoint, and the first use of dj.Schema and dj.config"),
    Figure(
        "populate_celery",
        "celery",
        "populate by Celery, 10 ms jobs, 2 processes (floor: the process pool)",
        {name: Bar(us_over_floor=1 / 0.7) for name in ("postgresql", "mysql", "mariadb")},
    ),
    Figure("fetch_keys", "rows", "fetch 100,000 keys"),
    Figure("insert1", "rows", "insert1"),
    Figure("jobs_refresh_nothing", "refresh", "jobs.refresh, nothing new"),
    Figure("jobs_progress", "refresh", "jobs.progress, 20,000 jobs"),
    Figure("fetch_8MB_array", "signals", "fetch1 of an 8 MB array"),
    Figure("populate_direct", "direct", "populate without reservation"),
    Figure("insert_blobs_small", "blobs", "insert small blobs"),
    Figure("fetch_blobs_small", "blobs", "fetch small blobs"),
    Figure("insert_blobs_250kB", "blobs", "insert blobs of 250 kB"),
    Figure("fetch_blobs_250kB", "blobs", "fetch blobs of 250 kB"),
)


def selected(only: tuple[str, ...], everything: bool) -> tuple[Figure, ...]:
    """Return the figures whose name or group begins with one of `only`; without any, those with a bar.

    Raises
    ------
    ValueError
        A name fits no figure.
    """
    unknown = [
        word for word in only if not any(f.name.startswith(word) or f.group.startswith(word) for f in FIGURES)
    ]
    if unknown:
        known = ", ".join(figure.name for figure in FIGURES)
        raise ValueError(f"no figure is called {', '.join(unknown)}; there are {known}")
    if only:
        return tuple(
            f for f in FIGURES if any(map(f.name.startswith, only)) or any(map(f.group.startswith, only))
        )
    if everything:
        return FIGURES
    # What has a bar on one server is worth a look on the others.
    return tuple(figure for figure in FIGURES if figure.bars)
