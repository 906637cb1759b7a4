"""From what a user writes after `&` or `-` to a condition. Nothing is sent here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dj_query.conditions import AndList, Not, Top
from dj_query.joins import check_connections, enums_apart
from dj_query.json_path import JsonPath, read_json_path
from dj_query.projection import compile_value
from dj_query.semantics import matching_names
from dj_query.values import comparable, plain, shown
from dj_query.where import (
    AllOf,
    AnyOf,
    Condition,
    Constant,
    Equals,
    Exists,
    JsonEquals,
    Negated,
    OneOf,
    UserCondition,
    may_end_in_spaces,
)
from dj_query.write.dataframe import columns_of
from dj_schema.errors import DataError, DataJointError
from dj_schema.heading import Attribute, Heading, unknown_attribute
from dj_schema.json_text import json_text
from dj_schema.types import Kind, NativeType

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression


def condition_of(expression: QueryExpression, restriction: Any, semantic_check: bool = True) -> Condition:
    """Return the condition that a restriction means for an expression.

    Raises
    ------
    DataJointError
        For an object that no restriction can be made of, or attributes that match by name only.
    UnknownAttributeError
        Where SQL names an attribute that is not there.
    """
    if isinstance(restriction, (dict, Mapping)):  # asking the abstract class takes ten times as long
        return _mapping(expression, restriction)
    if isinstance(restriction, str):
        return UserCondition(expression.compile_condition(restriction))

    from dj_query.expression import QueryExpression
    from dj_query.universal import U

    if isinstance(restriction, Not):
        return negated(condition_of(expression, restriction.restriction, semantic_check))
    if isinstance(restriction, (bool, np.bool_)):
        return Constant(bool(restriction))
    if isinstance(restriction, AndList):
        _refuse_top(restriction)
        return AllOf(tuple(condition_of(expression, r, semantic_check) for r in restriction))
    if isinstance(restriction, type) and hasattr(restriction, "definition"):
        restriction = restriction()
    if isinstance(restriction, U):
        return Constant(True)  # it has every value of every attribute
    if isinstance(restriction, QueryExpression):
        return _expression(expression, restriction, semantic_check)
    if isinstance(restriction, np.void):
        return _mapping(expression, _record_as_dict(restriction))
    if isinstance(restriction, Top):
        raise DataJointError("dj.Top stands alone after `&`: not after `-`, and not inside a list or dj.Not.")
    items = _items(restriction)
    if items is not None:
        _refuse_top(items)
        return _any_of(expression, items, semantic_check)
    raise DataJointError(
        f"cannot restrict by {type(restriction).__name__} {restriction!r:.80}. Use a dict, an SQL condition "
        "as a string, a query, a bool, or a list of these."
    )


def negated(condition: Condition) -> Condition:
    if isinstance(condition, Constant):
        return Constant(not condition.value)
    return condition.condition if isinstance(condition, Negated) else Negated(condition)


def _refuse_top(items: Sequence[Any]) -> None:
    if any(isinstance(i, Top) for i in items):
        raise DataJointError(
            "dj.Top cannot be one of several conditions; restrict by it alone: `query & dj.Top(5)`."
        )


def _record_as_dict(record: np.void) -> dict[str, Any]:
    names = record.dtype.names
    if names is None:
        raise DataJointError("a numpy record without field names cannot restrict a query.")
    return {name: record[name] for name in names}


def _items(restriction: Any) -> list[Any] | None:
    if (frame := None if isinstance(restriction, np.ndarray) else columns_of(restriction)) is not None:
        names, columns = frame  # what is missing in a column of numbers or texts of pandas is None
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    if isinstance(restriction, np.ndarray) and not restriction.ndim:
        return None
    if isinstance(restriction, Iterable) and not isinstance(restriction, (bytes, bytearray)):
        return list(restriction)  # a list, tuple, set, array of records, generator
    return None


def _mapping(expression: QueryExpression, mapping: Mapping[str, Any]) -> Condition:
    known, flags = expression.heading.by_name, expression.connection.dialect.flags
    values: dict[str, Any] = {}
    paths: list[Condition] = []
    for name, value in mapping.items():
        attribute = known.get(name)
        if attribute is not None:
            values[name] = wanted = _bindable(expression, attribute, value)
            if wanted is None and not attribute.is_nullable:
                return Constant(False)
        elif isinstance(name, str) and (path := read_json_path(name, known)):
            paths.append(_at_path(expression, path, value))
    texts: tuple[str, ...] = ()
    if not flags.has_exact_texts:
        texts = tuple([n for n, v in values.items() if _needs_spaces(known[n], v)])
    equals = Equals(tuple(values), tuple(values.values()), texts) if values else None
    if not paths:
        return equals or Constant(True)
    return AllOf((*([equals] if equals else []), *paths))


def _needs_spaces(attribute: Attribute, value: Any) -> bool:
    """Whether the spaces at the end of an attribute are looked at: of a key, only if they are asked for."""
    if may_end_in_spaces(attribute):
        return True
    return (
        isinstance(value, str) and value.endswith(" ") and may_end_in_spaces(replace(attribute, lineage=None))
    )


def _at_path(expression: QueryExpression, path: JsonPath, value: Any) -> Condition:
    attribute = expression.heading[path.name]
    if attribute.kind != "json":
        raise unknown_attribute(f"{path.name}{path.mysql_path[1:]}", expression.heading.names)
    if path.type_text is None:
        return JsonEquals(path.name, path.steps, _json_value(attribute, value))
    typed = compile_value(expression, path.as_sql())
    if typed.kind == "json":
        return JsonEquals(path.name, path.steps, _json_value(attribute, value))
    place = f"{path.name}{path.mysql_path[1:]}"
    wanted = Attribute(place, NativeType(path.type_text.strip()), kind=cast(Kind, typed.kind))
    return JsonEquals(path.name, path.steps, _bindable(expression, wanted, value), typed)


def _bindable(expression: QueryExpression, attribute: Attribute, value: Any) -> Any:
    """Return a value to compare an attribute with; raise `DataError` where the server knows no such one."""
    if type(value) is int and attribute.kind == "int":
        return value  # as most keys are
    wanted = comparable(attribute, value, expression.connection.dialect.flags.seconds_digits)
    if isinstance(wanted, (float, Decimal)) and not expression.connection.dialect.flags.has_nan:
        is_finite = wanted.is_finite() if isinstance(wanted, Decimal) else math.isfinite(wanted)
        if not is_finite:
            raise DataError(
                f"{value!r:.60} cannot be compared with attribute {attribute.name!r}: "
                f"{expression.connection.dialect.name} has finite numbers alone, and NULL (None)."
            )
    return wanted


def _json_value(attribute: Attribute, value: Any) -> Any:
    """Return a value inside a document; raise `DataError` for what JSON cannot hold."""
    value = plain(value)
    try:
        json_text(value).encode()
    except (TypeError, ValueError) as e:
        raise DataError(
            f"{shown(value, 60)} cannot be compared with what is in {attribute.name!r}: {e}."
        ) from None
    return value


def _any_of(expression: QueryExpression, items: Sequence[Any], semantic_check: bool) -> Condition:
    if not items:
        return Constant(False)
    conditions = [condition_of(expression, item, semantic_check) for item in items]
    if any(isinstance(c, Constant) and c.value for c in conditions):
        return Constant(True)
    conditions = [c for c in conditions if not isinstance(c, Constant)]
    if not conditions:
        return Constant(False)
    first = conditions[0]
    if isinstance(first, Equals) and all(
        isinstance(c, Equals) and c.names == first.names and None not in c.values for c in conditions
    ):
        attributes = tuple(expression.heading.by_name[n] for n in first.names)
        rows = tuple(c.values for c in conditions if isinstance(c, Equals))
        texts = {name for c in conditions if isinstance(c, Equals) for name in c.texts}
        return OneOf(attributes, rows, tuple(n for n in first.names if n in texts))
    return conditions[0] if len(conditions) == 1 else AnyOf(tuple(conditions))


def _expression(expression: QueryExpression, other: QueryExpression, semantic_check: bool) -> Condition:
    check_connections(expression, other, "restricted by each other")
    names = matching_names(expression.heading, other.heading, semantic_check, verb="restrict")
    texts = () if semantic_check else enums_apart(expression.heading, other.heading)
    return Exists(other.select, tuple(names), texts)


def check_names(heading: Heading, names: Sequence[str]) -> None:
    """Raise where a name is not in the heading."""
    for name in names:
        if name not in heading.by_name:
            raise unknown_attribute(name, heading.names)
