"""Locks on files, which the kernel takes back however a process ends.

A lock belongs to an open file and not to a process, so a forked child would keep its parent's locks
alive. Children of `os.fork` therefore close the copies that they got.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from types import TracebackType

from dj_schema.dialects.embedded.watchdog import open_our_file

if sys.platform != "win32":
    import fcntl

_open_locks: dict[int, FileLock] = {}
# Held while a file is opened and noted, so that no fork comes between the two.
_gate = threading.Lock()


class FileLock:
    """One open file to lock; each instance is a holder of its own, also within a process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _gate:
            self._fd = open_our_file(str(path), os.O_RDWR | os.O_CREAT)
            _open_locks[self._fd] = self

    @property
    def fd(self) -> int:
        """The file descriptor, to be handed to a program that goes on holding the lock."""
        return self._fd

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def exclusive(self) -> None:
        """Wait until nobody else holds the lock, and take it."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def shared(self) -> None:
        """Wait until nobody holds the lock exclusively, and share it."""
        fcntl.flock(self._fd, fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        return self._try(fcntl.LOCK_SH)

    def _try(self, operation: int) -> bool:
        try:
            fcntl.flock(self._fd, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Give the lock up for every process that has a copy of this open file."""
        if self.is_open:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self.close()

    def close(self) -> None:
        """Close our copy; whoever else has one keeps the lock."""
        with _gate:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                del _open_locks[fd]
                os.close(fd)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_held(path: Path) -> bool:
    """Tell whether anybody holds the lock on `path`, in whichever way."""
    with FileLock(path) as lock:
        return not lock.try_exclusive()


def _forget_in_child() -> None:
    _gate.release()
    for lock in list(_open_locks.values()):
        lock.close()


if sys.platform != "win32":
    os.register_at_fork(before=_gate.acquire, after_in_parent=_gate.release, after_in_child=_forget_in_child)
