"""A pipeline for each test, in a module that worker processes can import, on the server under test."""

from __future__ import annotations

import importlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

import pytest

from tests.support.patience import PATIENCE_S

if TYPE_CHECKING:
    from tests.workers.celery_lab import CeleryLab
    from tests.workers.own_redis import OwnRedis

SOURCE = Path(__file__).with_name("squares.py")
ROOT = Path(__file__).resolve().parents[2]
STARTED = b"now"


@dataclass
class Lab:
    """The pipeline as this process has it, and the folder in which others find it."""

    module: ModuleType
    folder: Path
    _started_fd: int = -1

    @property
    def name(self) -> str:
        return self.module.__name__

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def add(self, n: int, **what: list[int]) -> None:
        """Insert the numbers below `n`; those in a list do what the list's name says."""
        deeds = {number: deed for deed, numbers in what.items() for number in numbers}
        self.module.Number.insert(
            [{"number": number, "what": deeds.get(number, "square")} for number in range(n)]
        )

    def calls(self) -> list[int]:
        """The numbers that `make` was called for, one for each call."""
        path = self.folder / "calls"
        return sorted(map(int, path.read_text().split())) if path.exists() else []

    def squares(self) -> dict[int, int]:
        return {row["number"]: row["square"] for row in self.module.Square.to_dicts()}

    def make_pipes(self) -> None:
        """Make the pipes that the deed `wait` goes by."""
        os.mkfifo(self.folder / "started")
        os.mkfifo(self.folder / "go")
        # open at both ends for as long as the test: of two jobs that begin at once each is heard
        self._started_fd = os.open(self.folder / "started", os.O_RDWR)

    def wait_until_started(self) -> None:
        """Wait until a job has begun, or, when this was called before, one more."""
        assert os.read(self._started_fd, len(STARTED)) == STARTED

    def close(self) -> None:
        if self._started_fd >= 0:
            os.close(self._started_fd)

    def let_go(self) -> None:
        (self.folder / "go").write_text("")


def expected(n: int, without: Collection[int] = ()) -> dict[int, int]:
    return {number: number**2 for number in range(n) if number not in without}


@pytest.fixture
def new_module(
    tmp_path: Path, dj: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Lab]]:
    """Return what imports another copy of the pipeline."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SQUARES_FOLDER", str(tmp_path))
    paths = [str(tmp_path), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    names: list[str] = []

    def new() -> Lab:
        names.append(f"squares_{secrets.token_hex(4)}")
        shutil.copy(SOURCE, tmp_path / f"{names[-1]}.py")
        importlib.invalidate_caches()
        return Lab(importlib.import_module(names[-1]), tmp_path)

    yield new
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def lab(
    new_module: Callable[[], Lab], new_schema_name: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lab]:
    """Return a pipeline without rows."""
    monkeypatch.setenv("SQUARES_SCHEMA", new_schema_name())
    lab = new_module()
    yield lab
    lab.close()


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def start_python(
    *arguments: str, stdin: IO[str] | None = None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start Python with the environment of the test, and with what ``env`` has beyond it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=stdin,
        stdout=pipe,
        stderr=pipe,
        text=True,
        process_group=0,
        env={**os.environ, **(env or {})},
    )


def start_dj_worker(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return start_python("-m", "dj_workers.cli.main", *arguments, env=env)


def wait_for_line(process: subprocess.Popen[str], text: str) -> str:
    """Wait until a process says something on stderr, and return the line; what `end_of` returns lacks it."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        if text in line:
            return line
        lines.append(line)
    pytest.fail(f"the process ended without {text!r}:\n{''.join(lines)}")


def wait_for_notice(process: subprocess.Popen[str]) -> None:
    """Wait until a process says that it has taken note of a signal."""
    wait_for_line(process, "stopping after the running jobs")


def end_of(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a process; one that does not end is killed, and fails the test."""
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"the process did not end:\n{out}\n{err}")
    return Ended(process.returncode, out, err)


def dj_worker(*arguments: str) -> Ended:
    return end_of(start_dj_worker(*arguments))


@pytest.fixture
def celery(lab: Lab, redis_url: str) -> Iterator[CeleryLab]:
    """Return the pipeline with a broker that other tests use too."""
    from tests.workers.celery_lab import CeleryLab

    celery = CeleryLab(lab, redis_url)
    yield celery
    celery.close()


@pytest.fixture
def own_redis(
    redis_url: str, tmp_path: Path, skip_without: Callable[[str, bool], None]
) -> Iterator[OwnRedis]:
    """Return a Redis, running, that a test may kill."""
    from tests.support.recipes import Redis
    from tests.workers.own_redis import OwnRedis

    program = Redis().find()
    skip_without("redis-server", program is not None)
    assert program is not None
    own = OwnRedis(program, tmp_path)
    own.start()
    yield own
    own.kill()
