"""The query algebra over lists of rows in memory: what the SQL of the same expression has to give.

Written from the rules alone, in the plainest way, without a thought for speed. NULL is None: it equals
nothing, and sorts before every value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Row = dict[str, Any]
Predicate = Callable[[Row], bool | None]
Aggregates = Mapping[str, tuple[str, Callable[[Sequence[Row]], Any]]]
"""A kind, and a function of the rows of a group, by name."""


class NotAllowed(Exception):
    """The rules forbid the expression."""


@dataclass(frozen=True)
class Column:
    """An attribute: `kind` is that of its values in Python (`dj_schema.types.Kind`).

    Those of an enum have an order, its labels'; only a sort goes by it, all else takes them as texts.
    """

    name: str
    in_key: bool
    lineage: str | None
    kind: str = "int"
    is_nullable: bool = True
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cut:
    """What a `top` was: another in the same order merges with it."""

    rows: tuple[Row, ...]
    limit: int | None
    order: tuple[tuple[str, bool], ...]
    offset: int


@dataclass(frozen=True)
class Relation:
    """Columns in order, the key first, and rows, whose order matters only after `top`."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    cut: Cut | None = None

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    @property
    def key(self) -> list[str]:
        return [c.name for c in self.columns if c.in_key]

    @property
    def by_name(self) -> dict[str, Column]:
        return {c.name: c for c in self.columns}

    # -- restriction --

    def where(self, predicate: Predicate) -> Relation:
        """Keep the rows for which the predicate is true; unknown is not true."""
        return Relation(self.columns, tuple(r for r in self.rows if predicate(r) is True))

    def unless(self, predicate: Predicate) -> Relation:
        """Keep the other rows."""
        return Relation(self.columns, tuple(r for r in self.rows if predicate(r) is not True))

    def matches(self, other: Relation, semantic_check: bool = True) -> Predicate:
        """The predicate that a row has a partner in another relation."""
        names = _namesakes(self, other, semantic_check)
        return lambda row: any(_agree(row, r, names) for r in other.rows)

    # -- projection --

    def proj(
        self,
        keep: Iterable[str],
        renames: Mapping[str, str],
        computed: Mapping[str, tuple[str, Callable[[Row], Any]]],
    ) -> Relation:
        """Keep the key and some attributes, rename, and compute.

        `renames` has new names by old ones, `computed` a kind and a function by name.
        """
        kept = {*keep, *self.key} - set(renames)
        picked = [
            (replace(c, name=renames.get(c.name, c.name)), c.name)
            for c in self.columns
            if c.name in kept or c.name in renames
        ]
        names = [c.name for c, _ in picked] + list(computed)
        if len(set(names)) < len(names):
            raise NotAllowed("a name twice")
        rows = [
            {**{c.name: r[old] for c, old in picked}, **{n: f(r) for n, (_, f) in computed.items()}}
            for r in self.rows
        ]
        columns = (
            *(c for c, _ in picked),
            *(Column(n, False, None, kind) for n, (kind, _) in computed.items()),
        )
        return Relation(columns, tuple(rows), self.cut if columns == self.columns else None)

    # -- two relations --

    def join(
        self,
        other: Relation,
        left: bool = False,
        allow_nullable_pk: bool = False,
        semantic_check: bool = True,
    ) -> Relation:
        names = _namesakes(self, other, semantic_check)
        mine, theirs = self.by_name, other.by_name
        as_texts = {n for n in names if mine[n].lineage is None or mine[n].lineage != theirs[n].lineage}
        if left and not allow_nullable_pk and not _determines(self, other):
            raise NotAllowed("a left join that does not determine the other")
        key, first, second = _joined_key(self, other, both=left and allow_nullable_pk)
        merged = {**second.by_name, **first.by_name}
        order = dict.fromkeys([*key, *first.names, *second.names])
        rows: list[Row] = []
        for row in self.rows:
            partners = [r for r in other.rows if _agree(row, r, names)]
            rows += [{**r, **row} for r in partners]
            if left and not partners:
                rows.append({**dict.fromkeys(other.names), **row})
        columns = tuple(
            replace(merged[n], in_key=n in key, labels=() if n in as_texts else merged[n].labels)
            for n in order
        )
        return Relation(columns, tuple({n: r[n] for n in order} for r in rows))

    def union(self, other: Relation) -> Relation:
        if set(self.key) != set(other.key):
            raise NotAllowed("other keys")
        if set(_namesakes(self, other)) != set(self.key):
            raise NotAllowed("a secondary attribute of both")
        secondary = [c for c in (*self.columns, *other.columns) if not c.in_key]
        names = [*self.key, *(c.name for c in secondary)]
        rows: list[Row] = []
        for row in self.rows:
            partners = [r for r in other.rows if _agree(row, r, self.key)] or [{}]
            rows += [{**dict.fromkeys(names), **r, **row} for r in partners]
        rows += [
            {**dict.fromkeys(names), **r}
            for r in other.rows
            if not any(_agree(r, m, self.key) for m in self.rows)
        ]
        return Relation((*(c for c in self.columns if c.in_key), *secondary), tuple(rows))

    # -- summaries --

    def aggr(
        self,
        other: Relation,
        keep: Iterable[str],
        aggregates: Aggregates,
        exclude_nonmatching: bool = False,
    ) -> Relation:
        if not set(self.key) <= set(other.names):
            raise NotAllowed("the grouped relation lacks the key")
        pairs = self.join(other, left=not exclude_nonmatching, allow_nullable_pk=True)
        kept = self.proj(keep, {}, {})
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in pairs.rows:
            groups.setdefault(tuple(row[n] for n in kept.names), []).append(row)
        return _summary(kept.columns, groups, aggregates)

    def distinct(self, names: Sequence[str]) -> Relation:
        """`dj.U(*names) & self`."""
        found = {tuple(r[n] for n in names): None for r in self.rows}
        columns = self._as_key(names)
        return Relation(columns, tuple(dict(zip(names, values, strict=True)) for values in found))

    def universal_aggr(self, names: Sequence[str], aggregates: Aggregates) -> Relation:
        """`dj.U(*names).aggr(self, ...)`."""
        groups: dict[tuple[Any, ...], list[Row]] = {} if names else {(): []}
        for row in self.rows:
            groups.setdefault(tuple(row[n] for n in names), []).append(row)
        return _summary(self._as_key(names), groups, aggregates)

    def _as_key(self, names: Sequence[str]) -> tuple[Column, ...]:
        return tuple(replace(self.by_name[n], in_key=True) for n in names)

    # -- order --

    def top(self, limit: int | None, order: Sequence[tuple[str, bool]], offset: int = 0) -> Relation:
        """Sort by (name, is descending), then cut; twice in one order is once, with the smaller limit."""
        if self.cut is not None and self.cut.order == tuple(order):
            limits = [n for n in (limit, self.cut.limit) if n is not None]
            whole = Relation(self.columns, self.cut.rows)
            return whole.top(min(limits, default=None), order, self.cut.offset + offset)
        rows = list(self.rows)
        for name, is_descending in reversed(order):
            labels = self.by_name[name].labels
            rows.sort(key=lambda r: _nulls_first(r[name], labels), reverse=is_descending)
        kept = rows[offset:] if limit is None else rows[offset : offset + limit]
        return Relation(self.columns, tuple(kept), Cut(self.rows, limit, tuple(order), offset))


