"""`dj.Top` on a block: merged with what is there, or over a subquery."""

from __future__ import annotations

from dataclasses import replace

from dj_query.conditions import Top
from dj_query.select import Ordering, Select, Window, derived
from dj_schema.heading import Heading, unknown_attribute


def orderings_of(heading: Heading, order_by: str | list[str] | tuple[str, ...]) -> tuple[Ordering, ...]:
    """Read ``"KEY"``, ``"name"``, ``"name DESC"``, or several, in a list or after commas.

    Raises
    ------
    UnknownAttributeError
        For a name that is not in the heading.
    """
    items = order_by.split(",") if isinstance(order_by, str) else order_by
    found: list[Ordering] = []
    for item in items:
        words = item.replace("`", "").split()
        name = words[0] if words else item
        direction = " ".join(words[1:]).upper()
        if direction not in ("", "ASC", "DESC"):
            raise unknown_attribute(item, heading.names)
        names = heading.primary_key if name == "KEY" else [name]
        for n in names:
            if n not in heading.by_name:
                raise unknown_attribute(n, heading.names)
            found.append(Ordering(n, direction == "DESC", heading.by_name[n].is_nullable))
    return tuple(found)


def window_of(select: Select, heading: Heading, top: Top) -> Select:
    """Return the block that gives the part of its rows which a `Top` asks for.

    A second `Top` without an order of its own, or with the same, merges with the first: the smaller
    limit holds and the offsets add up, as section 12.5 of the query algebra says. One with another
    order sees only the rows that the first left.
    """
    first = select.window
    order = orderings_of(heading, top.order_by) if top.order_by is not None else None
    if first is not None and (order is None or order == first.order):
        limits = [n for n in (first.limit, top.limit) if n is not None]
        window = Window(first.order, min(limits, default=None), first.offset + top.offset)
        return replace(select, window=window)
    order = order if order is not None else orderings_of(heading, "KEY")
    if first is not None or not select.identities.issuperset(o.name for o in order):
        select = derived(select)
    return replace(select, window=Window(order, top.limit, top.offset))
