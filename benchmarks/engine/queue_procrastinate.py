"""procrastinate, in an environment of its own: a task that does nothing. ``prepare | drain | check N``."""

from __future__ import annotations

import asyncio
import os
import sys

import procrastinate

CONCURRENCY = 20
app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(
        kwargs={
            "host": os.environ["DJ_HOST"],
            "port": int(os.environ["DJ_PORT"]),
            "user": os.environ["DJ_USER"],
            "password": os.environ["DJ_PASS"],
            "dbname": os.environ["BENCH_DATABASE"],
        }
    )
)


@app.task(name="nothing")
async def nothing() -> None:
    return None


async def prepare(n: int) -> None:
    async with app.open_async():
        found = await app.connector.execute_query_one_async(
            "SELECT to_regclass('procrastinate_jobs') IS NOT NULL AS there"
        )
        if not found["there"]:
            await app.schema_manager.apply_schema_async()
        await app.connector.execute_query_async("TRUNCATE procrastinate_jobs CASCADE")
        for start in range(0, n, 1000):
            await nothing.batch_defer_async(*[{} for _ in range(min(1000, n - start))])


async def drain() -> None:
    async with app.open_async():
        print("ready", flush=True)
        sys.stdin.readline()
        await app.run_worker_async(
            wait=False, concurrency=CONCURRENCY, listen_notify=False, install_signal_handlers=False
        )
    print("done", flush=True)


async def check() -> None:
    async with app.open_async():
        left = await app.connector.execute_query_one_async(
            "SELECT count(*) AS n FROM procrastinate_jobs WHERE status <> 'succeeded'"
        )
    assert left["n"] == 0, left


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        asyncio.run(prepare(int(sys.argv[2])))
    else:
        asyncio.run(drain() if sys.argv[1] == "drain" else check())
