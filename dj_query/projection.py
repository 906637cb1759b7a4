"""Projection and aggregation: which columns a block has, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from dj_query.json_path import read_json_path
from dj_query.recent import Recent
from dj_query.select import Column, Select, Window, derived
from dj_schema.errors import DataJointError
from dj_schema.heading import Attribute, Heading, unknown_attribute

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression
    from dj_query.user_sql import Dialect, UserExpression

_NEW_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MAX_NAME_LENGTH = 63  # PostgreSQL would cut a longer one
_DUPLICATE = re.compile(r"^\(\s*(\w+)\s*\)$")

Shown = tuple[Attribute, "str | UserExpression"]
"""An attribute of the result, and the attribute or the SQL that it comes from."""


@dataclass(frozen=True, slots=True)
class Named:
    """The keyword arguments of a projection, by what they ask for."""

    renamed: dict[str, list[str]]
    duplicated: dict[str, str]
    computed: dict[str, UserExpression]


def projected(
    expression: QueryExpression, attributes: Sequence[Any], named: Mapping[str, str]
) -> tuple[Select, Heading]:
    """Return the block and the heading of ``expression.proj(*attributes, **named)``."""
    heading = expression.heading
    _check_arguments(attributes, named)
    shown, result = _projections.get(
        (heading,),
        (tuple(attributes), tuple(named.items()), expression.connection.dialect.name),
        lambda: _chosen(expression, attributes, named),
    )
    return _block(expression.select, shown), result


_projections: Recent[tuple[list[Shown], Heading]] = Recent()


def _check_arguments(attributes: Sequence[Any], named: Mapping[str, Any]) -> None:
    if bad := [a for a in attributes if a is not ... and not isinstance(a, str)]:
        raise DataJointError(f"give attribute names and `...`, not {bad[0]!r:.60}.")
    for new, text in named.items():
        if not _NEW_NAME.fullmatch(new) or len(new) > _MAX_NAME_LENGTH:
            raise DataJointError(
                f"{new!r} cannot name an attribute: use a letter, then letters, digits and underscores, "
                f"{_MAX_NAME_LENGTH} in all."
            )
        if not isinstance(text, str):
            raise DataJointError(
                f"{new}={text!r:.60}: give the name of an attribute or an SQL expression, as a string."
            )


def _chosen(
    expression: QueryExpression, attributes: Sequence[str], named: Mapping[str, str]
) -> tuple[list[Shown], Heading]:
    heading = expression.heading
    parts = _named(expression, named)
    for new, sql in parts.computed.items():
        if sql.is_aggregate:
            raise DataJointError(f"proj({new}={named[new]!r}) aggregates rows; use .aggr() for that.")
    shown = _in_order(heading, _kept(heading, attributes, parts.renamed), parts.renamed)
    shown += [
        (replace(heading.by_name[old], name=new, in_key=False), old) for new, old in parts.duplicated.items()
    ]
    shown += [(_computed_attribute(new, sql), sql) for new, sql in parts.computed.items()]
    _check_unique(shown)
    return shown, heading.select({a.name: a for a, _ in shown})


def _named(expression: QueryExpression, named: Mapping[str, str]) -> Named:
    known = expression.heading.by_name
    parts = Named({}, {}, {})
    for new, text in named.items():
        text = text.strip()
        duplicate = _DUPLICATE.match(text)
        if text in known:
            parts.renamed.setdefault(text, []).append(new)
        elif duplicate and duplicate[1] in known:
            parts.duplicated[new] = duplicate[1]
        elif path := read_json_path(text, expression.heading.json_names):
            parts.computed[new] = compile_value(expression, path.as_sql())
        else:
            parts.computed[new] = compile_value(expression, text)
    return parts


def _kept(heading: Heading, attributes: Sequence[Any], renamed: Mapping[str, list[str]]) -> set[str]:
    """The attributes that keep their names: `...` means those that are not renamed."""
    kept = set(heading.primary_key) - renamed.keys()
    if ... in attributes:
        kept |= set(heading.names) - renamed.keys()
    for item in attributes:
        if item is ...:
            continue
        name = item.strip()
        if not name.startswith("-"):
            kept.add(_known(heading, name))
            continue
        name = _known(heading, name[1:].strip())
        if name in heading.primary_key:
            raise DataJointError(f"attribute {name!r} cannot be left out: it is in the primary key.")
        kept.discard(name)
    return kept


def _known(heading: Heading, name: str) -> str:
    if name not in heading.by_name:
        raise unknown_attribute(name, heading.names)
    return name


def _in_order(heading: Heading, kept: set[str], renamed: Mapping[str, list[str]]) -> list[Shown]:
    """The attributes that are kept or renamed, the primary key first, each in its old place."""
    shown: list[Shown] = []
    for attribute in heading.all:
        name = attribute.name
        if name in kept and name not in renamed and not attribute.is_hidden:
            shown.append((attribute, name))
            continue
        names = [*([name] if name in kept else []), *renamed.get(name, [])]
        # the key has each of its attributes once, under the first of its names;
        # a hidden attribute is here only where it was named, and then it is to be seen
        shown += [
            (replace(attribute, name=n, in_key=attribute.in_key and i == 0, is_hidden=False), name)
            for i, n in enumerate(names)
        ]
    return [s for s in shown if s[0].in_key] + [s for s in shown if not s[0].in_key]


def _computed_attribute(name: str, sql: UserExpression) -> Attribute:
    kind = "string" if sql.kind == "enum" else sql.kind
    return Attribute(name=name, type=None, kind=kind, is_nullable=sql.is_nullable)


def _check_unique(shown: Sequence[Shown]) -> None:
    names = [a.name for a, _ in shown]
    if len(set(names)) == len(names):
        return
    for i, name in enumerate(names):
        if name in names[:i]:
            raise DataJointError(
                f"two attributes would have the name {name!r}; rename one, or leave one out (`'-{name}'`)."
            )


def _block(select: Select, shown: Sequence[Shown]) -> Select:
    """Put columns on a block, over a subquery where its names are not those of its source."""
    origins = {c.attribute.name: c.origin for c in select.columns}
    computed = [o for _, o in shown if not isinstance(o, str)]
    needed = frozenset().union(*(o.names for o in computed))
    moved = {a.name for a, o in shown if o != a.name}
    if select.is_distinct or select.group is not None or not needed <= select.identities:
        return _over(select, shown)
    if select.window is not None and (computed or any(o.name in moved for o in select.window.order)):
        return _over(select, shown)
    columns = _columns.get(
        (select.columns, shown),
        None,
        lambda: tuple([Column(a, origins[o] if isinstance(o, str) else o) for a, o in shown]),
    )
    return replace(select, columns=columns)


_columns: Recent[tuple[Column, ...]] = Recent()


def _over(select: Select, shown: Sequence[Shown]) -> Select:
    """Put columns on a subquery, in the order of its rows where the result can still say it."""
    columns = _columns.get((shown,), "over", lambda: tuple([Column(a, o) for a, o in shown]))
    outer = replace(derived(select), columns=columns)
    if select.window is None or not select.window.order:
        return outer
    order = select.window.order
    inside = {c.attribute.name for c in select.columns if c.is_identity}
    moved = {a.name for a, o in shown if o != a.name}
    if all(o.name in inside and o.name not in moved for o in order):
        return replace(outer, window=Window(order, None, 0))
    return outer


def compile_value(expression: QueryExpression, text: str) -> UserExpression:
    """Parse an SQL expression over a query's attributes."""
    from dj_query.user_sql import compile_value as compile_

    return compile_(text, expression.heading.kinds, cast("Dialect", expression.connection.dialect.name))


