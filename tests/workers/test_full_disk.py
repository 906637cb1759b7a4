"""A log that cannot be written, because the disk is full, stops no work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S
from tests.workers.conftest import Lab, expected

pytestmark = [
    pytest.mark.parametrize("server", ["postgresql"], indirect=True),
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full"),
]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_work_goes_on_without_its_log_and_says_so(lab: Lab, processes: str) -> None:
    lab.add(6, fail=[2])
    run = ["run", lab.name, "--tables", "Square", "--once", "--processes", processes]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "dj_workers.cli.main", "--log-level", "debug", *run],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert lab.squares() == expected(6, without={2})
    assert ended.returncode == 1  # a job has failed, as without a full disk
    assert "the log cannot be written: No space left on device" in ended.stdout
    assert ended.stdout.count("send it elsewhere") <= int(processes) + 1, "once a process"
