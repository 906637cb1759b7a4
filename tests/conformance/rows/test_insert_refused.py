"""Rows, files and frames that are refused with an error of ours, before anything is written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest


@pytest.fixture
def names(new_schema: Any, dj: Any) -> Any:
    definition = "name : varchar(10)\n---\nn = 0 : int32\nnote = '' : varchar(9)"
    return new_schema()(type("Names", (dj.Manual,), {"definition": definition}))


def test_a_key_that_ends_in_a_space_is_refused_where_it_is_not_told_from_another(
    names: Any, connection: Any, dj: Any
) -> None:
    names.insert([{"name": "ab", "note": "x "}, {"name": " b"}])
    if connection.dialect.flags.has_exact_texts:
        names.insert1({"name": "ab "})
        assert (names & {"name": "ab"}).delete(prompt=False) == 1
        assert len(names()) == 2
        return
    for n in (1, 60):
        with pytest.raises(dj.errors.DataError, match=f"row {n - 1}: 'c ' ends in a space"):
            names.insert([*({"name": f"k{i}"} for i in range(n - 1)), {"name": "c "}])
    assert len(names()) == 2


def test_files_and_frames_that_say_two_things_are_refused(names: Any, dj: Any, tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    for content, message in (
        (b"name,n\n\xff\xfe,1\n", "UTF-8"),
        (b"name,n,n\na,1,2\n", "names 'n' twice"),
        (b'name,n\n"a,1\nb,2\n', "CSV"),
    ):
        path.write_bytes(content)
        with pytest.raises(dj.DataJointError, match=message):
            names.insert(path)
    with pytest.raises(dj.DataJointError, match="names 'n' twice"):
        names.insert(pd.DataFrame([["a", 1, 2]], columns=["name", "n", "n"]))
    assert not len(names())


def test_a_question_that_nobody_answers_destroys_nothing(
    names: Any, dj: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.insert1({"name": "a"})
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    for destroy in (names.delete, names.drop):
        with pytest.raises(dj.DataJointError, match="prompt=False"):
            destroy(prompt=True)
    assert len(names()) == 1
