"""The other implementation, in an environment of its own, and both as programs on one server."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
INSTALLED = ".bench/peer/.installed"
PROGRAM = Path(__file__).parent / "shared_tables.py"
Run = Callable[..., Any]


@pytest.fixture(scope="session")
def peer_python(tmp_path_factory: pytest.TempPathFactory, skip_without: Callable[..., None]) -> Path:
    """Return the interpreter of the peer's environment, which is made where it is not there."""
    with open(tmp_path_factory.getbasetemp().parent / "peer.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(
            ["make", "-s", INSTALLED], cwd=ROOT, capture_output=True, text=True, timeout=600
        )
    reason = (made.stderr.strip().splitlines() or ["it cannot be installed"])[-1]
    skip_without("sharing with datajoint 2.3.5", made.returncode == 0, reason)
    return (ROOT / INSTALLED).parent / "bin" / "python"


@pytest.fixture
def start(peer_python: Path, server: Any, config: Any, tmp_path: Path) -> Iterator[Run]:
    """Return ``start(who, program, *arguments)``: a running program of ours or of the peer, with pipes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJ_", "PYTHON"))}
    settings = server.settings
    environment = {
        **kept,
        "DJ_BACKEND": settings["backend"],
        "DJ_HOST": settings["host"],
        "DJ_PORT": str(settings["port"]),
        "DJ_USER": settings["user"],
        "DJ_PASS": settings["password"] or "none",  # without one the peer would ask us
        "DJ_USE_TLS": "false",
        "SHARED_DATABASE": settings["database_name"],
        "SHARED_BY": "",
    }
    started: list[subprocess.Popen[str]] = []

    def program(who: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
        is_ours = who == "ours"
        own = {"SHARED_BY": who} | ({"PYTHONPATH": str(ROOT)} if is_ours else {})
        process = subprocess.Popen(
            [sys.executable if is_ours else peer_python, "-W", "ignore", path, *arguments],
            cwd=tmp_path,
            env={**environment, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield program
    for process in started:
        process.kill()
        process.communicate()


def seen(process: subprocess.Popen[str]) -> Any:
    """Wait for the end of a program, and return what it has seen."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err[-3000:]
    (line,) = [line for line in out.splitlines() if line.startswith("SEEN ")]
    return json.loads(line.removeprefix("SEEN "))


@pytest.fixture
def run(start: Run) -> Run:
    """Return ``run(who, action, schema)``: what `shared_tables` sees, run by us or by the peer."""
    return lambda who, action, schema: seen(start(who, PROGRAM, action, schema))
