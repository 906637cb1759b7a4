"""Scripts whose own classes several processes compute, as users write them; and what signals do to them."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.workers.conftest import (
    SOURCE,
    Lab,
    end_of,
    expected,
    start_dj_worker,
    start_python,
    wait_for_notice,
)

_POPULATE = """
Number.insert([{"number": n} for n in range(20)], skip_duplicates=True)
summary = Square.populate(processes=2, reserve_jobs=True)
print(summary["success_count"], len(Square()), os.getpid() in Square.to_arrays("pid"))
"""
_GUARD = 'if __name__ == "__main__":'
_OF_A_MODULE = """
import {module} as pipeline
pipeline.Square.populate(processes={processes}, reserve_jobs=True)
"""
_IN_ONE_CHILD = """
import {module} as pipeline
def listen(event):
    print(event.kind, flush=True)
pipeline.Square.populate(dispatch="process", reserve_jobs={reserve_jobs}, on_event=listen)
"""
in_this_or_others = pytest.mark.parametrize("processes", [1, 2])


def _script(folder: Path, body: str) -> str:
    path = folder / "script.py"
    path.write_text(SOURCE.read_text() + body)
    return str(path)


def test_a_script_without_a_guard_computes_its_own_classes(lab: Lab, tmp_path: Path) -> None:
    ended = end_of(start_python(_script(tmp_path, _POPULATE)))
    assert (ended.out.split(), ended.code) == (["20", "20", "False"], 0), ended.err


def test_a_script_with_a_guard_computes_its_own_classes(lab: Lab, tmp_path: Path) -> None:
    body = f"\n{_GUARD}\n" + _POPULATE.replace("\n", "\n    ").rstrip() + "\n"
    ended = end_of(start_python(_script(tmp_path, body)))
    assert (ended.out.split(), ended.code) == (["20", "20", "False"], 0), ended.err


def test_a_script_read_from_standard_input_computes_its_own_classes(lab: Lab, tmp_path: Path) -> None:
    with open(_script(tmp_path, _POPULATE)) as script:
        ended = end_of(start_python("-", stdin=script))
    assert (ended.out.split(), ended.code) == (["20", "20", "False"], 0), ended.err


def test_an_unguarded_script_may_compute_the_classes_of_a_module(lab: Lab, tmp_path: Path) -> None:
    lab.add(5)
    (tmp_path / "script.py").write_text(_OF_A_MODULE.format(module=lab.name, processes=2))
    ended = end_of(start_python(str(tmp_path / "script.py")))
    assert ended.code == 0, ended.err
    assert lab.squares() == expected(5)


@in_this_or_others
def test_the_first_interrupt_lets_the_running_job_finish(lab: Lab, processes: int) -> None:
    lab.add(1, wait=[0])
    lab.make_pipes()
    process = start_python("-c", _OF_A_MODULE.format(module=lab.name, processes=processes))
    lab.wait_until_started()
    process.send_signal(signal.SIGINT)
    lab.let_go()
    ended = end_of(process)
    assert "KeyboardInterrupt" in ended.err
    assert lab.squares() == expected(1)
    assert len(lab.Square.jobs.reserved) == 0


@in_this_or_others
def test_the_second_interrupt_gives_back_the_running_job(lab: Lab, processes: int) -> None:
    lab.add(1, wait=[0])
    lab.make_pipes()
    process = start_python("-c", _OF_A_MODULE.format(module=lab.name, processes=processes))
    lab.wait_until_started()
    process.send_signal(signal.SIGINT)
    wait_for_notice(process)
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)
    assert ended.code != 0
    assert lab.squares() == {}
    assert lab.Square.jobs.progress() == {**_no_jobs(), "pending": 1, "total": 1}


@in_this_or_others
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_outlasts_the_shutdown_timeout_goes_back(
    lab: Lab, processes: int, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJ_JOBS_SHUTDOWN_TIMEOUT", "0.5")
    lab.add(1, wait=[0])
    lab.make_pipes()
    process = start_python("-c", _OF_A_MODULE.format(module=lab.name, processes=processes))
    lab.wait_until_started()
    process.send_signal(number)
    ended = end_of(process)
    assert ended.code == -number
    assert "time is over" in ended.err
    assert lab.squares() == {}
    assert lab.Square.jobs.progress() == {**_no_jobs(), "pending": 1, "total": 1}


def _child_of(process: subprocess.Popen[str]) -> int:
    """The process of a pool that computes, while the heartbeat beside it sleeps."""
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(child)


both_modes = pytest.mark.parametrize("reserve_jobs", [True, False])


@both_modes
def test_sigterm_to_all_processes_lets_the_running_job_finish(lab: Lab, reserve_jobs: bool) -> None:
    lab.add(4, wait=[0])
    lab.make_pipes()
    process = start_python("-c", _IN_ONE_CHILD.format(module=lab.name, reserve_jobs=reserve_jobs))
    lab.wait_until_started()
    for pid in (_child_of(process), process.pid):
        os.kill(pid, signal.SIGTERM)
    wait_for_notice(process)
    lab.let_go()
    assert end_of(process).code == -signal.SIGTERM
    assert lab.squares() == expected(1)
    assert lab.calls() == [0]
    assert len(lab.Square.jobs.reserved) == 0


@both_modes
def test_a_child_that_sigterm_comes_to_alone_ends_after_its_job_and_is_replaced(
    lab: Lab, reserve_jobs: bool
) -> None:
    lab.add(4, wait=[0])
    lab.make_pipes()
    process = start_python("-c", _IN_ONE_CHILD.format(module=lab.name, reserve_jobs=reserve_jobs))
    lab.wait_until_started()
    os.kill(_child_of(process), signal.SIGTERM)
    lab.let_go()
    assert end_of(process).code == 0
    assert lab.squares() == expected(4)
    assert lab.calls() == [0, 1, 2, 3]
    assert len(set(lab.Square.to_arrays("pid"))) == 2


@both_modes
@pytest.mark.parametrize("how", ["time is over", "a second one"])
def test_a_child_gives_its_job_back_when_time_is_over_or_a_second_sigterm_comes(
    lab: Lab, reserve_jobs: bool, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJ_JOBS_SHUTDOWN_TIMEOUT", "0.5" if how == "time is over" else "600")
    lab.add(4, wait=[0])
    lab.make_pipes()
    process = start_python("-c", _IN_ONE_CHILD.format(module=lab.name, reserve_jobs=reserve_jobs))
    lab.wait_until_started()
    child = _child_of(process)
    os.kill(child, signal.SIGTERM)
    with suppress(ProcessLookupError):
        while how == "a second one":  # two that come too soon after each other are one
            os.kill(child, signal.SIGTERM)
    lab.wait_until_started()  # in the next child
    lab.let_go()
    ended = end_of(process)
    assert ended.code == 0
    assert ended.out.split().count("released") == reserve_jobs
    assert lab.squares() == expected(4)
    assert lab.calls() == [0, 0, 1, 2, 3]


def test_children_end_after_their_job_when_their_parent_is_killed(lab: Lab) -> None:
    lab.add(1, wait=[0])
    lab.make_pipes()
    process = start_python("-c", _OF_A_MODULE.format(module=lab.name, processes=2))
    lab.wait_until_started()
    process.kill()
    lab.let_go()
    end_of(process)  # its output ends when no child holds it open
    assert lab.squares() == expected(1)
    assert len(lab.Square.jobs.reserved) == 0


@pytest.mark.parametrize("command", ["script", "dj-worker"])
def test_a_child_does_not_outlive_its_parent_by_more_than_the_shutdown_timeout(
    lab: Lab, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJ_JOBS_SHUTDOWN_TIMEOUT", "0.2")
    lab.add(1, wait=[0])
    lab.make_pipes()
    if command == "script":
        process = start_python("-c", _OF_A_MODULE.format(module=lab.name, processes=2))
    else:
        process = start_dj_worker("run", lab.name, "--exclude", "Unmade", "--processes", "2")
    lab.wait_until_started()
    process.kill()
    assert "the job is released" in end_of(process).err  # its output ends when no child holds it open
    assert lab.squares() == {}
    assert lab.Square.jobs.progress() == {**_no_jobs(), "pending": 1, "total": 1}


def _no_jobs() -> dict[str, int]:
    return {"pending": 0, "reserved": 0, "success": 0, "error": 0, "ignore": 0, "total": 0}
