"""The data folder: what lies in it, and where it is when nobody says."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dj_schema.dialects.embedded.account import Account
from dj_schema.dialects.embedded.watchdog import open_our_file
from dj_schema.errors import EmbeddedServerError

PORT = 5432
"""Only a part of the socket's file name; the server does not listen on TCP."""

_SOCKET_PREFIX = "dj-pg-"
_SOCKET_FOLDER_BYTES = 90
_LOG_BYTES = 1_000_000
# A comma separates folders in PostgreSQL's setting and hosts in libpq's, so only plain names will do.
_PLAIN = re.compile(r"/[A-Za-z0-9_./+-]*")


def default_path() -> Path:
    """Return where the data of the user's embedded server is, unless another folder is named."""
    if sys.platform == "darwin":
        base = _home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local")
    else:
        given = os.environ.get("XDG_DATA_HOME", "")
        # The XDG base directory specification has relative paths ignored.
        base = Path(given) if os.path.isabs(given) else _home() / ".local" / "share"
    return base / "datajoint" / "postgres"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user whom the system has no name for, as in many a container
        raise EmbeddedServerError(
            "there is no home folder for the data of the embedded PostgreSQL: name a folder "
            "(database.embedded_path, DJ_EMBEDDED_PATH), or a server (database.host, DJ_HOST)"
        ) from None


@dataclass(frozen=True)
class DataFolder:
    """The files of one embedded server.

    Four of them are locks. `start` is held by whoever starts or leaves. `leases` is shared by all who use
    the server, and taken exclusively by the watchdog that stops it. `alive` is held by `postgres` and its
    children, so that it tells the truth about them whatever happened to process ids. `watched` is
    held by the watchdog.
    """

    path: Path

    @property
    def cluster(self) -> Path:
        return self.path / "cluster"

    @property
    def marker(self) -> Path:
        return self.path / "cluster.complete"

    @property
    def start(self) -> Path:
        return self.path / "start.lock"

    @property
    def leases(self) -> Path:
        return self.path / "leases.lock"

    @property
    def alive(self) -> Path:
        return self.path / "alive.lock"

    @property
    def watched(self) -> Path:
        return self.path / "watched.lock"

    @property
    def log(self) -> Path:
        return self.path / "postgres.log"

    @property
    def socket_record(self) -> Path:
        return self.path / "socket.json"

    def prepare(self) -> None:
        """Make the folder, for ourselves alone; one that exists keeps its rights."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def bound_log(self) -> None:
        """Put a log that has grown aside; the one before it goes."""
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.path / "postgres.log.1")

    def new_socket_dir(self, account: Account) -> Path:
        """Make a private, short folder for the socket, and note it for other processes."""
        self._remove_socket_dir(account)
        socket_dir = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=_socket_parent(account)))
        account.own(socket_dir)
        write_durably(self.socket_record, json.dumps({"socket_dir": str(socket_dir)}))
        return socket_dir

    def socket_dir(self, account: Account) -> Path | None:
        """Return the folder of the last server's socket, if it is there and still private.

        It lies where everybody may write, so somebody else may have made one of the same name since.
        """
        try:
            socket_dir = Path(json.loads(self.socket_record.read_text())["socket_dir"])
            found = socket_dir.lstat()
        except FileNotFoundError:
            return None
        private = stat.S_ISDIR(found.st_mode) and found.st_uid == account.uid and not found.st_mode & 0o077
        return socket_dir if private else None

    def _remove_socket_dir(self, account: Account) -> None:
        socket_dir = self.socket_dir(account)
        if socket_dir is not None:
            for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
                (socket_dir / name).unlink(missing_ok=True)
            socket_dir.rmdir()


def write_durably(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all, also after a power cut."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with open(fresh, "x", opener=open_our_file) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _socket_parent(account: Account) -> str:
    candidate = tempfile.gettempdir()
    longest = len(os.fsencode(candidate)) + len(_SOCKET_PREFIX) + 10
    if account.is_other or longest >= _SOCKET_FOLDER_BYTES or not _PLAIN.fullmatch(candidate):
        # Another user may not reach our TMPDIR; everybody reaches this one.
        return "/tmp"
    return candidate
