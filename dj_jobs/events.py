"""What happens to jobs, told to whoever listens. A listener that raises harms nothing.

========== ============================================================
kind       when
========== ============================================================
claimed    a batch of keys became ours (`n` of them)
started    `make` is about to be called for a key
succeeded  rows and end of job are committed
empty      `make` ended without a row
failed     the failure is final and recorded
retried    the key waits for another attempt
rescued    keys of dead workers are pending again (`n` of them)
fenced     the claim was lost; nothing was written
cancelled  an operator cancelled the job while it ran; nothing was written
released   a key went back, its attempt not counted; or `n` that were not begun
skipped    the row was there already, or the key is no longer wanted
========== ============================================================
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

log = logging.getLogger("datajoint.jobs")


class Kind(StrEnum):
    """The kinds of events, in the words of the table above."""

    CLAIMED = "claimed"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    EMPTY = "empty"
    FAILED = "failed"
    RETRIED = "retried"
    RESCUED = "rescued"
    FENCED = "fenced"
    CANCELLED = "cancelled"
    RELEASED = "released"
    SKIPPED = "skipped"


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
    duration_s : float
        From the start of `make` to its end; the next three are parts of it.
    fetch_s, compute_s, insert_s : float
        For a make in three parts or a generator; a plain `make` is all `compute_s`.
    token : UUID or None
        The fencing token of the claim that the event is about.
    timeout_s : float or None
        With `started`: how long the make may take.
    """

    kind: Kind
    table: str
    key: dict[str, Any] | None = None
    n: int = 1
    attempt: int = 0
    worker: str = ""
    duration_s: float = 0.0
    error: BaseException | None = None
    fetch_s: float = 0.0
    compute_s: float = 0.0
    insert_s: float = 0.0
    token: UUID | None = None
    timeout_s: float | None = None


Subscriber = Callable[[Event], None]


class Events:
    """The listeners of one worker."""

    def __init__(self, *subscribers: Subscriber) -> None:
        self._subscribers = list(subscribers)

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscribers)

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    def emit(self, event: Event) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:
                log.exception("a subscriber failed on a %s event", event.kind)
