"""`dj.Top` on a block: merged with what is there, or over a subquery."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dj_query.conditions import Top
from dj_query.json_path import read_json_path
from dj_query.projection import compile_value
from dj_query.select import DerivedSource, JoinSource, Ordering, Select, Source, UnionSource, Window, derived
from dj_query.where import may_end_in_spaces
from dj_schema.heading import Attribute, unknown_attribute
from dj_schema.types import CoreType

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression
    from dj_query.user_sql import UserExpression


_COMMA = re.compile(r",(?![^()]*\))")
_DIRECTION = re.compile(r"(.*?)(?:\s+(ASC|DESC))?\s*", re.I | re.S)


def orderings_of(query: QueryExpression, order_by: str | list[str] | tuple[str, ...]) -> tuple[Ordering, ...]:
    """Read ``"KEY"``, ``"name DESC"``, ``"car.length:float"``, or several, in a list or after commas.

    Raises
    ------
    UnknownAttributeError
        For a name that is not in the heading.
    """
    heading = query.heading
    items = _COMMA.split(order_by) if isinstance(order_by, str) else order_by
    found: list[Ordering] = []
    for item in items:
        match = _DIRECTION.fullmatch(item.strip())
        name, direction = (match[1], (match[2] or "").upper()) if match else (item, "")
        if name not in heading.by_name and (path := read_json_path(name, heading.json_names)):
            inside = compile_value(query, path.as_sql())
            found.append(Ordering(path.name, direction == "DESC", is_nullable=True, inside=inside))
            if inside.kind == "string" and not query.connection.dialect.flags.has_exact_texts:
                length = compile_value(query, f"CHAR_LENGTH({path.as_sql()})")
                found.append(Ordering(path.name, direction == "DESC", is_nullable=True, inside=length))
            continue
        name = name.replace("`", "").strip()
        names = heading.primary_key if name == "KEY" else [name]
        for n in names:
            if n not in heading.by_name:
                raise unknown_attribute(n, heading.names)
            attribute = heading.by_name[n]
            place = _place_of_label(query, attribute)
            found.append(Ordering(n, direction == "DESC", attribute.is_nullable, place))
            if may_end_in_spaces(attribute) and not query.connection.dialect.flags.has_exact_texts:
                length = compile_value(query, f"CHAR_LENGTH(`{n}`)")  # of equals, the shorter comes first
                found.append(Ordering(n, direction == "DESC", attribute.is_nullable, length))
    return tuple(found)


def _place_of_label(query: QueryExpression, attribute: Attribute) -> UserExpression | None:
    """SQL for the place of an enum's value among its labels, where MySQL, MariaDB forget it: in a union."""
    storage = attribute.storage
    is_union = not query.connection.dialect.flags.has_exact_texts and _has_union(query.select.source)
    if not (is_union and attribute.is_enum and isinstance(storage, CoreType)):
        return None
    labels = ", ".join("'" + label.replace("\\", "\\\\").replace("'", "''") + "'" for label in storage.labels)
    return compile_value(query, f"FIELD(`{attribute.name}`, {labels})")


def _has_union(source: Source) -> bool:
    match source:
        case UnionSource():
            return True
        case DerivedSource(select=select):
            return _has_union(select.source)
        case JoinSource(left=left, right=right):
            return _has_union(left) or _has_union(right)
    return False


def window_of(query: QueryExpression, top: Top) -> Select:
    """Return the block that gives the part of its rows which a `Top` asks for.

    A second `Top` without an order of its own, or with the same, merges with the first: the smaller
    limit holds and the offsets add up, as section 12.5 of the query algebra says. One with another
    order sees only the rows that the first left.
    """
    select = query.select
    first = select.window
    order = orderings_of(query, top.order_by) if top.order_by is not None else None
    if first is not None and (order is None or order == first.order):
        limits = [n for n in (first.limit, top.limit) if n is not None]
        window = Window(first.order, min(limits, default=None), first.offset + top.offset)
        return replace(select, window=window)
    order = order if order is not None else orderings_of(query, "KEY")
    is_inside = select.is_distinct and any(o.inside for o in order)  # distinct rows sort by what they show
    if first is not None or is_inside or not select.identities.issuperset(o.name for o in order):
        select = derived(select)
    return replace(select, window=Window(order, top.limit, top.offset))
