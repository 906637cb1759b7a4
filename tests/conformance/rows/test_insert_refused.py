"""Rows, files and frames that are refused with an error of ours, before anything is written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
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


def test_rows_of_other_programs_that_end_in_a_space_are_not_taken_for_those_without(
    names: Any, connection: Any, dj: Any, new_schema: Any
) -> None:
    quote = connection.dialect.quote
    column = f"{quote}name{quote}"
    connection.query(f"INSERT INTO {names.full_table_name} ({column}, n, note) VALUES ('ab ', 1, 'x ')")
    names.insert([{"name": "cd", "n": 2, "note": "x"}, {"name": "ef", "n": 3, "note": "y"}])
    copy = new_schema()(type("Copied", (dj.Manual,), {"definition": "name : varchar(10)"}))
    with pytest.raises(dj.DataJointError, match="none with key"):
        names.update1({"name": "ab", "n": 9})
    names.update1({"name": "ab ", "n": 1})
    doomed = [
        names & {"name": "ab"},
        names & [{"name": "ab"}, {"name": "zz"}] & "n > 0",
        names & [{"name": "ab"}, {"name": "zz", "n": 4}],
    ]
    if connection.dialect.flags.has_exact_texts:
        assert [rows.delete() for rows in doomed] == [0, 0, 0]
        copy.insert(names.proj())
    else:
        for rows in doomed:
            for delete in (rows.delete, rows.delete_quick):
                with pytest.raises(dj.errors.DataError, match="spaces at the end of 'name'.*LIKE"):
                    delete()
        with pytest.raises(dj.errors.DataError, match="name that ends in a space.*rtrim"):
            copy.insert(names.proj())
        copy.insert(names.proj() & "name NOT LIKE '% '")
        assert len(copy()) == 2
    assert (names & {"note": "x"}).delete() == 1
    assert sorted(names.to_arrays("name")) == ["ab ", "ef"]
    assert (names & {"name": "ef"}).delete() == 1
    assert (names & {"name": "ab "}).delete() == 1


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


def test_a_frame_without_columns_and_an_array_that_is_one_row_are_refused(names: Any, dj: Any) -> None:
    with pytest.raises(dj.DataJointError, match="3 rows and no columns"):
        names.insert(pd.DataFrame(index=range(3)))
    with pytest.raises(dj.DataJointError, match="use insert1"):
        names.insert(np.zeros((), dtype=[("name", "U9")]))
    names.insert(pd.DataFrame())
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
