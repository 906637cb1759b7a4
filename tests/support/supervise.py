"""Run one server until the test run that wants it is over, however that run ends.

``python supervise.py ALIVE RUNNING FOLDER ACCOUNT COMMAND...``

The test run holds a shared lock on ALIVE. The kernel drops it on a clean exit, a crash and a SIGKILL
alike; this process waits for that, ends the server, removes FOLDER and then drops its own lock on RUNNING.
Process ids play no part, so none can be mistaken for another's.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

STOP_TIMEOUT_S = 20


def start_as(
    account: str, command: list[str], folder: Path, output: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start `command` in `folder` as `account`, or, where that is empty, as what we are."""
    if not account:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=folder,
        user=account,
        group=pwd.getpwnam(account).pw_gid,
        extra_groups=[],
    )


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.kill()


def _end_with_the_run(server: subprocess.Popen[bytes], alive: str) -> None:
    with open(alive) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    _end(server)


def main() -> int:
    """Start COMMAND as ACCOUNT (empty: as we are) and return its exit status."""
    alive, running, folder, account, *command = sys.argv[1:]
    with open(running, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = start_as(account, command, Path(folder))
        signal.signal(signal.SIGTERM, lambda *_: _end(server))
        threading.Thread(target=_end_with_the_run, args=(server, alive), daemon=True).start()
        status = server.wait()
        shutil.rmtree(folder, ignore_errors=True)
        return status


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
