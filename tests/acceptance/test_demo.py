"""`dj-worker demo` as a newcomer runs it, with few photographs: in processes and a folder of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dj_schema.dialects.embedded import is_available
from tests.support.patience import PATIENCE_S

PROJECT = Path(__file__).parents[2]
N_PHOTOGRAPHS = 2
N_SETS = 3
N_DETECTIONS = N_PHOTOGRAPHS * N_SETS

# What a user who opens the folder of the demonstration could ask.
QUESTIONS = """
import json
from dj_workers.demo.pipeline import *
print(json.dumps({
    "images": len(Image()),
    "detections": len(Detection()),
    "distinct": len(dj.U("image_id", "params_id") & Detection),
    "best": len(BestDetection()),
    "counted": int(sum(Detection.to_arrays("n_blobs"))),
    "blobs": len(Detection.Blob()),
    "jobs": Detection.jobs.progress(),
    "best_jobs": BestDetection.jobs.progress(),
    "failed": sorted(set(map(int, Detection.jobs.errors.to_arrays("image_id")))),
    "rescues": int(sum(Detection.jobs.proj("_rescues").to_arrays("_rescues"))),
    "workers": len(dj.U("pid") & Detection.jobs),
}))
"""


@dataclass(frozen=True)
class Lab:
    """The demonstration in a folder of its own."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(PROJECT), **more}

    def run(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "dj_workers.cli.main", "demo"]
        command = [*program, "--folder", str(self.folder), *options]
        return subprocess.run(
            command, env=self.environment(**environment), capture_output=True, text=True, timeout=PATIENCE_S
        )

    def ask(self) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", QUESTIONS],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        answers: dict[str, Any] = json.loads(done.stdout)
        return answers


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, skip_without: Callable[[str, bool], None]) -> Lab:
    skip_without("extra embedded", is_available())
    skip_without("extra demo", all(find_spec(name) for name in ("skimage", "matplotlib")))
    return Lab(tmp_path_factory.mktemp("demo") / "lab [/of] a newcomér")


@pytest.fixture(scope="module")
def first_run(lab: Lab) -> subprocess.CompletedProcess[str]:
    # the settings of somebody's real database must not lead the demonstration there
    return lab.run("--images", str(N_PHOTOGRAPHS), DJ_HOST="db.example.org", DJ_BACKEND="mysql")


@pytest.mark.slow
def test_every_photograph_is_computed_once_and_the_broken_one_fails(
    lab: Lab, first_run: subprocess.CompletedProcess[str]
) -> None:
    assert first_run.returncode == 0, first_run.stdout + first_run.stderr
    found = lab.ask()
    assert found["images"] == N_PHOTOGRAPHS + 1
    assert found["detections"] == found["distinct"] == N_DETECTIONS
    assert found["best"] == N_PHOTOGRAPHS
    assert found["blobs"] == found["counted"] > 100
    assert found["failed"] == [99]
    assert (found["jobs"]["success"], found["jobs"]["error"], found["jobs"]["total"]) == (6, 3, 9)
    assert (found["best_jobs"]["success"], found["best_jobs"]["total"]) == (2, 2)
    assert found["workers"] == 2


@pytest.mark.slow
def test_report_shows_results_jobs_workers_and_the_error(
    lab: Lab, first_run: subprocess.CompletedProcess[str]
) -> None:
    shown = first_run.stdout
    assert re.search(r"Hubble deep field +409 +221 +59 +\w+", shown)
    assert re.search(r"Torn frame \(broken on purpose\) +none +none +none +-", shown)
    assert re.search(r"^Detection +6 +6 +3 +0 +0 +0 *$", shown, re.MULTILINE)
    shares = re.findall(r"^Detection +\S+:(\d+) +(\d+) +[\d.]+ +[\d.-]+ *$", shown, re.MULTILINE)
    assert len(shares) == 2
    assert sum(int(n) for _, n in shares) == 9
    assert "ValueError: image 99 has" in shown
    assert " -u DJ_HOST " in shown  # what the user set, and nothing else
    assert "DJ_LOG" not in shown
    assert "in make_compute" in shown  # the traceback reaches into the user's file
    assert "no row is missing, and none is there twice" in shown
    assert "Detection:" in first_run.stderr  # a progress bar for each table
    assert "BestDetection:" in first_run.stderr
    assert max(len(line) for line in shown.splitlines() if not line.startswith("  ")) <= 100


@pytest.mark.slow
def test_picture_is_a_png_with_colour_over_the_photographs(
    lab: Lab, first_run: subprocess.CompletedProcess[str]
) -> None:
    from matplotlib.image import imread

    assert str(lab.folder / "blobs.png") in first_run.stdout
    pixels = imread(lab.folder / "blobs.png")
    is_red = (pixels[..., 0] > 0.9) & (pixels[..., 1] < 0.5)
    assert is_red.sum() > 1000


@pytest.mark.slow
def test_second_run_finds_the_work_done(lab: Lab, first_run: subprocess.CompletedProcess[str]) -> None:
    before = lab.ask()
    second = lab.run("--images", str(N_PHOTOGRAPHS), PYTHONIOENCODING="ascii")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "All work is done already" in second.stdout
    assert "lab [/of] a newcom\\xe9" in second.stdout
    assert lab.ask() == before


@pytest.mark.slow
def test_printed_command_has_the_failed_jobs_tried_again(
    lab: Lab, first_run: subprocess.CompletedProcess[str]
) -> None:
    command = next(line for line in first_run.stdout.splitlines() if line.startswith("  cd "))
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env=lab.environment(DJ_HOST="db.example.org", DJ_BACKEND="mysql"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = lab.ask()["jobs"]
    assert (found["pending"], found["error"]) == (3, 0)
    again = lab.run("--images", str(N_PHOTOGRAPHS))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "All work is done already" not in again.stdout
    assert lab.ask()["jobs"]["error"] == 3


@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_job_of_a_killed_worker_is_rescued(lab: Lab, first_run: subprocess.CompletedProcess[str]) -> None:
    killed = lab.run("--kill", "--images", str(N_PHOTOGRAPHS))
    assert killed.returncode == 0, killed.stdout + killed.stderr
    worker = re.search(r"^(\S+:\d+) got SIGKILL in the middle of Detection", killed.stdout, re.MULTILINE)
    rescuer = re.search(r"[\d.]+ s later (\S+:\d+) had taken the job over", killed.stdout)
    assert worker is not None
    assert rescuer is not None
    assert worker[1] != rescuer[1]
    assert f"{worker[1]} killed" in killed.stdout
    found = lab.ask()
    assert found["rescues"] >= 1
    assert found["detections"] == found["distinct"] == N_DETECTIONS
    assert found["blobs"] == found["counted"]
    assert (found["jobs"]["success"], found["jobs"]["error"], found["jobs"]["total"]) == (6, 3, 9)


def test_a_folder_that_cannot_be_used_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = Lab(tmp_path / "file" / "demo").run()
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert re.search(r"--folder.*demo'? cannot be used: Not a directory", done.stderr), done.stderr


def test_missing_extra_is_named_with_its_command(lab: Lab, tmp_path: Path) -> None:
    hide = "import sys; sys.modules['skimage'] = None; from dj_workers.demo.command import demo; demo()"
    done = subprocess.run(
        [sys.executable, "-c", hide], env=lab.environment(), capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert 'pip install "dj-workers[embedded,demo]"' in done.stderr
    assert list(tmp_path.iterdir()) == []
