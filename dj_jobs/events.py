"""What happens to jobs, told to whoever listens. A listener that raises harms nothing.

========== ============================================
kind       when
========== ============================================
claimed    a batch of keys became ours
succeeded  rows and end of job are committed
empty      `make` ended without a row
failed     the failure is final and recorded
retried    the key waits for another attempt
rescued    keys of dead workers are pending again
fenced     the claim was lost; nothing was written
released   keys went back, untouched
skipped    the row was there already
========== ============================================
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

log = logging.getLogger("datajoint.jobs")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes
    ----------
    table : str
        ``schema.table`` of the auto-populated table.
    key : dict or None
        None where the event is of several keys.
    n : int
        How many keys.
    """

    kind: str
    table: str
    key: dict[str, Any] | None = None
    n: int = 1
    attempt: int = 0
    worker: str = ""
    duration_s: float = 0.0
    error: BaseException | None = None


Subscriber = Callable[[Event], None]


class Events:
    """The listeners of one worker."""

    def __init__(self, *subscribers: Subscriber) -> None:
        self._subscribers = list(subscribers)

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    def emit(self, event: Event) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:
                log.exception("a subscriber failed on a %s event", event.kind)
