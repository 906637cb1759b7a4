"""The short run: real workers on each server, and everything that may break; `make chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.plan import SHORT, Plan
from tests.chaos.runner import Run
from tests.chaos.servers import OWN, OwnServer
from tests.support.launch import Unavailable
from tests.support.servers import RunFolder, ServerUnderTest

SEEDS = {"postgresql": 1, "mysql": 2, "mariadb": 3}


def own_server(run: RunFolder, name: str) -> OwnServer | None:
    """Return a server that may be crashed; None where only the one that others use too can be had."""
    try:
        own = OWN[name](run.path)
        own.start()
    except Unavailable:
        return None
    return own


@pytest.mark.slow
@pytest.mark.kill
def test_every_guarantee_holds_while_everything_breaks(server: ServerUnderTest, tmp_path: Path) -> None:
    run = RunFolder.make()
    # a MySQL of its own takes too long to make for a short run
    own = None if server.name == "mysql" else own_server(run, server.name)
    try:
        target = server if own is None else own.under_test()
        report = Run(Plan.of_seed(SEEDS[server.name], SHORT), target, tmp_path, own).execute()
    finally:
        if own is not None:
            own.close()
        run.close()
    assert report.violations == [], str(report)
    assert report.n_jobs == sum(report.ends.values())
    assert report.ends["with a row"] > report.n_jobs * 0.8
    assert sum(report.faults[kind] for kind in SHORT.breaks) >= 3, str(report)
