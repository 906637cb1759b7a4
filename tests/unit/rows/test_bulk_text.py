"""Many rows as text: what MySQL gets as statements, and PostgreSQL as a COPY."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pymysql.converters import escape_item

from dj_schema.dialects.mysql import bulk as mysql
from dj_schema.dialects.postgres import bulk as postgres


def _escape(value: Any) -> str:
    return str(escape_item(value, "utf8mb4"))


def test_names_keep_their_percent_signs_and_places_are_found() -> None:
    tail = " ON DUPLICATE KEY UPDATE `y` = VALUES(`y`)"
    text = "INSERT INTO `a%%b` (`(%%s, %%s)`, `y`) VALUES (%s, %s)" + tail
    (statement,) = mysql.statements(text, [[1, 2], ["%s", None]], _escape)
    assert statement == "INSERT INTO `a%b` (`(%s, %s)`, `y`) VALUES (1, '%s'),(2, NULL)" + tail


def test_floats_are_written_as_doubles() -> None:
    (statement,) = mysql.statements("VALUES (%s)", [[0.1, 1e300, -2.0]], _escape)
    assert statement == "VALUES (0.1e0),(1e+300),(-2.0e0)"


def test_statements_end_at_a_thousand_rows_or_some_megabytes() -> None:
    assert [s.count("(") for s in mysql.statements("V (%s)", [list(range(2500))], _escape)] == [
        1000,
        1000,
        500,
    ]
    big = [b"x" * 1_500_000, None, "y" * 3_000_000, 5, b"z" * 9_000_000, "s"]
    rows = [s.count("(") for s in mysql.statements("V (%s)", [big], _escape)]
    assert sum(rows) == len(big)
    assert len(rows) > 2


def test_every_row_is_sent_once_and_in_order() -> None:
    values = [f"{i}" * (i % 50_000) for i in range(0, 3000, 7)]
    sent = [
        int(v)
        for s in mysql.statements("(%s, %s)", [list(range(len(values))), values], _escape)
        for v in _firsts(s)
    ]
    assert sent == list(range(len(values)))


def _firsts(statement: str) -> list[str]:
    return [row.split(",")[0] for row in statement.strip("()").split("),(")]


def _read_copy(text: str) -> list[list[str | None]]:
    """Read COPY's text format as the manual of PostgreSQL describes it."""
    escapes = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}

    def field(raw: str) -> str | None:
        if raw == "\\N":
            return None
        out, i = [], 0
        while i < len(raw):
            if raw[i] == "\\":
                i += 1
                out.append(escapes[raw[i]])
            else:
                out.append(raw[i])
            i += 1
        return "".join(out)

    return [[field(raw) for raw in line.split("\t")] for line in text.split("\n")[:-1]]


_TEXTS = (
    st.none()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    | st.sampled_from(["\\N", "\\.", ""])
)


@given(st.lists(st.tuples(_TEXTS, _TEXTS), min_size=1, max_size=30))
def test_copy_text_reads_back(rows: list[tuple[str | None, str | None]]) -> None:
    columns = [[row[i] for row in rows] for i in range(2)]
    assert postgres.is_known(columns)
    assert _read_copy("".join(postgres.blocks(columns))) == [list(row) for row in rows]


def test_copy_text_of_each_type() -> None:
    columns = [[1], [0.1], [True], [b"\0\xff"], [Decimal("1.50")], [None]]
    assert "".join(postgres.blocks(columns)) == "1\t0.1\tt\t\\\\x00ff\t1.50\t\\N\n"
    assert not postgres.is_known([[1], [[1, 2]]])


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_plain_texts_are_written_as_the_driver_would(texts: list[str]) -> None:
    (statement,) = mysql.statements("VALUES (%s)", [texts], _escape)
    assert statement == "VALUES " + ",".join(f"({_escape(text)})" for text in texts)
