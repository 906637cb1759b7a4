"""Several calls at once, a connection each, whose statements go one by one as a schedule says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from dj_schema.connection import Connection

_BLOCKED_S = 0.15  # a statement that takes longer than this waits for a lock of another call
_LONGEST_S = 15.0  # without one that goes on


@dataclass(eq=False)
class _Call:
    """One call in a thread of its own.

    Attributes
    ----------
    state : str
        ``at a statement``, ``running`` or ``done``.
    """

    connection: Connection
    function: Callable[[], Any]
    changed: threading.Condition
    state: str = "running"
    permits: int = 0
    result: Any = None
    error: BaseException | None = None
    thread: threading.Thread = field(init=False)

    def start(self) -> None:
        settings = copy_context()  # those of a block are the thread's that opened it
        self.thread = threading.Thread(target=settings.run, args=[self._run], daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self._gated():
                self.result = self.function()
        except BaseException as e:  # noqa: BLE001  whoever started it looks at it
            self.error = e
        with self.changed:
            self.state = "done"
            self.changed.notify_all()

    @contextmanager
    def _gated(self) -> Iterator[None]:
        """Wait before each statement until it is let through."""
        exchange = self.connection._exchange

        def gated(*what: Any) -> Any:
            with self.changed:
                self.state = "at a statement"
                self.changed.notify_all()
                self.changed.wait_for(lambda: self.permits > 0)
                self.permits -= 1
                self.state = "running"
            return exchange(*what)

        self.connection._exchange = gated  # type: ignore[method-assign]
        try:
            yield
        finally:
            del self.connection._exchange


def interleaved(
    calls: Sequence[tuple[Connection, Callable[[], Any]]], schedule: Sequence[int]
) -> list[Any | BaseException]:
    """Run calls at once; return their results, or what they raised.

    Parameters
    ----------
    schedule : sequence of int
        Which of the calls that are at a statement goes on, each time; after its end, the first of them.
    """
    changed = threading.Condition()
    running = [_Call(connection, function, changed) for connection, function in calls]
    for call in running:
        call.start()
    deadline = time.monotonic() + _LONGEST_S
    turns = iter(schedule)
    with changed:
        while any(call.state != "done" for call in running):
            # one that waits for a lock of another call runs on when that one has ended
            changed.wait_for(lambda: all(call.state != "running" for call in running), _BLOCKED_S)
            ready = [call for call in running if call.state == "at a statement"]
            if ready:
                chosen = ready[next(turns, 0) % len(ready)]
                chosen.permits += 1
                chosen.state = "running"
                deadline = time.monotonic() + _LONGEST_S
                changed.notify_all()
            elif time.monotonic() > deadline:
                raise TimeoutError("calls that wait for each other for ever")
    return [call.error if call.error is not None else call.result for call in running]
