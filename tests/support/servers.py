"""The servers that tests run on: which there are, where each comes from, and when it ends.

A server is started when the first test asks for it. The processes of one run (pytest-xdist) share it
through files in the folder of the run; what could not be had is noted there too, for the summary.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import unquote, urlsplit

from tests.support import programs
from tests.support.launch import Unavailable, launch, locked
from tests.support.recipes import LOOPBACK, TARGETS, Address, MariaDB, MySQL, Prometheus, Recipe, Redis

SERVER_NAMES = ("postgresql", "mysql", "mariadb")
VARIABLES = {
    "postgresql": "DJ_TEST_POSTGRES",
    "mysql": "DJ_TEST_MYSQL",
    "mariadb": "DJ_TEST_MARIADB",
    "redis": "DJ_TEST_REDIS",
}
T = TypeVar("T")
_MEMORY = Path("/dev/shm")
_LEAST_MEMORY_BYTES = 6 << 30
_DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
_RECIPES: Mapping[str, Callable[[], Recipe]] = {
    "mysql": MySQL,
    "mariadb": MariaDB,
    "redis": Redis,
    "prometheus": Prometheus,
}


@dataclass(frozen=True)
class ServerUnderTest:
    """A database server.

    Attributes
    ----------
    name : str
        ``postgresql``, ``mysql`` or ``mariadb``.
    settings : mapping
        ``backend`` (MariaDB's is ``mysql``), ``host``, ``port``, ``user``, ``password`` and
        ``database_name``, which is empty where the backend has no use for it.
    """

    name: str
    settings: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class RunningPrometheus:
    """A Prometheus, and the file that says what it scrapes."""

    url: str
    targets: Path


class RunFolder:
    """The folder of one run. Its maker keeps it alive; servers end when the maker does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._alive: IO[str] | None = None  # held by the maker alone

    @classmethod
    def make(cls, *, on_disk: bool = False) -> RunFolder:
        """Make the folder and hold its lock; in memory where there is room, unless commits are timed."""
        path = Path(tempfile.mkdtemp(prefix="dj-", dir=None if on_disk else _memory()))
        path.chmod(0o711)  # servers run as another account, and have to get to their own folder
        run = cls(path)
        run._alive = open(path / "alive", "w")  # noqa: SIM115
        fcntl.flock(run._alive, fcntl.LOCK_SH)
        return run

    def close(self) -> None:
        """End the servers, wait for them, and remove the folder."""
        if self._alive is None:
            raise RuntimeError("only the maker of a run folder closes it")
        fcntl.flock(self._alive, fcntl.LOCK_UN)  # also for children that still have the file open
        self._alive.close()
        for running in self.path.glob("*.running"):
            with locked(running):
                continue
        shutil.rmtree(self.path, ignore_errors=True)

    def note_missing(self, name: str, reason: str) -> None:
        """Remember for the summary that `name` could not be tested."""
        (self.path / f"{name}.missing").write_text(reason)

    def missing(self) -> dict[str, str]:
        """Return what could not be tested, and why."""
        return {file.stem: file.read_text() for file in sorted(self.path.glob("*.missing"))}


def _memory() -> Path | None:
    """Return where servers need not wait for a disk at each commit, which is most of the time of many tests.

    None where there is too little of it for several servers, or where no program may run in it.
    """
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return None
    is_large = found.f_bavail * found.f_frsize >= _LEAST_MEMORY_BYTES
    return _MEMORY if is_large and not found.f_flag & os.ST_NOEXEC else None


class Servers:
    """The servers as one test process sees them.

    Parameters
    ----------
    run : RunFolder
        Shared with the other processes of the run.
    chosen : collection of str
        The database servers that this run is for.
    """

    def __init__(self, run: RunFolder, chosen: tuple[str, ...] = SERVER_NAMES) -> None:
        self._run = run
        self.chosen = chosen
        self._known: dict[str, ServerUnderTest] = {}
        self._leases: list[Any] = []

    def get(self, name: str) -> ServerUnderTest:
        """Return a database server, started if need be.

        Raises
        ------
        Unavailable
            It cannot be had; the reason is noted for the summary.
        """
        if name not in self._known:
            self._known[name] = ServerUnderTest(name, self._noting(name, lambda: self._settings(name)))
        return self._known[name]

    def redis_url(self) -> str:
        """Return the URL of an empty Redis; raise `Unavailable` where there is none."""
        return self._noting("redis", self._redis_url)

    def prometheus(self) -> RunningPrometheus:
        """Return a Prometheus; raise `Unavailable` where there is none."""
        address = self._noting("prometheus", lambda: self._launched("prometheus"))
        return RunningPrometheus(f"http://{LOOPBACK}:{address.port}", self._run.path / "prometheus" / TARGETS)

    def program(self, name: str) -> str:
        """Return the path of promtool or helm; raise `Unavailable` where it cannot be had."""
        return self._noting(name, lambda: programs.find(name, self._run.path))

    def close(self) -> None:
        """Leave the embedded server; the others end with the run."""
        while self._leases:
            self._leases.pop().release()

    def _noting(self, name: str, find: Callable[[], T]) -> T:
        try:
            return find()
        except Unavailable as error:
            self._run.note_missing(name, str(error))
            raise

    def _settings(self, name: str) -> dict[str, Any]:
        if name not in self.chosen:
            raise Unavailable("left out by --servers")
        url = os.environ.get(VARIABLES[name])
        if url:
            return settings_of_url(name, url)
        if name == "postgresql":
            return self._embedded_settings()
        return launched_settings(self._launched(name))

    def _redis_url(self) -> str:
        url = os.environ.get(VARIABLES["redis"])
        if url:
            return url
        address = self._launched("redis")
        return f"redis://:{address.password}@{LOOPBACK}:{address.port}/0"

    def _launched(self, name: str) -> Address:
        """Start a server, or read what another process of the run found out about it."""
        found = self._run.path / f"{name}.json"
        with locked(self._run.path / f"{name}.lock"):
            if not found.exists():
                found.write_text(json.dumps(self._outcome(name)))
        outcome = json.loads(found.read_text())
        if "unavailable" in outcome:
            raise Unavailable(outcome["unavailable"])
        return Address(**outcome)

    def _outcome(self, name: str) -> dict[str, Any]:
        try:
            address = launch(_RECIPES[name](), name, self._run.path)
        except Unavailable as error:
            unset = f"{VARIABLES[name]} is not set; " if name in VARIABLES else ""
            return {"unavailable": f"{unset}{error}"}
        return {"port": address.port, "user": address.user, "password": address.password}

    def _embedded_settings(self) -> dict[str, Any]:
        from dj_schema.dialects.embedded import EmbeddedServer
        from dj_schema.errors import EmbeddedServerError

        try:
            lease = EmbeddedServer.acquire(self._run.path / "postgresql")
        except EmbeddedServerError as error:
            raise Unavailable(f"{VARIABLES['postgresql']} is not set; {error}") from error
        self._leases.append(lease)
        address = lease.address
        return {
            "backend": "postgresql",
            "host": str(address.socket_dir),
            "port": address.port,
            "user": address.user,
            "password": "",
            "database_name": address.database,
        }


def launched_settings(address: Address) -> dict[str, Any]:
    """Return the settings of a MySQL or MariaDB that was started here."""
    return {
        "backend": "mysql",
        "host": LOOPBACK,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "database_name": "",
    }


def settings_of_url(name: str, url: str) -> dict[str, Any]:
    """Read a URL such as ``mysql://root:password@127.0.0.1:3306`` or ``postgresql://u:p@host/database``."""
    parts = urlsplit(url)
    if not parts.hostname or not parts.username:
        raise ValueError(f"{VARIABLES[name]} has to look like scheme://user:password@host:port/database")
    database = unquote(parts.path.lstrip("/"))
    return {
        "backend": "postgresql" if name == "postgresql" else "mysql",
        "host": parts.hostname,
        "port": parts.port or _DEFAULT_PORTS[name],
        "user": unquote(parts.username),
        "password": unquote(parts.password or ""),
        "database_name": (database or "postgres") if name == "postgresql" else "",
    }
