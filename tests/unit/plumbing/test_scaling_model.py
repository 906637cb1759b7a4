"""The model of docs/deploy/scaling.md where its answer is known."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from benchmarks.scaling import Costs, simulate

FREE = Costs(*[0.0] * len(fields(Costs)))


def test_a_server_that_costs_nothing_leaves_workers_at_their_ideal() -> None:
    rate = simulate(FREE, cores=1, n_workers=50, job_s=1.0, n_jobs=20_000)
    assert rate.jobs_per_s == pytest.approx(rate.ideal_per_s, rel=0.05)
    assert rate.load == 0


def test_a_full_server_does_what_its_cores_can() -> None:
    costs = replace(FREE, claim_s=0.002, long_s=0.008)  # 10 ms a job
    rate = simulate(costs, cores=4, n_workers=400, job_s=0.3, n_jobs=20_000)
    assert rate.jobs_per_s == pytest.approx(400, rel=0.05)
    assert rate.load == pytest.approx(1.0, abs=0.05)


def test_beats_take_their_share_of_the_cores() -> None:
    costs = replace(FREE, beat_s=0.001)
    rate = simulate(costs, cores=1, n_workers=2000, job_s=10.0, n_jobs=6_000, lease_s=60.0)
    assert rate.load == pytest.approx(2000 * 0.001 / 20, rel=0.01)
