"""Data frames and arrays with fields, as what `insert` takes: their columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dj_schema.errors import DataError, DataJointError

Columns = tuple[tuple[str, ...], tuple[list[Any], ...]]
"""Names, and the values of each: as many for one as for another."""


def frame_of_rows(frame: Any, primary_key: Sequence[str], index_as_pk: bool | None) -> Any:
    """Return the frame with its index as columns, or without it."""
    if not (hasattr(frame, "reset_index") and hasattr(frame, "index")):
        raise DataJointError(
            f"insert_dataframe takes a pandas DataFrame, not {type(frame).__name__}; insert takes all else."
        )
    names = list(frame.index.names)
    is_key = set(names) == set(primary_key)
    if index_as_pk and not is_key:
        raise DataJointError(
            f"the index is named {names}, and the primary key {list(primary_key)}. "
            "Name the index so (df.set_index), or pass index_as_pk=False to leave it out."
        )
    keep = is_key if index_as_pk is None else index_as_pk
    if not keep and names != [None] and index_as_pk is None:
        raise DataJointError(
            f"the index is named {names}, which is not the primary key {list(primary_key)}. "
            "Pass index_as_pk=False to leave it out, or make it columns with df.reset_index()."
        )
    return frame.reset_index(drop=not keep)


def columns_of(rows: Any) -> Columns | None:
    """Return the columns of a frame of pandas or polars, a table of pyarrow, or an array with fields.

    None for all else, whose rows are mappings or sequences.
    """
    if isinstance(rows, np.ndarray):
        return _of_array(rows) if rows.dtype.names and rows.ndim else None
    if hasattr(rows, "reset_index") and hasattr(rows, "columns"):  # pandas
        return _of_pandas(rows)
    if _is_polars(rows):
        return tuple(rows.columns), tuple([column.to_list() for column in rows.get_columns()])
    if _is_arrow(rows):
        refuse_twice(rows.column_names, "the table")
        columns = zip(rows.column_names, rows.columns, strict=True)
        return tuple(rows.column_names), tuple([_of_arrow(name, column) for name, column in columns])
    return None


def has_documents_as_texts(rows: Any) -> bool:
    """Whether the columns have types, and none for JSON: documents are texts then, as in to_arrow().

    An array or a frame of pandas holds any object, as a dict does: a text there is a document itself.
    """
    return _is_polars(rows) or _is_arrow(rows)


def _is_polars(rows: Any) -> bool:
    return hasattr(rows, "iter_rows") and hasattr(rows, "get_columns")


def _is_arrow(rows: Any) -> bool:
    return hasattr(rows, "to_pylist") and hasattr(rows, "column_names")


def _of_arrow(name: str, column: Any) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError) as e:  # a date of the year 10000
        raise DataError(f"column {name!r} of the table has a value that Python has none for: {e}.") from e
    return values


def _of_array(rows: np.ndarray[Any, Any]) -> Columns:
    # A time of nanoseconds would become a number, and an array in a field a list.
    columns = [
        rows[n].tolist() if rows[n].ndim == 1 and rows[n].dtype.kind in "biufUO" else list(rows[n])
        for n in rows.dtype.names
    ]
    return tuple(rows.dtype.names), tuple(columns)


def _of_pandas(frame: Any) -> Columns:
    if frame.index.names != [None]:
        refuse_twice(
            [str(n) for n in (*frame.index.names, *frame.columns) if n is not None], "the data frame"
        )
        frame = frame.reset_index()
    names = [str(c) for c in frame.columns]
    refuse_twice(names, "the data frame")
    if not names and len(frame):
        raise DataJointError(
            f"the data frame has {len(frame)} rows and no columns; name them by the table's attributes."
        )
    return tuple(names), tuple([_values(frame[c]) for c in frame.columns])


def _values(series: Any) -> list[Any]:
    missing = series.isna()
    values: list[Any] = series.tolist()
    if not missing.any():
        return values
    return [None if gone else v for v, gone in zip(values, missing.tolist(), strict=True)]


def refuse_twice(names: Sequence[str], where: str) -> None:
    """Raise where a name stands for two columns."""
    if twice := [n for i, n in enumerate(names) if n in names[:i]]:
        raise DataJointError(f"{where} names {twice[0]!r} twice; leave one of them out.")
