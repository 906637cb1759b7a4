"""What a worker serves at its port while it computes, with one process and with several that die."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dj_jobs.job import Worker
from dj_jobs.presence import Presence
from dj_workers.cli.exit_codes import ExitCode
from dj_workers.metrics.catalog import METRICS, By, Kind
from tests.support.patience import PATIENCE_S
from tests.support.scrape import Scrape, get, probe
from tests.workers.conftest import Lab, dj_worker, end_of, expected, start_dj_worker

on_one_server = pytest.mark.parametrize("server", ["postgresql"], indirect=True)
processes = pytest.mark.parametrize("processes", ["1", "2"])


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a command that serves metrics, and find out where; it is stopped at the end."""
    process = start_dj_worker(*arguments, "--metrics-port", "0", "--metrics-host", "127.0.0.1")
    try:
        yield process, address_of(process)
    finally:
        stop(process)
        assert end_of(process).code in (ExitCode.DONE, ExitCode.FAILED_JOBS)


_asked: set[int] = set()


def stop(process: subprocess.Popen[str]) -> None:
    """Ask once: a second signal would end the worker at once."""
    if process.pid not in _asked:
        _asked.add(process.pid)
        process.send_signal(signal.SIGTERM)


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"metrics are at (\S+)/metrics", line):
            return found[1]
    pytest.fail("no port was named:\n" + "".join(lines))


def until(condition: Callable[[], bool], what: str = "it") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.05)


@processes
def test_counters_and_histograms_are_those_of_the_jobs(lab: Lab, processes: str) -> None:
    lab.add(12, fail=[1, 2], fail_oddly=[3], die_once=[] if processes == "1" else [7])
    schema = str(lab.schema.database)
    labels = {"schema": schema, "table": "__square"}
    with serving(
        "run", lab.name, "--tables", "Square,Next", "--processes", processes, "--poll-interval", "0.1"
    ) as (_, url):
        until(lambda: len(lab.Next()) == 9)
        # of a job its duration is counted last; the place of a process that has died is taken by another
        n_deaths = 0 if processes == "1" else 1
        until(lambda: Scrape.of(url).value("datajoint_job_duration_seconds_count", table="__next") == 9)
        until(lambda: Scrape.of(url).value("datajoint_job_duration_seconds_count", **labels) == 12)
        until(lambda: Scrape.of(url).value("datajoint_worker_process_deaths_total") == n_deaths)
        until(lambda: Scrape.of(url).value("datajoint_worker_processes") == int(processes))
        found = Scrape.of(url)
        assert lab.squares() == expected(12, without={1, 2, 3})
        assert found.value("datajoint_job_results_total", **labels, result="succeeded") == 9
        assert found.value("datajoint_job_results_total", **labels, result="failed") == 3
        assert found.value("datajoint_job_failures_total", **labels, exception="ValueError") == 2
        assert found.value("datajoint_job_failures_total", **labels, exception="OddError") == 1
        assert found.value("datajoint_job_duration_seconds_count", **labels) == 12
        assert found.value("datajoint_worker_process_deaths_total") == n_deaths
        # also what the dead process had claimed is counted, and claimed once more by another
        assert found.value("datajoint_job_claims_total", **labels) >= 12 + n_deaths
        assert found.value("datajoint_build_info") == 1
        assert probe(url, "/healthz") == (200, {"ok": True, "reason": "ok"})
        assert probe(url, "/readyz") == (200, {"ok": True, "reason": "ok"})
        assert get(f"{url}/nowhere")[0] == 404
        of_others = {n for n in found.names() if not n.startswith(("python_", "process_"))}
        assert of_others <= names_of(By.WORKER)


def names_of(by: By) -> set[str]:
    names = set()
    for m in METRICS:
        if m.by in (by, By.ALL):
            suffixes = ("_bucket", "_sum", "_count", "_created") if m.kind is Kind.HISTOGRAM else ("",)
            names |= {m.name + suffix for suffix in suffixes}
            if m.kind is Kind.COUNTER:
                names.add(m.name.removesuffix("_total") + "_created")
    return names


@on_one_server
@processes
def test_probes_tell_a_stuck_job_from_a_running_one(lab: Lab, processes: str) -> None:
    lab.make_pipes()
    lab.add(1, wait=[0])
    arguments = ["run", lab.name, "--tables", "Square", "--processes", processes]
    with serving(*arguments, "--job-stuck-after", "1") as (_, url):
        lab.wait_until_started()
        until(lambda: probe(url, "/healthz")[0] == 503)
        assert "has been at one job for" in probe(url, "/readyz")[1]["reason"]
        lab.let_go()
        until(lambda: probe(url, "/healthz")[0] == 200)


