"""The `contents` of a lookup table: rows that its class brings along."""

from __future__ import annotations

import datetime as dt
import logging
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dj_query.values import comparable
from dj_query.write.rows import as_mapping
from dj_schema.errors import DataJointError
from dj_schema.heading import Attribute

if TYPE_CHECKING:
    from dj_query.table import Table

log = logging.getLogger("datajoint.lookup")
_MAX_COMPARED = 1000


def fill(table: Table, contents: Any) -> None:
    """Insert those rows of the contents that the table lacks.

    A row whose key is there stays as it is, as others may depend on it; where it differs from the contents,
    a warning says so. Where nothing is missing nothing is written, so that who may only read can import.
    """
    rows = contents() if callable(contents) else contents
    rows = rows if isinstance(rows, (list, tuple)) or not _is_plain(rows) else list(rows)
    if _is_plain(rows) and len(rows) == 0:
        return
    missing = _missing(table, rows) if _is_plain(rows) and len(rows) <= _MAX_COMPARED else rows
    if not _is_plain(missing) or len(missing):
        table.insert(missing, skip_duplicates=True)


def _is_plain(rows: Any) -> bool:
    """Whether these are rows one by one; not a frame, a query or a path."""
    return isinstance(rows, (list, tuple)) or (hasattr(rows, "__next__") and not hasattr(rows, "heading"))


def _missing(table: Table, rows: list[Any] | tuple[Any, ...]) -> list[Any]:
    heading = table.heading
    key = heading.primary_key
    mappings = [as_mapping(row, heading, table.full_table_name) for row in rows]
    if not key or any(mapping.get(name) is None for mapping in mappings for name in key):
        return list(rows)
    simple = [
        n
        for n, a in heading.attributes.items()
        if a.in_key or not (a.is_codec or a.kind in ("json", "bytes"))
    ]
    keys = [{name: mapping[name] for name in key} for mapping in mappings]
    stored = {_key(heading.attributes, key, row): row for row in (table & keys).proj(*simple).to_dicts()}
    missing = []
    for row, mapping in zip(rows, mappings, strict=True):
        known = stored.get(_key(heading.attributes, key, mapping))
        if known is None:
            missing.append(row)
            continue
        for name in simple:
            if name in mapping and not _is_same(heading.attributes[name], known[name], mapping[name]):
                log.warning(
                    "%s holds %s=%r for %s, and the contents of its class say %r; the row stays as it is: "
                    "update1 changes it",
                    table.full_table_name, name, known[name], {k: known[k] for k in key}, mapping[name],
                )  # fmt: skip
    return missing


def _key(attributes: Mapping[str, Attribute], key: list[str], row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_text(attributes[name], row[name]) for name in key)


def _text(attribute: Attribute, value: Any) -> str:
    """Return a value of a key in one form, whether it comes from a class or from the server."""
    value = comparable(attribute, value)
    if attribute.kind in ("date", "datetime"):
        value = _moment(value)
    elif attribute.kind in ("int", "float", "decimal"):
        return repr(float(value)) if attribute.kind == "float" else str(Decimal(value).normalize())
    return str(value)


def _moment(value: Any) -> Any:
    """Return a date or a text as a datetime where it can be read as one."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day)
    try:
        return dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _is_same(attribute: Attribute, stored: Any, given: Any) -> bool:
    try:
        given = comparable(attribute, given)
    except DataJointError:
        return False
    if given is None or stored is None:
        return given is None  # it takes the default, whatever that is
    if attribute.kind in ("float", "decimal"):
        return math.isclose(float(stored), float(given), rel_tol=1e-6) or (
            stored != stored and given != given
        )
    return _text(attribute, stored) == _text(attribute, given)
