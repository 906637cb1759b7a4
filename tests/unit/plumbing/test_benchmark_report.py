"""The benchmark's table says what was measured, and only that."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.figures import Bar, Figure, selected
from benchmarks.report import BEGIN, END, Measurements, as_markdown, as_text, table, verdict, write_into

FIGURE = Figure("insert", "rows", "insert rows", {"postgresql": Bar(4, 2.5)})


def _measured(us: float, peer: float, floor: float) -> Measurements:
    measured = Measurements()
    for name, seconds in {"us": us, "peer": peer, "floor": floor}.items():
        for value in (seconds * 9, seconds, seconds / 9):
            measured.add(name, "insert", value)
    return measured


def test_ratios_are_of_medians() -> None:
    (row,) = table([FIGURE], _measured(us=0.1, peer=1.0, floor=0.05), "postgresql")
    assert row == ("insert rows", "100 ms", "1.00 s", "50 ms", "10", "4", "2", "2.5", "ok")


@pytest.mark.parametrize(
    ("peer_over_us", "us_over_floor", "expected"),
    [
        (4, 2.5, "ok"),
        (3.9, 1, "below"),
        (9, 2.6, "below"),
        (None, 1, "?"),
        (None, 3, "below"),
        (9, None, "?"),
    ],
)
def test_verdict_needs_every_bar_to_be_met(
    peer_over_us: float | None, us_over_floor: float | None, expected: str
) -> None:
    assert verdict(Bar(4, 2.5), peer_over_us, us_over_floor) == expected


def test_result_without_a_bar_gets_no_verdict() -> None:
    (row,) = table([FIGURE], _measured(1, 1, 1), "mariadb")
    assert row[-1] == ""


def test_what_was_not_measured_is_shown_as_missing() -> None:
    (row,) = table([FIGURE], Measurements(), "postgresql")
    assert row[1:5] == ("-", "-", "-", "-")
    assert row[-1] == "?"


def test_selection_knows_names_and_groups_by_their_beginning() -> None:
    assert {figure.name for figure in selected(("fetch1", "jobs_4"), False)} == {
        "fetch1_by_key",
        "populate_reserved_4",
    }
    with pytest.raises(ValueError, match="no figure is called nonsense"):
        selected(("nonsense",), False)


def test_selection_without_names_is_what_has_a_bar() -> None:
    assert all(figure.bars for figure in selected((), False))
    assert len(selected((), True)) > len(selected((), False))


def test_markdown_replaces_what_is_between_the_marks(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n")
    rows = table([FIGURE], _measured(1, 4, 1), "postgresql")
    write_into(readme, as_markdown(rows))
    text = readme.read_text()
    assert "old" not in text
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert "| insert rows | 1.00 s | 4.00 s |" in text


def test_markdown_is_not_written_where_the_marks_are_missing(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing here\n")
    with pytest.raises(ValueError, match="lacks the lines"):
        write_into(readme, "x")
    assert readme.read_text() == "nothing here\n"


def test_text_table_is_aligned() -> None:
    lines = as_text(table([FIGURE, FIGURE], _measured(1, 4, 1), "postgresql")).splitlines()
    assert lines[1] == lines[2]
    assert lines[0].index("us") + 2 == lines[1].index("1.00 s") + 6
