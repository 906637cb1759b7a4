"""What a worker of Celery serves: figures of all processes of its pool, also of one that was killed."""

from __future__ import annotations

import pytest

from tests.support.scrape import Scrape, probe
from tests.workers.celery_lab import CeleryLab, address_of, until
from tests.workers.conftest import Lab, expected
from tests.workers.own_redis import OwnRedis

pytestmark = pytest.mark.parametrize("server", ["postgresql"], indirect=True)


@pytest.mark.kill
def test_metrics_are_those_of_the_whole_pool(celery: CeleryLab) -> None:
    lab = celery.lab
    lab.add(8, fail=[1], fail_oddly=[2], die_once=[5])
    process = celery.start(
        *("celery", "--module", lab.name, "--tables", "Square,Next"),
        *("--metrics-port", "0", "--metrics-host", "127.0.0.1"),
        *("worker", "--loglevel", "INFO", "--concurrency", "2", "--without-mingle", "--without-gossip"),
        DJ_CELERY_VISIBILITY_TIMEOUT_S="1",
    )
    url = address_of(process)
    process.wait_for("ready.")
    celery.populate(suppress_errors=True).summary()
    assert lab.squares() == expected(8, without={1, 2})
    labels = {"schema": str(lab.schema.database), "table": "__square"}
    # what a process tells of a job comes after the end of the job, and its duration is counted last
    until(
        lambda: Scrape.of(url).value("datajoint_job_duration_seconds_count", **labels) >= 8, "count of eight"
    )
    scrape = Scrape.of(url)
    results = "datajoint_job_results_total"
    assert scrape.value(results, **labels, result="succeeded") == 6
    assert scrape.value(results, **labels, result="failed") == 2
    assert scrape.value("datajoint_job_failures_total", **labels, exception="ValueError") == 1
    assert scrape.value("datajoint_job_failures_total", **labels, exception="OddError") == 1
    assert scrape.value("datajoint_job_claims_total", **labels) >= 9  # also what the killed process had
    assert scrape.value("datajoint_job_duration_seconds_count", **labels) == 8
    until(lambda: Scrape.of(url).value("datajoint_worker_processes", state="idle") == 2, "two idle processes")
    assert Scrape.of(url).value("datajoint_worker_process_deaths_total") == 1
    assert probe(url, "/healthz")[0] == probe(url, "/readyz")[0] == 200
    assert process.end() == 0


@pytest.mark.kill
def test_a_worker_is_ready_while_its_broker_answers(lab: Lab, own_redis: OwnRedis) -> None:
    celery = CeleryLab(lab, own_redis.url)
    try:
        worker = celery.start(
            *("celery", "--module", lab.name, "--tables", "Square"),
            *("--metrics-port", "0", "--metrics-host", "127.0.0.1"),
            *("worker", "--loglevel", "INFO", "--concurrency", "1", "--without-mingle", "--without-gossip"),
        )
        url = address_of(worker)
        worker.wait_for("ready.")
        assert probe(url, "/readyz")[0] == 200
        own_redis.kill()
        status, body = probe(url, "/readyz")
        assert (status, "no messages come: BrokerError: the broker redis://" in body["reason"]) == (503, True)
        assert own_redis.password not in body["reason"]
        assert probe(url, "/healthz")[0] == 200
        own_redis.start()
        assert probe(url, "/readyz")[0] == 200
    finally:
        celery.close()


@pytest.mark.kill
def test_a_dispatcher_tells_what_waits_what_it_sent_and_what_failed(lab: Lab, own_redis: OwnRedis) -> None:
    celery = CeleryLab(lab, own_redis.url)
    lab.add(3)
    try:
        dispatcher = celery.start(
            *("dispatch", lab.name, "--tables", "Square,Next", "--interval", "0.2"),
            *("--metrics-port", "0", "--metrics-host", "127.0.0.1"),
        )
        url = address_of(dispatcher)
        square = {"schema": str(lab.schema.database), "table": "__square"}
        until(
            lambda: Scrape.of(url).value("datajoint_dispatcher_messages_total", **square) >= 3,
            "messages sent",
        )
        # one that waits for nobody is sent for again at each look, until the queue is full
        until(
            lambda: (
                Scrape.of(url).value("datajoint_dispatcher_queue_messages", queue=celery.queue())
                == celery.config.celery.queue_length
                == celery.n_waiting()
                == Scrape.of(url).value("datajoint_dispatcher_messages_total", **square)
            ),
            "full queue",
        )
        seen = Scrape.of(url)
        assert seen.value("datajoint_dispatcher_messages_total", table="__next") == 0
        assert seen.value("datajoint_dispatcher_queue_messages", queue=celery.queue("Next")) == 0
        assert seen.value("datajoint_dispatcher_last_look_timestamp_seconds") > 0
        assert seen.value("datajoint_dispatcher_failures_total") == 0
        assert probe(url, "/healthz")[0] == probe(url, "/readyz")[0] == 200
        own_redis.kill()
        until(
            lambda: Scrape.of(url).value("datajoint_dispatcher_failures_total", part="broker") > 0, "failure"
        )
        status, body = probe(url, "/readyz")
        assert (status, "nothing is dispatched: BrokerError" in body["reason"]) == (503, True)
        assert probe(url, "/healthz")[0] == 200
        own_redis.start()
        until(lambda: probe(url, "/readyz")[0] == 200, "broker again")
        assert dispatcher.end() == 0
    finally:
        celery.close()
