"""Frames, tables and arrays with fields are inserted by column, whole or in chunks; no rows are nothing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from dj_schema.errors import DataError, DataJointError

ROWS = [
    {"k": k, "x": None if k == 3 else k / 2, "s": f"é{k}", "t": dt.datetime(2026, 1, 1, k)} for k in range(7)
]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
FORMS: dict[str, Any] = {
    "pandas": pd.DataFrame(ROWS),
    "pandas with an index": pd.DataFrame(ROWS).set_index("k"),
    "polars": pl.DataFrame(ROWS),
    "pyarrow": pa.table(COLUMNS),
    "array with fields": np.array(
        [tuple(row.values()) for row in ROWS], dtype=[("k", "i4"), ("x", "O"), ("s", "O"), ("t", "O")]
    ),
}


@pytest.fixture
def table(new_schema: Any, dj: Any) -> Any:
    definition = "k : int32\n---\nx = null : float64\ns : varchar(20)\nt : datetime"
    return new_schema()(type("Framed", (dj.Manual,), {"definition": definition}))


@pytest.mark.parametrize("chunk_size", [None, 1, 3, 100])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_each_form_gives_its_rows(table: Any, form: Any, chunk_size: int | None) -> None:
    table.insert(form, chunk_size=chunk_size)
    assert table.to_dicts(order_by="k") == ROWS
    assert table.validate(form[:0])


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_form_of_no_rows_is_nothing(table: Any, form: Any) -> None:
    table.insert(form[:0])
    assert len(table) == 0


def test_a_misfit_in_a_frame_is_told_by_its_row_and_nothing_is_kept(table: Any) -> None:
    frame = pd.DataFrame(ROWS).assign(s=["a"] * 5 + ["b" * 21, "c"])
    with pytest.raises(DataError, match="row 5"):
        table.insert(frame, chunk_size=None)
    with pytest.raises(DataJointError, match="'x' twice"):
        table.insert(pd.concat([pd.DataFrame(ROWS), pd.DataFrame({"x": [1.0] * 7})], axis=1))
    assert len(table) == 0


def test_rows_with_times_are_found_by_the_frame_that_they_make(dj: Any, new_schema: Any) -> None:
    definition = "at : time\n---\nlater = null : time"
    table = new_schema()(type(dj.Manual)("Clock", (dj.Manual,), {"definition": definition}))
    table.insert([("01:00:00", "02:30:00"), ("23:59:59", None)])
    frame = table.to_pandas()
    assert len(table & frame) == len(table & frame[:1]) + 1 == 2
    assert (table & {"later": frame["later"].iloc[0]}).fetch1("at") == dt.timedelta(hours=1)
    assert (table & {"at": np.timedelta64(3_600_000_000_000, "ns")}).fetch1("later") == dt.timedelta(
        hours=2.5
    )
    table.delete_quick()
    table.insert(frame)
    assert len(table & frame) == 2
