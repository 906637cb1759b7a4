"""How long the exporter takes to read large job tables, and a scrape: ``python -m benchmarks.exporter``."""

from __future__ import annotations

import argparse
import secrets
import statistics
import time
import urllib.request
from typing import Any

from prometheus_client import CollectorRegistry

import datajoint as dj
from dj_jobs.overview import overview, progress_of
from dj_schema.connection import Connection
from dj_schema.server_address import connection_settings
from dj_schema.settings import Config
from dj_schema.sql import Ident, Param, sql
from dj_workers.metrics.exporter import Exporter
from dj_workers.metrics.serve import Serving
from tests.support.servers import SERVER_NAMES, RunFolder, Servers


def _tables(schema: dj.Schema, n_tables: int, n_jobs: int) -> list[Any]:
    """Declare the tables; their jobs are those of the first, copied."""

    @schema
    class Number(dj.Manual):
        definition = "number : int32"

    def make(self: Any, key: dict[str, int]) -> None:
        self.insert1(key)

    made: list[Any] = []
    for i in range(n_tables):
        cls = type(f"T{i}", (dj.Computed,), {"definition": "-> Number", "make": make})
        made.append(schema(cls, context={"Number": Number}))
    Number().insert([{"number": i} for i in range(n_jobs)])
    first = made[0].jobs
    first.refresh()
    connection = schema.connection
    failed = sql("'ValueError: bad'")
    connection.execute(
        sql(
            "UPDATE {} SET {} = 'error', {} = {} WHERE {} < {}",
            Ident(*first.table_id), Ident("status"), Ident("error_message"), failed, Ident("number"),
            Param(n_jobs // 100),
        )
    )  # fmt: skip
    for cls in made[1:]:
        connection.execute(
            sql("INSERT INTO {} SELECT * FROM {}", Ident(*cls.jobs.table_id), Ident(*first.table_id))
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=SERVER_NAMES, default="postgresql")
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    run = RunFolder.make(on_disk=True)
    servers = Servers(run)
    try:
        settings = servers.get(arguments.server).settings
        config = Config()
        connection = Connection(connection_settings(config, **settings), config)
        name = f"dj_bench_{secrets.token_hex(3)}"
        schema = dj.Schema(name, connection=connection)
        try:
            _measure(connection, schema, arguments)
        finally:
            connection.script(connection.dialect.ddl.drop_schema(name))
            connection.close()
    finally:
        servers.close()
        run.close()


def _measure(connection: Connection, schema: dj.Schema, arguments: argparse.Namespace) -> None:
    started = time.perf_counter()
    made = _tables(schema, arguments.tables, arguments.jobs)
    print(
        f"{arguments.tables} tables of {arguments.jobs} jobs on {arguments.server}: made in "
        f"{time.perf_counter() - started:.0f} s"
    )
    if connection.settings.backend == "postgresql":
        connection.query("VACUUM (ANALYZE)")
    name = str(schema.database)
    exporter = Exporter(connection, [name], [cls() for cls in made], 15, 300)
    registry = CollectorRegistry()
    registry.register(exporter)
    for what, do in (
        ("overview (the jobs)", lambda: overview(connection, [name])),
        ("progress_of (the keys)", lambda: progress_of([cls() for cls in made])),
    ):
        print(f"{what:28} {_median_s(do, arguments.rounds):.3f} s")
    exporter.read_due()
    with Serving("127.0.0.1", 0, registry, {}) as serving:
        url = f"http://127.0.0.1:{serving.port}/metrics"
        size = len(urllib.request.urlopen(url).read())
        scrape_s = _median_s(lambda: urllib.request.urlopen(url).read(), arguments.rounds)
    print(f"{'scrape, over HTTP':28} {scrape_s:.3f} s, {size / 1000:.0f} kB")


def _median_s(do: Any, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        do()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
