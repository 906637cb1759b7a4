"""Two queries beside or below each other: join, left join and union."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dj_query.projection import compile_value
from dj_query.recent import Recent
from dj_query.select import Column, JoinSource, Select, UnionSource, derived
from dj_query.semantics import check_determines, joined_attributes, matching_names, united_key
from dj_query.where import may_end_in_spaces, names_in
from dj_schema.errors import DataJointError
from dj_schema.heading import Attribute, Heading

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression


def joined(
    a: QueryExpression, b: QueryExpression, semantic_check: bool, is_left: bool, allow_nullable_pk: bool
) -> tuple[Select, Heading]:
    """Return the block and the heading of ``a.join(b, ...)``.

    Raises
    ------
    DataJointError
        For different connections, namesakes of different origin, or a left join whose primary key
        could be NULL.
    """
    check_connections(a, b, "joined")
    if not semantic_check and (enums := enums_apart(a.heading, b.heading)):
        a, b = _as_texts(a, enums), _as_texts(b, enums)
    using, heading, texts = _matches.get(
        (a.heading, b.heading),
        (semantic_check, is_left, allow_nullable_pk),
        lambda: _match(a.heading, b.heading, semantic_check, is_left, allow_nullable_pk),
    )
    if not texts or a.connection.dialect.flags.has_exact_texts:
        return _side_by_side(a.select, b.select, using, is_left, heading), heading
    using = (*using, *(_length_of(name) for name in texts))
    return _side_by_side(_with_lengths(a, texts), _with_lengths(b, texts), using, is_left, heading), heading


def enums_apart(a: Heading, b: Heading) -> tuple[str, ...]:
    """The namesakes of which one is an enum, and of another type than the other: they match as texts."""
    mine, theirs = a.attributes, b.attributes
    return tuple(
        n
        for n in mine
        if n in theirs
        and (mine[n].is_enum or theirs[n].is_enum)
        and (mine[n].lineage is None or mine[n].lineage != theirs[n].lineage)
    )


def _as_texts(query: QueryExpression, names: tuple[str, ...]) -> QueryExpression:
    """The same query, with some attributes as if they were computed."""
    from dj_query.expression import QueryExpression

    select = derived(query.select)
    texts = {n: replace(query.heading.by_name[n], type=None, storage=None) for n in names}
    columns = tuple(
        Column(texts[c.attribute.name], compile_value(query, f"CONCAT(`{c.attribute.name}`, '')"))
        if c.attribute.name in texts
        else c
        for c in select.columns
    )
    attributes = tuple(texts.get(a.name, a) for a in query.heading.all)
    heading = Heading(attributes, lineage_available=query.heading.lineage_available)
    return QueryExpression.of(replace(select, columns=columns), heading, query.connection)


def _with_lengths(query: QueryExpression, texts: list[str]) -> Select:
    select = derived(query.select)
    lengths = [
        Column(Attribute(_length_of(n), None, "int"), compile_value(query, f"CHAR_LENGTH(`{n}`)"))
        for n in texts
    ]
    return replace(select, columns=(*select.columns, *lengths))


def _length_of(name: str) -> str:
    return f"~{name}"  # no attribute has such a name


class _Match(NamedTuple):
    """How two headings match.

    Attributes
    ----------
    using : tuple of str
        The names that both have.
    heading : Heading
        Of the join.
    texts : list of str
        Those of the names that some servers take for equal where they differ in spaces at the end.
    """

    using: tuple[str, ...]
    heading: Heading
    texts: list[str]


_matches: Recent[_Match] = Recent()


def _match(a: Heading, b: Heading, semantic_check: bool, is_left: bool, allow_nullable_pk: bool) -> _Match:
    using = matching_names(a, b, semantic_check)
    if is_left and not allow_nullable_pk:
        check_determines(a, b)
    attributes = joined_attributes(a, b, keeps_both_keys=is_left and allow_nullable_pk)
    if is_left:
        mine = a.attributes
        attributes = [v if v.name in mine else replace(v, is_nullable=True) for v in attributes]
    available = a.lineage_available and b.lineage_available
    texts = [n for n in using if any(may_end_in_spaces(heading.by_name[n]) for heading in (a, b))]
    return _Match(tuple(using), Heading(tuple(attributes), lineage_available=available), texts)


def check_connections(a: QueryExpression, b: QueryExpression, verb: str) -> None:
    """Raise where two queries are on different connections."""
    if a.connection is not b.connection:
        raise DataJointError(
            f"Queries on different connections cannot be {verb}. Fetch the rows of one, and restrict or "
            "insert with these."
        )


def _side_by_side(a: Select, b: Select, using: tuple[str, ...], is_left: bool, heading: Heading) -> Select:
    """Put two blocks into one, wrapping only what would change its meaning."""
    a, b = _joinable(a, using), _joinable(b, using)
    if is_left and b.where:
        b = derived(b, visible_only=True)
    a, b = _without_clashes(a, b, using)
    columns = _columns.get(
        (a.columns, b.columns, heading), None, lambda: _side_by_side_columns(a, b, heading)
    )
    return Select(JoinSource(a.source, b.source, using, is_left), columns, a.where + b.where)


_columns: Recent[tuple[Column, ...]] = Recent()


def _side_by_side_columns(a: Select, b: Select, heading: Heading) -> tuple[Column, ...]:
    origins = {c.attribute.name: c.origin for c in (*b.columns, *a.columns)}
    return tuple([Column(v, origins[v.name]) for v in heading.all])


def _joinable(select: Select, using: tuple[str, ...]) -> Select:
    """Wrap a block that groups, orders or computes, or that renames what is matched."""
    is_simple = select.is_plain and not select.is_distinct and not select.is_computed
    if is_simple and select.identities.issuperset(using):
        return select
    return derived(select, visible_only=True)


def _without_clashes(a: Select, b: Select, using: tuple[str, ...]) -> tuple[Select, Select]:
    """Wrap a block if its source has a name which it does not show, and that would be ambiguous."""
    clashing = (a.source.names & b.source.names) - frozenset(using)
    if not clashing:
        return a, b
    a = _wrapped_if(a, clashing & _named_in(a))
    b = _wrapped_if(b, clashing & _named_in(b))
    clashing = (a.source.names & b.source.names) - frozenset(using)
    return _wrapped_if(a, clashing & _named_in(b)), _wrapped_if(b, clashing & _named_in(a))


def _wrapped_if(select: Select, names: frozenset[str]) -> Select:
    shown = {c.attribute.name for c in select.columns if c.is_identity and not c.attribute.is_hidden}
    return derived(select, visible_only=True) if select.source.names & names - shown else select


def _named_in(select: Select) -> frozenset[str]:
    """The names of its source that a block writes down in its columns and conditions."""
    return frozenset(_names_written(select))


def _names_written(select: Select) -> Iterator[str]:
    for column in select.columns:
        if isinstance(column.origin, str) and not column.attribute.is_hidden:
            yield column.origin
    for condition in select.where:
        yield from names_in(condition)


def united(a: QueryExpression, b: QueryExpression) -> tuple[Select, Heading]:
    """Return the block and the heading of ``a + b``.

    Raises
    ------
    DataJointError
        For different connections or primary keys, or a secondary attribute of both.
    """
    check_connections(a, b, "united")
    united_key(a.heading, b.heading)
    mine, theirs = a.heading.attributes, b.heading.attributes
    shared = [v for v in mine.values() if v.in_key]
    padded = [replace(v, is_nullable=True) for v in (*mine.values(), *theirs.values()) if not v.in_key]
    attributes: tuple[Attribute, ...] = (*shared, *padded)
    source = UnionSource(_visible(a), _visible(b), attributes)
    heading = Heading(
        attributes, lineage_available=a.heading.lineage_available and b.heading.lineage_available
    )
    return Select(source, tuple(Column(v, v.name) for v in attributes)), heading


def _visible(query: QueryExpression) -> Select:
    """The block of a query without its hidden columns, in the order of its heading."""
    columns = {c.attribute.name: c for c in query.select.columns}
    wanted = tuple(columns[name] for name in query.heading.names)
    if wanted == query.select.columns:
        return query.select
    return replace(query.select, columns=wanted)