@on_one_server
def test_a_stopping_worker_is_alive_but_not_ready(lab: Lab) -> None:
    lab.make_pipes()
    lab.add(1, wait=[0])
    with serving("run", lab.name, "--tables", "Square") as (process, url):
        lab.wait_until_started()
        stop(process)
        until(lambda: probe(url, "/readyz") == (503, {"ok": False, "reason": "the worker is stopping"}))
        assert probe(url, "/healthz")[0] == 200
        lab.let_go()


@on_one_server
def test_a_port_in_use_is_said_before_anything_is_claimed(lab: Lab) -> None:
    lab.add(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for command in (["run", lab.name, "--tables", "Square"], ["exporter", lab.name]):
            ended = dj_worker(*command, "--metrics-host", "127.0.0.1", "--metrics-port", port)
            assert ended.code == ExitCode.REFUSED
            assert f"port {port} is in use" in ended.err
            assert "--metrics-port" in ended.err
    assert lab.calls() == []


@on_one_server
def test_an_exporter_of_steps_alone_says_that_there_is_nothing_to_serve(lab: Lab) -> None:
    (lab.folder / "nothing_but_steps.py").write_text(
        "import dj_workers\n\n\n@dj_workers.step()\ndef go(): ...\n"
    )
    ended = dj_worker("exporter", "nothing_but_steps", "--once")
    assert (ended.code, "Traceback" in ended.err) == (ExitCode.USAGE, False)
    assert "no computed or imported table" in ended.err


# -- the exporter ----------------------------------------------------------------------------------


def test_the_exporter_serves_the_state_of_the_database(lab: Lab) -> None:
    lab.add(8, fail=[1], fail_oddly=[2])
    schema = str(lab.schema.database)
    lab.Square.populate("number < 5", reserve_jobs=True, suppress_errors=True)
    lab.Square.jobs.refresh()
    lab.Square.jobs.ignore({"number": 7})
    connection = lab.schema.connection
    Presence(connection, Worker("w", "h", 1), [lab.Square._class_info.full_name]).beat(connection)
    labels = {"schema": schema, "table": "__square"}
    for module in (lab.name, f"schema:{schema}"):
        ended = dj_worker("exporter", module, "--once")
        assert ended.code == 0, ended.err
        found = Scrape(ended.out)
        counts = {
            s: found.value("datajoint_jobs", **labels, status=s)
            for s in ("pending", "reserved", "success", "error", "ignore")
        }
        assert counts == {"pending": 2, "reserved": 0, "success": 0, "error": 2, "ignore": 1}
        assert found.value("datajoint_job_errors", **labels, exception="ValueError") == 1
        assert found.value("datajoint_job_errors", **labels, exception="OddError") == 1
        assert 0 <= found.value("datajoint_job_oldest_pending_age_seconds", **labels) < 600
        assert (found.value("datajoint_keys", **labels), found.value("datajoint_keys_done", **labels)) == (
            8,
            3,
        )
        assert found.value("datajoint_keys", schema=schema, table="__next") == 3
        assert found.value("datajoint_exporter_collection_success") == 2
        assert (
            found.value("datajoint_workers_alive") == found.value("datajoint_workers_code", code="none") == 1
        )
        assert found.value("datajoint_workers_busy") == 0
    of_others = {n for n in found.names() if not n.startswith(("python_", "process_"))}
    assert of_others == names_of(By.EXPORTER)


@on_one_server
def test_the_exporter_serves_until_stopped_and_is_ready_once_it_has_read(lab: Lab) -> None:
    lab.add(3)
    often = ("--interval", "1", "--keys-interval", "1")
    with serving("exporter", lab.name, *often, "--refresh") as (_, url):
        until(lambda: probe(url, "/readyz")[0] == 200)
        assert probe(url, "/healthz")[0] == 200
        before = Scrape.of(url).value("datajoint_exporter_collection_timestamp_seconds", part="jobs")
        until(lambda: Scrape.of(url).value("datajoint_jobs", table="__square", status="pending") == 3)
        lab.Number.insert1({"number": 3})
        until(lambda: Scrape.of(url).value("datajoint_jobs", table="__square", status="pending") == 4)
        after = Scrape.of(url).value("datajoint_exporter_collection_timestamp_seconds", part="jobs")
        assert after > before
    refused = dj_worker("exporter", f"schema:{lab.schema.database}", "--refresh")
    assert (refused.code, "--refresh needs the code" in refused.err) == (ExitCode.USAGE, True)


@on_one_server
def test_figures_are_kept_in_the_process_whatever_folder_the_environment_names(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(lab.folder / "none"))
    lab.add(1)
    ended = dj_worker("run", lab.name, "--tables", "Square", "--once", "--metrics-port", "0")
    assert ended.code == ExitCode.DONE, ended.err
    assert "PROMETHEUS_MULTIPROC_DIR is not used" in ended.err
