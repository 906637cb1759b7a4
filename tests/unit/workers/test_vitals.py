"""What a probe makes of the processes of a worker."""

from __future__ import annotations

from dj_workers.vitals import Vitals


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_worker_that_waits_for_work_is_never_stuck() -> None:
    clock = Clock()
    vitals = Vitals(10, 20, clock)
    vitals.busy(1)
    vitals.idle(1)
    clock.now = 1e6
    assert vitals.stuck() is None
    assert (vitals.n_idle, vitals.n_busy) == (1, 0)


def test_looking_for_work_has_a_limit_of_its_own_and_a_job_has_none_by_default() -> None:
    clock = Clock()
    vitals = Vitals(10, None, clock)
    vitals.busy(1)
    clock.now = 11
    assert "process 1 has been looking for work for 11 s" in str(vitals.stuck())
    vitals.claimed(1, 2)
    clock.now = 1e6
    assert vitals.stuck() is None
    vitals.ended(1)
    clock.now = 2e6
    assert vitals.stuck() is None, "there is a second job"
    vitals.ended(1)
    clock.now = 2e6 + 11
    assert vitals.stuck() is not None


def test_a_job_may_have_a_limit_and_each_job_has_its_own_time() -> None:
    clock = Clock()
    vitals = Vitals(10, 100, clock)
    vitals.claimed(7, 2)
    clock.now = 90
    vitals.ended(7)
    clock.now = 180
    assert vitals.stuck() is None
    clock.now = 200
    assert "process 7 has been at one job for 110 s" in str(vitals.stuck())


def test_a_leader_that_no_longer_looks_at_its_processes_is_stuck_unless_it_stops() -> None:
    clock = Clock()
    vitals = Vitals(clock=clock)
    vitals.beat()
    clock.now = 61
    assert "has not looked at its processes" in str(vitals.stuck())
    vitals.stop_is(lambda: True)
    assert vitals.stuck() is None


def test_a_process_that_is_gone_is_not_counted_and_its_death_is_told() -> None:
    vitals = Vitals(10)
    deaths: list[int] = []
    vitals.on_death(lambda: deaths.append(1))
    vitals.busy(1)
    vitals.busy(2)
    vitals.gone(1, is_unexpected=True)
    vitals.gone(2, is_unexpected=False)
    assert (vitals.n_idle, vitals.n_busy, len(deaths)) == (0, 0, 1)
