"""`populate(dispatch="celery")`: send the work, and see in the database what becomes of its keys.

What a message did is not asked for: a message may be lost, or come twice. Jobs tell: those of this call
that are pending are sent for again whenever the queue has room; those that ended are looked up.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from dj_jobs import control
from dj_jobs import populate as populating
from dj_jobs.events import Events
from dj_jobs.job import Key, Outcome
from dj_jobs.options import Options
from dj_jobs.table import JobTable
from dj_workers.plan import name_of
from dj_workers.pools.celery.broker import Broker
from dj_workers.pools.celery.dispatch import bring_in_line
from dj_workers.pools.celery.errors import BrokerError
from dj_workers.pools.celery.fates import IS_DUE, KeyValues, Watch
from dj_workers.pools.celery.message import WakeUp, check_travels
from dj_workers.pools.celery.parcels import Parcels
from dj_workers.routes import message_priority, queue_of

log = logging.getLogger("datajoint.workers")

_SHORTEST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_SHARE_OF_LOOKING = 0.1  # of the time, at most, the database is busy with our looks
_SILENCE_S = 10.0  # without a job that ends, before it is asked whether there are workers at all
_REMEMBERED = 1000  # messages that can be taken back


def populate_by_celery(table: Any, options: Options, events: Events) -> Iterator[Outcome]:
    """Have Celery's workers compute what is due now; jobs are refreshed once and here.

    Yields
    ------
    Outcome
        As jobs end, whoever computed them; nothing with ``options.wait`` off.

    Raises
    ------
    BrokerError
        Where the broker is away at the start. Later it is waited for.
    DataJointError
        Where the keys or the arguments of make cannot be sent.
    """
    check_travels("make_kwargs", dict(options.make_kwargs))
    config = table.connection.config
    with Broker(config) as broker:
        broker.check()
        keys = _due_keys(table, options)
        if not keys:
            return
        call = _Call(table, options, keys, broker)
        if options.wait:
            yield from call.outcomes()
        else:
            call.send_all()


def _due_keys(table: Any, options: Options) -> list[dict[str, Any]]:
    """Bring the jobs in line, and return the keys that may be claimed now, with their priority."""
    bring_in_line(table.jobs, options.restrictions, options.refresh)
    waiting = populating.restricted_jobs(table.jobs, options.restrictions).pending & IS_DUE
    if options.priority is not None:
        waiting = waiting & f"priority <= {options.priority:d}"
    rows: list[dict[str, Any]] = waiting.proj("priority", "scheduled_time").to_dicts(
        order_by=["priority", "scheduled_time", "KEY"], limit=options.max_calls
    )
    return rows


class _Call:
    """One call of populate.

    Parameters
    ----------
    rows : list of dict
        The keys that are to be computed, the most urgent first, each with its priority.
    """

    def __init__(self, table: Any, options: Options, rows: list[dict[str, Any]], broker: Broker) -> None:
        names = table.jobs.heading.primary_key
        keys: list[Key] = [{name: row[name] for name in names} for row in rows]
        check_travels("keys", keys[0])
        self._broker = broker
        self._config = table.connection.config
        self._jobs: JobTable = table.jobs
        self._name = name_of(type(table))
        self._queue = queue_of(table, self._config)
        self._urgency = message_priority(min(row["priority"] for row in rows))
        self._watch = Watch(table, populating.restricted_jobs(table.jobs, options.restrictions), keys)
        self._parcels = Parcels(self._name, keys, options, self._config)
        self._sent: deque[str] = deque(maxlen=_REMEMBERED)
        self._has_broker = True
        self._last_end = self._last_question = time.monotonic()

    # -- without waiting ---------------------------------------------------------------------------

    def send_all(self) -> None:
        """Send what is needed once; workers pass the messages on while there is more."""
        for wake_up in self._parcels.all():
            self._send(wake_up)

    # -- waiting -----------------------------------------------------------------------------------

    def outcomes(self) -> Iterator[Outcome]:
        """Keep the queue filled and yield what becomes of the keys, until all have ended."""
        is_done = False
        pause_s = _SHORTEST_PAUSE_S
        try:
            while True:
                started = time.monotonic()
                n_ended = 0
                for outcome in self._watch.look():
                    n_ended += 1
                    yield outcome
                if not self._watch.open:
                    is_done = True
                    return
                if not n_ended and self._is_paused():
                    return
                self._fill(self._watch.due)
                looked_s = time.monotonic() - started
                pause_s = _SHORTEST_PAUSE_S if n_ended else min(pause_s * 1.5, _LONGEST_PAUSE_S)
                self._note_silence(n_ended)
                time.sleep(max(pause_s, looked_s * (1 / _SHARE_OF_LOOKING - 1)))
        finally:
            if not is_done:
                self._take_back()

    def _is_paused(self) -> bool:
        """Whether nobody computes, because an operator wants it so; say it then, as every pool does."""
        if self._watch.n_reserved:
            return False
        text = control.rules_of(self._jobs).pause_text(self._jobs.target.full_table_name)
        if text:
            log.warning("%s", text)
        return bool(text)

    def _fill(self, due: set[KeyValues]) -> None:
        """Send for what is due, as far as the queue has room."""
        try:
            wanted = self._parcels.wanted(due, self._config.celery.queue_length)
            if wanted:
                room = wanted - self._broker.n_waiting(self._queue)
                for wake_up in self._parcels.next(due, room):
                    self._send(wake_up)
            self._has_broker = True
        except BrokerError as e:
            if self._has_broker:
                log.warning("%s populate waits for it; what was sent is computed.", e)
            self._has_broker = False

    def _send(self, wake_up: WakeUp) -> None:
        message_id = str(uuid4())
        self._broker.send(wake_up, self._queue, self._urgency, message_id)
        self._sent.append(message_id)

    def _take_back(self) -> None:
        """Have workers pass over what they have not begun, where populate ends early."""
        try:
            self._broker.take_back(list(self._sent))
        except BrokerError as e:
            log.warning("messages could not be taken back: %s", e)

    def _note_silence(self, n_ended: int) -> None:
        """Say so where nobody is there to compute."""
        now = time.monotonic()
        if n_ended or self._watch.n_reserved:
            self._last_end = now
        if not self._has_broker or now - max(self._last_end, self._last_question) < _SILENCE_S:
            return
        self._last_question = now
        try:
            if not self._broker.has_taker(self._queue):
                log.warning(
                    "no Celery worker takes from the queue %s; start one: "
                    "dj-worker celery --module MODULE worker",
                    self._queue,
                )
        except BrokerError:
            return  # said when something is to be sent
