"""`dj-worker dispatch` on each server."""

from __future__ import annotations

import signal
from itertools import pairwise

import pytest
import redis

from dj_workers.cli.exit_codes import ExitCode
from dj_workers.plan import name_of
from dj_workers.pools.celery.broker import Broker
from dj_workers.pools.celery.dispatch import Dispatcher
from dj_workers.pools.celery.message import WakeUp
from tests.support.patience import PATIENCE_S
from tests.support.sessions import PROCESSES
from tests.workers.celery_lab import CeleryLab, until

BLOCKS = {
    "postgresql": ["BEGIN", "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE"],
    "mysql": ["LOCK TABLES {} WRITE"],
}
BLOCKED = {
    "postgresql": "wait_event_type = 'Lock' AND strpos(query, %s) > 0",
    "mysql": "state LIKE 'Waiting for table%%' AND locate(%s, info) > 0",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_in_the_middle_of_a_refresh(
    celery: CeleryLab, number: signal.Signals
) -> None:
    lab = celery.lab
    lab.Square.jobs.refresh()
    dispatcher = celery.start("dispatch", lab.name, "--tables", "Square", "--interval", "0.1")
    dispatcher.wait_for("keeping 1 queues filled")
    here = lab.schema.connection
    backend = here.settings.backend
    with here.clone() as other:
        for statement in BLOCKS[backend]:
            other.query(statement.format(lab.Number.full_table_name))
        waiting = f"SELECT 1 FROM {PROCESSES[here.dialect.name]} WHERE {BLOCKED[backend]}"
        schema = (str(lab.schema.database),)
        until(lambda: here.query(waiting, schema).fetchall() != [], "refresh that waits")
        dispatcher.popen.send_signal(signal.SIGTERM)
        dispatcher.wait_for("stopping")
        dispatcher.popen.send_signal(number)
        assert dispatcher.popen.wait(PATIENCE_S) == ExitCode.AT_ONCE
    assert "Traceback" not in dispatcher.log


def test_a_table_that_workers_may_not_touch_is_sent_for_less_and_less_often(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(3)
    lab.Square.jobs.refresh()
    jobs = lab.Square.jobs
    now = 0.0
    sent = redis.Redis.from_url(celery.broker_url)
    with Broker(celery.config) as broker:
        dispatcher = Dispatcher([lab.Square], broker, celery.config, clock=lambda: now)

        def n_sent() -> int:
            """Look, and throw away the messages, as workers do that find nothing to claim."""
            n = dispatcher.fill().n_sent
            for name in sent.scan_iter(f"{celery.queue()}*"):
                sent.delete(name)
            return n

        jobs.pause()
        assert n_sent() == 0
        jobs.resume()
        tries = []
        for _ in range(160):
            tries += [now] * bool(n_sent())
            now += 0.25
        pauses = [later - earlier for earlier, later in pairwise(tries)]
        assert (pauses[:5], set(pauses[5:])) == ([0.25, 0.5, 1.0, 2.0, 4.0], {5.0})
        lab.Square.populate(reserve_jobs=True)
        lab.Number.insert1({"number": 3})
        now += 3600
        assert n_sent() == 1
    sent.close()


def test_a_worker_says_once_why_it_leaves_jobs_alone(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(1)
    lab.Square.jobs.refresh()
    lab.Square.jobs.pause()
    worker = celery.start_worker()
    with Broker(celery.config) as broker:
        for n in range(3):
            broker.send(WakeUp(table=name_of(lab.Square), n_jobs=1), celery.queue(), 0, f"message-{n}")
    worker.wait_for("nothing is due", 3)
    assert worker.log.count("is paused") == 1
    lab.Square.jobs.resume()
    lab.Square.populate(reserve_jobs=True, dispatch="celery")
    assert lab.squares() == {0: 0}
