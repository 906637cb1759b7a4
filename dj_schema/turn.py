"""Whose turn it is on a connection that threads share."""

from __future__ import annotations

import threading


class Turn:
    """A lock that one thread holds for a statement, or from the start of a transaction to its end.

    The holder may take it again for each statement of its transaction. Any thread may end a turn, because
    a thread that closes the connection ends the transaction of another one too.
    """

    __slots__ = ("_changed", "_lock", "_n_waiting", "_owner")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for a moment, in a `with` block that no interruption outlasts
        self._changed = threading.Condition(self._lock)
        self._n_waiting = 0
        self._owner = 0

    @property
    def is_mine(self) -> bool:
        return self._owner == threading.get_ident()

    def take(self) -> bool:
        """Wait for the turn; False where this thread has it already, and then is not to end it."""
        me = threading.get_ident()
        if self._owner == me:
            return False
        with self._lock:
            while self._owner:
                self._n_waiting += 1
                try:
                    self._changed.wait()
                finally:
                    self._n_waiting -= 1
            self._owner = me
        return True

    def end(self) -> None:
        with self._lock:
            self._owner = 0
            if self._n_waiting:
                self._changed.notify()