def aggregated(
    by: Heading,
    rows: QueryExpression,
    attributes: Sequence[Any],
    named: Mapping[str, str],
    is_universal: bool = False,
) -> tuple[Select, Heading]:
    """Return the block that groups rows by the primary key of `by`, keeping these attributes of `by`.

    Without a primary key there is one group: always where `by` is universal, else if there are rows.

    Raises
    ------
    DataJointError
        Where a named attribute neither aggregates nor is the same in all rows of a group.
    """
    _check_arguments(attributes, named)
    grouping = _groupings.get(
        (by, rows.heading),
        (tuple(attributes), tuple(named.items()), rows.connection.dialect.name),
        lambda: _grouped(by, rows, attributes, named),
    )
    select = rows.select
    if not select.is_plain or select.is_distinct or not grouping.needed <= select.identities:
        select = derived(select)
    block = replace(select, columns=grouping.columns, group=grouping.names, has_empty_group=is_universal)
    return block, grouping.heading


@dataclass(frozen=True, slots=True)
class Grouping:
    """What an aggregation shows, what it groups by, and all names that it looks at."""

    columns: tuple[Column, ...]
    names: tuple[str, ...]
    needed: frozenset[str]
    heading: Heading


_groupings: Recent[Grouping] = Recent()


def _grouped(
    by: Heading, rows: QueryExpression, attributes: Sequence[str], named: Mapping[str, str]
) -> Grouping:
    parts = _named(rows, named)
    if foreign := [old for old in (*parts.renamed, *parts.duplicated.values()) if old not in by.by_name]:
        raise _not_aggregated(foreign[0], by)
    shown = _in_order(by, _kept(by, attributes, parts.renamed), parts.renamed)
    shown += [
        (replace(by.by_name[old], name=new, in_key=False), old) for new, old in parts.duplicated.items()
    ]
    group = {origin: None for _, origin in shown if isinstance(origin, str)}
    for new, sql in parts.computed.items():
        if not sql.is_aggregate and not sql.names <= by.by_name.keys():
            raise _not_aggregated(named[new], by)
        # an attribute of `by` is the same in the whole group, so that SQL may use it beside an aggregate
        group.update(dict.fromkeys(sorted(sql.names & by.attributes.keys())))
    shown += [(_computed_attribute(new, sql), sql) for new, sql in parts.computed.items()]
    _check_unique(shown)
    needed = frozenset(group).union(*(sql.names for sql in parts.computed.values()))
    heading = Heading(tuple(a for a, _ in shown), lineage_available=by.lineage_available)
    return Grouping(tuple(Column(a, o) for a, o in shown), tuple(group), needed, heading)


def _not_aggregated(text: str, by: Heading) -> DataJointError:
    return DataJointError(
        f"{text!r} has several values in a group. Use an aggregate such as max(), or an attribute of the "
        f"grouping query: {', '.join(by.names)}."
    )
