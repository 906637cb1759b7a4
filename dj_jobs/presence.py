"""What a worker tells of itself, for a while or for months: its row in `~workers`, one table a schema.

A process writes its row from the thread that renews its leases, or while it waits, so that the jobs pay
nothing for it; a call that ends before the first of these leaves no trace. A row goes with a clean end;
that of a worker that died is forgotten after a day. All times are the server's.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dj_jobs import clock
from dj_jobs.claim import assignments, user_of
from dj_jobs.job import Outcome, Result, Worker
from dj_jobs.own_tables import is_made, is_there, own_table
from dj_jobs.version import code_version
from dj_schema.definition.spec import AttributeSpec, Literal, Null
from dj_schema.errors import DataJointError
from dj_schema.sql import EMPTY, Ident, Param, Sql, idents, join, sql
from dj_schema.table_info import TableInfo
from dj_schema.types import CoreType

if TYPE_CHECKING:
    from dj_schema.connection import Connection
    from dj_schema.table_info import TableName

log = logging.getLogger("datajoint.jobs")

WORKERS = "~workers"
_FORGOTTEN_AFTER_S = 24 * 3600
_TIME = CoreType("datetime", (6,))
_TEXT = CoreType("varchar", (255,))
_LONG = CoreType("int64")
_NONE = Literal("")


def workers_info(schema: str) -> TableInfo:
    """Return what the table is to be."""
    return own_table(
        (schema, WORKERS),
        "Who computes here",
        [AttributeSpec("incarnation", CoreType("uuid"))],
        [
            AttributeSpec("name", _TEXT),
            AttributeSpec("host", _TEXT),
            AttributeSpec("pid", CoreType("int32")),
            AttributeSpec("user", _TEXT, _NONE),
            AttributeSpec("version", CoreType("varchar", (64,)), _NONE),
            AttributeSpec("processes", CoreType("int32"), Literal(1)),
            AttributeSpec("started_time", _TIME),
            AttributeSpec("seen_time", _TIME),
            AttributeSpec("tables", CoreType("json"), Null()),
            AttributeSpec("running", CoreType("json"), Null()),
            AttributeSpec("counts", CoreType("json"), Null()),
            AttributeSpec("note", _TEXT, _NONE),
            AttributeSpec("is_draining", CoreType("bool"), Literal(False)),
        ],
    )


@dataclass(frozen=True, slots=True)
class Activity:
    """One make that runs; `since` is of the monotonic clock."""

    table: str
    key: dict[str, Any]
    since: float


class Presence:
    """What one process tells of itself, and hears: that it is to drain.

    Parameters
    ----------
    said : set of str, optional
        What a program that comes again and again has told of already; see `is_news`.

    Attributes
    ----------
    running : dict
        What runs, by whatever tells one from another: in a process of its own there is at most one.
    counts : dict
        For each ``schema.table``, how many keys are done and how many failed.
    note : str
        What operators should know of it.
    is_draining : bool
        It was asked to end after its running jobs.
    """

    def __init__(
        self,
        connection: Connection,
        worker: Worker,
        tables: Iterable[TableName],
        *,
        processes: int = 1,
        said: set[str] | None = None,
    ) -> None:
        names = list(tables)
        self.worker = worker
        self.incarnation = uuid4()
        self.processes = processes
        self.tables = [".".join(name) for name in names]
        self.running: dict[Any, Activity] = {}
        self.counts: dict[str, list[int]] = {}
        self.note = ""
        self.is_draining = False
        self._said: set[str] = set() if said is None else said
        self._schemas = sorted({schema for schema, _ in names})
        self._known = {schema for schema in self._schemas if is_there(connection, (schema, WORKERS))}
        self._registered: set[str] = set()
        self._refused: set[str] = set()
        self._version = code_version(connection.config)
        self._lease_s = float(connection.config.jobs.lease_timeout)
        self._started = self._last_beat = time.monotonic()

    # What the job path calls; nothing here waits.

    def begins(self, table: str, key: dict[str, Any], what: Any = None) -> None:
        self.running[what] = Activity(table, key, time.monotonic())

    def ends(self, what: Any = None) -> None:
        self.running.pop(what, None)

    def count(self, table: str, outcome: Outcome) -> None:
        counts = self.counts.setdefault(table, [0, 0])
        if outcome.result in (Result.SUCCESS, Result.EMPTY):
            counts[0] += 1
        elif outcome.result is Result.ERROR:
            counts[1] += 1

    def is_news(self, text: str) -> bool:
        """Whether this worker has not said so yet; it is also what the registry shows from now on."""
        self.note = text
        known = text in self._said
        self._said.add(text)
        return not known

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self._started

    # What the thread of the leases calls, and a worker that waits.

    def due_in_s(self, *, is_idle: bool) -> float:
        """In how many seconds the next beat is due: one that waits tells less often."""
        return self._last_beat + self._lease_s * (1.0 if is_idle else 1 / 3) - time.monotonic()

    def beat(self, connection: Connection) -> None:
        """Tell that this worker is there, and what it does; hear whether it is to drain. Never raises."""
        self._last_beat = time.monotonic()
        for schema in self._schemas:
            if schema in self._refused:
                continue
            try:
                self._beat(connection, schema)
            except DataJointError as e:
                log.debug("cannot tell %s.%s of this worker: %s", schema, WORKERS, e)

    def _beat(self, connection: Connection, schema: str) -> None:
        if schema not in self._known:
            if not is_made(connection, workers_info(schema)):
                self._refused.add(schema)
                return
            self._known.add(schema)
        table = Ident(schema, WORKERS)
        only = EMPTY if self.is_draining else sql(" AND NOT {}", Ident("is_draining"))
        update = sql(
            "UPDATE {} SET {} WHERE {}{}", table, assignments(self._news(connection)), self._me, only
        )
        if connection.execute(update).n_rows:
            self._registered.add(schema)
            return
        select = sql("SELECT {} FROM {} WHERE {}", Ident("is_draining"), table, self._me)
        if connection.execute(select, is_read=True).rows:
            self.is_draining = True
            self._registered.add(schema)
        else:
            self._register(connection, table)
            self._registered.add(schema)

    @property
    def _me(self) -> Sql:
        return sql("{} = {}", Ident("incarnation"), Param(self.incarnation))

    def _news(self, connection: Connection) -> dict[str, Sql | Param]:
        now = time.monotonic()
        running = [
            {"table": a.table, "key": a.key, "for_s": round(now - a.since, 6)}
            for _, a in list(self.running.items())
        ]
        return {
            "seen_time": clock.after(connection, 0),
            "running": Param(json.dumps(running, default=str)),
            "counts": Param(json.dumps(dict(list(self.counts.items())))),
            "note": Param(self.note[:255]),
        }

    def _register(self, connection: Connection, table: Ident) -> None:
        values: dict[str, Sql | Param] = {
            "incarnation": Param(self.incarnation),
            "name": Param(self.worker.name[:255]),
            "host": Param(self.worker.host[:255]),
            "pid": Param(self.worker.pid),
            "user": Param(user_of(connection)),
            "version": Param(self._version),
            "processes": Param(self.processes),
            "started_time": clock.after(connection, -self.uptime_s),
            "tables": Param(json.dumps(self.tables)),
            **self._news(connection),
        }
        old = sql("{} < {}", Ident("seen_time"), clock.after(connection, -_FORGOTTEN_AFTER_S))
        connection.execute(sql("DELETE FROM {} WHERE {}", table, old))
        connection.execute(
            sql("INSERT INTO {} ({}) VALUES ({})", table, idents(list(values)), join(", ", values.values()))
        )

    def leave(self, connection: Connection) -> None:
        """Take the row away, where there is one: a clean end. Never raises."""
        for schema in sorted(self._registered):
            try:
                connection.execute(sql("DELETE FROM {} WHERE {}", Ident(schema, WORKERS), self._me))
            except DataJointError as e:
                log.debug("the row of this worker stays in %s.%s: %s", schema, WORKERS, e)
        self._registered.clear()

    def is_draining_sql(self, connection: Connection) -> Sql:
        """Return the condition that this worker was asked to drain, for a statement that asks for more."""
        places = [
            sql(
                "EXISTS (SELECT 1 FROM {} WHERE {} AND {})", Ident(s, WORKERS), self._me, Ident("is_draining")
            )
            for s in sorted(self._registered)
        ]
        return sql("({})", join(" OR ", places)) if places else sql("FALSE")
