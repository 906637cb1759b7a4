"""Hosts whose clocks differ: each job is computed once all the same, and a worker says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from dj_workers.cli.exit_codes import ExitCode
from tests.workers.celery_lab import CeleryLab
from tests.workers.conftest import Lab, end_of, expected, start_dj_worker, start_python


def test_clocks_that_are_ten_minutes_off_repeat_no_job_and_are_told_once(
    lab: Lab, wrong_clock: Callable[[int], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.add(40, fail_at_first=[7])
    monkeypatch.setenv("SQUARES_BACKOFF_S", "0.1")
    # a lease that a wrong clock would see ended, or without an end
    monkeypatch.setenv("DJ_JOBS_LEASE_TIMEOUT", "60")
    monkeypatch.setenv("DJ_JOBS_GROUP_COMMIT_S", "0")  # else a failure has those before it run again
    arguments = ["run", lab.name, "--tables", "Square", "--drain", "--poll-interval", "0.2"]
    right = start_dj_worker(*arguments)
    ahead = start_dj_worker(*arguments, "--processes", "2", env=wrong_clock(600))
    behind = start_dj_worker(*arguments, env=wrong_clock(-600))
    beside = end_of(right)
    assert "the clock of this host" not in beside.err
    for worker, said in ((ahead, "ahead of"), (behind, "behind")):
        ended = end_of(worker)
        assert (ended.code, beside.code) == (ExitCode.DONE, ExitCode.DONE), ended.err + beside.err
        [(seconds, way)] = re.findall(
            r"the clock of this host is (\d+) s (.+) that of the database", ended.err
        )
        assert (590 < int(seconds) < 610, way) == (True, said)
        assert "Have NTP set the clocks of both hosts" in ended.err
    assert lab.squares() == expected(40)
    assert lab.calls() == sorted([*range(40), 7])


@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_workers_of_celery_and_dispatchers_tell_it_too(
    celery: CeleryLab, wrong_clock: Callable[[int], dict[str, str]]
) -> None:
    dispatcher = celery.start("dispatch", celery.lab.name, "--tables", "Square", **wrong_clock(600))
    worker = celery.start_worker(**wrong_clock(600))
    for process in (dispatcher, worker):
        process.wait_for("s ahead of that of the database server")
        assert process.log.count("the clock of this host is") == 1, process.log


SCRIPT = """
import {module} as lab

if __name__ == "__main__":
    for _ in range(3):
        lab.Square.populate(reserve_jobs=True, processes={processes})
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_script_is_told_once_however_often_it_populates(
    lab: Lab, wrong_clock: Callable[[int], dict[str, str]], processes: int
) -> None:
    lab.add(3)
    script = lab.folder / f"script_{processes}.py"
    script.write_text(SCRIPT.format(module=lab.name, processes=processes))
    ended = end_of(start_python(str(script), env=wrong_clock(-600)))
    assert (ended.code, ended.err.count("s behind that of the database server")) == (0, 1), ended.err
    assert lab.squares() == expected(3)
    lab.Square.delete()
    ended = end_of(start_python(str(script)))
    assert (ended.code, "the clock of this host" in ended.err) == (0, False), ended.err
