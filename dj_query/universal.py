"""`dj.U`: the universal set, to make attributes a key of their own or to summarise a whole query."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from dj_query.of_tables import OfTables
from dj_query.recent import Recent
from dj_query.select import Column, derived
from dj_schema.errors import DataJointError, NotATableError
from dj_schema.heading import Heading

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression

REMOVED_JOIN = "dj.U(...) * table is no longer supported in DataJoint 2.0. Use dj.U(...) & table instead."


_headings: Recent[Heading] = Recent()
_columns: Recent[tuple[Column, ...]] = Recent()


def _columns_of(columns: tuple[Column, ...], heading: Heading) -> tuple[Column, ...]:
    origins = {c.attribute.name: c.origin for c in columns}
    return tuple([Column(a, origins[a.name]) for a in heading.all])


class U(OfTables):
    """All values of some attributes; ``dj.U()`` is one row without attributes.

    ``dj.U("a", "b") & query`` gives the distinct values of `a` and `b` in a query;
    ``dj.U("a").aggr(query, n="count(*)")`` summarises it for each value of `a`.
    """

    def __init__(self, *primary_key: str) -> None:
        if not all(isinstance(name, str) for name in primary_key):
            raise DataJointError("dj.U takes attribute names, as in dj.U('a', 'b').")
        self._primary_key = tuple(dict.fromkeys(primary_key))

    @property
    def primary_key(self) -> tuple[str, ...]:
        return self._primary_key

    def __and__(self, other: Any) -> QueryExpression:
        from dj_query.expression import QueryExpression, as_expression

        query = as_expression(other, "restrict dj.U by")
        heading = self._heading_in(query)
        select = query.select
        if not select.is_plain or select.is_distinct:
            select = derived(select)
        columns = _columns.get((select.columns, heading), None, lambda: _columns_of(select.columns, heading))
        return QueryExpression.of(
            replace(select, columns=columns, is_distinct=True), heading, query.connection
        )

    def _heading_in(self, query: QueryExpression) -> Heading:
        """These attributes as a query has them, of the same origin, and as a key."""
        heading = query.heading

        def make() -> Heading:
            attributes = tuple(replace(heading[name], in_key=True) for name in self._primary_key)
            return Heading(attributes, lineage_available=heading.lineage_available)

        return _headings.get((heading,), self._primary_key, make)

    def aggr(
        self, group: Any, *attributes: Any, exclude_nonmatching: bool = True, **named_attributes: str
    ) -> QueryExpression:
        """Summarise a query for each value of these attributes; without any, in one row."""
        from dj_query.expression import QueryExpression, as_expression
        from dj_query.projection import aggregated

        if not exclude_nonmatching:
            raise DataJointError("dj.U has every value, so aggr cannot keep those without a match.")
        if any(a is not ... and a not in self._primary_key for a in attributes):
            raise DataJointError("dj.U(...).aggr takes named aggregates only: name the attributes in dj.U.")
        query = as_expression(group, "aggregate")
        select, heading = aggregated(self._heading_in(query), query, (), named_attributes, is_universal=True)
        return QueryExpression.of(select, heading, query.connection)

    aggregate = aggr

    def join(self, other: Any, **_: Any) -> QueryExpression:
        raise DataJointError(REMOVED_JOIN)

    def __mul__(self, other: Any) -> QueryExpression:
        raise DataJointError(REMOVED_JOIN)

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> QueryExpression:
        raise DataJointError("dj.U(...) - table would be an infinite set.")

    def __add__(self, other: Any) -> QueryExpression:
        raise DataJointError(
            f"cannot unite {self!r}: it is no query. Use `dj.U(...) & query` to make it one."
        )

    def __getattr__(self, name: str) -> NoReturn:
        from dj_query.expression import QueryExpression

        if name in vars(OfTables):
            getattr(U, name)  # raises, and says what to do
        if hasattr(QueryExpression, name):
            raise NotATableError(
                f"{self!r} has no {name}: it stands for every value, and no rows. Those of a query are "
                f"`{self!r} & query`."
            )
        raise AttributeError(f"'U' object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"dj.U({', '.join(map(repr, self._primary_key))})"
