"""JSON documents from where they are texts: CSV, Arrow and Polars; in Python a text is itself a document."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from dj_schema.errors import DataError

DOCUMENTS: list[Any] = [{"a": [1, None, "é"]}, [1.5, "2"], "text", '{"no": "object"}', "", 3, True, {}, None]
TEXTS = [json.dumps(d, ensure_ascii=False) for d in DOCUMENTS]
ROWS = [{"k": k, "doc": text, "note": text} for k, text in enumerate(TEXTS)]


@pytest.fixture
def table(new_schema: Any, dj: Any) -> Any:
    definition = "k : int32\n---\ndoc = null : json\nnote = 'none' : varchar(40)"
    return new_schema()(type("Documents", (dj.Manual,), {"definition": definition}))


def _file(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


FORMS: dict[str, Any] = {
    "CSV": _file,
    "CSV by its name": lambda folder, rows: str(_file(folder, rows)),
    "pyarrow": lambda folder, rows: pa.Table.from_pylist(rows),
    "pyarrow with a dictionary": lambda folder, rows: pa.table(
        {"k": [r["k"] for r in rows], "doc": pa.array([r["doc"] for r in rows]).dictionary_encode()}
    ),
    "polars": lambda folder, rows: pl.DataFrame(rows),
}


@pytest.mark.rule("data-manipulation", "2.2")
@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_text_is_read_as_the_document_that_it_is_of(
    table: Any, tmp_path: Path, form: Any, chunk_size: int | None
) -> None:
    rows = form(tmp_path, ROWS)
    assert table.validate(rows)
    table.insert(rows, chunk_size=chunk_size)
    assert table.to_arrays("doc", order_by="k").tolist() == DOCUMENTS
    assert len(table & {"doc.a[2]": "é"}) == 1
    assert len(table & "doc IS NULL") == 1  # null is no document, as None is none
    if "note" in getattr(rows, "column_names", ["note"]):  # a text is the text that it is
        assert table.to_arrays("note", order_by="k").tolist() == TEXTS


@pytest.mark.parametrize("form", ["to_arrow", "to_polars", "to_pandas", "to_dicts", "to_arrays"])
def test_what_was_fetched_is_inserted_again_as_it_was(table: Any, form: str) -> None:
    table.insert([{"k": k, "doc": document} for k, document in enumerate(DOCUMENTS)])
    rows = getattr(table, form)(order_by="k")
    table.delete(prompt=False)
    table.insert(rows)
    assert table.to_arrays("doc", order_by="k").tolist() == DOCUMENTS


def test_structures_of_a_table_are_documents_with_their_texts(table: Any) -> None:
    documents = [{"a": "1", "b": ["x", "2"]}, {"a": None, "b": []}, None]
    for frame in (
        pa.table({"k": [0, 1, 2], "doc": documents}),
        pl.DataFrame({"k": [0, 1, 2], "doc": documents}),
    ):
        table.insert(frame, replace=True)
        assert table.to_arrays("doc", order_by="k").tolist() == documents


@pytest.mark.parametrize(
    "rows",
    [
        [{"k": 0, "doc": '{"a": 1}'}],
        [(0, '{"a": 1}', "x")],
        pd.DataFrame({"k": [0], "doc": ['{"a": 1}']}),
        np.array([(0, '{"a": 1}')], dtype=[("k", "i4"), ("doc", "O")]),
    ],
    ids=["dicts", "tuples", "pandas", "array"],
)
def test_a_text_in_python_is_a_document_of_its_own(table: Any, rows: Any) -> None:
    table.insert(rows)
    assert table.fetch1("doc") == '{"a": 1}'


BAD = {
    "plain": "is no JSON text",
    "{'a': 1}": "is no JSON text",
    '{"a": 1} x': "is no JSON text",
    "NaN": "NaN",
    '{"a": [-Infinity]}': "Infinity",
    "1e400": "",
    str(2**64): "64 bits",
    '"\\u0000"': "null character",
    '"\\ud800"': "surrogate",
    "[" * 100_000: "nested too deeply",
}


@pytest.mark.parametrize("form", ["CSV", "pyarrow", "polars"])
@pytest.mark.parametrize(("text", "why"), BAD.items(), ids=range(len(BAD)))
def test_what_is_no_document_is_refused_and_nothing_is_written(
    table: Any, tmp_path: Path, form: str, text: str, why: str
) -> None:
    rows = FORMS[form](tmp_path, [{"k": 0, "doc": "[1]"}, {"k": 1, "doc": text}])
    with pytest.raises(DataError, match=f"row 1: .* attribute 'doc' of type json: .*{why}"):
        table.insert(rows)
    assert not len(table)
    ((row, name, _),) = table.validate(rows).errors
    assert (row, name) == (1, "doc")
