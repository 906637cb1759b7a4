"""Composed SQL: names and values can be anything, and stay names and values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_schema.dialects.mysql.literals import string_literal
from dj_schema.errors import DefinitionError
from dj_schema.sql import EMPTY, Ident, Param, Sql, idents, join, literal, params, render, sql


def test_a_statement_is_text_and_its_values() -> None:
    where = sql("{} = {} AND {} IN ({})", Ident("a"), Param("x' OR 1"), Ident("t", "b"), params([1, 2]))
    statement = sql("SELECT {} FROM {} WHERE {}", idents(["a", "b"]), Ident("s", "t"), where)
    assert render(statement, '"') == (
        'SELECT "a", "b" FROM "s"."t" WHERE "a" = %s AND "t"."b" IN (%s, %s)',
        ("x' OR 1", 1, 2),
    )
    assert render(statement, "`").text.startswith("SELECT `a`, `b` FROM `s`.`t`")


@given(st.text().filter(lambda s: "\0" not in s), st.sampled_from('"`'))
def test_any_name_is_quoted_so_that_it_comes_back(name: str, quote: str) -> None:
    text = render(sql("{}", Ident(name)), quote).text
    assert text[0] == text[-1] == quote
    assert text[1:-1].replace(quote * 2, quote).replace("%%", "%") == name
    assert quote not in text[1:-1].replace(quote * 2, "")


def test_a_name_with_a_null_character_is_refused() -> None:
    with pytest.raises(ValueError, match="null character"):
        render(sql("{}", Ident("a\0b")), '"')


@given(st.text())
def test_a_constant_is_one_token_whatever_is_in_it(text: str) -> None:
    (part,) = literal(text).parts
    assert isinstance(part, str)
    assert part[1:-1].replace("''", "").count("'") == 0
    assert part[1:-1].replace("''", "'").replace("%%", "%") == text


@given(st.text(st.characters(max_codepoint=0xFFFF)))
def test_a_constant_of_mysql_has_its_backslashes_doubled(text: str) -> None:
    body = string_literal(text)[1:-1]
    assert body.replace("''", "'").replace("%%", "%").replace("\\\\", "\\") == text
    with pytest.raises(DefinitionError, match="cannot keep"):
        string_literal(text + "🧠")


def test_a_string_is_no_piece_of_sql() -> None:
    with pytest.raises(TypeError, match="Ident or Param"):
        sql("SELECT {}", "1; DROP TABLE x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 places for 1"):
        sql("{} {}", Ident("a"))


def test_pieces_are_values() -> None:
    assert sql("a {}", Ident("b")) == sql("a {}", Ident("b"))
    assert hash(sql("a")) == hash(sql("a"))
    assert sql("a") != sql("b")
    assert not EMPTY
    assert EMPTY + sql("a") == sql("a")
    assert join(", ", []) == EMPTY
    assert repr(sql("{} = {}", Ident("a"), Param("secret"))) == "Sql('\"a\" = %s')"
    assert isinstance(join(" AND ", [sql("x"), Ident("y")]), Sql)
