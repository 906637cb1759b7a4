"""The tutorials of the specification run, each step of them, as a reader would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.specification import (
    COMPUTATION_TEXT,
    RUNNER,
    SPECIFICATION,
    pages_folder,
    python_blocks,
    schema_names,
    with_indents,
)

ROOT = Path(__file__).parents[2]
PAGES = (
    "01-getting-started",
    "02-schema-design",
    "03-data-entry",
    "04-queries",
    "05-computation",
    "07-university",
    "08-fractal-pipeline",
    "advanced/custom-codecs",
    "advanced/distributed",
    "advanced/json-type",
    "advanced/migration",
)
NEED_STORES = {"06-object-storage"}
# Steps that cannot pass, by page: they name what their page defines inside of a class only, or write "..."
# for a definition. They are illustrations too, though not by the runner's narrower rule.
ILLUSTRATIONS = {
    "03-data-entry": ["NameError: name 'Trial' is not defined"],
    "04-queries": ["NameError: name 'Trial' is not defined"],
    "05-computation": ["DefinitionError: line 1: '...'"],
}
# Steps of what is left to another release: how the error of each begins.
NOT_YET = ("ImportError: cannot import name 'analyze_blob_columns'",)  # blobs of releases before 2.0


@pytest.fixture(autouse=True)
def _needs_the_specification(skip_without: Callable[..., None]) -> None:
    place = f"{SPECIFICATION.parent.name}/{SPECIFICATION.name}"
    skip_without("tutorials", RUNNER.is_file(), f"there is no {place} beside the checkout")


@contextmanager
def _to_itself(connection: Any, page: str) -> Iterator[None]:
    """Keep others that use this server from the schemas of a page, whose names it fixes itself."""
    is_mysql = connection.settings.backend == "mysql"
    take = "SELECT GET_LOCK(%s, 250)" if is_mysql else "SELECT pg_advisory_lock(hashtext(%s))"
    connection.query(take, [f"tutorial {page}"])  # it ends with the connection
    yield


def _run(page: Path, folder: Path) -> tuple[str, list[dict[str, Any]]]:
    """Run a page to its end; return what it printed, and its steps."""
    outcome = folder / "steps.json"
    done = subprocess.run(
        [sys.executable, RUNNER, page, "--keep-going", "--json", outcome],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert outcome.exists(), done.stderr
    return done.stdout, json.loads(outcome.read_text())


def _drop(connection: Any, names: list[str]) -> None:
    for name in names:
        connection.script(connection.dialect.ddl.drop_schema(name))


def _unexpected(steps: list[dict[str, Any]], page: str) -> list[str]:
    """Return the errors of steps that should have passed."""
    left = list(ILLUSTRATIONS.get(page, []))
    found = []
    for error in [s["error"] for s in steps if not s["ok"]]:
        if known := next((text for text in left if error.startswith(text)), None):
            left.remove(known)
        elif not error.startswith(NOT_YET):
            found.append(error)
    return found + [f"passed: {text}" for text in left]


def test_no_page_of_the_tutorials_is_left_out() -> None:
    folder = pages_folder() / "tutorials"
    found = {str(p.relative_to(folder).with_suffix("")) for p in folder.rglob("*.md") if python_blocks(p)}
    assert found == {*PAGES, *NEED_STORES}


@pytest.mark.parametrize("page", PAGES)
def test_each_step_of_a_tutorial_runs(page: str, connection: Any, tmp_path: Path) -> None:
    path = pages_folder() / "tutorials" / f"{page}.md"
    with _to_itself(connection, page):
        _drop(connection, schema_names(path))
        printed, steps = _run(path, tmp_path)
        _drop(connection, schema_names(path))
    assert len(steps) > 5, printed
    assert _unexpected(steps, page) == [], printed


def test_the_computation_tutorial_of_another_edition_computes_what_it_prints(
    connection: Any, tmp_path: Path
) -> None:
    text = (SPECIFICATION / COMPUTATION_TEXT).read_text()
    blocks = list(with_indents(text, python_blocks(pages_folder() / "tutorials" / "05-computation.md")))
    page = tmp_path / "computation.md"
    page.write_text("\n".join(f"```python\n{block}\n```\n" for block in blocks))
    with _to_itself(connection, "05-computation"):
        _drop(connection, schema_names(page))
        printed, steps = _run(page, tmp_path)
        _drop(connection, schema_names(page))
    assert _unexpected(steps, "05-computation") == [], printed
    counts = re.findall(r"^(?:\w+: \d+, )+\w+: \d+$|^[A-Z][\w ]*: \d+(?:/\d+ \w+)?$", text, re.M)
    counts = [line for line in counts if not line.startswith("Total")]
    assert len(counts) >= 5
    assert [line for line in counts if line not in printed.splitlines()] == []
