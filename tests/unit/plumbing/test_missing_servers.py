"""A run names what it could not test, and fails where that was required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import settings_of_url

ROOT = Path(__file__).parents[3]


def _run_redis_test_without_redis(require: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DJ_", "PYTEST"))
    }
    environment |= {"PATH": "/nonexistent", "DJ_TEST_REQUIRE": require}
    tests = ["tests/conformance/test_servers_answer.py", "-k", "redis"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *tests],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_missing_server_is_named_in_the_last_lines(options: tuple[str, ...]) -> None:
    done = _run_redis_test_without_redis("", *options)
    assert done.returncode == 0
    assert any(line.startswith("redis: DJ_TEST_REDIS is not set") for line in done.stdout.splitlines()[-3:])


@pytest.mark.parametrize("require", ["all", "mysql,redis"])
def test_missing_server_that_is_required_fails_the_run(require: str) -> None:
    done = _run_redis_test_without_redis(require)
    assert done.returncode == 1
    assert "the run fails without redis" in done.stdout


def test_missing_server_that_is_not_required_passes() -> None:
    assert _run_redis_test_without_redis("mysql").returncode == 0


def test_url_of_a_server_becomes_settings() -> None:
    assert settings_of_url("postgresql", "postgresql://a%40b:p%3Aw@db.example:6000/lab") == {
        "backend": "postgresql",
        "host": "db.example",
        "port": 6000,
        "user": "a@b",
        "password": "p:w",
        "database_name": "lab",
    }


def test_url_without_port_gets_that_of_its_server() -> None:
    assert settings_of_url("mariadb", "mysql://root:x@localhost")["port"] == 3306


def test_url_without_a_user_is_refused_by_the_name_of_its_variable() -> None:
    with pytest.raises(ValueError, match="DJ_TEST_MYSQL"):
        settings_of_url("mysql", "mysql://localhost")
