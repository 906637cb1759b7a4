"""The broker as senders use it: how long a queue is, a message more, messages taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from celery import Celery
from kombu import Connection
from kombu.exceptions import ChannelError, KombuError

from dj_schema.settings import Config
from dj_workers.pools.celery.address import broker_address
from dj_workers.pools.celery.app import WAKE_UP, dispatch_queue, make_app
from dj_workers.pools.celery.connection import broker_error
from dj_workers.pools.celery.message import WakeUp

T = TypeVar("T")


class Broker:
    """One connection to the broker, made at first use and again after it broke."""

    def __init__(self, config: Config, app: Celery | None = None) -> None:
        self._address = broker_address(config)
        self.app = app or make_app(config, self._address)
        self._dispatch_queue = dispatch_queue(config)
        self._connection: Connection | None = None

    def __enter__(self) -> Broker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop()

    def check(self) -> None:
        """Raise `BrokerError` where the broker is not to be had now."""
        with self._telling():
            channel: Any = self._connected().default_channel
            channel.client.ping()

    def n_waiting(self, queue: str) -> int:
        """Return how many messages nobody has taken yet."""
        with self._telling():
            channel: Any = self._connected().default_channel
            try:
                return int(channel.queue_declare(queue=queue, passive=True).message_count)
            except ChannelError:
                return 0  # no message has ever been sent to it, or it has run empty

    def n_waiting_dispatches(self) -> int:
        """Return how many messages of beat nobody has taken yet."""
        return self.n_waiting(self._dispatch_queue)

    def send(self, wake_up: WakeUp, queue: str, priority: int, message_id: str) -> None:
        """Put a message into a queue."""
        with self._telling():
            self.app.send_task(
                WAKE_UP,
                kwargs=wake_up.as_arguments(),
                queue=queue,
                priority=priority,
                task_id=message_id,
                connection=self._connected(),
                retry=False,
                ignore_result=True,
                argsrepr="",
                kwargsrepr=f"{wake_up.table} n={wake_up.n_jobs}",  # what Flower and the log show
            )

    def take_back(self, message_ids: list[str]) -> None:
        """Have workers pass over messages that they have not begun."""
        with self._telling():
            self.app.control.revoke(message_ids, connection=self._connected())

    def has_taker(self, queue: str) -> bool:
        """Whether a worker that answers within a second takes from a queue.

        Each answer counts by itself: workers on one host have one name where they were given none, and
        Celery's `inspect` keeps only the last answer of a name.
        """
        with self._telling():
            answers = self.app.control.broadcast(
                "active_queues", reply=True, timeout=1.0, connection=self._connected()
            )
            taken = (one for answer in answers or () for queues in answer.values() for one in queues)
            return any(one["name"] == queue for one in taken)

    # -- the connection ----------------------------------------------------------------------------

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = self.app.connection_for_write()
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
            self._connection = connection
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what the libraries raise into an error of ours, and forget the connection."""
        try:
            yield
        except _failures(self.app) as e:
            self._drop()
            raise broker_error(self._address.label, e) from None


def _failures(app: Celery) -> tuple[type[BaseException], ...]:
    connection = app.connection_for_write()
    known: Callable[[], Any] = lambda: (*connection.connection_errors, *connection.channel_errors)  # noqa: E731
    return (KombuError, OSError, *known())
