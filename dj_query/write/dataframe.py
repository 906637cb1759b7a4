"""A DataFrame of pandas and its index, as what `insert` takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dj_schema.errors import DataJointError


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
