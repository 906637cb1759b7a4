"""A text is kept for all queries of one shape, and goes with the values of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

import datajoint as dj
from dj_query.compile import count_statement, exists_statement, select_text
from dj_query.shape import shape_of, statement_of
from dj_schema.dialects.base import Dialect
from dj_schema.dialects.mysql.dialect import MYSQL
from dj_schema.dialects.postgres.dialect import POSTGRES
from dj_schema.sql import render
from tests.golden.expressions import EXPRESSIONS
from tests.support.lab import Lab, lab_without_server

FORMS = (select_text, count_statement, exists_statement)

WITH_VALUES: dict[str, Callable[[Lab, int], Any]] = {
    "equal": lambda t, v: t.Subject & {"subject_id": v, "weight": None},
    "one of": lambda t, v: (
        t.Session & [{"subject_id": v, "session": v + 1}, {"subject_id": v + 2, "session": v}]
    ),
    "not": lambda t, v: t.Subject - [{"subject_id": v}, {"subject_id": v + 1, "weight": None}],
    "both sides of a join": lambda t, v: (
        (t.Session & {"session": v}) * (t.Trial & {"trial": v + 1}) & {"rt": v}
    ),
    "inside and outside of a subquery": lambda t, v: (
        (t.Subject & {"subject_id": v} & dj.Top(v + 1, "weight", v + 2)).proj(w="weight") & {"w": v + 3}
    ),
    "in a semijoin": lambda t, v: (t.Subject & (t.Session & {"session": v})) & {"weight": v + 1},
    "in a semijoin with a top": lambda t, v: t.Subject & (t.Session & dj.Top(v)) & {"weight": v + 1},
    "of a group": lambda t, v: (
        (t.Session & {"duration": v}).aggr(t.Trial & {"rt": v + 1}, n="count(trial)") & {"n": v + 2}
    ),
    "of a left join": lambda t, v: (t.Session & {"session": v}).extend(
        t.Experimenter & {"full_name": str(v)}
    ),
    "top": lambda t, v: t.Subject & dj.Top(None, "weight", v),
}


@pytest.fixture(scope="module", params=[POSTGRES, MYSQL], ids=["postgresql", "mysql"])
def lab(request: pytest.FixtureRequest) -> Lab:
    return lab_without_server(request.param)


@pytest.mark.parametrize("name", WITH_VALUES)
def test_a_kept_text_goes_with_other_values(lab: Lab, name: str) -> None:
    dialect = cast(Dialect, lab.connection.dialect)
    for value in (1, 10, 100):
        select = WITH_VALUES[name](lab, value).select
        assert shape_of(select) is not None
        for form in FORMS:
            assert statement_of(form, select, dialect) == render(form(select, dialect), dialect.quote)


def test_queries_of_one_shape_have_one_text(lab: Lab) -> None:
    dialect = cast(Dialect, lab.connection.dialect)
    queries = [make(lab) for make in EXPRESSIONS.values()] + [make(lab, 1) for make in WITH_VALUES.values()]
    texts: dict[tuple[Any, ...], str] = {}
    for query in queries:
        shape = shape_of(query.select)
        if shape is not None:
            text = render(select_text(query.select, dialect), dialect.quote).text
            assert texts.setdefault(tuple(shape.key), text) == text
    assert len(texts) > len(queries) / 2


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_composing_again_finds_the_text_that_is_kept(lab: Lab, name: str) -> None:
    dialect = cast(Dialect, lab.connection.dialect)
    first, again = EXPRESSIONS[name](lab).select, EXPRESSIONS[name](lab).select
    assert statement_of(select_text, first, dialect) == statement_of(select_text, again, dialect)
    shapes = shape_of(first), shape_of(again)
    if shapes[0] is not None:
        assert shapes[1] is not None
        assert shapes[0].key == shapes[1].key
