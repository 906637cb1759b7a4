"""One pipeline a server, and three pools that compute it; a worker of Celery serves a whole file of tests."""

from __future__ import annotations

import datetime as dt
import importlib
import secrets
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dj_schema.connection import Connection
from dj_schema.settings import Config
from dj_workers.routes import queue_of
from tests.conftest import _VARIABLES_OF_SETTINGS, make_connection
from tests.support.servers import ServerUnderTest
from tests.workers.celery_lab import wait_until_empty
from tests.workers.celery_process import CeleryProcess

SOURCE = Path(__file__).with_name("pipeline.py")
ROOT = Path(__file__).resolve().parents[2]
POOLS = ("inline", "process", "celery")


@dataclass
class Pipeline:
    """The pipeline as this process has it."""

    module: ModuleType
    folder: Path
    connection: Connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def add(self, n: int, **deeds: list[int]) -> None:
        """Insert trials below `n`; those in a list do what the list's name says."""
        by_number = {number: deed for deed, numbers in deeds.items() for number in numbers}
        self.module.Trial.insert([{**key_of(i), "deed": by_number.get(i, "")} for i in range(n)])

    def scores(self) -> dict[int, float]:
        return {row["number"]: row["score"] for row in self.module.Score.to_dicts()}

    def calls(self) -> list[int]:
        """The numbers that `make` was called for, one for each call."""
        path = self.folder / "calls"
        return sorted(map(int, path.read_text().split())) if path.exists() else []


def key_of(number: int) -> dict[str, Any]:
    """A key of all that may be hard to send."""
    return {
        "subject": f"mouse, 'no.' {number % 3}",
        "day": dt.date(2026, 1, 1) + dt.timedelta(number),
        "probe": uuid.UUID(int=number),
        "number": number,
    }


@pytest.fixture(scope="module")
def whole_pipeline(
    server: ServerUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Pipeline]]:
    """Return what gives the pipeline on a server, with a worker of Celery on a broker."""
    folder = tmp_path_factory.mktemp("contracts")
    name = f"pipeline_{secrets.token_hex(4)}"
    shutil.copy(SOURCE, folder / f"{name}.py")
    settings = Config()
    settings["safemode"] = False
    with pytest.MonkeyPatch.context() as patch, make_connection(server, settings) as connection:
        patch.syspath_prepend(str(folder))
        patch.setenv("PIPELINE_FOLDER", str(folder))
        patch.setenv("PYTHONPATH", f"{folder}:{ROOT}")
        for setting, variable in _VARIABLES_OF_SETTINGS.items():
            if value := server.settings[setting]:
                patch.setenv(variable, str(value))
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        module.schema.activate(f"djt_{name}", connection=connection)
        worker = None

        def pipeline(broker_url: str = "") -> Pipeline:
            nonlocal worker
            if broker_url and worker is None:
                settings["celery.broker_url"] = broker_url
                worker = CeleryProcess.start(
                    name, PIPELINE_SCHEMA=f"djt_{name}", DJ_CELERY_BROKER_URL=broker_url
                )
            return Pipeline(module, folder, connection)

        yield pipeline
        if worker is not None:
            worker.end()
        sys.modules.pop(name)
        module.schema.drop(prompt=False)


@dataclass
class Pool:
    """One way to compute, and the pipeline to compute."""

    name: str
    pipeline: Pipeline

    def populate(self, *restrictions: Any, **options: Any) -> dict[str, Any]:
        """Populate with reserved jobs, by two processes where there are several."""
        more = {"processes": 2} if self.name == "process" else {}
        summary: dict[str, Any] = self.pipeline.module.Score.populate(
            *restrictions, reserve_jobs=True, dispatch=self.name, **more, **options
        )
        return summary


@pytest.fixture(params=POOLS)
def pool(request: pytest.FixtureRequest, whole_pipeline: Callable[[str], Pipeline]) -> Iterator[Pool]:
    """Return each pool in turn, with a pipeline that has no rows."""
    broker_url = request.getfixturevalue("redis_url") if request.param == "celery" else ""
    pipeline = whole_pipeline(broker_url)
    pipeline.module.Trial.delete()
    pipeline.module.Score.jobs.delete()
    for file in [pipeline.folder / "calls", *pipeline.folder.glob("tried-*")]:
        file.unlink(missing_ok=True)
    yield Pool(request.param, pipeline)
    if broker_url:  # messages that are left would compute for the next test
        settings = pipeline.connection.config
        wait_until_empty(settings, [queue_of(pipeline.module.Score, settings)])
