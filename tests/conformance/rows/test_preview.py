"""What a query looks like in a terminal and in a notebook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.fixture
def note(new_schema: Any, dj: Any) -> Any:
    @new_schema()
    class Note(dj.Manual):
        definition = """
        # <b>Notes</b> & more
        note_id : int32
        ---
        text : varchar(200)  # "what" <is> said
        x = null : float64
        data = null : <blob>
        raw = null : bytes
        """

    return Note


def test_text_shows_the_first_rows_and_the_count(note: Any, config: Any) -> None:
    note.insert([{"note_id": i, "text": f"t{i}", "data": np.zeros(3), "raw": b"secret"} for i in range(5)])
    lines = repr(note()).splitlines()
    assert "<b>Notes</b> & more" in lines[0]
    assert lines[1].split() == ["*note_id", "text", "x", "data", "raw"]
    assert lines[3].split() == ["0", "t0", "None", "<blob>", "<bytes>"]
    assert lines[-1].strip() == "(Total: 5)"
    assert "secret" not in repr(note())
    few = note().preview(limit=2)
    assert "t1" in few
    assert "t2" not in few
    assert "..." in few
    assert "(Total: 5)" in few
    config["display.show_tuple_count"] = False
    assert "Total" not in repr(note())
    config["display.limit"] = 3
    assert "t2" in repr(note())
    assert "t3" not in repr(note())


def test_long_values_are_cut_to_the_width(note: Any) -> None:
    note.insert1({"note_id": 1, "text": "start " + "x" * 150 + "\nend"})
    text = note().preview(width=10)
    assert "start xxx…" in text
    assert "end" not in text
    assert len(repr(note()).splitlines()) == len(text.splitlines())


def test_html_escapes_every_value(note: Any) -> None:
    note.insert1({"note_id": 1, "text": "<script>alert('x')</script> & \"q\""})
    for query in (note(), note & "note_id = 1", note.proj("text")):
        html = query._repr_html_()
        assert "<script>" not in html
        assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;q&quot;" in html
        assert "<b>Notes</b>" not in html
        assert 'title="&quot;what&quot; &lt;is&gt; said"' in html
    assert "<b>note_id</b>" in note()._repr_html_()
    assert "Total: 1" in note()._repr_html_()


def test_preview_of_nothing_and_of_expressions(note: Any, dj: Any) -> None:
    assert "(Total: 0)" in repr(note())
    assert "note_id" in note()._repr_html_()
    note.insert([{"note_id": i, "text": "a"} for i in range(3)])
    assert "(Total: 1)" in repr(dj.U("text") & note)
    assert "3" in repr(dj.U().aggr(note, n="count(*)"))
    assert "(Total: 2)" in repr(note.proj(y="note_id + 1") & "y > 1")
    assert "(Total: 2)" in repr(note & dj.Top(2))


def test_a_value_with_line_breaks_stays_on_its_line(note: Any) -> None:
    note.insert1({"note_id": 1, "text": "a\nb\tc"})
    assert sum("a b" in line for line in repr(note()).splitlines()) == 1


def test_a_value_moves_no_cursor_and_stands_in_its_column(note: Any) -> None:
    texts = ["\x1b[31mred\tx\u202ey", "日本語", "e\u0301", "日" * 20]
    note.insert([{"note_id": i, "text": text} for i, text in enumerate(texts)])
    text = note().preview(width=9)
    assert "\x1b" not in text
    assert "\t" not in text
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert "\\x1b[31m…" in lines["0"]
    assert "日日日日…" in lines["3"]
    places = [lines[str(i)].index("None") for i in range(4)]
    assert places == [19, 19 - 3, 19 + 1, 19 - 4]  # one wide character stands in two places
    assert "\\x1b[31mred\\tx\\u202ey" in (note & "note_id = 0").preview(width=60)


def test_a_float32_has_the_digits_that_it_holds(new_schema: Any, dj: Any) -> None:
    table = new_schema()(
        type("Single", (dj.Manual,), {"definition": "k : int32\n---\nf : float32\ng : float64"})
    )
    table.insert1((1, 100 / 3, 0.1))
    row = repr(table()).splitlines()[-2].split()
    assert [row[0], row[2]] == ["1", "0.1"]
    assert row[1] in ("33.333332", "33.333333", "33.333334")
    assert row[1] in table()._repr_html_()
