"""Projection and aggregation: which columns a block has, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dj_query.select import Column, DerivedSource, Select
from dj_schema.errors import DataJointError
from dj_schema.heading import Attribute, Heading, unknown_attribute

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression
    from dj_query.user_sql import UserExpression

_NAME = re.compile(r"^[a-z_][a-z0-9_]*$")
_DUPLICATE = re.compile(r"^\(\s*([a-z_][a-z0-9_]*)\s*\)$")


def projected(
    expression: QueryExpression, attributes: Sequence[Any], named: Mapping[str, str]
) -> tuple[Select, Heading]:
    """Return the block and the heading of ``expression.proj(*attributes, **named)``."""
    heading = expression.heading
    kept = _kept(heading, attributes)
    renamed: dict[str, list[str]] = {}
    added: dict[str, str | UserExpression] = {}
    for new, text in named.items():
        _check_new_name(heading, new)
        if not isinstance(text, str):
            raise DataJointError(f"proj({new}=...) takes an attribute name or an SQL expression, not {text!r}.")
        text = text.strip()
        if duplicate := _DUPLICATE.match(text):
            added[new] = _known(heading, duplicate[1])
        elif _NAME.match(text) and text in heading.by_name:
            renamed.setdefault(text, []).append(new)
        elif _NAME.match(text):
            raise unknown_attribute(text, heading.names)
        else:
            added[new] = compile_value(expression, text)
    shown = _in_order(heading, kept, renamed)
    for new, origin in added.items():
        if any(a.name == new for a, _ in shown):
            raise DataJointError(f"proj would give two attributes the name {new!r}; rename or leave out one.")
        shown.append((_added_attribute(heading, new, origin), origin))
    names = [a.name for a, _ in shown]
    if twice := {n for n in names if names.count(n) > 1}:
        raise DataJointError(f"proj would give two attributes the name {sorted(twice)[0]!r}.")
    select = _block(expression.select, shown)
    return select, replace(heading, all=tuple(a for a, _ in shown), _memo={})


def _kept(heading: Heading, attributes: Sequence[Any]) -> set[str]:
    kept = set(heading.primary_key)
    if ... in attributes:
        kept |= set(heading.names)
    for item in attributes:
        if item is ...:
            continue
        if not isinstance(item, str):
            raise DataJointError(f"proj takes attribute names and `...`, not {item!r}.")
        name = item.strip()
        if name.startswith("-"):
            name = name[1:].strip()
            if name in heading.primary_key:
                raise DataJointError(f"proj cannot leave out {name!r}: it is in the primary key.")
            kept.discard(_known(heading, name))
        else:
            kept.add(_known(heading, name))
    return kept


def _known(heading: Heading, name: str) -> str:
    if name not in heading.by_name:
        raise unknown_attribute(name, heading.names)
    return name


def _check_new_name(heading: Heading, new: str) -> None:
    if not _NAME.match(new):
        raise DataJointError(f"{new!r} cannot name an attribute: use lowercase letters, digits and underscores.")


def _in_order(
    heading: Heading, kept: set[str], renamed: Mapping[str, list[str]]
) -> list[tuple[Attribute, str | UserExpression]]:
    shown: list[tuple[Attribute, str | UserExpression]] = []
    for attribute in heading.all:
        name = attribute.name
        new_names = renamed.get(name, [])
        if name in kept and not (new_names and attribute.in_key):
            shown.append((attribute, name))
        for i, new in enumerate(new_names):
            # the first new name of a key attribute takes its place in the key
            shown.append((replace(attribute, name=new, in_key=attribute.in_key and i == 0), name))
    return [s for s in shown if s[0].in_key] + [s for s in shown if not s[0].in_key]


def _added_attribute(heading: Heading, new: str, origin: str | UserExpression) -> Attribute:
    if isinstance(origin, str):
        return replace(heading.by_name[origin], name=new, in_key=False)
    return Attribute(name=new, type=None, kind=origin.kind, is_nullable=True)


def _block(select: Select, shown: Sequence[tuple[Attribute, str | UserExpression]]) -> Select:
    """Put columns on a block, over a subquery where its names are not those of its source."""
    origins = {c.attribute.name: c.origin for c in select.columns}
    plain = {name for name, origin in origins.items() if origin == name}
    changes = any(not isinstance(o, str) or o != a.name for a, o in shown)
    needed = frozenset().union(*(o.names for _, o in shown if not isinstance(o, str)))
    wrap = (
        select.group is not None
        or select.is_distinct
        or (select.window is not None and changes)
        or not needed <= plain
    )
    if wrap:
        return Select(DerivedSource(select), tuple(Column(a, o) for a, o in shown))
    columns = tuple(Column(a, origins[o] if isinstance(o, str) else o) for a, o in shown)
    return replace(select, columns=columns)


def compile_value(expression: QueryExpression, text: str) -> UserExpression:
    """Parse an SQL expression over a query's attributes."""
    from dj_query.user_sql import compile_value as compile_

    dialect = expression.connection.dialect.name
    heading = expression.heading
    return heading.memo(  # type: ignore[no-any-return]
        ("value", text, dialect), lambda: compile_(text, heading.kinds, dialect)
    )


def aggregated(
    by: Heading, joined: QueryExpression, attributes: Sequence[Any], named: Mapping[str, str]
) -> tuple[Select, Heading]:
    """Return the block that groups `joined` by the primary key of `by`, keeping these attributes of `by`."""
    kept = _kept(by, attributes)
    shown = [a for a in by.all if a.name in kept]
    return grouped(shown, joined, named, lineage_available=by.lineage_available)


def grouped(
    shown: Sequence[Attribute], rows: QueryExpression, named: Mapping[str, str], lineage_available: bool
) -> tuple[Select, Heading]:
    """Return the block with one row for each value of `shown`, and SQL aggregates beside it."""
    computed = {new: compile_value(rows, text) for new, text in named.items()}
    for new in computed:
        _check_new_name(rows.heading, new)
        if any(a.name == new for a in shown):
            raise DataJointError(f"the aggregate {new!r} has the name of an attribute that is kept.")
    select = rows.select
    plain = {c.attribute.name for c in select.columns if c.is_identity}
    needed = {a.name for a in shown}.union(*(e.names for e in computed.values()))
    if not select.is_plain or select.is_distinct or not needed <= plain:
        select = Select(DerivedSource(select), tuple(Column(c.attribute, c.attribute.name) for c in select.columns))
    extra = [Attribute(name=n, type=None, kind=e.kind, is_nullable=True) for n, e in computed.items()]
    columns = [Column(a, a.name) for a in shown]
    columns += [Column(a, computed[a.name]) for a in extra]
    select = replace(select, columns=tuple(columns), group=tuple(a.name for a in shown))
    return select, Heading((*shown, *extra), lineage_available=lineage_available)
