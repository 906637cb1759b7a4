"""What users hand to an insert, as groups of rows with the same fields."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from dj_query.write.dataframe import Columns, columns_of, has_documents_as_texts, refuse_twice
from dj_schema.errors import DataJointError, MissingAttributeError, UnknownAttributeError
from dj_schema.heading import Heading, unknown_attribute
from dj_schema.json_text import JsonText


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows with the same fields, by column.

    Attributes
    ----------
    places : sequence of int
        Where each row is in what the user handed over, for messages.
    """

    fields: tuple[str, ...]
    columns: tuple[Sequence[Any], ...]
    places: Sequence[int]

    @property
    def n_rows(self) -> int:
        return len(self.places)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are inserted together, by row or by column; `start` is the place of the first."""

    start: int
    by_row: list[Any]
    by_column: Columns | None = None

    @property
    def rows(self) -> list[Any]:
        if self.by_column is None:
            return self.by_row
        fields, columns = self.by_column
        return [dict(zip(fields, row, strict=True)) for row in zip(*columns, strict=True)]


def batches(rows: Any, heading: Heading, chunk_size: int | None) -> Iterator[Batch]:
    """Yield the rows in batches of `chunk_size`, or all in one.

    Raises
    ------
    DataJointError
        For what no rows can be taken from.
    """
    if chunk_size is not None and (not isinstance(chunk_size, int) or chunk_size < 1):
        raise DataJointError(f"chunk_size must be a whole number from 1, not {chunk_size!r}.")
    if chunk_size is None and type(rows) is list:
        if rows:
            yield Batch(0, rows)
        return
    if (whole := columns_of(rows)) is not None:
        fields, columns = whole
        if has_documents_as_texts(rows):
            columns = tuple([_documents(heading, f, c) for f, c in zip(fields, columns, strict=True)])
        n_rows = len(columns[0]) if columns else 0
        size = chunk_size or max(n_rows, 1)
        for start in range(0, n_rows, size):
            part = slice(start, start + size)
            yield Batch(start, [], (fields, tuple([c[part] for c in columns])))
        return
    found, start = iter(_iterable(rows, heading)), 0
    while chunk := list(islice(found, chunk_size)):
        yield Batch(start, chunk)
        start += len(chunk)


def _iterable(rows: Any, heading: Heading) -> Iterable[Any]:
    if isinstance(rows, (str, Path)):
        return _csv_rows(Path(rows), heading)
    if isinstance(rows, (Mapping, np.void)) or (isinstance(rows, np.ndarray) and not rows.ndim):
        raise DataJointError("insert takes several rows; use insert1 for one, or put it in a list.")
    if not isinstance(rows, Iterable) or isinstance(rows, bytes):
        raise DataJointError(f"insert takes an iterable of rows, not {type(rows).__name__}.")
    return rows


def _csv_rows(path: Path, heading: Heading) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise DataJointError(f"there is no file {str(path)!r} to insert from.")
    try:
        yield from _read_csv(path, heading)
    except UnicodeDecodeError as e:
        raise DataJointError(f"{str(path)!r} is no text in UTF-8; save it as that: {e.reason}.") from None
    except csv.Error as e:
        raise DataJointError(f"{str(path)!r} cannot be read as CSV, at a quote perhaps: {e}.") from None


def _read_csv(path: Path, heading: Heading) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as f:
        reader = csv.DictReader(f, strict=True)
        refuse_twice(reader.fieldnames or (), f"the first line of {str(path)!r}")
        documents = {name for name in reader.fieldnames or () if _is_document(heading, name)}
        for row in reader:
            if None in row:
                raise DataJointError(
                    f"line {reader.line_num} of {str(path)!r} has more fields than the first line."
                )
            yield {
                name: None
                if value == "" and _is_missing(heading, name)
                else (_document(value) if name in documents else value)
                for name, value in row.items()
            }


def _is_missing(heading: Heading, name: str) -> bool:
    """Whether an empty field leaves an attribute out; a text that must be given is the empty text."""
    attribute = heading.by_name.get(name)
    return attribute is None or attribute.kind != "string" or not attribute.is_required


def _is_document(heading: Heading, name: str) -> bool:
    attribute = heading.by_name.get(name)
    return attribute is not None and attribute.kind == "json" and not attribute.is_codec


def _documents(heading: Heading, name: str, column: list[Any]) -> list[Any]:
    """Return a column of a table that holds documents as their texts."""
    return [_document(v) for v in column] if _is_document(heading, name) else column


def _document(value: Any) -> Any:
    """Tell the text of a document from a document; null is None, which is NULL."""
    if not isinstance(value, str):
        return value  # a structure, or missing
    return None if value.strip() == "null" else JsonText(value)


def groups(batch: Batch, heading: Heading, ignore_extra_fields: bool, table: str) -> list[RowGroup]:
    """Return rows as groups of equal fields, in the order in which each first occurs.

    A None for an attribute that has another default, and an absent one, take the default.

    Raises
    ------
    MissingAttributeError
        Where an attribute without default has no value.
    UnknownAttributeError
        Where a row has a field that the table has not, unless these are to be ignored.
    """
    rows = batch.by_row
    uniform = batch.by_column or _uniform(rows)
    if uniform is not None:
        fields, columns = uniform
        places = range(batch.start, batch.start + len(columns[0]))
        return _checked(RowGroup(fields, columns, places), heading, ignore_extra_fields, table)
    by_fields: dict[tuple[str, ...], tuple[list[tuple[Any, ...]], list[int]]] = {}
    for place, row in enumerate(rows, batch.start):
        mapping = as_mapping(row, heading, table)
        values, places_ = by_fields.setdefault(tuple(mapping), ([], []))
        values.append(tuple(mapping.values()))
        places_.append(place)
    return [
        group
        for fields, (values, places_) in by_fields.items()
        for group in _checked(
            RowGroup(fields, tuple(zip(*values, strict=True)), places_), heading, ignore_extra_fields, table
        )
    ]


def _uniform(rows: list[Any]) -> Columns | None:
    """Dicts that all have the fields of the first: the common case, without a loop in Python."""
    if set(map(type, rows)) != {dict}:
        return None
    fields = tuple(rows[0])
    if not fields or set(map(len, rows)) != {len(fields)}:
        return None
    try:
        return fields, tuple([list(map(itemgetter(f), rows)) for f in fields])
    except KeyError:
        return None


def as_mapping(row: Any, heading: Heading, table: str) -> Mapping[str, Any]:
    """Return one row as names and values.

    Raises
    ------
    DataJointError
        For what is no row, and for a sequence of another length than the heading.
    """
    if isinstance(row, Mapping):
        return row
    if isinstance(row, np.void):
        if row.dtype.names is None:
            raise DataJointError("a numpy record needs field names to be inserted.")
        return {name: row[name] for name in row.dtype.names}
    if isinstance(row, np.ndarray) and row.ndim == 1:
        row = row.tolist()
    if isinstance(row, Sequence) and not isinstance(row, (str, bytes, bytearray)):
        if len(row) != len(heading.names):
            raise DataJointError(
                f"a row of {len(row)} values for {table}, which has {len(heading.names)} attributes: "
                f"{', '.join(heading.names)}. Use a dict to give only some."
            )
        return dict(zip(heading.names, row, strict=True))
    raise DataJointError(
        f"a row is a dict, a sequence or a numpy record, not {type(row).__name__}: {row!r:.80}"
    )


def _checked(group: RowGroup, heading: Heading, ignore_extra: bool, table: str) -> list[RowGroup]:
    by_name = heading.by_name
    known = [f for f in group.fields if f in by_name]
    if len(known) != len(group.fields):
        if not ignore_extra:
            extra = next(f for f in group.fields if f not in by_name)
            error = unknown_attribute(str(extra), heading.names, of=table)
            raise UnknownAttributeError(
                f"row {group.places[0]}: {error} ignore_extra_fields=True passes over such fields."
            )
        columns = dict(zip(group.fields, group.columns, strict=True))
        group = RowGroup(tuple(known), tuple([columns[f] for f in known]), group.places)
    for name in heading.memo("required", lambda: [a.name for a in heading.all if a.is_required]):
        if name not in group.fields:
            raise MissingAttributeError(
                f"row {group.places[0]}: attribute {name!r} of {table} has no default and must be given."
            )
    return _with_defaults(group, heading, table)


def _with_defaults(group: RowGroup, heading: Heading, table: str) -> list[RowGroup]:
    """Take fields out of rows that leave them to their default by None."""
    defaulted = [
        i
        for i, field in enumerate(group.fields)
        if not heading.by_name[field].is_nullable and _NONE in set(map(type, group.columns[i]))
    ]
    if not defaulted:
        return [group]
    for i in defaulted:
        attribute = heading.by_name[group.fields[i]]
        if attribute.is_required:
            place = next(p for p, v in zip(group.places, group.columns[i], strict=True) if v is None)
            raise MissingAttributeError(
                f"row {place}: attribute {attribute.name!r} of {table} cannot be NULL and has no default."
            )
    by_fields: dict[tuple[int, ...], tuple[list[tuple[Any, ...]], list[int]]] = {}
    for place, row in zip(group.places, zip(*group.columns, strict=True), strict=True):
        kept = tuple(i for i, v in enumerate(row) if not (v is None and i in defaulted))
        values, places = by_fields.setdefault(kept, ([], []))
        values.append(tuple(row[i] for i in kept))
        places.append(place)
    return [
        RowGroup(tuple(group.fields[i] for i in kept), tuple(zip(*values, strict=True)), places)
        for kept, (values, places) in by_fields.items()
    ]


_NONE = type(None)
