"""Query expressions: immutable, composed by operators, sent to the server only when fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from dj_query import fetch, preview
from dj_query.compile import count_statement, exists_statement, select_text
from dj_query.conditions import Top
from dj_query.projection import aggregated, projected
from dj_query.restrict import condition_of, negated
from dj_query.select import Column, Condition, Constant, DerivedSource, JoinSource, Select, UnionSource, names_in
from dj_query.semantics import determines, joined_attributes, matching_names
from dj_query.top import window_of
from dj_schema.errors import DataJointError
from dj_schema.heading import Heading

if TYPE_CHECKING:
    from dj_query.user_sql import UserExpression
    from dj_schema.connection import Connection


class QueryExpression(fetch.Fetching):
    """A set of rows with a primary key, described but not fetched."""

    _select: Select
    _heading: Heading
    _connection: Connection

    @classmethod
    def of(cls, select: Select, heading: Heading, connection: Connection) -> QueryExpression:
        new = object.__new__(QueryExpression)
        new._select, new._heading, new._connection = select, heading, connection
        return new

    def _with(self, select: Select) -> Self:
        """The same kind of object over other rows of the same heading."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new._select = select
        return new

    @property
    def select(self) -> Select:
        return self._select

    @property
    def heading(self) -> Heading:
        return self._heading

    @property
    def connection(self) -> Connection:
        return self._connection

    @property
    def primary_key(self) -> list[str]:
        return self.heading.primary_key

    # -- restriction -------------------------------------------------------------------------------

    def restrict(self, restriction: Any, semantic_check: bool = True) -> Self:
        """Return the rows that match a condition.

        Parameters
        ----------
        restriction : str, dict, QueryExpression, list, Not, AndList, Top, bool, DataFrame or record
        semantic_check : bool
            With False, attributes of another query match by name alone.
        """
        if isinstance(restriction, Top):
            return self._with(window_of(self.select, self.heading, restriction))
        return self._where(condition_of(self, restriction, semantic_check))

    def _where(self, condition: Condition) -> Self:
        if isinstance(condition, Constant) and condition.value:
            return self
        select = self.select
        if select.is_plain and _reaches_source(select, self.heading, condition):
            return self._with(replace(select, where=(*select.where, condition)))
        return self._with(replace(derived(select), where=(condition,)))

    def __and__(self, restriction: Any) -> Self:
        return self.restrict(restriction)

    def __sub__(self, restriction: Any) -> Self:
        from dj_query.universal import U

        if isinstance(restriction, U):
            raise DataJointError("Cannot subtract dj.U: it has every value, so nothing would be left.")
        if isinstance(restriction, Top):
            raise DataJointError("dj.Top can only be used with `&`.")
        return self._where(negated(condition_of(self, restriction)))

    def __xor__(self, other: Any) -> Any:
        raise DataJointError(
            "The ^ operator has been removed in DataJoint 2.0. "
            "Use .restrict(other, semantic_check=False) for permissive restrictions."
        )

    def __matmul__(self, other: Any) -> Any:
        raise DataJointError(
            "The @ operator has been removed in DataJoint 2.0. "
            "Use .join(other, semantic_check=False) for permissive joins."
        )

    # -- other operators ---------------------------------------------------------------------------

    def proj(self, *attributes: Any, **named_attributes: str) -> QueryExpression:
        """Choose, rename and compute attributes; the primary key always stays.

        Parameters
        ----------
        *attributes : str or Ellipsis
            Names to keep; ``...`` keeps all, and ``"-name"`` leaves one out.
        **named_attributes : str
            ``new="old"`` renames, ``new="(old)"`` duplicates, ``new="SQL expression"`` computes.
        """
        select, heading = projected(self, attributes, named_attributes)
        return QueryExpression.of(select, heading, self.connection)

    def join(
        self,
        other: Any,
        semantic_check: bool = True,
        left: bool = False,
        allow_nullable_pk: bool = False,
    ) -> QueryExpression:
        """Combine rows that agree on all attributes of the same name and origin.

        With `left`, rows of this query without a match stay, with NULLs; the other's primary key must
        then be among this query's attributes, unless `allow_nullable_pk`.
        """
        other = as_expression(other, "join")
        if other.connection is not self.connection:
            raise DataJointError("the two queries are on different connections and cannot be joined.")
        using = matching_names(self.heading, other.heading, semantic_check)
        if left and not allow_nullable_pk and not determines(self.heading, other.heading):
            missing = [n for n in other.primary_key if n not in self.heading.attributes]
            raise DataJointError(
                "Left join requires the left operand to determine the right operand (A → B). "
                f"The following attributes from the right operand's primary key are not determined by the "
                f"left operand: {missing}. Use an inner join or restructure the query."
            )
        attributes = joined_attributes(self.heading, other.heading)
        if left:
            mine = self.heading.attributes
            attributes = [a if a.name in mine else replace(a, is_nullable=True) for a in attributes]
        select = join_selects(self.select, other.select, tuple(using), left)
        by_name = {c.attribute.name: c for c in select.columns}
        select = replace(select, columns=tuple(Column(a, by_name[a.name].origin) for a in attributes))
        available = self.heading.lineage_available and other.heading.lineage_available
        heading = Heading(tuple(attributes), lineage_available=available)
        return QueryExpression.of(select, heading, self.connection)

    def __mul__(self, other: Any) -> QueryExpression:
        return self.join(other)

    def extend(self, other: Any, semantic_check: bool = True) -> QueryExpression:
        """Add the attributes of another query that this one determines, keeping all rows."""
        return self.join(other, semantic_check=semantic_check, left=True)

    def aggr(
        self, group: Any, *attributes: Any, exclude_nonmatching: bool = False, **named_attributes: str
    ) -> QueryExpression:
        """Summarise the rows of `group` for each row of this query.

        Parameters
        ----------
        group : QueryExpression
            Has all attributes of this query's primary key.
        *attributes : str or Ellipsis
            Attributes of this query to keep beside its primary key.
        exclude_nonmatching : bool
            Leave out rows that have nothing in `group`.
        **named_attributes : str
            SQL aggregates over the attributes of `group`.
        """
        group = as_expression(group, "aggr")
        missing = [n for n in self.primary_key if n not in group.heading.attributes]
        if missing:
            raise DataJointError(
                f"aggr needs the primary key of the grouping query in the grouped one, which lacks {missing}."
            )
        joined = self.join(group, left=not exclude_nonmatching, allow_nullable_pk=True)
        select, heading = aggregated(self.heading, joined, attributes, named_attributes)
        return QueryExpression.of(select, heading, self.connection)

    aggregate = aggr

    def __add__(self, other: Any) -> QueryExpression:
        other = as_expression(other, "unite")
        if other.connection is not self.connection:
            raise DataJointError("the two queries are on different connections and cannot be united.")
        a, b = self.heading, other.heading
        if set(a.primary_key) != set(b.primary_key):
            raise DataJointError(
                f"a union needs the same primary key on both sides, not {a.primary_key} and {b.primary_key}."
            )
        if both := [n for n in a.secondary_attributes if n in b.attributes]:
            raise DataJointError(
                f"a union cannot hold the secondary attributes {both} of both sides; rename or leave out one."
            )
        matching_names(a, b, verb="unite")
        extra = [replace(b.attributes[n], is_nullable=True) for n in b.secondary_attributes]
        attributes = [v if v.in_key else replace(v, is_nullable=bool(extra) or v.is_nullable) for v in a.attributes.values()]
        union = UnionSource(self.select, other.select, (*attributes, *extra))
        columns = tuple(Column(v, v.name) for v in union.attributes)
        heading = Heading(union.attributes, lineage_available=a.lineage_available and b.lineage_available)
        return QueryExpression.of(Select(union, columns), heading, self.connection)

    # -- what can be asked without fetching rows ---------------------------------------------------

    def make_sql(self) -> str:
        """Return the SELECT of this query, with ``%s`` where values are bound."""
        return self.connection.render(select_text(self.select, self.connection.dialect)).text

    def __len__(self) -> int:
        result = self.connection.execute(count_statement(self.select, self.connection.dialect), is_read=True)
        return int(result.rows[0][0])

    def __bool__(self) -> bool:
        result = self.connection.execute(exists_statement(self.select, self.connection.dialect), is_read=True)
        return bool(result.rows[0][0])

    def __contains__(self, item: Any) -> bool:
        """Whether a restriction matches any row: ``{"subject_id": 1} in Subject()``."""
        return bool(self & item)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return fetch.iterate(self)

    def __repr__(self) -> str:
        return preview.as_text(self)

    def _repr_html_(self) -> str:
        return preview.as_html(self)

    def preview(self, limit: int | None = None, width: int | None = None) -> str:
        """Return the first rows as text."""
        return preview.as_text(self, limit, width)

    # -- user SQL ----------------------------------------------------------------------------------

    def compile_condition(self, text: str) -> UserExpression:
        """Parse an SQL condition over this query's attributes."""
        from dj_query.user_sql import compile_condition

        dialect = self.connection.dialect.name
        return self.heading.memo(  # type: ignore[no-any-return]
            ("condition", text, dialect), lambda: compile_condition(text, self.heading.kinds, dialect)
        )


