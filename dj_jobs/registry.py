"""Who computes: the table `~workers` of a schema, for those who look, or ask a worker to end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dj_jobs import clock, wakeup
from dj_jobs.claim import assignments
from dj_jobs.own_tables import is_there
from dj_jobs.presence import WORKERS
from dj_jobs.wakeup import News
from dj_schema.sql import Ident, Param, idents, sql

if TYPE_CHECKING:
    from dj_jobs.table import JobTable
    from dj_schema.connection import Connection

_SILENT_LEASES = 2  # a worker that was not seen for so many leases is not alive


@dataclass(frozen=True, slots=True)
class Running:
    """One key that a worker computes."""

    table: str
    key: dict[str, Any]
    since: datetime


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One worker, as the database knows it.

    Attributes
    ----------
    tables : tuple of str
        ``schema.table`` of what it works on.
    started, seen : datetime
        By the server's clock, UTC.
    n_done, n_failed : int
        Keys, of the tables that were asked for.
    rate_per_minute : float or None
        Keys done a minute since it started; None where it has not told yet.
    """

    name: str
    host: str
    pid: int
    user: str
    version: str
    processes: int
    tables: tuple[str, ...]
    started: datetime
    seen: datetime
    is_alive: bool
    is_draining: bool
    running: tuple[Running, ...]
    n_done: int
    n_failed: int
    rate_per_minute: float | None
    incarnation: UUID | None = None
    note: str = ""


_COLUMNS = (
    "incarnation", "name", "host", "pid", "user", "version", "processes", "started_time", "seen_time",
    "tables", "running", "counts", "is_draining", "note",
)  # fmt: skip


def registered(connection: Connection, schema: str, table: str | None = None) -> list[WorkerInfo]:
    """Return the workers that the registry of a schema knows, the longest there first.

    Parameters
    ----------
    table : str, optional
        Only those that work on this ``schema.table``; counts and running keys are then those of it alone.
    """
    if not is_there(connection, (schema, WORKERS)):
        return []
    statement = sql(
        "SELECT {}, {} FROM {} ORDER BY {}",
        clock.after(connection, 0),
        idents(_COLUMNS),
        Ident(schema, WORKERS),
        idents(["started_time", "name"]),
    )
    lease_s = float(connection.config.jobs.lease_timeout)
    found = []
    for now, *values in connection.execute(statement, is_read=True).rows:
        row = dict(zip(_COLUMNS, values, strict=True))
        if table is None or table in _parsed(row["tables"]):
            found.append(_info(row, now - timedelta(seconds=_SILENT_LEASES * lease_s), table))
    return found


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, (str, bytes)) else (value or [])


def _info(row: dict[str, Any], alive_since: datetime, table: str | None) -> WorkerInfo:
    counts = [c for name, c in dict(_parsed(row["counts"]) or {}).items() if table in (None, name)]
    n_done, n_failed = sum(c[0] for c in counts), sum(c[1] for c in counts)
    minutes = (row["seen_time"] - row["started_time"]).total_seconds() / 60
    running = tuple(
        Running(r["table"], r["key"], row["seen_time"] - timedelta(seconds=r["for_s"]))
        for r in _parsed(row["running"])
        if table in (None, r["table"])
    )
    incarnation = row["incarnation"]
    return WorkerInfo(
        name=row["name"],
        host=row["host"],
        pid=int(row["pid"]),
        user=row["user"],
        version=row["version"],
        processes=int(row["processes"]),
        tables=tuple(_parsed(row["tables"])),
        started=row["started_time"],
        seen=row["seen_time"],
        is_alive=row["seen_time"] >= alive_since,
        is_draining=bool(row["is_draining"]),
        running=running,
        n_done=n_done,
        n_failed=n_failed,
        rate_per_minute=n_done / minutes if minutes > 0 else None,
        incarnation=incarnation if isinstance(incarnation, UUID) else UUID(bytes=bytes(incarnation)),
        note=row["note"],
    )


def workers_of(jobs: JobTable) -> list[WorkerInfo]:
    """Return the workers on one job table: those of the registry, then others that hold jobs."""
    connection = jobs.connection
    known = registered(connection, jobs.target.database, ".".join(jobs.target.table_id))
    names = {worker.name for worker in known}
    held: dict[str, list[dict[str, Any]]] = {}
    columns = ("_worker", "host", "pid", "user", "version", "reserved_time", "_lease_until")
    for row in jobs.reserved.proj(*columns).to_dicts(order_by=["reserved_time", "KEY"]):
        name = row["_worker"] or f"{row['host']}:{row['pid']}"
        if name not in names and name.rpartition("/")[0] not in names:  # a child of one that is registered
            held.setdefault(name, []).append(row)
    if not held:
        return known
    (now,) = connection.execute(sql("SELECT {}", clock.after(connection, 0)), is_read=True).rows[0]
    return known + [_holder(jobs, name, rows, now) for name, rows in held.items()]


def _holder(jobs: JobTable, name: str, rows: list[dict[str, Any]], now: datetime) -> WorkerInfo:
    """A worker that is not in the registry, by the jobs that it holds: a batch of short ones, mostly."""
    table = ".".join(jobs.target.table_id)
    first = rows[0]
    lease = timedelta(seconds=float(jobs.connection.config.jobs.lease_timeout))
    ends = [row["_lease_until"] for row in rows if row["_lease_until"] is not None]
    running = (Running(table, {k: r[k] for k in jobs.heading.primary_key}, r["reserved_time"]) for r in rows)
    return WorkerInfo(
        name=name,
        host=first["host"],
        pid=int(first["pid"]),
        user=first["user"],
        version=first["version"],
        processes=1,
        tables=(table,),
        started=first["reserved_time"],
        seen=max(ends) - lease if ends else first["reserved_time"],
        is_alive=not ends or max(ends) >= now,
        is_draining=False,
        running=tuple(running),
        n_done=0,
        n_failed=0,
        rate_per_minute=None,
    )


def drain(connection: Connection, schema: str, name: str) -> int:
    """Ask the workers of a name to end after their running jobs; return how many there are."""
    if not is_there(connection, (schema, WORKERS)):
        return 0
    statement = sql(
        "UPDATE {} SET {} WHERE {} = {}",
        Ident(schema, WORKERS),
        assignments({"is_draining": sql("TRUE")}),
        Ident("name"),
        Param(name),
    )
    with connection.atomic():
        n = connection.execute(statement).n_rows
        if n:
            wakeup.tell(connection, (schema, ""), News.WORKERS)
    return n
