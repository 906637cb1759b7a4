"""Plain conditions are read without the parser for the rest of SQL, and mean the same as with it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dj_query.user_sql import Dialect, _renderer
from dj_query.user_sql.kinds import Piece
from dj_query.user_sql.parse import PLACEHOLDER, PREFIX, parse_whole
from dj_query.user_sql.plain import parse_plain
from dj_query.user_sql.scan import Sort, scan
from dj_schema.errors import DataJointError
from tests.conformance.user_sql_cases import CASES
from tests.unit.test_user_sql import KINDS

DIALECTS: tuple[Dialect, ...] = ("postgresql", "mysql", "mariadb")
PLAIN = (
    "n > 5",
    "name = 'x''y'",
    "'2026-01-01' <= d",
    "n > 3 AND weight < 2.5 or year = 1",
    "n = 1 OR n = 2 AND ok = 1",
    "(n = 1 OR n = 2) AND n != -3",
    "((n))",
    "avg(weight)",
    "COUNT(*) > 3",
    "`odd name` <> 4",
    "d > '2026-13-01'",
    "u = 'no uuid'",
)

operands = st.one_of(
    st.sampled_from(sorted(KINDS)).map(lambda name: f"`{name}`"),
    st.integers(-(10**12), 10**12).map(str),
    st.decimals(0, 1000, places=3).map(str),
    st.sampled_from(["'text'", "'2026-01-31'", "'it''s'", "'100%'", '"a" "b"', "'12'", "''"]),
    st.sampled_from(["count(*)", "max(n)", "sum(weight)", "avg(name)", "min(d)"]),
)
comparisons = st.tuples(operands, st.sampled_from(["=", "!=", "<>", "<", "<=", ">", ">="]), operands).map(
    " ".join
)
conditions = st.recursive(
    comparisons | operands,
    lambda inner: st.one_of(
        inner.map(lambda text: f"({text})"),
        st.tuples(inner, st.sampled_from(["AND", "or", "OR", "and"]), inner).map(" ".join),
        st.tuples(inner, st.sampled_from(["=", "<"]), inner).map(" ".join),
    ),
    max_leaves=6,
)


def rendered(
    text: str, dialect: Dialect, *, is_plain: bool
) -> tuple[Piece, frozenset[str], bool] | str | None:
    """Return what a text becomes, with the names in it and whether it aggregates; or its error."""
    tokens = scan(text, KINDS)
    tree = parse_plain(tokens, PREFIX, PLACEHOLDER) if is_plain else parse_whole(tokens)
    if tree is None:
        return None
    renderer = _renderer(dialect, KINDS, [t.value for t in tokens if t.sort is Sort.STRING])
    try:
        piece = renderer.truth(renderer.render(tree))  # type: ignore[arg-type]
    except DataJointError as error:
        return f"{type(error).__name__}: {error}"
    return piece, frozenset(renderer.names), renderer.is_aggregate


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", PLAIN)
def test_what_is_plain_is_read_without_the_parser(text: str, dialect: Dialect) -> None:
    plain = rendered(text, dialect, is_plain=True)
    assert plain is not None
    assert plain == rendered(text, dialect, is_plain=False)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_case_of_user_sql_is_left_to_the_parser_or_means_the_same(dialect: Dialect) -> None:
    for text in CASES:
        plain = rendered(text, dialect, is_plain=True)
        assert plain in (None, rendered(text, dialect, is_plain=False)), text


@settings(max_examples=300)
@given(text=conditions, dialect=st.sampled_from(DIALECTS))
def test_a_plain_condition_means_what_the_parser_makes_of_it(text: str, dialect: Dialect) -> None:
    plain = rendered(text, dialect, is_plain=True)
    assert plain is None or plain == rendered(text, dialect, is_plain=False)


def test_a_plain_condition_loads_no_parser() -> None:
    script = (
        "import sys; from dj_query.user_sql import compile_condition; "
        "compile_condition(\"n > 5 AND name = 'x'\", {'n': 'int', 'name': 'string'}, 'postgresql'); "
        "sys.exit('sqlglot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
