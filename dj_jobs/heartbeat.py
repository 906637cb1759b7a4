"""Another process that renews our leases while a call of native code holds the interpreter lock of this one.

It starts with the first claim, and sleeps: only when our own thread is silent for longer than it should
be, and this process is alive and not stopped, does it import anything, connect, and renew. It ends with us.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID
from weakref import finalize

if TYPE_CHECKING:
    from dj_schema.connection import Connection
    from dj_schema.table_info import TableName

log = logging.getLogger("datajoint.lease")

_PROGRAM = str(Path(__file__).with_name("heartbeat_process.py"))


class Heartbeat:
    """The process beside this one; `of` gives the one of a connection."""

    def __init__(self, connection: Connection, lease_s: float) -> None:
        self._connection = pickle.dumps((connection, connection.clock_offset_s)).hex()
        self._lease_s = lease_s
        self._pid = os.getpid()
        self._held: dict[int, list[tuple[TableName, UUID]]] = {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: finalize[..., Heartbeat] | None = None

    @classmethod
    def of(cls, connection: Connection, lease_s: float) -> Heartbeat:
        """Return the one of a connection; a forked child has none yet.

        Of two threads that come first at once, each may get one of its own, which works as well.
        """
        known: Heartbeat | None = connection.companions.get("heartbeat")
        if known is None or known._pid != os.getpid() or known._lease_s != lease_s:
            known = connection.companions["heartbeat"] = cls(connection, lease_s)
        return known

    def tell(self, keeper: object, of_keeper: Sequence[tuple[TableName, UUID]]) -> None:
        """Say what there is to renew from now on, starting the process where there is none.

        Parameters
        ----------
        keeper : object
            Who says so; what others have said holds on.
        """
        with self._lock:
            self._held.pop(id(keeper), None)
            if of_keeper:
                self._held[id(keeper)] = list(of_keeper)
            held = [place for places in self._held.values() for place in places]
        if held and (self._process is None or self._process.poll() is not None):
            self._start()
        self._send("held " + (pickle.dumps(list(held)).hex() if held else ""))

    def beat(self) -> None:
        """Say that this process renews by itself."""
        self._send("beat")

    def _start(self) -> None:
        command = [sys.executable, "-I", "-S", _PROGRAM, str(self._lease_s), str(os.getpid()), *sys.path]
        try:
            # in a group of its own: what stops or interrupts this process is not meant for it
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, process_group=0
            )
        except OSError as e:
            log.warning("no process can be started to renew leases beside this one: %s", e)
            return
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        self._process = process
        self._finalizer = finalize(self, _end, process, self._pid)
        self._send("connection " + self._connection)

    def _send(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            return
        try:
            os.write(self._process.stdin.fileno(), f"{line}\n".encode())
        except OSError as e:  # it was killed, or does not read: the next claim starts another one
            log.debug("the process that renews leases does not listen: %s", e)
            self._process = None
            if self._finalizer is not None:
                self._finalizer()


def _end(process: subprocess.Popen[bytes], pid: int) -> None:
    if pid == os.getpid() and process.stdin is not None:
        process.stdin.close()
        process.kill()
        process.wait()


class Renewal:
    """In the other process: a connection of its own, and what it renews with it."""

    def __init__(self, connection: bytes, held: bytes, lease_s: float) -> None:
        self._connection, self._connection.clock_offset_s = pickle.loads(connection)
        self._held: list[tuple[TableName, UUID]] = pickle.loads(held)
        self._lease_s = lease_s

    def __call__(self) -> None:
        from dj_jobs.lease import renew_all
        from dj_schema.errors import DataJointError

        for table, token in self._held:
            try:
                renew_all(self._connection, table, token, self._lease_s)
            except DataJointError as e:
                log.warning("cannot renew a lease of %s from beside: %s", ".".join(table), e)

    def close(self) -> None:
        self._connection.close()
