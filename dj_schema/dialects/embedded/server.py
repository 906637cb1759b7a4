"""Starting, sharing and leaving the embedded server.

Who uses it holds a lease, a shared lock on a file of the data folder. A watchdog process waits for that
lock exclusively: when it gets it, nobody is left, and it stops the server.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from dj_schema.dialects.embedded import watchdog
from dj_schema.dialects.embedded.account import Account, account_for
from dj_schema.dialects.embedded.cluster import clear_stale_pid_file, ensure_cluster
from dj_schema.dialects.embedded.commands import (
    DATABASE,
    READY,
    REJECTING,
    SUPERUSER,
    postgres_command,
    probe,
    probe_command,
)
from dj_schema.dialects.embedded.folder import PORT, DataFolder, default_path
from dj_schema.dialects.embedded.locks import FileLock, is_held
from dj_schema.dialects.embedded.programs import (
    Finder,
    Programs,
    environment,
    find_programs,
    require_programs,
    runnable_by,
)
from dj_schema.dialects.embedded.watchdog import open_our_file
from dj_schema.errors import EmbeddedServerError

log = logging.getLogger("datajoint.embedded")

_POLL_S = 0.02
_SILENCE_S = 120


@dataclass(frozen=True)
class EmbeddedAddress:
    """Where the server listens. There is no password: only we can pass the socket's folder."""

    socket_dir: str
    port: int
    user: str
    database: str


