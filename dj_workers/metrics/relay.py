"""Events of forked processes, sent to the process that serves metrics: one datagram each, no files, no locks.

For pools whose children are not ours, such as Celery's. A child that dies leaves what it had told.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from types import TracebackType
from typing import Any

from dj_jobs.events import Event, Events, Kind
from dj_workers.metrics.worker import class_name_of
from dj_workers.pools.messages import ErrorInWorker
from dj_workers.vitals import ENDS, Vitals

_PATIENCE_S = 1.0  # of a child, where the reader is behind: then an event is not counted
_LARGEST = 65536
_NUMBERS = ("n", "duration_s", "fetch_s", "compute_s", "insert_s")


class Relay:
    """Made before the fork. Children call `tell` and `is_idle`; the parent enters it.

    Parameters
    ----------
    events : Events
        Of the parent: what children tell is emitted there, without keys.
    """

    def __init__(self, events: Events, vitals: Vitals) -> None:
        self._events = events
        self._vitals = vitals
        self._read, self._write = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._write.settimeout(_PATIENCE_S)
        self._thread = threading.Thread(target=self._run, name="datajoint-relay", daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._send({"end": True})
        self._thread.join(_PATIENCE_S)
        self._read.close()
        self._write.close()

    # -- in a child --------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Send what metrics need of an event; a subscriber."""
        numbers = {name: getattr(event, name) for name in _NUMBERS}
        error = None if event.error is None else class_name_of(event.error)
        self._send({"kind": event.kind.value, "table": event.table, "error": error, **numbers})

    def is_busy(self) -> None:
        """Say that this process looks for work."""
        self._send({"state": "busy"})

    def is_idle(self) -> None:
        """Say that this process waits."""
        self._send({"state": "idle"})

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._write.send(json.dumps({"pid": os.getpid(), **message}).encode())
        except OSError:
            return  # the parent is gone or too busy; a job must not fail for that

    # -- in the parent -----------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            message = json.loads(self._read.recv(_LARGEST))
            if "end" in message:
                return
            self._take(message.pop("pid"), message)

    def _take(self, pid: int, message: dict[str, Any]) -> None:
        if "state" in message:
            (self._vitals.idle if message["state"] == "idle" else self._vitals.busy)(pid)
            return
        error = message.pop("error")
        kind = Kind(message.pop("kind"))
        event = Event(kind, **message, error=None if error is None else ErrorInWorker(error, ""))
        if kind is Kind.CLAIMED:
            self._vitals.claimed(pid, event.n)
        elif kind in ENDS:
            self._vitals.ended(pid, event.n)
        self._events.emit(event)
