"""How many sessions a worker holds on its server, by what it does: ``python -m benchmarks.connections``.

Workers are started on a server of the tests' own, and the sessions that are not ours are counted once their
number has settled.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dj_schema.connection import Connection
from dj_schema.server_address import connection_settings
from dj_schema.settings import Config
from tests.support.servers import RunFolder, Servers
from tests.support.sessions import PROCESSES

_SETTLED_S = 4.0  # longer than until the first renewal of a lease
_PORT = 19417
_PIPELINE = """
import ctypes
import os
import time

import datajoint as dj

schema = dj.Schema(os.environ["BENCH_SCHEMA"])


def began(key):
    open(f"{schema.database}-began-{key['number']}", "w").close()


@schema
class Number(dj.Manual):
    definition = "number : int32"


@schema
class Plain(dj.Computed):
    definition = "-> Number"

    def make(self, key):
        began(key)
        time.sleep(60)
        self.insert1(key)


@schema
class Limited(Plain):
    limits = dj.Limits(resources={"gpu": 1})


@schema
class Parts(dj.Computed):
    definition = "-> Number"

    def make_fetch(self, key):
        return (Number & key).to_dicts(),

    def make_compute(self, key, rows):
        began(key)
        time.sleep(60)
        return ()

    def make_insert(self, key):
        self.insert1(key)


@schema
class Native(Plain):
    def make(self, key):
        began(key)
        ctypes.PyDLL(None).sleep(60)  # and keeps the lock of the interpreter
"""


@dataclass(frozen=True)
class Case:
    """A worker to look at."""

    name: str
    options: list[str]
    n_jobs: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    settled_s: float = _SETTLED_S
    asks: bool = False


_FILL = "import sys, numbers_of_bench as p; p.Number.insert([(n,) for n in range(int(sys.argv[1]))])"
CASES = [
    Case("one process that waits", ["--tables", "Plain"], settled_s=15.0),
    Case("and its job", ["--tables", "Plain"], 1),
    Case("and /readyz", ["--tables", "Plain", "--metrics-port", str(_PORT)], 1, asks=True),
    Case("and notifications", ["--tables", "Plain"], 1, {"DJ_NOTIFY_SLACK_WEBHOOK": "http://127.0.0.1:9/"}),
    Case(
        "a job with a resource of its host", ["--tables", "Limited"], 1, {"DJ_JOBS_RESOURCES": '{"gpu": 1}'}
    ),
    Case("a job in three parts that locks its inputs", ["--tables", "Parts"], 1, {"DJ_JOBS_VERIFY": "lock"}),
    Case("a job in native code", ["--tables", "Native"], 1, {"DJ_JOBS_LEASE_TIMEOUT": "6"}, 15.0),
    Case("3 processes that wait", ["--tables", "Plain", "--processes", "3"], settled_s=15.0),
    Case("3 processes with jobs", ["--tables", "Plain", "--processes", "3"], 3),
]


@contextmanager
def _worker(folder: Path, environment: dict[str, str], options: list[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "dj_workers.cli.main", "--log-level", "error", "run", "numbers_of_bench"]
    command += ["--poll-interval", "1", "--shutdown-timeout", "0.1", *options]
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _n_sessions(connection: Connection) -> int:
    """Return how many sessions of clients there are, also of this one."""
    name = connection.dialect.name
    of_clients = "backend_type = 'client backend'" if name == "postgresql" else "command <> 'Daemon'"
    return int(connection.query(f"SELECT count(*) FROM {PROCESSES[name]} WHERE {of_clients}")[0][0])


def _count(case: Case, number: int, connection: Connection, folder: Path, environment: dict[str, str]) -> int:
    schema = f"bench_connections_{number}"
    environment = {**environment, **case.environment, "BENCH_SCHEMA": schema}
    n_before = _n_sessions(connection)
    fill = [sys.executable, "-c", _FILL, str(case.n_jobs)]
    subprocess.run(fill, cwd=folder, env=environment, check=True, stderr=subprocess.DEVNULL)
    with _worker(folder, environment, case.options):
        deadline = time.monotonic() + 60
        while len(list(folder.glob(f"{schema}-began-*"))) < case.n_jobs:
            assert time.monotonic() < deadline, f"the jobs do not begin of {case}"
            time.sleep(0.1)
        time.sleep(case.settled_s)
        if case.asks:
            urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/readyz", timeout=10).read()
        n = _n_sessions(connection) - n_before
    while _n_sessions(connection) > n_before:
        time.sleep(0.1)  # until the server has seen that they are gone
    return n


def measure(settings: Mapping[str, Any]) -> None:
    """Print a table of what workers hold."""
    config = Config()
    with tempfile.TemporaryDirectory(prefix="dj-bench-") as name, tempfile.TemporaryDirectory() as other:
        folder = Path(name)
        (folder / "numbers_of_bench.py").write_text(_PIPELINE)
        named = {f"DJ_{k.upper()}": str(v) for k, v in settings.items() if v is not None and k != "password"}
        environment = {
            **os.environ,
            **{key.replace("DJ_PASSWORD", "DJ_PASS"): value for key, value in named.items()},
            "DJ_PASS": settings["password"] or "",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), name]),
            "HOME": other,
        }
        with Connection(connection_settings(config, **settings), config) as connection:
            connection.connect()
            print("| worker | sessions |\n|---|---:|")
            for number, case in enumerate(CASES):
                n = _count(case, number, connection, folder, environment)
                print(f"| {case.name} | {n} |", flush=True)
                connection.script(connection.dialect.ddl.drop_schema(f"bench_connections_{number}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="postgresql", choices=["postgresql", "mysql", "mariadb"])
    arguments = parser.parse_args()
    run = RunFolder.make(on_disk=True)
    servers = Servers(run)
    try:
        measure(servers.get(arguments.server).settings)
    finally:
        servers.close()
        run.close()


if __name__ == "__main__":
    main()
