"""A worker that stays: what wakes it, what ends it, what operators tell it, what it costs while it waits."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from dj_jobs import registry
from dj_workers import Work, Worker
from dj_workers.cli.exit_codes import ExitCode
from tests.support.patience import PATIENCE_S
from tests.workers.conftest import (
    Ended,
    Lab,
    dj_worker,
    end_of,
    expected,
    start_dj_worker,
    wait_for_line,
)

processes = pytest.mark.parametrize("processes", ["1", "2"])
_started: list[subprocess.Popen[str]] = []
on_one_server = pytest.mark.parametrize("server", ["postgresql"], indirect=True)


def workers(lab: Lab) -> list[registry.WorkerInfo]:
    lab.schema.connection.catalog.forget()
    return registry.registered(lab.schema.connection, lab.schema.database)


def wait_for(condition: Any) -> Any:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


def wait_until_idle(lab: Lab, name: str = "w") -> None:
    """Wait until a worker has begun to wait."""
    wait_for(lambda: any(worker.name == name for worker in workers(lab)))


@pytest.fixture(autouse=True)
def running() -> Iterator[None]:
    """Leave no worker behind where a test fails."""
    yield
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


def started(lab: Lab, *arguments: str) -> subprocess.Popen[str]:
    _started.append(start_dj_worker("run", lab.name, "--exclude", "Unmade", "--name", "w", *arguments))
    return _started[-1]


def stopped(worker: subprocess.Popen[str]) -> Ended:
    worker.send_signal(signal.SIGTERM)
    return end_of(worker)


# -- being woken -----------------------------------------------------------------------------------


@on_one_server
@processes
def test_a_waiting_worker_is_woken_by_what_others_do(lab: Lab, processes: str) -> None:
    worker = started(lab, "--poll-interval", "3600", "--processes", processes)
    wait_until_idle(lab)
    lab.add(4)
    lab.Square.jobs.refresh()
    wait_for(lambda: len(lab.Next()) == 4)  # its own jobs wake it for the table below
    lab.Number.insert1({"number": 4, "what": "square"})
    lab.Square.populate(reserve_jobs=True)  # rows that another worker makes
    wait_for(lambda: len(lab.Next()) == 5)
    assert stopped(worker).code == ExitCode.DONE


@processes
def test_rows_that_another_program_inserts_are_found_by_looking(lab: Lab, processes: str) -> None:
    worker = started(lab, "--sleep-duration", "0.1", "--processes", processes)
    wait_until_idle(lab)
    lab.add(2)
    wait_for(lambda: len(lab.Next()) == 2)
    assert stopped(worker).code == ExitCode.DONE


# -- ends ------------------------------------------------------------------------------------------


@processes
def test_drain_waits_for_retries_and_then_ends(
    lab: Lab, processes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUARES_BACKOFF_S", "0.5")
    lab.add(3, fail_at_first=[1])
    ended = end_of(started(lab, "--drain", "--poll-interval", "0.2", "--processes", processes))
    assert ended.code == ExitCode.DONE, ended.err
    assert lab.calls() == [0, 1, 1, 2]
    assert len(lab.Next()) == 3


@on_one_server
@processes
@pytest.mark.parametrize(
    "end", [["--max-idle-cycles", "2"], ["--run-duration", "0.5"], ["--idle-exit", "0.3"]]
)
def test_a_worker_ends_as_it_was_asked_to(lab: Lab, processes: str, end: list[str]) -> None:
    lab.add(2)
    ended = end_of(started(lab, *end, "--sleep-duration", "0.1", "--processes", processes))
    assert ended.code == ExitCode.DONE, ended.err
    assert end[0] == "--run-duration" or len(lab.Next()) == 2


@on_one_server
def test_a_process_is_replaced_after_so_many_calls(lab: Lab) -> None:
    lab.add(4)
    ended = end_of(started(lab, "--once", "--tables", "Square", "--max-tasks-per-child", "3"))
    assert ended.code == ExitCode.DONE, ended.err
    assert lab.squares() == expected(4)
    pids = [row["pid"] for row in lab.Square.to_dicts()]
    assert max(pids.count(pid) for pid in pids) <= 3
    assert "was ended" not in ended.err


@on_one_server
def test_a_process_that_grows_too_large_is_replaced_after_its_job(lab: Lab) -> None:
    lab.add(3, grow=[0], wait=[1])
    lab.make_pipes()
    worker = started(lab, "--drain", "--max-memory-mb", "300", "--poll-interval", "0.2")
    lab.wait_until_started()
    wait_for_line(worker, "holds more than 300 MB")
    lab.let_go()
    assert end_of(worker).code == ExitCode.DONE
    assert lab.squares() == expected(3)
    assert lab.calls() == [0, 1, 2]
    large, _, other = lab.Square.to_arrays("pid", order_by="KEY")
    assert large != other


# -- what operators do -----------------------------------------------------------------------------


@processes
def test_drain_ends_a_worker_by_its_name(lab: Lab, processes: str) -> None:
    worker = started(lab, "--poll-interval", "1", "--processes", processes)
    wait_until_idle(lab)
    ended = dj_worker("drain", lab.name, "v")
    assert (ended.code, "there are: w" in ended.err) == (ExitCode.USAGE, True)
    assert dj_worker("drain", lab.name, "w").code == 0
    assert end_of(worker).code == ExitCode.DONE
    assert workers(lab) == []


def test_workers_shows_what_runs(lab: Lab) -> None:
    lab.add(2, wait=[0])
    lab.make_pipes()
    worker = started(lab, "--processes", "2")
    lab.wait_until_started()
    (seen,) = wait_for(lambda: workers(lab))
    assert (seen.name, seen.pid, seen.processes, seen.is_alive) == ("w", worker.pid, 2, True)
    assert dj_worker("workers", lab.name).out.splitlines()[1].split()[:2] == ["w", "alive"]
    worker.send_signal(signal.SIGUSR1)
    line = wait_for_line(worker, "in process")
    assert f"computes {lab.schema.database}.__square number=0 in process" in line
    worker.send_signal(signal.SIGTERM)
    lab.let_go()
    assert end_of(worker).code == ExitCode.DONE
    assert dj_worker("workers", lab.name).out == "no worker has told that it is there\n"


@on_one_server
def test_pause_resume_and_require(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    def run_once() -> str:
        caplog.clear()
        Worker([lab.Square], Work(is_once=True)).run()
        return caplog.text

    lab.add(2)
    assert dj_worker("pause", lab.name, "Square").code == 0
    assert "is paused, by" in run_once()
    assert dj_worker("require", lab.name, "Square", ">=2").code == 0
    assert dj_worker("resume", lab.name, "Square").code == 0
    assert "this worker has none" in run_once()
    assert lab.calls() == []
    assert dj_worker("require", lab.name, "Square").code == 0
    run_once()
    assert lab.calls() == [0, 1]


# -- steps -----------------------------------------------------------------------------------------


@processes
def test_steps_are_called_and_their_rows_computed_at_once(
    lab: Lab, processes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUARES_STEP_S", "0.2")
    worker = started(lab, "--poll-interval", "3600", "--processes", processes)
    wait_until_idle(lab)
    (lab.folder / "to_ingest.new").write_text("3")
    (lab.folder / "to_ingest.new").rename(lab.folder / "to_ingest")
    wait_for(lambda: len(lab.Next()) == 3)
    assert stopped(worker).code == ExitCode.DONE


@on_one_server
def test_a_step_that_fails_is_reported_and_harms_nothing(lab: Lab) -> None:
    lab.add(2)
    (lab.folder / "to_ingest").write_text("no number")
    ended = end_of(started(lab, "--once"))
    assert ended.code == ExitCode.FAILED_JOBS
    assert "ingest failed; it is called again" in ended.err
    assert len(lab.Next()) == 2


# -- the file and the environment ------------------------------------------------------------------


@on_one_server
def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.add(9)
    file = lab.folder / "dj-worker.toml"
    file.write_text(f'modules = ["{lab.name}"]\ntables = ["Square"]\nmax-calls = 2\nonce = true\n')
    monkeypatch.chdir(lab.folder)
    assert dj_worker("run").code == ExitCode.DONE
    assert len(lab.Square()) == 2
    monkeypatch.setenv("DJ_WORKER_MAX_CALLS", "3")
    assert dj_worker("run").code == ExitCode.DONE
    assert len(lab.Square()) == 5
    assert dj_worker("run", "--max-calls", "1").code == ExitCode.DONE
    assert len(lab.Square()) == 6
    assert dj_worker("workers").code == 0
    assert dj_worker("pause", "Square").code == 0
    assert lab.Square.jobs.rules.paused_by
    assert dj_worker("resume", "Square").code == 0
    assert lab.Square.jobs.rules.paused_by is None
