"""The unit of systemd: valid by systemd's own checker, and it ends workers as they want to be ended."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from dj_workers.cli.exit_codes import ExitCode
from tests.support.compose import ROOT

UNIT = ROOT / "deploy" / "systemd" / "dj-worker@.service"


def test_the_unit_is_valid(tmp_path: Path, skip_without: Callable[..., None]) -> None:
    analyze = shutil.which("systemd-analyze")
    skip_without("systemd-analyze", analyze is not None, "not on the PATH")
    assert analyze is not None
    # the program and the folder that it names are those of another machine
    text = UNIT.read_text().replace("/opt/dj/bin/dj-worker", "/bin/true").replace("/srv/pipelines", "/tmp")
    unit = tmp_path / "dj-worker@my_lab.pipeline.service"
    unit.write_text(text)
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if "dj-worker" in line]
    assert complaints == []
    unit.write_text(text.replace("KillMode=mixed", "KillMod=mixed"))
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert "KillMod" in done.stderr


def test_it_gives_the_worker_time_and_does_not_repeat_what_cannot_work() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    settings = dict(word.split("=", 1) for word in service["Environment"].split())
    assert int(service["TimeoutStopSec"]) > int(settings["DJ_JOBS_SHUTDOWN_TIMEOUT"])
    assert set(map(int, service["RestartPreventExitStatus"].split())) == {ExitCode.USAGE, ExitCode.NO_MODULE}
    assert int(service["SuccessExitStatus"]) == ExitCode.FAILED_JOBS
    # a database may be away for longer than any number of starts lasts
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
