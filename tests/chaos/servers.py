"""Database servers of a run's own, which may be stopped, crashed and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from tests.support import launch
from tests.support.launch import Unavailable, free_port
from tests.support.recipes import LOOPBACK, Address, MariaDB, Recipe
from tests.support.servers import ServerUnderTest, launched_settings

ROOT = Path(__file__).resolve().parents[2]
MYSQL_SCRIPT = ROOT.parent / "shared" / "servers" / "mysql.sh"
_STOP_S = 60.0
_START_S = 60.0
_SUPERVISE = ROOT / "tests" / "support" / "supervise.py"


class OwnServer(ABC):
    """One server; it is down until it is started.

    Attributes
    ----------
    settings : dict
        As those of a `ServerUnderTest`.
    """

    name: str
    settings: dict[str, Any]

    def under_test(self) -> ServerUnderTest:
        return ServerUnderTest(self.name, self.settings)

    @abstractmethod
    def start(self) -> None:
        """Start it, and return when it answers."""

    @abstractmethod
    def stop(self, *, crash: bool = False) -> None:
        """Stop it in order, or as a power cut would; return when it is gone."""

    @abstractmethod
    def close(self) -> None:
        """Stop it for good, and remove its data."""


class _Supervised(OwnServer):
    """A server that ends with the run, whatever becomes of this process.

    Parameters
    ----------
    run : Path
        A folder of the run, with the file `alive` that the run holds locked.
    """

    stop_signal = signal.SIGTERM
    crash_signal = signal.SIGKILL

    def __init__(self, run: Path, name: str) -> None:
        self.name = name
        self._run = run
        self._folder = run / f"own-{name}"
        self._account = launch._ordinary_account()
        self._log = run / f"own-{name}.log"
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._make_folder(self._folder)

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        if self._account:
            shutil.chown(folder, self._account)

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _probe(self) -> None: ...

    @abstractmethod
    def _pid(self) -> int: ...

    def start(self) -> None:
        scratch = self._folder / f"run-{time.time_ns()}"  # the supervisor removes it at its end
        self._make_folder(scratch)
        files = [str(self._run / "alive"), str(self._run / f"own-{self.name}.running"), str(scratch)]
        with open(self._log, "ab") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, str(_SUPERVISE), *files, self._account, *self._command()],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                return self._probe()
            except Exception as e:
                if self._supervisor.poll() is not None or time.monotonic() > deadline:
                    raise Unavailable(f"{self.name} did not start: {launch._tail(self._log)}") from e
            time.sleep(0.05)

    def stop(self, *, crash: bool = False) -> None:
        assert self._supervisor is not None
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(self._pid(), self.crash_signal if crash else self.stop_signal)
        self._supervisor.wait(_STOP_S)
        self._supervisor = None

    def close(self) -> None:
        if self._supervisor is not None:
            self.stop(crash=True)
        shutil.rmtree(self._folder, ignore_errors=True)


class OwnPostgres(_Supervised):
    """PostgreSQL from the wheel of the embedded server; on a port, so that a proxy can be before it."""

    stop_signal = signal.SIGINT  # "fast": does not wait for its clients
    crash_signal = signal.SIGQUIT  # "immediate": recovers at its next start

    def __init__(self, run: Path) -> None:
        from dj_schema.dialects.embedded.account import account_for
        from dj_schema.dialects.embedded.programs import find_programs, runnable_by

        super().__init__(run, "postgresql")
        programs = find_programs()
        if programs is None:
            raise Unavailable("the programs of the embedded PostgreSQL are not installed")
        data = self._folder / "data"
        self._programs = runnable_by(programs, account_for(self._folder, data))
        self._data = data
        self._port = free_port()
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions", "--no-sync"]
        command = [str(self._programs.initdb), "-D", str(data), "-U", "postgres", *options]
        launch._run_as(self._account, command, self._folder, self._log)
        self.settings = {
            "backend": "postgresql",
            "host": LOOPBACK,
            "port": self._port,
            "user": "postgres",
            "password": "",
            "database_name": "postgres",
        }

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "fsync": "off",  # processes crash here, not machines
            "timezone": "UTC",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._programs.postgres), "-D", str(self._data), *options]

    def _probe(self) -> None:
        psycopg.connect(
            host=LOOPBACK, port=self._port, user="postgres", dbname="postgres", connect_timeout=5
        ).close()

    def _pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split()[0])


class OwnMariaDB(_Supervised):
    """MariaDB as the tests have it otherwise, of which a crash loses nothing that it committed."""

    def __init__(self, run: Path) -> None:
        super().__init__(run, "mariadb")
        self._recipe: Recipe = MariaDB()
        program = self._recipe.find()
        if program is None and launch.install(self._recipe.debian_packages, run):
            program = self._recipe.find()
        if program is None:
            raise Unavailable("no MariaDB on the PATH, and none can be installed")
        self._program = program
        self._address: Address = launch._new_address(self._recipe)
        self._recipe.prepare(
            program,
            self._folder,
            self._address.password,
            lambda command: launch._run_as(self._account, command, self._folder, self._log),
        )
        self.settings = launched_settings(self._address)

    def _command(self) -> list[str]:
        return self._recipe.command(self._program, self._folder, self._address)

    def _probe(self) -> None:
        self._recipe.probe(self._address)

    def _pid(self) -> int:
        return int((self._folder / "pid").read_text())


class OwnMySQL(OwnServer):
    """A MySQL by the script that brings one to Debian, where that is beside the checkout."""

    name = "mysql"

    def __init__(self, run: Path) -> None:
        if not MYSQL_SCRIPT.is_file():
            raise Unavailable("no script beside the checkout that starts a MySQL of its own")
        self._address = Address(free_port(), "root", "password")
        self._log = run / "own-mysql.log"
        root = Path(os.environ.get("MYSQL_ROOT", "/var/tmp/mysql-root"))
        self._state = root / f"srv/mysql-{self._address.port}"
        self.settings = launched_settings(self._address)

    def _call(self, action: str) -> None:
        with open(self._log, "ab") as log:
            command = ["bash", str(MYSQL_SCRIPT), action, str(self._address.port)]
            done = subprocess.run(command, stdout=log, stderr=log, check=False)
        if done.returncode:
            raise Unavailable(f"MySQL: {launch._tail(self._log)}")

    def start(self) -> None:
        self._call("up")
        recipe = MariaDB()  # both are asked alike
        deadline = time.monotonic() + _START_S
        while True:
            try:
                return recipe.probe(self._address)
            except recipe.not_ready:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def stop(self, *, crash: bool = False) -> None:
        pid = int((self._state / "mysqld.pid").read_text())
        os.kill(pid, signal.SIGKILL if crash else signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        while not _has_ended(pid):
            if time.monotonic() > deadline:
                raise TimeoutError(f"MySQL does not stop; see {self._state / 'error.log'}")
            time.sleep(0.05)
        # until its parent has taken note of its end, the next server would hold it for alive, and give up
        for name in ("mysqld.pid", "mysqld.sock.lock"):
            (self._state / name).unlink(missing_ok=True)

    def close(self) -> None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            self.stop(crash=True)
        shutil.rmtree(self._state, ignore_errors=True)


def _has_ended(pid: int) -> bool:
    """Whether nothing of a process runs: not a thread that would keep its files locked."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z" and len(threads) == 1


OWN: dict[str, Callable[[Path], OwnServer]] = {
    "postgresql": OwnPostgres,
    "mariadb": OwnMariaDB,
    "mysql": OwnMySQL,
}
