"""The cluster on disk: made whole or not at all, and rid of what a killed server left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from dj_schema.dialects.embedded.account import Account
from dj_schema.dialects.embedded.commands import initdb_command
from dj_schema.dialects.embedded.folder import DataFolder, write_durably
from dj_schema.dialects.embedded.programs import MAJOR, Programs, environment
from dj_schema.dialects.embedded.watchdog import is_server_of, postmaster_pid
from dj_schema.errors import EmbeddedServerError

_UNFINISHED = "cluster.new-"


def ensure_cluster(folder: DataFolder, programs: Programs, account: Account, alive_fd: int) -> None:
    """Make the cluster if there is none.

    `alive_fd` holds the lock of a living server. `initdb` inherits it, so that the next process waits
    for an `initdb` whose parent was killed before it clears its remains away.
    """
    for rest in folder.path.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(rest)
    if folder.marker.exists():
        _check_marker(folder)
        return
    if folder.cluster.exists():
        # No server of ours has run on it, but it may be somebody's, so it is kept.
        kept = tempfile.mkdtemp(prefix="cluster.set-aside-", dir=folder.path)
        folder.cluster.rename(Path(kept) / "cluster")
    fresh = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.path))
    account.own(fresh)
    _initdb(fresh, programs, account, alive_fd)
    fresh.rename(folder.cluster)
    write_durably(folder.marker, json.dumps({"major": MAJOR}))


def _check_marker(folder: DataFolder) -> None:
    major = json.loads(folder.marker.read_text())["major"]
    if major != MAJOR:
        raise EmbeddedServerError(
            f"The data in {folder.path} was made by PostgreSQL {major}, and the programs installed are"
            f" {MAJOR}. Dump it with the old programs, or name another folder in database.embedded_path."
        )
    if not folder.cluster.is_dir():
        raise EmbeddedServerError(
            f"The data in {folder.cluster} has been removed, but {folder.marker} says that there was some."
            " Put the data back, or remove the marker to begin anew."
        )


def _initdb(fresh: Path, programs: Programs, account: Account, alive_fd: int) -> None:
    result = subprocess.run(
        initdb_command(programs, account, fresh),
        cwd=fresh,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=(alive_fd,),
        start_new_session=True,
        check=False,
        **account.popen_arguments(),
    )
    if result.returncode != 0:
        raise EmbeddedServerError(
            f"A database cluster could not be made in {fresh.parent}. initdb says:\n"
            + "\n".join(result.stdout.splitlines()[-8:])
        )


def clear_stale_pid_file(cluster: Path) -> None:
    """Remove `postmaster.pid` if the process that it names is alive and is not a server of this cluster.

    To be called when no server of ours can be alive. PostgreSQL removes the file itself where the
    process is gone, but takes any process that has got the same id since for a living server.
    """
    pid = postmaster_pid(cluster)
    if pid is None or not _exists(pid):
        return
    if is_server_of(pid, cluster):
        raise EmbeddedServerError(
            f"Process {pid} is a PostgreSQL server on {cluster} that was started by hand. Stop it, or"
            " name it as the server: DJ_HOST, DJ_USER and DJ_PASS."
        )
    (cluster / "postmaster.pid").unlink()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
