"""What a worker of Celery serves: figures of all processes of its pool, also of one that was killed."""

from __future__ import annotations

import re

import pytest

from tests.support.scrape import Scrape, probe
from tests.workers.celery_lab import CeleryLab, until
from tests.workers.conftest import expected

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
    process.wait_for("metrics are at")
    process.wait_for("ready.")
    found = re.search(r"metrics are at (\S+)/metrics", process.log)
    assert found is not None
    url = found[1]
    celery.populate(suppress_errors=True).summary()
    assert lab.squares() == expected(8, without={1, 2})
    labels = {"schema": str(lab.schema.database), "table": "__square"}
    name = "datajoint_job_results_total"
    until(lambda: Scrape.of(url).value(name, **labels, result="succeeded") == 6, "count of six")
    scrape = Scrape.of(url)
    assert scrape.value(name, **labels, result="failed") == 2
    assert scrape.value("datajoint_job_failures_total", **labels, exception="ValueError") == 1
    assert scrape.value("datajoint_job_failures_total", **labels, exception="OddError") == 1
    assert scrape.value("datajoint_job_claims_total", **labels) >= 9  # also what the killed process had
    assert scrape.value("datajoint_job_duration_seconds_count", **labels) == 8
    until(lambda: Scrape.of(url).value("datajoint_worker_processes", state="idle") == 2, "two idle processes")
    assert Scrape.of(url).value("datajoint_worker_process_deaths_total") == 1
    assert probe(url, "/healthz")[0] == probe(url, "/readyz")[0] == 200
    assert process.end() == 0
