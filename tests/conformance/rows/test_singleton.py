"""A table that can hold one row, for it has no primary key to tell rows apart."""

from __future__ import annotations

from typing import Any

import pytest


def test_a_singleton_is_inserted_fetched_changed_and_deleted(new_schema: Any, dj: Any) -> None:
    table = new_schema()(
        type("Settings", (dj.Manual,), {"definition": "---\nv : int32\nnote = '' : varchar(9)"})
    )
    table.insert1({"v": 1})
    with pytest.raises(dj.errors.DuplicateError):
        table.insert1({"v": 2})
    assert table.fetch1() == {"v": 1, "note": ""}
    assert table.keys() == [{}]
    keys, v = table.to_arrays("v", include_key=True)
    assert keys == [{}]
    assert v.tolist() == [1]
    assert table.to_pandas()["v"].tolist() == [1]
    table.insert([{"v": 3}, {"v": 4}], skip_duplicates=True)
    assert table.fetch1("v") == 1
    table.insert([{"v": 3, "note": "x"}, {"v": 4}], replace=True)
    assert table.fetch1() == {"v": 4, "note": ""}
    table.update1({"v": 5})
    assert table.fetch1("v") == 5
    assert table.delete() == 1
    assert table.to_dicts() == []


def test_rows_without_attributes_are_fetched_in_every_form(new_schema: Any, dj: Any) -> None:
    table = new_schema()(type("Numbered", (dj.Manual,), {"definition": "n : int32"}))
    table.insert([(1,), (2,)])
    some, none = dj.U() & table, dj.U() & (table & "n > 5")
    assert some.fetch1() == {}
    for query, rows in ((some, [{}]), (none, [])):
        assert query.to_dicts() == query.keys() == list(query) == rows
        assert (len(query), len(query.to_arrays())) == (len(rows), len(rows))
        for frame in (query.to_pandas(), query.to_polars()):
            assert frame.shape[1] == 0
        assert query.to_arrow().column_names == []
