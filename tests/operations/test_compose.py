"""docker-compose.yaml and the Dockerfile: valid, and every command of ours in them does its work."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dj_schema.connection import Connection
from dj_workers.cli.exit_codes import ExitCode
from tests.conftest import make_connection
from tests.support import compose
from tests.support.compose import ROOT, Service
from tests.support.launch import free_port
from tests.support.patience import PATIENCE_S
from tests.support.scrape import Scrape
from tests.support.servers import ServerUnderTest

SCHEMA = "demo_blobs"
N_IMAGES = 12  # photographs, with the broken one


def test_the_file_is_valid_by_the_schema_of_compose() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*check, str(ROOT / "docker-compose.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", [".env", "deploy/compose-mysql.env"])
def test_each_profile_names_one_database_and_all_that_is_mounted_is_there(file: str) -> None:
    lines = (ROOT / file).read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    document = compose.read(variables)
    services = document["services"]
    chosen = {n for n, s in services.items() if variables["COMPOSE_PROFILES"] in s.get("profiles", [])}
    [database] = chosen
    assert services["worker"]["environment"]["DJ_HOST"] == database
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).is_file() if source.startswith(".") else source in document["volumes"]
    own = {n for n, s in services.items() if "build" in s}
    assert own == {"fill", "worker", "dispatcher", "celery-worker", "exporter"}
    assert services["celery-worker"]["deploy"]["replicas"] == 2
    for name in own:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]


def test_the_image_has_what_its_lines_name() -> None:
    text = (ROOT / "Dockerfile").read_text()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M) for word in line.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
    packages = re.search(r"packages = \[(.*)\]", (ROOT / "pyproject.toml").read_text())
    assert packages is not None
    assert set(json.loads(f"[{packages[1]}]")) <= set(copied)
    users = re.findall(r"^USER (\d+):(\d+)$", text, re.M)
    assert users
    assert all(int(uid) > 1000 for uid, _ in users)
    assert compose.dockerfile_word("ENTRYPOINT")[0] == "tini"
    probed = compose.dockerfile_word("HEALTHCHECK")[-1]
    assert re.findall(r"DJ_WORKER_METRICS_PORT=(\d+)", text) == [probed]  # a plain `run` is healthy


# -- the commands, outside of containers -----------------------------------------------------------


def variables_of(server: ServerUnderTest) -> dict[str, str]:
    settings = server.settings
    return {
        "DJ_BACKEND": settings["backend"],
        "DJ_HOST": settings["host"],
        "DJ_PORT": str(settings["port"]),
        "DJ_USER": settings["user"],
        "DJ_PASS": settings["password"] or "none",
        "DJ_DATABASE_NAME": settings["database_name"] or "unused",
        "WORKER_METRICS_PORT": str(free_port()),
        "CELERY_METRICS_PORT": str(free_port()),
        "DISPATCHER_METRICS_PORT": str(free_port()),
        "EXPORTER_METRICS_PORT": str(free_port()),
    }


class Running:
    """The services as processes, each with the environment of its container and nothing else of ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[tuple[Service, subprocess.Popen[bytes]]] = []

    def _environment(self, service: Service) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {
            **{"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(self._folder), "C_FORCE_ROOT": "1"},
            **{"HOSTNAME": socket.gethostname()},
            **service.environment,
        }

    def _log(self, service: Service) -> Path:
        return self._folder / f"{service.name}.log"

    def start(self, service: Service) -> subprocess.Popen[bytes]:
        with open(self._log(service), "ab") as log:
            process = subprocess.Popen(
                service.command,
                cwd=self._folder,
                env=self._environment(service),
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self._processes.append((service, process))
        return process

    def is_healthy(self, service: Service) -> bool:
        done = subprocess.run(
            service.health, env=self._environment(service), cwd=self._folder, capture_output=True, check=False
        )
        return done.returncode == 0

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 240
        while not condition():
            for service, process in self._processes:
                ended = process.poll()
                assert ended in (None, 0), f"{service.name} ended with {ended}: {self.log_of(service)}"
            assert time.monotonic() < deadline, f"{what} did not come true: {self.logs()}"
            time.sleep(0.2)

    def log_of(self, service: Service) -> str:
        return self._log(service).read_text()[-2000:]

    def logs(self) -> str:
        return "\n".join(f"== {s.name}\n{self.log_of(s)}" for s, _ in self._processes)

    def stop(self) -> dict[str, int]:
        """End all as Docker does; return their exit codes."""
        for _, process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        return {service.name: process.wait(PATIENCE_S) for service, process in self._processes}

    def kill(self) -> None:
        for _, process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    all_of_them = Running(tmp_path)
    yield all_of_them
    all_of_them.kill()


@pytest.fixture
def database(server: ServerUnderTest, config: Any) -> Iterator[Connection]:
    with make_connection(server, config) as connection:
        yield connection
        connection.script(connection.dialect.ddl.drop_schema(SCHEMA))


def n_rows(connection: Connection, table: str, where: str = "") -> int:
    from dj_query.table import FreeTable

    table_of = FreeTable(connection, f"{SCHEMA}.{table}")
    return len(table_of & where) if where else len(table_of)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_the_services_compute_the_demonstration(
    server: ServerUnderTest, database: Connection, redis_url: str, running: Running
) -> None:
    redis = urlsplit(redis_url)
    broker = {"REDIS_HOST": redis.hostname, "REDIS_PORT": str(redis.port), "REDIS_PASSWORD": redis.password}
    variables = {**variables_of(server), **{k: v for k, v in broker.items() if v}}
    services = compose.ours(variables)
    fill = services.pop("fill")
    assert running.start(fill).wait(120) == 0, running.log_of(fill)
    assert n_rows(database, "image") == N_IMAGES
    for name in ("dispatcher", "celery-worker"):
        running.start(services[name])
    running.until(lambda: n_rows(database, "__detection") > 0, "a detection by Celery")
    for name in ("worker", "exporter"):
        running.start(services[name])
    running.until(lambda: n_rows(database, "__best_detection") == N_IMAGES - 1, "the last table")
    for service in services.values():
        if service.health:
            running.until(lambda service=service: running.is_healthy(service), f"health of {service.name}")  # type: ignore[misc]
    assert n_rows(database, "__detection") == 3 * (N_IMAGES - 1)
    url = f"http://127.0.0.1:{variables['EXPORTER_METRICS_PORT']}"
    running.until(
        lambda: Scrape.of(url).value("datajoint_job_errors", exception="ValueError") == 3, "the failed jobs"
    )
    codes = running.stop()
    assert codes.pop("worker") in (ExitCode.DONE, ExitCode.FAILED_JOBS)  # by whom the broken image was met
    assert set(codes.values()) == {ExitCode.DONE}, running.logs()


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_the_demonstration_fills_the_other_kind_of_server(
    server: ServerUnderTest, database: Connection, running: Running
) -> None:
    fill = compose.ours(variables_of(server))["fill"]
    assert running.start(fill).wait(120) == 0, running.log_of(fill)
    assert n_rows(database, "image") == N_IMAGES
