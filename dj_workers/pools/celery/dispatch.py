"""The dispatcher: keeps queues filled by what is pending. Any number of them may run at once.

It looks at the database for what is due and at the broker for what waits, and remembers nothing: what a
broker has lost is sent again, and two dispatchers find each other's messages waiting.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any
from uuid import uuid4

from dj_jobs.refresh import refresh_once
from dj_jobs.rescue import rescue
from dj_jobs.table import JobTable
from dj_jobs.version import code_version
from dj_schema.errors import ConnectionRefusedByServerError, DataJointError, LostConnectionError
from dj_schema.settings import Config
from dj_workers.plan import TableClass, name_of, plan_of
from dj_workers.pools.celery.broker import Broker
from dj_workers.pools.celery.fates import IS_DUE
from dj_workers.pools.celery.message import WakeUp
from dj_workers.routes import message_priority, queue_of
from dj_workers.work import reason_of

log = logging.getLogger("datajoint.workers")

_SHARE_OF_REFRESHING = 0.1  # of the time, at most


@dataclass
class Filled:
    """What one look found.

    Attributes
    ----------
    n_due : int
        Jobs that wait, counted no further than a queue is long, over all tables.
    sent : Counter
        Messages, by ``schema.table``.
    waiting : dict
        Messages that nobody has taken, by queue, with those of this look.
    broken : dict
        Tables that could not be looked at, with the reason.
    """

    n_due: int = 0
    sent: Counter[str] = field(default_factory=Counter)
    waiting: dict[str, int] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    @property
    def n_sent(self) -> int:
        return self.sent.total()


class Dispatcher:
    """Fills the queues of tables.

    Parameters
    ----------
    tables : iterable of table classes
        In any order, on one server.
    """

    def __init__(self, tables: Iterable[TableClass], broker: Broker, config: Config) -> None:
        self._tables = plan_of(tables).tables
        self._broker = broker
        self._config = config
        self._refresh_at: dict[TableClass, float] = {}
        self._by_queue: dict[str, list[TableClass]] = {}
        for table in self._tables:
            self._by_queue.setdefault(queue_of(table, config), []).append(table)

    @property
    def queues(self) -> list[str]:
        return list(self._by_queue)

    def fill(self) -> Filled:
        """Look once at each table and each queue.

        Raises
        ------
        BrokerError, LostConnectionError, ConnectionRefusedByServerError
            Where the broker or the database is away.
        """
        filled = Filled()
        for queue, tables in self._by_queue.items():
            due = {table: self._due(table, filled) for table in tables}
            filled.n_due += sum(map(len, due.values()))
            filled.waiting[queue] = n_waiting = self._broker.n_waiting(queue)
            room = self._config.celery.queue_length - n_waiting
            for table, priority in list(_in_turn(due))[: max(0, room)]:
                self._send(table, queue, priority)
                filled.sent[name_of(table)] += 1
                filled.waiting[queue] += 1
        return filled

    def _due(self, table: TableClass, filled: Filled) -> list[int]:
        """Return the priorities of the most urgent jobs that are due, no more than a queue may hold."""
        try:
            jobs = table().jobs
            self._refresh(table, jobs)
            return due_priorities(jobs, self._config.celery.queue_length)
        except (LostConnectionError, ConnectionRefusedByServerError):
            raise
        except DataJointError as e:
            filled.broken[name_of(table)] = reason = reason_of(table, e)
            log.error("cannot dispatch %s: %s", name_of(table), reason)
            return []

    def _refresh(self, table: TableClass, jobs: JobTable) -> None:
        """Bring jobs in line, but not so often that the database does little else."""
        started = time.monotonic()
        if started >= self._refresh_at.get(table, 0.0):
            bring_in_line(jobs, (), None)
            self._refresh_at[table] = started + (time.monotonic() - started) / _SHARE_OF_REFRESHING

    def _send(self, table: TableClass, queue: str, priority: int) -> None:
        wake_up = WakeUp(
            table=name_of(table),
            n_jobs=self._config.celery.jobs_per_message,
            version=code_version(table._schema.connection.config),
        )
        self._broker.send(wake_up, queue, message_priority(priority), str(uuid4()))


def bring_in_line(jobs: JobTable, restrictions: Sequence[Any], wants_refresh: bool | None) -> None:
    """Refresh the jobs of a table where that is wanted; at any rate take back those of dead workers."""
    settings = jobs.connection.config.jobs
    if settings.auto_refresh if wants_refresh is None else wants_refresh:
        refresh_once(jobs, restrictions)
    else:
        rescue(jobs)


def due_priorities(jobs: JobTable, limit: int) -> list[int]:
    """Return the priorities of the most urgent jobs that are due."""
    urgent = (jobs.pending & IS_DUE).proj("priority", "scheduled_time")
    return [
        int(row["priority"]) for row in urgent.to_dicts(order_by=["priority", "scheduled_time"], limit=limit)
    ]


def _in_turn(due: dict[TableClass, list[int]]) -> Iterator[tuple[TableClass, int]]:
    """Yield one job of each table, then the second of each, so that none fills a queue alone."""
    for layer in zip_longest(*due.values()):
        for table, priority in zip(due, layer, strict=True):
            if priority is not None:
                yield table, priority
