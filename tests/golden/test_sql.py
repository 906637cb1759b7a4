"""The SQL of some dozens of expressions, for each server, is what the files beside this one say.

``DJ_TEST_GOLDEN=write`` writes the files anew; read the difference before it is committed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import cast

import pytest

from dj_query.compile import select_text
from dj_schema.dialects.base import Dialect
from dj_schema.dialects.mysql.dialect import MARIADB, MYSQL
from dj_schema.dialects.postgres.dialect import POSTGRES
from dj_schema.sql import render
from tests.golden.expressions import EXPRESSIONS, WITHOUT_SUBQUERY
from tests.support.lab import Lab, lab_without_server

DIALECTS = {"postgresql": POSTGRES, "mysql": MYSQL, "mariadb": MARIADB}
_BREAKS = re.compile(
    r" (?=FROM [(\"`](?:lab|SELECT)|WHERE |GROUP BY |HAVING |ORDER BY |LIMIT |UNION ALL )"
    r"| (?=LEFT JOIN |CROSS JOIN )"
    r"| (?<!LEFT )(?<!CROSS )(?=JOIN )"
)


def _file(name: str) -> Path:
    return Path(__file__).with_name(f"{name}.sql")


def _written(lab: Lab, name: str) -> str:
    """The SQL of an expression on lines of readable length, its values after it."""
    dialect = cast(Dialect, lab.connection.dialect)
    text, values = render(select_text(EXPRESSIONS[name](lab).select, dialect), dialect.quote)
    lines = [f"-- {name}"]
    depth = 0
    for line in _BREAKS.split(text):
        lines.append("  " * depth + line)
        depth += line.count("(") - line.count(")")
    return "\n".join([*lines, *([f"-- values: {list(values)}"] if values else []), ""])


@pytest.fixture(scope="module", params=DIALECTS)
def lab(request: pytest.FixtureRequest) -> Lab:
    lab = lab_without_server(DIALECTS[request.param])
    if os.environ.get("DJ_TEST_GOLDEN") == "write":
        _file(request.param).write_text("\n".join(_written(lab, name) for name in EXPRESSIONS))
    return lab


@pytest.mark.rule("query-algebra", "5.5", "7.5", "11", "12.4")
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_sql_is_as_written_down(lab: Lab, name: str) -> None:
    golden = _file(lab.connection.dialect.name).read_text()
    expected = {part.splitlines()[0]: part for part in re.split(r"\n(?=-- (?!values))", golden)}
    assert _written(lab, name).strip() == expected[f"-- {name}"].strip()


def test_files_hold_no_other_expression(lab: Lab) -> None:
    golden = _file(lab.connection.dialect.name).read_text()
    assert re.findall(r"^-- (?!values)(.*)$", golden, re.M) == list(EXPRESSIONS)


@pytest.mark.rule("query-algebra", "11")
@pytest.mark.parametrize("name", WITHOUT_SUBQUERY)
def test_subqueries_are_only_where_they_are_needed(lab: Lab, name: str) -> None:
    assert _written(lab, name).count("SELECT") == 1


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_composing_again_gives_the_same_text(lab: Lab, name: str) -> None:
    assert _written(lab, name) == _written(lab, name)