def as_expression(other: Any, verb: str) -> Any:
    """Return a query for a table class or a query.

    Raises
    ------
    DataJointError
        For anything else.
    """
    from dj_query.universal import U

    if isinstance(other, type) and hasattr(other, "definition"):
        other = other()
    if isinstance(other, U):
        raise DataJointError(
            "dj.U(...) * table is no longer supported in DataJoint 2.0. Use dj.U(...) & table instead."
        )
    if not isinstance(other, QueryExpression):
        raise DataJointError(f"cannot {verb} with {type(other).__name__}: a table or a query is needed.")
    return other


def derived(select: Select) -> Select:
    """Wrap a block, so that its attributes are names of a source."""
    return Select(DerivedSource(select), tuple(Column(c.attribute, c.attribute.name) for c in select.columns))




def _reaches_source(select: Select, heading: Heading, condition: Condition) -> bool:
    """Whether a condition means the same inside the block, where names are those of the source."""
    plain = heading.memo(("plain", id(select.columns)), lambda: (select.columns, _plain(select)))[1]
    return names_in(condition) <= plain


def _plain(select: Select) -> frozenset[str]:
    return frozenset(c.attribute.name for c in select.columns if c.is_identity)


def join_selects(a: Select, b: Select, using: tuple[str, ...], is_left: bool) -> Select:
    """Put two blocks beside each other, wrapping only what would change its meaning."""
    a, b = _joinable(a, using), _joinable(b, using)
    if is_left and b.where:
        b = derived(b)
    if (a.source.names & b.source.names) - set(using):
        a, b = _narrowed(a), _narrowed(b)
    source = JoinSource(a.source, b.source, using, is_left)
    taken = {c.attribute.name for c in a.columns}
    columns = a.columns + tuple(c for c in b.columns if c.attribute.name not in taken)
    visible = tuple(c for c in columns if not c.attribute.is_hidden)
    return Select(source, visible, a.where + b.where)


def _joinable(select: Select, using: tuple[str, ...]) -> Select:
    plain = {c.attribute.name: c.is_identity for c in select.columns}
    if not select.is_plain or select.is_distinct or not all(plain[name] for name in using):
        return derived(select)
    computed = any(not isinstance(c.origin, str) for c in select.columns)
    return derived(select) if computed else select


def _narrowed(select: Select) -> Select:
    """Wrap a block whose source has names that it does not show, so that they cannot clash."""
    shown = frozenset(c.attribute.name for c in select.columns)
    return select if select.source.names <= shown else derived(select)
