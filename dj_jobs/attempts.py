"""The attempts of a key: how each ended, when, on which worker. The last few are kept with its job."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dj_jobs import clock
from dj_jobs.states import Status
from dj_schema.sql import Ident, Param, Sql, idents, sql

if TYPE_CHECKING:
    from dj_jobs.table import JobTable

HISTORY = "_history"
_LONGEST_STACK = 20_000
_CUT = "...truncated"
_CURRENT = ("status", "_attempts", "reserved_time", "completed_time", "_worker", "host", "pid", "version")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a key was tried.

    Attributes
    ----------
    number : int
        Counted from 1. One that failed for a fault of the infrastructure has the number of the next.
    outcome : str
        ``error``, ``retried`` (a failure that is tried again), ``rescued`` (its worker died),
        ``cancelled``; of the last
        attempt also ``success``, or ``running``.
    started, ended : datetime or None
        By the server's clock, UTC; `ended` is None while it runs.
    traceback : str
        The end of it, where it is too long to keep.
    """

    number: int
    outcome: str
    started: datetime | None
    ended: datetime | None
    worker: str
    host: str
    pid: int
    version: str
    error: str = ""
    traceback: str = ""


def appended(jobs: JobTable, outcome: str, error: str, stack: str = "") -> Sql:
    """Return the history of a job with its running attempt at the end; for an UPDATE that ends it."""
    if len(stack) > _LONGEST_STACK:
        stack = _CUT + stack[-_LONGEST_STACK:]
    connection = jobs.connection
    dialect = connection.dialect.jobs
    item: dict[str, Sql | Param] = {
        "number": Sql((Ident("_attempts"),)),
        "outcome": dialect.text(outcome),
        "started": dialect.time_text(Sql((Ident("reserved_time"),))),
        "ended": dialect.time_text(clock.now(connection)),
        "worker": Sql((Ident("_worker"),)),
        "host": Sql((Ident("host"),)),
        "pid": Sql((Ident("pid"),)),
        "version": Sql((Ident("version"),)),
        "error": dialect.text(error),
        "traceback": dialect.text(stack),
    }
    most = connection.config.jobs.attempts_kept
    if not most:
        return sql("NULL")
    history: Sql = dialect.appended(Ident(HISTORY), item, most)
    return history


def attempts_of(jobs: JobTable, key: dict[str, Any]) -> list[Attempt]:
    """Return the attempts of one key, the oldest first; none where there is no job of it."""
    from dj_query.compile import where_clause

    connection = jobs.connection
    where = where_clause((jobs & key).select, connection.dialect)
    names = [*_CURRENT, HISTORY]
    statement = sql("SELECT {} FROM {}{}", idents(names), Ident(*jobs.table_id), where)
    rows = connection.execute(statement, is_read=True).rows
    if not rows:
        return []
    row = dict(zip(names, rows[0], strict=True))
    found = row[HISTORY]
    items: list[dict[str, Any]] = json.loads(found) if isinstance(found, (str, bytes)) else found or []
    tried = [_attempt(item) for item in items]
    if row["status"] in (Status.RESERVED.value, Status.SUCCESS.value):
        is_running = row["status"] == Status.RESERVED.value
        now = {
            "number": row["_attempts"],
            "outcome": "running" if is_running else "success",
            "started": row["reserved_time"],
            "ended": None if is_running else row["completed_time"],
            "worker": row["_worker"],
        }
        tried.append(_attempt({**now, **{name: row[name] for name in ("host", "pid", "version")}}))
    return tried


def _attempt(item: dict[str, Any]) -> Attempt:
    times = {name: _time(item[name]) for name in ("started", "ended")}
    return Attempt(**{**item, **times})


def _time(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
