"""The SQL of a union: two queries one behind the other; of a sum of many, its keys and what each part adds.

A union of unions would nest as deeply as it has parts, and look in each for the keys of all before it: some
servers refuse thirty of them, and others plan for minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from dj_query.select import Select, UnionSource
from dj_schema.heading import Attribute
from dj_schema.sql import Ident, Sql, join, select_list, sql

_MOST_JOINED = 25  # MySQL joins 61 tables, and a part may itself be a join


class Compiler(Protocol):
    """What writes the blocks of a statement, and numbers its aliases."""

    def alias(self) -> str: ...

    def select(self, select: Select) -> Sql: ...

    def null_of(self, attribute: Attribute) -> Sql: ...


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the queries of a sum; `shown` are its secondary attributes that the sum has."""

    select: Select
    shown: tuple[str, ...]


def union_text(source: UnionSource, compiler: Compiler) -> Sql:
    """Return the SELECT of all rows of a union, with its attributes by name."""
    key = tuple(a.name for a in source.attributes if a.in_key)
    shown = frozenset(a.name for a in source.attributes).difference(key)
    parts = list(_parts(source, shown))
    if len(parts) == 2 or any(_has_null_in_key(p.select, key) for p in parts):
        return _two(source, key, compiler)
    return _sum(parts, key, compiler)


def _has_null_in_key(select: Select, key: Sequence[str]) -> bool:
    """Whether a key may hold NULL: it equals none, so that each such row is one of its own."""
    return any(c.attribute.is_nullable for c in select.columns if c.attribute.name in key)


def _parts(source: UnionSource, shown: frozenset[str]) -> Iterator[_Part]:
    """Yield the queries that a union of unions is of, in order."""
    todo = [(source.right, shown), (source.left, shown)]
    while todo:  # a sum made in a loop is too deep to recur
        select, shown = todo.pop()
        names = [c.attribute.name for c in select.columns]
        inner = _whole_union(select)
        if inner is not None and all(c.is_identity for c in select.columns):
            shown = shown.intersection(names)
            todo += [(inner.right, shown), (inner.left, shown)]
        else:
            yield _Part(select, tuple([n for n in names if n in shown]))


def _whole_union(select: Select) -> UnionSource | None:
    """The union that a block has all rows of; None for any other block."""
    is_whole = select.is_plain and not select.where and not select.is_distinct
    return select.source if is_whole and isinstance(select.source, UnionSource) else None


# -- a sum of many -----------------------------------------------------------------------------------


def _sum(parts: Sequence[_Part], key: tuple[str, ...], compiler: Compiler) -> Sql:
    """The keys of all parts, each once, and beside each key its row of every part."""
    keys = join(" UNION ", (_keys(p.select, key, compiler) for p in parts))
    adding = [p for p in parts if p.shown]
    base = compiler.alias()
    names = [Ident(base, n) for n in key]
    text = sql("({}) AS {}", keys, Ident(base))
    for names_of_block, rows in _blocks(adding, key, compiler):
        alias = compiler.alias()
        names += [Ident(alias, n) for n in names_of_block]
        text += sql(" LEFT JOIN ({}) AS {} ON {}", rows, Ident(alias), _same(alias, base, key))
    return sql("SELECT {} FROM {}", select_list(names), text)


def _keys(select: Select, key: Sequence[str], compiler: Compiler) -> Sql:
    alias = compiler.alias()
    names = select_list(Ident(alias, n) for n in key)
    return sql("SELECT {} FROM ({}) AS {}", names, compiler.select(select), Ident(alias))


def _blocks(
    parts: Sequence[_Part], key: tuple[str, ...], compiler: Compiler
) -> Iterator[tuple[Sequence[str], Sql]]:
    """Yield what stands beside the keys: the parts, or sums of some where they are too many to be joined."""
    if len(parts) <= _MOST_JOINED:
        for part in parts:
            yield part.shown, compiler.select(part.select)
        return
    size = max(_MOST_JOINED, -(-len(parts) // _MOST_JOINED))
    for start in range(0, len(parts), size):
        some = parts[start : start + size]
        yield list(chain.from_iterable(p.shown for p in some)), _sum(some, key, compiler)


# -- two ---------------------------------------------------------------------------------------------


def _two(source: UnionSource, key: tuple[str, ...], compiler: Compiler) -> Sql:
    """Rows of the first with what the second adds to them, then those of the second alone."""
    mine = {c.attribute.name for c in source.left.columns}
    theirs = {c.attribute.name for c in source.right.columns}
    a, b = compiler.alias(), compiler.alias()
    first = (Ident(a if n.name in mine else b, n.name) for n in source.attributes)
    rows = sql("SELECT {} FROM ({}) AS {}", select_list(first), compiler.select(source.left), Ident(a))
    if theirs - set(key):
        rows += sql(" LEFT JOIN ({}) AS {} ON {}", compiler.select(source.right), Ident(b), _same(a, b, key))
    b = compiler.alias()
    second = (
        sql("{}", Ident(b, n.name))
        if n.name in theirs
        else sql("{} AS {}", compiler.null_of(n), Ident(n.name))
        for n in source.attributes
    )
    return sql(
        "{} UNION ALL SELECT {} FROM ({}) AS {} WHERE {}",
        rows,
        select_list(second),
        compiler.select(source.right),
        Ident(b),
        join(" AND ", (_has_not(part, b, key, compiler) for part in _united(source.left, key))),
    )


def _has_not(select: Select, other: str, key: Sequence[str], compiler: Compiler) -> Sql:
    """The condition that a block has no row with the key of another."""
    alias = compiler.alias()
    rows = compiler.select(select)
    return sql("NOT EXISTS (SELECT 1 FROM ({}) AS {} WHERE {})", rows, Ident(alias), _same(alias, other, key))


def _united(select: Select, key: Sequence[str]) -> Iterator[Select]:
    """The blocks that have together the keys of a block: of a union, those of its parts.

    The whole union again would double the text with each part of a sum of many.
    """
    union = _whole_union(select)
    if union is not None and select.identities.issuperset(key):
        yield from _united(union.left, key)
        yield from _united(union.right, key)
    else:
        yield select


def _same(a: str, b: str, names: Sequence[str]) -> Sql:
    """The condition that two sources have the same values."""
    return join(" AND ", (sql("{} = {}", Ident(a, n), Ident(b, n)) for n in names)) if names else sql("TRUE")
