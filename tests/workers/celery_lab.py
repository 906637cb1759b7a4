"""The pipeline of these tests on a broker: workers, a populate in the background, what the queue holds."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import redis

from dj_schema.settings import Config
from dj_workers.pools.celery.broker import Broker
from dj_workers.routes import queue_of
from tests.support.patience import PATIENCE_S
from tests.workers.celery_process import CeleryProcess
from tests.workers.conftest import Lab


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for what nobody tells; look often, and fail where it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)


def address_of(process: CeleryProcess) -> str:
    """Wait until a process says where its metrics are."""
    process.wait_for("metrics are at")
    found = re.search(r"metrics are at (\S+)/metrics", process.log)
    assert found is not None
    return found[1]


def wait_until_empty(config: Config, queues: list[str]) -> None:
    """Wait until the broker holds no message of these queues, taken or not."""
    client = redis.Redis.from_url(config["celery.broker_url"])

    def is_empty() -> bool:
        taken: dict[bytes, bytes] = client.hgetall("unacked")  # type: ignore[assignment]
        is_taken = any(queue.encode() in message for message in taken.values() for queue in queues)
        return not is_taken and not any(map(broker.n_waiting, queues))

    with Broker(config) as broker:
        until(is_empty, "empty queue")
    client.close()


class Populating:
    """``Square.populate(dispatch="celery")`` in a thread."""

    def __init__(self, table: Any, **options: Any) -> None:
        self._result: dict[str, Any] = {}
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(table, options), daemon=True)
        self._thread.start()

    def _run(self, table: Any, options: dict[str, Any]) -> None:
        try:
            self._result = table.populate(reserve_jobs=True, dispatch="celery", **options)
        except Exception as e:  # noqa: BLE001 - raised again by whoever waits
            self._error = e

    def summary(self) -> dict[str, Any]:
        """Wait for its end."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "populate does not end"
        if self._error is not None:
            raise self._error
        return self._result


class CeleryLab:
    """A pipeline, the broker of its workers, and the workers that a test has started."""

    def __init__(self, lab: Lab, broker_url: str) -> None:
        self.lab = lab
        self.broker_url = broker_url
        self.config = lab.schema.connection.config
        self.config["celery.broker_url"] = broker_url
        self.config["celery.queue_prefix"] = f"{lab.schema.database}."
        self.started: list[CeleryProcess] = []

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "DJ_CELERY_BROKER_URL": self.broker_url,
            "DJ_CELERY_QUEUE_PREFIX": self.config.celery.queue_prefix,
            **more,
        }

    def start_worker(
        self,
        *options: str,
        module: str = "",
        processes: int = 1,
        tables: str = "Square,Next",
        **environment: str,
    ) -> CeleryProcess:
        """Start a worker for the tables that have a make."""
        worker = CeleryProcess.start(
            module or self.lab.name,
            *options,
            processes=processes,
            tables=tables,
            **self.environment(**environment),
        )
        self.started.append(worker)
        return worker

    def start(self, *arguments: str, **environment: str) -> CeleryProcess:
        """Start another command of dj-worker."""
        process = CeleryProcess(list(arguments), self.environment(**environment))
        self.started.append(process)
        return process

    def populate(self, **options: Any) -> Populating:
        return Populating(self.lab.module.Square, **options)

    def queue(self, table: str = "Square") -> str:
        return queue_of(getattr(self.lab.module, table), self.config)

    def n_waiting(self, table: str = "Square") -> int:
        with Broker(self.config) as broker:
            return broker.n_waiting(self.queue(table))

    def wait_until_empty(self) -> None:
        wait_until_empty(self.config, [self.queue("Square"), self.queue("Next")])

    def close(self) -> None:
        for process in self.started:
            process.kill()
