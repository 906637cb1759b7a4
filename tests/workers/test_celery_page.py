"""The commands of docs/celery.md, as they stand there, on the pipeline of the README."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dj_schema.connection import Connection
from tests.support.launch import free_port
from tests.workers.celery_lab import until
from tests.workers.celery_process import CeleryProcess
from tests.workers.conftest import ROOT, dj_worker

PAGE = (ROOT / "docs" / "celery.md").read_text()
READY = {"worker": "ready.", "dispatch": "queues filled", "beat": "beat: Starting", "flower": "Visit me"}


def _commands() -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("dj-worker ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


@pytest.fixture
def pipeline(
    new_schema_name: Callable[[], str], tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Put the README's pipeline where commands find it, and return the name of its schema."""
    name = new_schema_name()
    [source] = re.findall(
        r"<!-- example: weather.py -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    (tmp_path / "weather.py").write_text(source.replace('dj.Schema("weather")', f'dj.Schema("{name}")'))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("DJ_CELERY_BROKER_URL", redis_url)
    monkeypatch.setenv("DJ_CELERY_MODULES", "weather")
    return name


@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_the_commands_of_the_page_do_what_it_says(pipeline: str, connection: Connection, dj: object) -> None:
    commands = _commands()
    assert len(commands) == 9
    running: list[CeleryProcess] = []
    try:
        for command in commands:
            word = next((w for w in command if w in READY), None)
            command = [w.replace("5555", str(free_port())) for w in command]
            if word is None:
                until(partial(_is_answered, command), f"answer to {command}")
                continue
            more = ["--loglevel", "INFO"] if word in ("worker", "beat") else []
            if word == "worker":
                more += ["--hostname", f"w{len(running)}@%h"]
            process = CeleryProcess([*command, *more], {"DJ_CELERY_QUEUE_PREFIX": f"{pipeline}."})
            process.wait_for(READY[word])
            running.append(process)
        _insert(connection, pipeline)
        until(lambda: _count(connection, pipeline) == 3, "rows")
    finally:
        for process in running:
            process.kill()


def _is_answered(command: list[str]) -> bool:
    """Celery waits for an answer for a second; a worker that is busy just now is asked again."""
    ended = dj_worker(*command)
    assert ended.code == 0 or "No nodes replied" in ended.err, ended.err
    return "w0@" in ended.out


def _insert(connection: Connection, schema: str) -> None:
    from dj_query.virtual import VirtualModule

    module = VirtualModule("weather", schema, connection=connection)
    module.Station.insert([("Hamburg", 6)])
    module.Day.insert([("Hamburg", f"2026-01-0{day}", [1.0, 2.0]) for day in (1, 2, 3)])


def _count(connection: Connection, schema: str) -> int:
    from dj_query.table import FreeTable

    return len(FreeTable(connection, f"{schema}.__extremes"))
