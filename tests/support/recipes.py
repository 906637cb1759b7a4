"""How each server is recognised, prepared in an empty folder, started, and asked whether it is ready."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pymysql
import redis

LOOPBACK = "127.0.0.1"
TARGETS = "targets.json"  # what Prometheus is to scrape
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # not on the PATH of an ordinary user of Debian


@dataclass(frozen=True)
class Address:
    """Where a server of ours listens, on the loopback interface only."""

    port: int
    user: str
    password: str


class Recipe(ABC):
    """One kind of server.

    Attributes
    ----------
    programs : tuple of str
        What the server is called, the likeliest name first.
    debian_packages : tuple of str
        What brings it on Debian; empty where Debian has no package of it.
    docker_image, docker_port
        What ``docker run`` needs; without an image it is not tried.
    not_ready : tuple of exception classes
        What `probe` raises while the server is still starting.
    """

    programs: ClassVar[tuple[str, ...]]
    debian_packages: ClassVar[tuple[str, ...]] = ()
    docker_image: ClassVar[str] = ""
    docker_port: ClassVar[int] = 0
    user: ClassVar[str]
    not_ready: ClassVar[tuple[type[Exception], ...]]

    def find(self) -> str | None:
        """Return the path of the server's program, or None."""
        for name in self.programs:
            found = shutil.which(name) or shutil.which(name, path=_SBIN)
            if found is not None and self.is_right(found):
                return found
        return None

    def is_right(self, program: str) -> bool:
        """Tell whether a program of the right name is the right server."""
        return True

    def prepare(self, program: str, folder: Path, password: str, run: Callable[[list[str]], None]) -> None:
        """Fill the empty `folder` with all that the first start needs; `run` runs a command as its owner."""
        return

    @abstractmethod
    def command(self, program: str, folder: Path, address: Address) -> list[str]:
        """Return what starts the server in the foreground."""

    def docker_options(self, address: Address) -> tuple[list[str], list[str]]:
        """Return what ``docker run`` takes before and after the image's name."""
        return [], []

    @abstractmethod
    def probe(self, address: Address) -> None:
        """Log in once; raise one of `not_ready` while that cannot be done yet."""


def _version(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout


class _MySQLFamily(Recipe):
    """MySQL and MariaDB, which differ in how the data folder is made."""

    docker_port = 3306
    user = "root"
    not_ready = (pymysql.err.OperationalError,)

    def prepare(self, program: str, folder: Path, password: str, run: Callable[[list[str]], None]) -> None:
        account = f"'{self.user}'@'{LOOPBACK}'"
        (folder / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS {account};\n"
            f"ALTER USER {account} IDENTIFIED BY '{password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;\n"
        )
        (folder / "init.sql").chmod(0o644)  # the folder itself is closed to others
        run(self.make_data_folder(program, folder / "data"))

    @abstractmethod
    def make_data_folder(self, program: str, data: Path) -> list[str]:
        """Return the command that makes an empty data folder."""

    def command(self, program: str, folder: Path, address: Address) -> list[str]:
        return [
            program,
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--socket={folder / 's'}",
            f"--tmpdir={folder}",  # at its start a server removes what others have in a common one
            f"--pid-file={folder / 'pid'}",
            f"--init-file={folder / 'init.sql'}",
            f"--bind-address={LOOPBACK}",
            f"--port={address.port}",
            "--skip-name-resolve",
            # Nothing here has to outlive a power cut, and a commit need not wait for the disk.
            "--innodb-flush-log-at-trx-commit=2",
            "--skip-log-bin",
            *self.extra_options,
        ]

    extra_options: ClassVar[tuple[str, ...]] = ()

    def docker_options(self, address: Address) -> tuple[list[str], list[str]]:
        # Both images know the variable by this name.
        return ["--env", f"MYSQL_ROOT_PASSWORD={address.password}"], []

    def probe(self, address: Address) -> None:
        with (
            pymysql.connect(
                host=LOOPBACK,
                port=address.port,
                user=address.user,
                password=address.password,
                connect_timeout=5,
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Uptime'")
            ((_, seconds),) = cursor.fetchall()
        if int(seconds) < 1:  # it tells its start to a second: what is of its first may be of an earlier one
            raise pymysql.err.OperationalError("started within this second")


class MySQL(_MySQLFamily):
    """Oracle's server."""

    programs = ("mysqld",)
    docker_image = "mysql:8.4"
    extra_options = ("--mysqlx=OFF",)

    def is_right(self, program: str) -> bool:
        return "MariaDB" not in _version(program)

    def make_data_folder(self, program: str, data: Path) -> list[str]:
        return [program, "--no-defaults", "--initialize-insecure", f"--datadir={data}"]


class MariaDB(_MySQLFamily):
    """The server that Debian also calls mysqld."""

    programs = ("mariadbd", "mysqld")
    # The script that makes the data folder calls a program of the client's package.
    debian_packages = ("mariadb-server-core", "mariadb-client-core")
    docker_image = "mariadb:10.11"

    def is_right(self, program: str) -> bool:
        return "MariaDB" in _version(program) and shutil.which("my_print_defaults") is not None

    def make_data_folder(self, program: str, data: Path) -> list[str]:
        maker = shutil.which("mariadb-install-db") or shutil.which("mysql_install_db") or "mariadb-install-db"
        return [
            maker,
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]


class Redis(Recipe):
    """The broker of the Celery tests; it keeps nothing on disk."""

    programs = ("redis-server",)
    debian_packages = ("redis-server",)
    docker_image = "redis:7"
    docker_port = 6379
    user = ""
    not_ready = (redis.ConnectionError, redis.ResponseError)

    def command(self, program: str, folder: Path, address: Address) -> list[str]:
        return [
            *(program, "--bind", LOOPBACK, "--port", str(address.port), "--dir", str(folder)),
            *("--requirepass", address.password, "--save", "", "--appendonly", "no"),
        ]

    def docker_options(self, address: Address) -> tuple[list[str], list[str]]:
        return [], ["redis-server", "--requirepass", address.password, "--save", ""]

    def probe(self, address: Address) -> None:
        client = redis.Redis(host=LOOPBACK, port=address.port, password=address.password)
        try:
            client.ping()
        finally:
            client.close()


class Prometheus(Recipe):
    """Scrapes what a file of targets names, each second; nothing is kept."""

    programs = ("prometheus",)
    debian_packages = ("prometheus",)
    user = ""
    not_ready = (OSError,)

    def is_right(self, program: str) -> bool:
        return "prometheus, version" in _version(program)

    def prepare(self, program: str, folder: Path, password: str, run: Callable[[list[str]], None]) -> None:
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {
                    "job_name": "tests",
                    "file_sd_configs": [{"files": [str(folder / TARGETS)], "refresh_interval": "1s"}],
                }
            ],
        }
        (folder / "prometheus.yaml").write_text(json.dumps(config))  # YAML has JSON in it
        (folder / TARGETS).write_text("[]")
        for file in folder.iterdir():
            file.chmod(0o644)

    def command(self, program: str, folder: Path, address: Address) -> list[str]:
        return [
            program,
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{address.port}",
            "--log.level=warn",
        ]

    def probe(self, address: Address) -> None:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{address.port}/-/ready", timeout=5):
            return
