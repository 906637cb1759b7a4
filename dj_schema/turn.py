"""Whose turn it is on a connection that threads share."""

from __future__ import annotations

import logging
import threading

log = logging.getLogger("datajoint.connection")

_TOLD_AFTER_S = 10.0


class Turn:
    """A lock that one thread holds for a statement, or from the start of a transaction to its end.

    The holder may take it again for each statement of its transaction. Any thread may end a turn, because
    a thread that closes the connection ends the transaction of another one too.

    Parameters
    ----------
    told_after_s : float
        A wait of so many seconds is logged: the holder may be waiting for the thread that waits for it.
    """

    __slots__ = ("_changed", "_lock", "_n_waiting", "_owner", "_told_after_s")

    def __init__(self, told_after_s: float = _TOLD_AFTER_S) -> None:
        self._told_after_s = told_after_s
        self._lock = threading.Lock()  # held for a moment, in a `with` block that no interruption outlasts
        self._changed = threading.Condition(self._lock)
        self._n_waiting = 0
        self._owner = 0

    @property
    def is_mine(self) -> bool:
        return self._owner == threading.get_ident()

    def take(self) -> bool:
        """Wait for the turn; False where this thread has it already, and then is not to end it."""
        if self._owner == threading.get_ident():
            return False
        if not self._is_taken(self._told_after_s):
            holder = self._owner
            names = [thread.name for thread in threading.enumerate() if thread.ident == holder]
            log.warning(
                "%s has waited for %g s to use a connection that %s has a transaction or a statement on; "
                "in a thread that a make starts, use a connection of its own: connection.clone()",
                threading.current_thread().name,
                self._told_after_s,
                " ".join(names) or "another thread",
            )
            self._is_taken(None)
        return True

    def _is_taken(self, within_s: float | None) -> bool:
        with self._lock:
            while self._owner:
                self._n_waiting += 1
                try:
                    if not self._changed.wait(within_s):
                        return False
                finally:
                    self._n_waiting -= 1
            self._owner = threading.get_ident()
        return True

    def end(self) -> None:
        with self._lock:
            self._owner = 0
            if self._n_waiting:
                self._changed.notify()
