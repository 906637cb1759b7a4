"""What users hand to an insert, as groups of rows with the same fields."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from dj_schema.errors import DataJointError, MissingAttributeError, UnknownAttributeError
from dj_schema.heading import Heading, unknown_attribute


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows with the same fields, by column."""

    fields: tuple[str, ...]
    columns: tuple[Sequence[Any], ...]

    @property
    def n_rows(self) -> int:
        return len(self.columns[0]) if self.columns else 0


def batches(rows: Any, heading: Heading, chunk_size: int | None) -> Iterator[list[Any]]:
    """Yield the rows in lists of `chunk_size`, or all in one.

    Raises
    ------
    DataJointError
        For what no rows can be taken from.
    """
    if isinstance(rows, (str, Path)):
        yield from _csv_batches(Path(rows), chunk_size)
        return
    if isinstance(rows, Mapping):
        raise DataJointError("insert takes several rows; use insert1 for one dict, or put it in a list.")
    rows = _frame_records(rows)
    if isinstance(rows, np.ndarray) and rows.dtype.names:
        rows = [dict(zip(rows.dtype.names, r, strict=True)) for r in rows.tolist()]
    if not isinstance(rows, Iterable):
        raise DataJointError(f"insert takes an iterable of rows, not {type(rows).__name__}.")
    yield from _chunks(rows, chunk_size)


def _chunks(rows: Iterable[Any], chunk_size: int | None) -> Iterator[list[Any]]:
    if chunk_size is None:
        yield rows if isinstance(rows, list) else list(rows)
        return
    if chunk_size < 1:
        raise DataJointError(f"chunk_size must be at least 1, not {chunk_size}.")
    chunk: list[Any] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == chunk_size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _csv_batches(path: Path, chunk_size: int | None) -> Iterator[list[Any]]:
    with path.open(newline="", encoding="utf-8-sig") as f:
        reader = csv.DictReader(f)
        # an empty field is a missing value; a text attribute gets the empty string by its default
        rows = ({k: (v if v != "" else None) for k, v in row.items()} for row in reader)
        yield from _chunks(rows, chunk_size)


def _frame_records(rows: Any) -> Any:
    if hasattr(rows, "reset_index") and hasattr(rows, "to_dict"):  # pandas
        frame = rows.reset_index() if rows.index.names != [None] else rows
        names = [str(c) for c in frame.columns]
        columns = [_pandas_column(frame[c]) for c in frame.columns]
        return [dict(zip(names, r, strict=True)) for r in zip(*columns, strict=True)]
    if hasattr(rows, "iter_rows") and hasattr(rows, "to_dicts"):  # polars
        return rows.to_dicts()
    if hasattr(rows, "to_pylist"):  # pyarrow
        return rows.to_pylist()
    return rows


def _pandas_column(series: Any) -> list[Any]:
    missing = series.isna()
    values = series.tolist()
    if not missing.any():
        return list(values)
    return [None if gone else v for v, gone in zip(values, missing.tolist(), strict=True)]


def groups(rows: list[Any], heading: Heading, ignore_extra_fields: bool, table: str) -> list[RowGroup]:
    """Return rows as groups of equal fields, in the order in which each first occurs.

    A None for an attribute that has another default, and an absent one, take the default.

    Raises
    ------
    MissingAttributeError
        Where an attribute without default has no value.
    UnknownAttributeError
        Where a row has a field that the table has not, unless these are to be ignored.
    """
    if not rows:
        return []
    uniform = _uniform(rows)
    if uniform is not None:
        fields, columns = uniform
        return _checked([RowGroup(fields, columns)], heading, ignore_extra_fields, table)
    by_fields: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        mapping = _as_mapping(row, heading, table)
        by_fields.setdefault(tuple(mapping), []).append(tuple(mapping.values()))
    found = [RowGroup(f, tuple(zip(*values, strict=True))) for f, values in by_fields.items()]
    return _checked(found, heading, ignore_extra_fields, table)


def _uniform(rows: list[Any]) -> tuple[tuple[str, ...], tuple[Sequence[Any], ...]] | None:
    """Dicts that all have the fields of the first: the common case, without a loop in Python."""
    if set(map(type, rows)) != {dict}:
        return None
    fields = tuple(rows[0])
    if not fields or set(map(len, rows)) != {len(fields)}:
        return None
    try:
        return fields, tuple(list(map(itemgetter(f), rows)) for f in fields)
    except KeyError:
        return None


def _as_mapping(row: Any, heading: Heading, table: str) -> Mapping[str, Any]:
    if isinstance(row, Mapping):
        return row
    if isinstance(row, np.void):
        if row.dtype.names is None:
            raise DataJointError("a numpy record needs field names to be inserted.")
        return dict(zip(row.dtype.names, row.tolist(), strict=True))
    if isinstance(row, Sequence) and not isinstance(row, (str, bytes)):
        if len(row) != len(heading.names):
            raise DataJointError(
                f"a row of {len(row)} values for {table}, which has {len(heading.names)} attributes: "
                f"{', '.join(heading.names)}. Use a dict to give only some."
            )
        return dict(zip(heading.names, row, strict=True))
    raise DataJointError(f"a row is a dict, a sequence or a numpy record, not {type(row).__name__}: {row!r:.80}")


def _checked(found: list[RowGroup], heading: Heading, ignore_extra: bool, table: str) -> list[RowGroup]:
    checked: list[RowGroup] = []
    for group in found:
        known = [f for f in group.fields if f in heading.by_name]
        if len(known) != len(group.fields):
            if not ignore_extra:
                extra = next(f for f in group.fields if f not in heading.by_name)
                error = unknown_attribute(str(extra), heading.names, of=table)
                raise UnknownAttributeError(f"{error} ignore_extra_fields=True passes over such fields.")
            by_name = dict(zip(group.fields, group.columns, strict=True))
            group = RowGroup(tuple(known), tuple(by_name[f] for f in known))
        checked += _with_defaults(group, heading)
    for group in checked:
        for attribute in heading.all:
            if attribute.is_required and attribute.name not in group.fields:
                raise MissingAttributeError(
                    f"attribute {attribute.name!r} of {table} has no default and must be given in every row."
                )
    return checked


def _with_defaults(group: RowGroup, heading: Heading) -> list[RowGroup]:
    """Take fields out of rows that leave them to their default by None."""
    defaulted = [
        i
        for i, field in enumerate(group.fields)
        if not heading.by_name[field].is_nullable and None in _lookable(group.columns[i], heading.by_name[field])
    ]
    if not defaulted:
        return [group]
    for i in defaulted:
        attribute = heading.by_name[group.fields[i]]
        if attribute.is_required:
            row = next(r for r, v in enumerate(group.columns[i]) if v is None)
            raise MissingAttributeError(f"row {row}: attribute {attribute.name!r} cannot be NULL and has no default.")
    by_fields: dict[tuple[int, ...], list[tuple[Any, ...]]] = {}
    for row in zip(*group.columns, strict=True):
        kept = tuple(i for i, v in enumerate(row) if not (v is None and i in defaulted))
        by_fields.setdefault(kept, []).append(tuple(row[i] for i in kept))
    return [
        RowGroup(tuple(group.fields[i] for i in kept), tuple(zip(*rows, strict=True)))
        for kept, rows in by_fields.items()
    ]


def _lookable(column: Sequence[Any], attribute: Any) -> Sequence[Any]:
    """Arrays compare element by element, so `None in column` cannot be asked of objects."""
    if attribute.is_codec or attribute.kind in ("json", "bytes", "unknown"):
        return [None] if any(v is None for v in column) else []
    return column
