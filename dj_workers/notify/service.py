"""`Notifications`: listens to a worker, looks at its tables, tells each channel from a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any

from dj_jobs.events import Event, Kind
from dj_schema.connection import Connection
from dj_schema.errors import ConfigError, DataJointError
from dj_schema.settings import Config
from dj_workers.notify.notice import ERROR, KINDS, Digest, Notice
from dj_workers.notify.senders import Email, Sender, SlackWebhook, sender_of
from dj_workers.notify.turns import Turns
from dj_workers.notify.watch import Change, Judge, failures_of, works_of
from dj_workers.plan import TableClass

log = logging.getLogger("datajoint.notify")

_FAREWELL_S = 5.0  # for what is still to be sent when the worker ends
_LONGEST_LOOK_S = 30.0
_LOOKS_UNTIL_STUCK = 10


class _Channel:
    """One notifier with what it has not been told yet."""

    def __init__(self, notifier: Any, digest: Digest) -> None:
        self._name = type(notifier).__name__ if not hasattr(notifier, "__name__") else notifier.__name__
        self._send: Sender = sender_of(notifier)
        self._digest = digest
        self._has_changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name=f"datajoint-notify-{self._name}", daemon=True)
        self._thread.start()

    def failure(self, event: Event) -> None:
        with self._has_changed:
            self._digest.add_failure(event, time.monotonic())
            self._has_changed.notify()

    def tell(self, notice: Notice) -> None:
        with self._has_changed:
            self._digest.add(notice, time.monotonic())
            self._has_changed.notify()

    def close(self) -> None:
        """Send what is left at once."""
        with self._has_changed:
            self._is_closing = True
            self._has_changed.notify()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.warning("the notifier %s takes too long; it is left behind", self._name)

    def _run(self) -> None:
        while True:
            with self._has_changed:
                while not self._is_due() and not self._is_closing:
                    self._has_changed.wait(self._wait_s())
                notice = self._digest.take(time.monotonic())
                is_last = self._is_closing
            if notice is not None:
                self._deliver(notice)
            if is_last:
                return

    def _wait_s(self) -> float | None:
        due_at = self._digest.due_at()
        return None if due_at is None else max(0.0, due_at - time.monotonic())

    def _is_due(self) -> bool:
        return self._wait_s() == 0.0

    def _deliver(self, notice: Notice) -> None:
        try:
            self._send(notice)
        except DataJointError as e:
            log.warning("%s could not tell %r: %s", self._name, notice.title, e)
        except Exception as e:  # noqa: BLE001 - of the user's notifier; its text may hold what is secret
            log.warning("%s could not tell %r: %s", self._name, notice.title, type(e).__name__)


class Notifications:
    """Tells channels of what happens to jobs; subscribe it to a worker's events.

    Parameters
    ----------
    *notifiers
        Callables that take a `Notice`, or objects with ``notify(title, message)``.
    tables : iterable of table classes
        Looked at from time to time, for `drained` and `stuck`, on a connection of its own.
    on : collection of str
        What is told: ``error``, ``drained``, ``stuck``.
    gather_s, interval_s, stuck_after_s : float
        See `Digest` and `Judge`.
    counts_failures : bool
        Tell of failures by what the tables count, for where there are no events to subscribe to.
    """

    def __init__(
        self,
        *notifiers: Any,
        tables: Iterable[TableClass] = (),
        on: Collection[str] = KINDS,
        gather_s: float = 10.0,
        interval_s: float = 300.0,
        stuck_after_s: float = 900.0,
        counts_failures: bool = False,
    ) -> None:
        if unknown := set(on) - set(KINDS):
            raise ConfigError(f"notices are of {', '.join(KINDS)}; there is no {', '.join(sorted(unknown))}.")
        self._on = frozenset(on)
        self._channels = [_Channel(n, Digest(gather_s, interval_s)) for n in notifiers]
        self._tables = list(tables)
        self._judge = Judge(stuck_after_s, counts_failures=counts_failures)
        self._turns = Turns(stuck_after_s)
        self._look_s = min(_LONGEST_LOOK_S, stuck_after_s / _LOOKS_UNTIL_STUCK)
        self._n_events: Counter[str] = Counter()
        self._has_to_end = threading.Event()
        self._watcher: threading.Thread | None = None

    def __enter__(self) -> Notifications:
        if self._channels and self._tables:
            self._watcher = threading.Thread(target=self._watch, name="datajoint-notify-watch", daemon=True)
            self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, event: Event) -> None:
        """Take note of an event of the engine."""
        self._n_events[event.table] += 1
        if event.kind is Kind.FAILED and ERROR in self._on:
            for channel in self._channels:
                channel.failure(event)

    def tell(self, notice: Notice) -> None:
        """Put a notice into each channel."""
        if notice.kind in self._on:
            for channel in self._channels:
                channel.tell(notice)

    def close(self) -> None:
        """Look a last time, send what is left, and wait for it a little."""
        self._has_to_end.set()
        deadline = time.monotonic() + _FAREWELL_S
        if self._watcher is not None:
            self._watcher.join(_FAREWELL_S)
        for channel in self._channels:
            channel.close()
        for channel in self._channels:
            channel.join(max(0.0, deadline - time.monotonic()))

    def _take(self, change: Change, connection: Connection) -> None:
        if change.kind not in self._on:
            return
        if change.kind == ERROR:
            if n := self._turns.n_untold(change, connection):
                self.tell(failures_of(change.tables[0], n))
        elif change.notice is None:
            self._turns.is_over(change, connection)
        elif self._turns.is_ours(change, connection):
            self.tell(change.notice)

    def _watch(self) -> None:
        connection = self._tables[0]._schema.connection.clone()
        while True:
            is_last = self._has_to_end.wait(self._look_s)
            try:
                works = works_of(self._tables, connection)
            except DataJointError as e:
                log.debug("cannot look at the tables now: %s", e)
            else:
                for change in self._judge.look(works, dict(self._n_events), time.monotonic()):
                    self._take(change, connection)
                self._turns.has_looked()
            if is_last:
                connection.close()
                return


def notifications_of(
    config: Config, tables: Iterable[TableClass], *, counts_failures: bool = False
) -> Notifications:
    """Return what the settings `notify` ask for; without a channel it does nothing.

    Raises
    ------
    ConfigError
        Where e-mail is asked for, and its server or its sender is missing.
    """
    settings = config.notify
    notifiers: list[Any] = []
    if settings.slack_webhook is not None:
        notifiers.append(SlackWebhook(settings.slack_webhook.get_secret_value()))
    if settings.email_to:
        if not settings.smtp_host or not settings.email_from:
            raise ConfigError("notify.email_to needs notify.smtp_host and notify.email_from too.")
        password = settings.smtp_password
        notifiers.append(
            Email(
                settings.smtp_host,
                settings.email_from,
                settings.email_to,
                settings.smtp_port,
                settings.smtp_user,
                None if password is None else password.get_secret_value(),
                settings.smtp_security,
            )
        )
    return Notifications(
        *notifiers,
        tables=tables,
        on=settings.on,
        gather_s=settings.gather_s,
        interval_s=settings.interval_s,
        stuck_after_s=settings.stuck_after_s,
        counts_failures=counts_failures,
    )
