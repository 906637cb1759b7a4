"""What the text of a query depends on, told from the values that travel beside it.

A program composes the same query again and again with other values; its text is then compiled once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from dj_query.compile import NO_LIMIT
from dj_query.select import Column, DerivedSource, JoinSource, Select, Source, TableSource
from dj_query.where import AllOf, AnyOf, Condition, Equals, Exists, Negated, OneOf, UserCondition
from dj_schema.dialects.base import Dialect
from dj_schema.sql import Sql, render

_MOST_TEXTS = 1_024
_MOST_ROWS = 20  # of a list of keys: longer ones seldom come twice with the same length


class Shape(NamedTuple):
    """Two queries of one key have one text.

    Attributes
    ----------
    columns : list of tuple of Column
        The key names them by identity, so whoever keeps the key keeps them.
    values : list
        In the order of the text.
    """

    key: list[Any]
    columns: list[tuple[Column, ...]]
    values: list[Any]


def shape_of(select: Select) -> Shape | None:
    """Return the shape of a block; None for one that is compiled each time."""
    shape = Shape([], [], [])
    return shape if _block(select, shape) else None


def _block(select: Select, shape: Shape) -> bool:
    key, columns, values = shape
    key.extend(
        (id(select.columns), select.group, select.has_empty_group, select.is_distinct, len(select.where))
    )
    columns.append(select.columns)
    if not (_source(select.source, shape) and _conditions(select.where, shape)):
        return False
    window = select.window
    if window is None:
        key.append(None)
        return True
    has_limit, has_offset = window.limit is not None or bool(window.offset), bool(window.offset)
    key.extend((window.order, has_limit, has_offset))
    if has_limit:
        values.append(NO_LIMIT if window.limit is None else window.limit)
    if has_offset:
        values.append(window.offset)
    return True


def _source(source: Source, shape: Shape) -> bool:
    key = shape.key
    if isinstance(source, TableSource):
        key.extend((TableSource, source.schema, source.table))
        return True
    if isinstance(source, JoinSource):
        key.extend((JoinSource, source.using, source.is_left))
        return _source(source.left, shape) and _source(source.right, shape)
    if isinstance(source, DerivedSource):
        key.append(DerivedSource)
        return _block(source.select, shape)
    return False


def _conditions(conditions: tuple[Condition, ...], shape: Shape) -> bool:
    for condition in conditions:
        write = _WRITERS.get(type(condition))
        if write is None or not write(condition, shape):
            return False
    return True


def _equals(condition: Equals, shape: Shape) -> bool:
    if None in condition.values:
        shape.key.extend((Equals, condition.names, tuple([v is None for v in condition.values])))
        shape.values.extend([v for v in condition.values if v is not None])
    else:
        shape.key.extend((Equals, condition.names))
        shape.values.extend(condition.values)
    if condition.texts:
        shape.key.append(condition.spaces)
    return True


def _one_of(condition: OneOf, shape: Shape) -> bool:
    shape.key.extend((OneOf, condition.names, len(condition.rows)))
    for row in condition.rows:
        shape.values.extend(row)
    if condition.texts:
        shape.key.append(condition.texts)
    return len(condition.rows) <= _MOST_ROWS and not condition.has_space_at_end


def _user_condition(condition: UserCondition, shape: Shape) -> bool:
    shape.key.extend((UserCondition, condition.expression.sql))
    return True


def _exists(condition: Exists, shape: Shape) -> bool:
    shape.key.extend((Exists, condition.names, condition.texts))
    return _block(condition.select, shape)


def _several(condition: AnyOf | AllOf, shape: Shape) -> bool:
    shape.key.append(type(condition))
    shape.key.append(len(condition.conditions))
    return _conditions(condition.conditions, shape)


def _negated(condition: Negated, shape: Shape) -> bool:
    shape.key.append(Negated)
    return _conditions((condition.condition,), shape)


_WRITERS: dict[type, Callable[[Any, Shape], bool]] = {
    Equals: _equals,
    OneOf: _one_of,
    UserCondition: _user_condition,
    Exists: _exists,
    AnyOf: _several,
    AllOf: _several,
    Negated: _negated,
}


# -- texts that were compiled -----------------------------------------------------------------------

Form = Callable[[Select, Dialect], Sql]
"""`select_text`, `count_statement` or `exists_statement`."""

_texts: dict[Hashable, tuple[list[tuple[Column, ...]], str]] = {}


def statement_of(form: Form, select: Select, dialect: Dialect) -> tuple[str, tuple[Any, ...]]:
    """Return a statement about a block: its text, kept for blocks of the same shape, and its values."""
    shape = shape_of(select)
    if shape is None:
        return render(form(select, dialect), dialect.quote)
    key = (form, dialect.name, *shape.key)
    kept = _texts.get(key)
    if kept is None:
        text = render(form(select, dialect), dialect.quote).text
        if len(_texts) >= _MOST_TEXTS:  # conditions that a program formats are each a shape of their own
            _texts.clear()
        kept = _texts[key] = (shape.columns, text)
    return kept[1], tuple(shape.values)
