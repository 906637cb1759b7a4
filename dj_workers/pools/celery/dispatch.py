"""The dispatcher: keeps queues filled by what is pending. Any number of them may run at once.

It looks at the database for what is due and at the broker for what waits: what a broker has lost is sent
again, and two dispatchers find each other's messages waiting. It remembers when to look, and what it has sent
for: where nobody has claimed that since, a limit say keeps workers from it, and it sends less often.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any
from uuid import uuid4

from dj_jobs import control
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
_FIRST_PAUSE_S = 0.25  # after messages for the same jobs as before


@dataclass
class _Sent:
    """What messages were last sent for.

    Attributes
    ----------
    jobs : list of dict
        The most urgent that were due.
    not_before : float
        When to send for the same once more, by the monotonic clock.
    """

    jobs: list[dict[str, Any]]
    pause_s: float
    not_before: float


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

    def __init__(
        self,
        tables: Iterable[TableClass],
        broker: Broker,
        config: Config,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tables = plan_of(tables).tables
        self._broker = broker
        self._config = config
        self._clock = clock
        self._refresh_at: dict[TableClass, float] = {}
        self._sent: dict[TableClass, _Sent] = {}
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
            for table, job in list(_in_turn(due))[: max(0, room)]:
                self._send(table, queue, job["priority"])
                filled.sent[name_of(table)] += 1
                filled.waiting[queue] += 1
            for table in tables:
                if filled.sent[name_of(table)]:
                    self._note(table, due[table])
        return filled

    def _due(self, table: TableClass, filled: Filled) -> list[dict[str, Any]]:
        """Return the most urgent jobs to send for, no more than a queue may hold."""
        try:
            jobs = table().jobs
            self._refresh(table, jobs)
            due = due_jobs(jobs, self._config.celery.queue_length)
        except (LostConnectionError, ConnectionRefusedByServerError):
            raise
        except DataJointError as e:
            filled.broken[name_of(table)] = reason = reason_of(table, e)
            log.error("cannot dispatch %s: %s", name_of(table), reason)
            return []
        sent = self._sent.get(table)
        is_too_soon = sent is not None and due == sent.jobs and self._clock() < sent.not_before
        return [] if is_too_soon else due

    def _note(self, table: TableClass, due: list[dict[str, Any]]) -> None:
        """Take note of what was sent for, and send for the same less often each time."""
        sent = self._sent.get(table)
        is_same = sent is not None and due == sent.jobs
        pause_s = 2 * sent.pause_s if sent is not None and is_same else _FIRST_PAUSE_S
        pause_s = min(pause_s, self._config.celery.dispatch_interval_s)
        self._sent[table] = _Sent(due, pause_s, self._clock() + pause_s)

    def _refresh(self, table: TableClass, jobs: JobTable) -> None:
        """Bring jobs in line, but not so often that the database does little else."""
        started = self._clock()
        if started >= self._refresh_at.get(table, 0.0):
            bring_in_line(jobs, (), None)
            self._refresh_at[table] = started + (self._clock() - started) / _SHARE_OF_REFRESHING

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


def due_jobs(jobs: JobTable, limit: int) -> list[dict[str, Any]]:
    """Return the most urgent jobs that are due, with their priorities; none where the table is paused."""
    if control.rules_of(jobs).paused_by is not None:
        return []
    urgent = (jobs.pending & IS_DUE).proj("priority", "scheduled_time")
    found: list[dict[str, Any]] = urgent.to_dicts(order_by=["priority", "scheduled_time", "KEY"], limit=limit)
    return found


def _in_turn(
    due: dict[TableClass, list[dict[str, Any]]],
) -> Iterator[tuple[TableClass, dict[str, Any]]]:
    """Yield one job of each table, then the second of each, so that none fills a queue alone."""
    for layer in zip_longest(*due.values()):
        for table, job in zip(due, layer, strict=True):
            if job is not None:
                yield table, job