def _nulls_first(value: Any, labels: Sequence[str]) -> tuple[bool, Any]:
    if value is None:
        return False, 0
    return True, labels.index(value) if labels else value


def _agree(a: Row, b: Row, names: Iterable[str]) -> bool:
    return all(a[n] is not None and a[n] == b[n] for n in names)


def _namesakes(a: Relation, b: Relation, semantic_check: bool = True) -> list[str]:
    names = [n for n in a.names if n in b.names]
    for n in names if semantic_check else ():
        if a.by_name[n].lineage is None or a.by_name[n].lineage != b.by_name[n].lineage:
            raise NotAllowed(f"{n} is not of one origin")
    return names


def _determines(a: Relation, b: Relation) -> bool:
    return set(b.key) <= set(a.names)


def _joined_key(a: Relation, b: Relation, both: bool) -> tuple[list[str], Relation, Relation]:
    """The key of a join, and which relation's attributes come first."""
    if not both and _determines(a, b):
        return a.key, a, b
    if not both and _determines(b, a):
        return b.key, b, a
    return [*a.key, *(n for n in b.key if n not in a.key)], a, b


def _summary(
    columns: tuple[Column, ...],
    groups: Mapping[tuple[Any, ...], Sequence[Row]],
    aggregates: Aggregates,
) -> Relation:
    if set(aggregates) & {c.name for c in columns}:
        raise NotAllowed("a name twice")
    rows = [
        {
            **{c.name: v for c, v in zip(columns, values, strict=True)},
            **{n: f(g) for n, (_, f) in aggregates.items()},
        }
        for values, g in groups.items()
    ]
    found = (Column(n, False, None, kind) for n, (kind, _) in aggregates.items())
    return Relation((*columns, *found), tuple(rows))
