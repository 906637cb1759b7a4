"""Fetching: rows as dicts, arrays, frames, keys, or one at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dj_query.conditions import Top
from dj_query.plan import Plan, plan_of
from dj_schema.errors import DataJointError
from dj_schema.heading import unknown_attribute

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression

log = logging.getLogger("datajoint.fetch")
OrderBy = str | list[str] | None
_warned: set[str] = set()


def _windowed(
    query: QueryExpression, order_by: OrderBy, limit: int | None, offset: int | None
) -> QueryExpression:
    if order_by is None and limit is None and not offset:
        return query
    return query.restrict(Top(limit, order_by, offset or 0))


def run(query: QueryExpression, names: tuple[str, ...] | None = None) -> tuple[Plan, Sequence[Sequence[Any]]]:
    """Fetch all rows of a query, decoded, with the plan that tells their columns."""
    plan = plan_of(query, names)
    result = query.connection.run(plan.text, plan.params, is_read=True, reads=plan.reads)
    return plan, plan.decoding.rows(result.rows)


def _arrow(query: QueryExpression, squeeze: bool) -> Any:
    from dj_query.frames import arrow_table, fitted_arrow, is_plain_in_arrow

    plan = plan_of(query)
    attributes = [query.heading.by_name[n] for n in plan.decoding.names]
    flags = query.connection.dialect.flags
    if attributes and all(is_plain_in_arrow(a, flags) for a in attributes):
        table = query.connection.fetch_arrow(plan.text, plan.params)
        fitted = None if table is None else fitted_arrow(attributes, table)
        if fitted is not None:
            return fitted
    result = query.connection.run(plan.text, plan.params, is_read=True)
    return arrow_table(attributes, plan.decoding.rows(result.rows), squeeze)


def iterate(query: QueryExpression, batch_rows: int = 10_000) -> Iterator[dict[str, Any]]:
    """Yield one dict a row, from one statement, with constant memory."""
    plan = plan_of(query)
    names = plan.decoding.names
    for batch in query.connection.stream_text(plan.text, plan.params, batch_rows):
        for row in plan.decoding.rows(batch):
            yield dict(zip(names, row))  # noqa: B905 - a row without attributes has a number


def squeezed(value: Any) -> Any:
    return value.squeeze() if isinstance(value, np.ndarray) else value


class Fetching:
    """The fetch methods of a query expression."""

    def _query(self) -> QueryExpression:
        return self  # type: ignore[return-value]

    def to_dicts(
        self,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> list[dict[str, Any]]:
        """Fetch all rows as dicts.

        Parameters
        ----------
        order_by : str or list of str
            Attributes, each with an optional ``DESC``; ``"KEY"`` is the primary key.
        limit, offset : int
            How many rows at most, after how many.
        squeeze : bool
            Drop dimensions of length one from arrays.
        """
        plan, rows = run(_windowed(self._query(), order_by, limit, offset))
        names = plan.decoding.names
        if squeeze:
            rows = [[squeezed(v) for v in row] for row in rows]
        return [dict(zip(names, row)) for row in rows]  # noqa: B905 - strict costs a third here

    def keys(
        self, order_by: OrderBy = None, limit: int | None = None, offset: int | None = None
    ) -> list[dict[str, Any]]:
        """Fetch the primary keys as dicts."""
        query = _windowed(self._query(), order_by, limit, offset)
        plan, rows = run(query, tuple(query.primary_key))
        names = plan.decoding.names
        return [dict(zip(names, row)) for row in rows]  # noqa: B905

    def fetch1(self, *attrs: str, squeeze: bool = False) -> Any:
        """Fetch the only row: a dict, or the values of the attributes that are named.

        Raises
        ------
        DataJointError
            Where there is no row, or more than one.
        """
        query = self._query()
        if attrs == ("KEY",):
            deprecated("fetch1('KEY')", "keys()[0], or a dict of the attributes that you need")
            attrs_wanted: tuple[str, ...] | None = tuple(query.primary_key)
        else:
            attrs_wanted = _known(query, attrs) if attrs else None
        plan, rows = run(query, attrs_wanted)
        if len(rows) != 1:
            raise DataJointError(
                f"fetch1 needs exactly one row, and this query has {len(rows)}. "
                "Restrict it by the whole primary key, or use to_dicts()."
            )
        row = [squeezed(v) for v in rows[0]] if squeeze else rows[0]
        if not attrs or attrs == ("KEY",):
            return dict(zip(plan.decoding.names, row))  # noqa: B905 - as in `iterate`
        return row[0] if len(attrs) == 1 else tuple(row)

    def to_arrays(
        self,
        *attrs: str,
        include_key: bool = False,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> Any:
        """Fetch columns as numpy arrays.

        Without attributes, one structured array with a field for each. With attributes, one array each:
        a tuple of them, or the array itself for one. With `include_key`, the keys come first, as dicts.
        Numbers and booleans without NULL have a numeric dtype; all else is `object`.
        """
        from dj_query.frames import by_column, column_array, structured_array

        query = _windowed(self._query(), order_by, limit, offset)
        if not attrs:
            plan, rows = run(query)
            return structured_array([query.heading.by_name[n] for n in plan.decoding.names], rows, squeeze)
        wanted = _known(query, attrs)
        keys = tuple(query.primary_key) if include_key else ()
        fetched = tuple(dict.fromkeys((*keys, *wanted)))
        plan, rows = run(query, fetched)
        columns = dict(zip(fetched, by_column(len(fetched), rows), strict=True))
        arrays = [column_array(query.heading.by_name[n], columns[n], squeeze) for n in wanted]
        if include_key:
            return ([dict(zip(keys, row)) for row in rows], *arrays)  # noqa: B905 - the keys come first
        return arrays[0] if len(arrays) == 1 else tuple(arrays)

    def to_pandas(
        self,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> Any:
        """Fetch a pandas DataFrame with the primary key as its index."""
        from dj_query.frames import pandas_frame

        query = _windowed(self._query(), order_by, limit, offset)
        plan, rows = run(query)
        return pandas_frame([query.heading.by_name[n] for n in plan.decoding.names], rows, squeeze)

    def to_arrow(
        self,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> Any:
        """Fetch a pyarrow Table.

        Its columns come from the server without an object for each value; not so stored objects, JSON on
        MySQL and MariaDB, and on PostgreSQL what is read in a transaction, or where ADBC is not installed.
        """
        return _arrow(_windowed(self._query(), order_by, limit, offset), squeeze)

    def to_polars(
        self,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> Any:
        """Fetch a polars DataFrame."""
        from dj_query.frames import polars_frame

        return polars_frame(lambda: _arrow(_windowed(self._query(), order_by, limit, offset), squeeze))

    def head(self, limit: int = 25) -> list[dict[str, Any]]:
        """Fetch the first rows in the order of the primary key."""
        return self.to_dicts(order_by="KEY", limit=limit)

    def tail(self, limit: int = 25) -> list[dict[str, Any]]:
        """Fetch the last rows in the order of the primary key."""
        return self.to_dicts(order_by="KEY DESC", limit=limit)[::-1]

    def fetch(
        self,
        *attrs: str,
        offset: int | None = None,
        limit: int | None = None,
        order_by: OrderBy = None,
        format: str | None = None,
        as_dict: bool | None = None,
        squeeze: bool = False,
    ) -> Any:
        """Fetch in the way of earlier releases; deprecated.

        `format` tells the form of all attributes; those that are named come as arrays, or as dicts.
        Use `to_dicts`, `to_arrays`, `to_pandas` or `keys`.
        """
        if format not in (None, "array", "frame"):
            raise DataJointError(f"format is 'array' or 'frame', not {format!r}.")
        query = self._query()
        window: dict[str, Any] = {"order_by": order_by, "limit": limit, "offset": offset}
        if attrs == ("KEY",):
            deprecated("fetch('KEY')", "keys()")
            return self.keys(**window)
        if as_dict:
            deprecated("fetch(as_dict=True)", "to_dicts(), after proj() to choose attributes")
            asked = [n for a in attrs for n in (query.primary_key if a == "KEY" else [a])]
            wanted = _known(query, tuple(dict.fromkeys(asked))) if attrs else None
            plan, rows = run(_windowed(query, **window), wanted)
            return [dict(zip(plan.decoding.names, row, strict=True)) for row in rows]
        if format == "frame" and not attrs:
            deprecated("fetch(format='frame')", "to_pandas()")
            return self.to_pandas(squeeze=squeeze, **window)
        deprecated("fetch()", "to_dicts(), to_arrays(), to_pandas() or keys()")
        if "KEY" in attrs:
            names = tuple(a for a in attrs if a != "KEY")
            keys, *arrays = self.to_arrays(*names, include_key=True, squeeze=squeeze, **window)
            others = iter(arrays)
            return tuple(keys if a == "KEY" else next(others) for a in attrs)
        return self.to_arrays(*attrs, squeeze=squeeze, **window)


def _known(query: QueryExpression, attrs: Sequence[str]) -> tuple[str, ...]:
    known = query.heading.by_name
    for name in attrs:
        if not isinstance(name, str):
            raise DataJointError(f"{name!r:.60} is no name of an attribute: give names, as strings.")
        if name not in known:
            raise unknown_attribute(name, query.heading.names)
    return tuple(attrs)


def deprecated(what: str, instead: str) -> None:
    """Warn once of what has another name now."""
    if what not in _warned:
        _warned.add(what)
        import warnings

        warnings.warn(f"{what} is deprecated; use {instead}.", DeprecationWarning, stacklevel=3)
