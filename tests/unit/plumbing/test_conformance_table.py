"""`docs/conformance.md` is of the rules and tests as they are, and each rule is tested on each server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.rules import PASS, Page, Results, load_pages, read_table, render_table
from tests.support.servers import SERVER_NAMES

ROOT = Path(__file__).parents[3]
PAGE = Page("page", "reference/page.md", {"1.1": "Rows come | once", "named": "Keys stay"})


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What the table says where every test that names a rule passes."""
    listing = tmp_path_factory.mktemp("rules") / "rules.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    options = ["-q", "--collect-only", "-m", "rule", "-p", "no:cacheprovider", f"--list-rules={listing}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tests"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        (page, rule): dict.fromkeys(servers, PASS) for page, rule, servers in json.loads(listing.read_text())
    }


def test_every_rule_is_tested_on_every_server(tested: Results) -> None:
    wanted = [(name, rule, server) for name, page in load_pages().items() for rule in page.rules
              for server in SERVER_NAMES]  # fmt: skip
    assert wanted
    assert [row for row in wanted if row[2] not in tested.get(row[:2], {})] == []


def test_committed_table_is_that_of_the_tests(tested: Results) -> None:
    committed = (ROOT / "docs" / "conformance.md").read_text()
    assert committed == render_table(load_pages().values(), tested), "run `make conformance`"


def test_table_is_read_as_it_was_written() -> None:
    results = {("page", "1.1"): dict.fromkeys(SERVER_NAMES, "pass"),
               ("page", "named"): {"postgresql": "pass", "mysql": "FAIL", "mariadb": "—"}}  # fmt: skip
    text = render_table([PAGE], results)
    assert "| named | Keys stay | pass | FAIL | — |" in text
    assert read_table(text) == results


PASSING_AND_FAILING = """
import pytest

@pytest.mark.rule("fetch-api", "to_dicts", "keys")
def test_one(): pass

@pytest.mark.rule("fetch-api", "keys")
def test_two(): assert False
"""


@pytest.mark.parametrize("options", [[], ["-n", "1"]])
def test_run_changes_the_rules_that_it_tested(tmp_path: Path, options: list[str]) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "test_inner.py").write_text(PASSING_AND_FAILING)
    (folder / "conftest.py").write_text("from tests.conftest import *\n")
    table = tmp_path / "table.md"
    pages = load_pages()
    before: Results = {("query-algebra", "1.1"): dict.fromkeys(SERVER_NAMES, "pass")}
    table.write_text(render_table(pages.values(), before))
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}", *options,
         f"--conformance={table}", str(folder)],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    after = read_table(table.read_text())
    assert after["query-algebra", "1.1"] == before["query-algebra", "1.1"]
    assert after["fetch-api", "to_dicts"] == dict.fromkeys(SERVER_NAMES, "pass")
    assert after["fetch-api", "keys"] == dict.fromkeys(SERVER_NAMES, "FAIL")


def test_rule_that_no_page_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(
        'import pytest\n\n@pytest.mark.rule("query-algebra", "99.9")\ndef test_one(): pass\n'
    )
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "no rule 99.9 in tests/rules/query-algebra.toml" in done.stdout + done.stderr