class EmbeddedLease:
    """The right to have the server running, until `release` or the end of this process.

    A forked child does not have its parent's lease; it acquires one of its own.
    """

    def __init__(self, server: EmbeddedServer, lock: FileLock, address: EmbeddedAddress) -> None:
        self.address = address
        self._server = server
        self._lock = lock
        _leases[id(self)] = self

    @property
    def is_held(self) -> bool:
        return self._lock.is_open

    def release(self) -> None:
        """Give the lease back; the last one to do so returns when the server has stopped."""
        _leases.pop(id(self), None)
        if self._lock.is_open:
            self._server.leave(self._lock)

    def __enter__(self) -> EmbeddedLease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class EmbeddedServer:
    """The server of one data folder, as this process sees it; get leases from `acquire`."""

    def __init__(self, path: Path, programs: Programs) -> None:
        self._folder = DataFolder(path)
        self._programs = programs
        self._lock = threading.Lock()

    @classmethod
    def acquire(
        cls, path: str | os.PathLike[str] | None = None, *, find: Finder = find_programs
    ) -> EmbeddedLease:
        """Lease the server on a data folder, starting it if it does not run.

        Parameters
        ----------
        path
            The data folder; `default_path()` without. It is made when missing.
        find
            Looks for PostgreSQL's programs.

        Raises
        ------
        EmbeddedServerError
            The programs are not installed, or the server does not start; the message has its last words.
        """
        programs = require_programs(find)
        folder = Path(path if path is not None else default_path()).expanduser().resolve()
        server = _servers.setdefault(folder, cls(folder, programs))
        try:
            return server._lease()
        except OSError as error:
            raise EmbeddedServerError(
                f"The embedded PostgreSQL in {folder} cannot be used: {error}. Name a folder that is"
                " yours in database.embedded_path, or a server: DJ_HOST, DJ_USER and DJ_PASS."
            ) from error

    def _lease(self) -> EmbeddedLease:
        folder = self._folder
        folder.prepare()
        with self._lock, FileLock(folder.start) as start, ExitStack() as undo:
            start.exclusive()
            lock = FileLock(folder.leases)
            undo.callback(lock.unlock)
            # Waits for a watchdog that is stopping the server.
            lock.shared()
            account = account_for(folder.path, folder.cluster)
            address = self._address(self._running(account) or self._start(account))
            undo.pop_all()
            return EmbeddedLease(self, lock, address)

    def _address(self, socket_dir: Path) -> EmbeddedAddress:
        return EmbeddedAddress(str(socket_dir), PORT, SUPERUSER, DATABASE)

    def _running(self, account: Account) -> Path | None:
        """Return the socket folder of the running server, once it is ready; None if none is alive."""
        folder = self._folder
        silent_since = time.monotonic()
        while is_held(folder.alive) or is_held(folder.watched):
            socket_dir = folder.socket_dir(account)
            answer = None if socket_dir is None else probe(self._programs, socket_dir)
            if answer == READY:
                self._ensure_watchdog(account)
                return socket_dir
            if answer == REJECTING:
                silent_since = time.monotonic()
            if time.monotonic() - silent_since > _SILENCE_S:
                raise EmbeddedServerError(
                    f"A PostgreSQL holds {folder.path} but has not answered for {_SILENCE_S} s. It may run"
                    f" in another container or on another machine; {folder.log} may say more."
                )
            time.sleep(_POLL_S)
        return None

    def _start(self, account: Account) -> Path:
        folder = self._folder
        with FileLock(folder.watched) as watched, FileLock(folder.alive) as alive:
            # Free, as `_running` has seen and as everybody who takes them holds the start lock.
            watched.exclusive()
            alive.exclusive()
            programs = runnable_by(self._programs, account)
            ensure_cluster(folder, programs, account, alive.fd)
            clear_stale_pid_file(folder.cluster)
            folder.bound_log()
            socket_dir = folder.new_socket_dir(account)
            log_end = folder.log.stat().st_size if folder.log.exists() else 0
            failure = self._launch_watchdog(programs, account, socket_dir, watched, alive)
        if failure:
            with folder.log.open("rb") as file:
                file.seek(log_end)
                words = file.read().decode(errors="replace").splitlines()[-8:]
            raise EmbeddedServerError(
                "\n".join([f"The embedded PostgreSQL in {folder.path} did not start: {failure}", *words])
            )
        log.info(
            "Started the embedded PostgreSQL; its data is in %s. To use another server, name it in"
            " DJ_HOST or database.host (datajoint.json).",
            folder.path,
        )
        return socket_dir

    def _ensure_watchdog(self, account: Account) -> None:
        """Give a running server a watchdog if the one it had was killed."""
        folder = self._folder
        with FileLock(folder.watched) as watched:
            socket_dir = folder.socket_dir(account)
            if socket_dir is not None and watched.try_exclusive():
                self._launch_watchdog(self._programs, account, socket_dir, watched, None)

    def _launch_watchdog(
        self,
        programs: Programs,
        account: Account,
        socket_dir: Path,
        watched: FileLock,
        alive: FileLock | None,
    ) -> str:
        """Start a watchdog that holds `watched`, with a server that holds `alive` if that is given.

        Return what went wrong, or nothing when the server is ready.
        """
        folder = self._folder
        orders = {
            "cluster": str(folder.cluster),
            "leases": str(folder.leases),
            "alive": str(folder.alive),
            "alive_fd": alive.fd if alive else None,
            "log": str(folder.log),
            "command": postgres_command(programs, account, folder.cluster, socket_dir) if alive else None,
            "probe": probe_command(programs, socket_dir),
            "socket_dir": str(socket_dir),
            "user": account.popen_arguments(),
        }
        with open(folder.log, "ab", opener=open_our_file) as errors:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog.__file__],
                cwd="/",
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                pass_fds=[lock.fd for lock in (watched, alive) if lock],
            )
            report, _ = process.communicate(json.dumps(orders).encode())
        if not report:
            return "its watchdog process ended without a word"
        return str(json.loads(report)["failure"])

    def leave(self, lease: FileLock) -> None:
        """Give up a lease; if it was the last, wait until the server has stopped."""
        folder = self._folder
        with self._lock:
            if not lease.is_open:
                return
            if not folder.start.exists():
                # Somebody has removed the folder; the watchdog has it open still.
                lease.unlock()
                return
            with FileLock(folder.start) as start:
                start.exclusive()
                lease.unlock()
                if self._is_unused():
                    self._await_stop()

    def _is_unused(self) -> bool:
        with FileLock(self._folder.leases) as probe:
            # Where even sharing fails, the watchdog has got the lock, and is stopping the server.
            return probe.try_exclusive() or not probe.try_shared()

    def _await_stop(self) -> None:
        folder = self._folder
        if is_held(folder.alive):
            self._ensure_watchdog(account_for(folder.path, folder.cluster))
        # The watchdog can get the leases: nobody takes one while we hold the start lock.
        with FileLock(folder.watched) as watched:
            watched.exclusive()


_servers: dict[Path, EmbeddedServer] = {}
_leases: dict[int, EmbeddedLease] = {}


def _release_all() -> None:
    for lease in list(_leases.values()):
        lease.release()


def _forget_in_child() -> None:
    _servers.clear()
    _leases.clear()


atexit.register(_release_all)
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_in_child)
