"""The process beside the server: starts it, and stops it when the last lease is gone.

Run as a script, by the interpreter alone and on the standard library alone, so that it is small and does
not depend on what the client has imported. It outlives the client; the kernel takes a killed client's
lease back, and this process gets the lock that it waits for.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import fcntl

_HAS_PROC: bool = sys.platform == "linux"
_POLL_S = 0.01
_FAST_SHUTDOWN_S = 120


def open_our_file(path: str, flags: int) -> int:
    """Open a file of the data folder, for `open`; in a folder of somebody else's root leaves it to the owner.

    The owner may be hostile to root, so a link to a file elsewhere is not followed, nor given away.
    """
    fd = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:
        file, folder = os.fstat(fd), os.stat(os.path.dirname(path))
        if file.st_uid == 0 != folder.st_uid and file.st_nlink == 1:
            os.fchown(fd, folder.st_uid, folder.st_gid)
    return fd


def postmaster_pid(cluster: Path) -> int | None:
    """Return the process id that the cluster's `postmaster.pid` names."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    return int(lines[0]) if lines and lines[0].isdigit() else None


def is_server_of(pid: int, cluster: Path) -> bool:
    """Tell whether process `pid` is a PostgreSQL server whose working folder is `cluster`."""
    if _HAS_PROC:
        try:
            there = os.stat(f"/proc/{pid}/cwd")
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            return False
        here = os.stat(cluster)
        return name == "postgres" and (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
    command = ["ps", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
    return "postgres" in shown and str(cluster) in shown


class Watchdog:
    """What one watchdog does, by the orders that came on its standard input."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.orders = orders
        self.cluster = Path(orders["cluster"])
        self.leases = os.open(orders["leases"], os.O_RDWR)
        self.alive = os.open(orders["alive"], os.O_RDWR)
        self.server: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if self.orders["command"] is None:
            self._report("")
        elif not self._start():
            return
        signal.signal(signal.SIGTERM, lambda *_: self._signal(signal.SIGINT))
        threading.Thread(target=self._stop_when_unused, daemon=True).start()
        # Granted when the last process of the server is gone. Until then the server is not reaped, so
        # its process id cannot be given to another one.
        fcntl.flock(self.alive, fcntl.LOCK_SH)
        self._remove_socket_dir()
        # Before our other locks go, so that whoever waits for them finds this one free.
        os.close(self.alive)

    def _start(self) -> bool:
        with open(self.orders["log"], "ab", opener=open_our_file) as log:
            try:
                self.server = subprocess.Popen(
                    self.orders["command"],
                    cwd=self.cluster,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(self.orders["alive_fd"],),
                    **self.orders["user"],
                )
            except OSError as error:
                self._report(f"{type(error).__name__}: {error}")
                return False
        # From here on the server alone holds this lock.
        os.close(self.orders["alive_fd"])
        while subprocess.run(self.orders["probe"], stdout=subprocess.DEVNULL, check=False).returncode:
            if self.server.poll() is not None:
                self._report(f"postgres ended with code {self.server.returncode}")
                self._remove_socket_dir()
                return False
            time.sleep(_POLL_S)
        self._report("")
        return True

    def _report(self, failure: str) -> None:
        # Where the client is gone its lease is too, and the server will be stopped.
        with contextlib.suppress(BrokenPipeError):
            os.write(1, json.dumps({"failure": failure}).encode())
        with open(os.devnull, "r+b") as nothing:
            os.dup2(nothing.fileno(), 1)

    def _stop_when_unused(self) -> None:
        fcntl.flock(self.leases, fcntl.LOCK_EX)
        self._signal(signal.SIGINT)
        time.sleep(_FAST_SHUTDOWN_S)
        self._signal(signal.SIGQUIT)

    def _signal(self, number: int) -> None:
        if self.server is not None:
            os.kill(self.server.pid, number)
            return
        pid = postmaster_pid(self.cluster)
        if pid is None:
            return
        if not _HAS_PROC:
            if is_server_of(pid, self.cluster):
                os.kill(pid, number)
            return
        try:
            # Bound to the process and not to its number, which may be another's by now.
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        if is_server_of(pid, self.cluster):
            signal.pidfd_send_signal(process, number)
        os.close(process)

    def _remove_socket_dir(self) -> None:
        socket_dir = Path(self.orders["socket_dir"])
        for entry in (*socket_dir.glob(".s.PGSQL.*"), socket_dir):
            with contextlib.suppress(FileNotFoundError):
                entry.rmdir() if entry == socket_dir else entry.unlink()


def main() -> None:
    """Read the orders, leave the client, and watch."""
    text = sys.stdin.read()
    if not text:
        return  # The client was killed before it could say anything.
    if os.fork():
        # The client waits for this process, so that none is left for it to reap.
        os._exit(0)
    Watchdog(json.loads(text)).run()


if __name__ == "__main__":
    main()
