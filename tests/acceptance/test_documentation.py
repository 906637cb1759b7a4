"""The examples of the documentation run, and give what it says."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DJ_")}
    return {**kept, "DJ_EMBEDDED_PATH": str(folder / "server"), "HOME": str(folder), "PYTHONPATH": str(ROOT)}


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_first_example_of_the_readme_computes_and_finds_its_work_done_the_second_time(
    tmp_path: Path,
) -> None:
    blocks = re.findall(
        r"<!-- example: (\S+) -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    assert [name for name, _ in blocks] == ["weather.py"]
    (tmp_path / "weather.py").write_text(blocks[0][1])
    first = _run(tmp_path, "weather.py")
    assert first.returncode == 0, first.stderr
    assert "Started the embedded PostgreSQL" in first.stderr
    assert "'warmest': 4.0" in first.stdout
    second = _run(tmp_path, "weather.py")
    assert second.returncode == 0, second.stderr
    assert second.stdout == first.stdout
    status = _run(tmp_path, "-m", "dj_workers.cli.main", "status", "weather")
    assert status.returncode == 0, status.stderr
    assert "Extremes" in status.stdout or "extremes" in status.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_python_in_the_documentation_is_python(page: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
    for block in blocks:
        ast.parse(block)
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []
