"""pgqueuer, in an environment of its own: a task that does nothing. ``prepare | drain | check N``."""

from __future__ import annotations

import asyncio
import os
import sys

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

BATCH = 200


async def connect() -> asyncpg.Connection:
    return await asyncpg.connect(
        host=os.environ["DJ_HOST"],
        port=int(os.environ["DJ_PORT"]),
        user=os.environ["DJ_USER"],
        password=os.environ["DJ_PASS"],
        database=os.environ["BENCH_DATABASE"],
    )


async def prepare(n: int) -> None:
    queries = Queries.from_asyncpg_connection(await connect())
    if not await queries.schema_is_installed():
        await queries.install()
    await queries.clear_queue()
    for start in range(0, n, 1000):
        size = min(1000, n - start)
        await queries.enqueue(["nothing"] * size, [None] * size, [0] * size)


async def drain() -> None:
    queue = PgQueuer.from_asyncpg_connection(await connect())

    @queue.entrypoint("nothing")
    async def nothing(job: object) -> None:
        return None

    print("ready", flush=True)
    sys.stdin.readline()
    await queue.run(batch_size=BATCH, mode=QueueExecutionMode.drain)
    print("done", flush=True)


async def check() -> None:
    connection = await connect()
    left = await connection.fetchval("SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked')")
    assert left == 0, left


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        asyncio.run(prepare(int(sys.argv[2])))
    else:
        asyncio.run(drain() if sys.argv[1] == "drain" else check())
