"""Query expressions: immutable, composed by operators, sent to the server only when fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self, cast

from dj_query import fetch, preview
from dj_query.compile import count_statement, exists_statement, select_text
from dj_query.conditions import Top
from dj_query.joins import joined, united
from dj_query.of_tables import OfTables
from dj_query.projection import aggregated, projected
from dj_query.restrict import condition_of, negated
from dj_query.select import Select, derived
from dj_query.shape import statement_of
from dj_query.top import window_of
from dj_query.where import Condition, Constant
from dj_schema.errors import DataJointError
from dj_schema.heading import Heading

if TYPE_CHECKING:
    from dj_query.user_sql import Dialect, UserExpression
    from dj_schema.connection import Connection

_MOST_CONDITIONS = 256  # that are kept with a heading: a program may format values into them


class QueryExpression(fetch.Fetching, OfTables):
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
            return self._with(window_of(self, restriction))
        return self._where(condition_of(self, restriction, semantic_check))

    def _where(self, condition: Condition) -> Self:
        if isinstance(condition, Constant) and condition.value:
            return self
        select = self.select
        if not select.takes(condition):
            select = derived(select)
        return self._with(select.and_where(condition))

    def __and__(self, restriction: Any) -> Self:
        return self.restrict(restriction)

    def __sub__(self, restriction: Any) -> Self:
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
        select, heading = joined(self, other, semantic_check, left, allow_nullable_pk)
        return QueryExpression.of(select, heading, self.connection)

    def __mul__(self, other: Any) -> QueryExpression:
        return self.join(other)

    def __rmul__(self, other: Any) -> Any:
        raise DataJointError(
            f"{other!r:.60} cannot be joined with a query. `*` comes before `&`, so a restriction that is to "
            "come first stands in parentheses: (A & condition) * B."
        )

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
        group = as_expression(group, "aggregate")
        missing = [n for n in self.primary_key if n not in group.heading.attributes]
        if missing:
            raise DataJointError(
                f"aggr needs the primary key of the grouping query in the grouped one, which lacks {missing}."
            )
        rows = self.join(group, left=not exclude_nonmatching, allow_nullable_pk=True)
        select, heading = aggregated(self.heading, rows, attributes, named_attributes)
        return QueryExpression.of(select, heading, self.connection)

    aggregate = aggr

    def __add__(self, other: Any) -> QueryExpression:
        select, heading = united(self, as_expression(other, "unite"))
        return QueryExpression.of(select, heading, self.connection)

    # -- what can be asked without fetching rows ---------------------------------------------------

    def make_sql(self) -> str:
        """Return the SELECT of this query, with ``%s`` where values are bound."""
        return statement_of(select_text, self.select, self.connection.dialect)[0]

    def __len__(self) -> int:
        text, values = statement_of(count_statement, self.select, self.connection.dialect)
        result = self.connection.run(text, values, is_read=True)
        return int(result.rows[0][0])

    def __bool__(self) -> bool:
        text, values = statement_of(exists_statement, self.select, self.connection.dialect)
        result = self.connection.run(text, values, is_read=True)
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
        dialect = self.connection.dialect.name
        memo: dict[tuple[str, str], UserExpression] = self.heading.memo("conditions", dict)
        expression = memo.get((dialect, text))
        if expression is None:
            if len(memo) >= _MOST_CONDITIONS:
                memo.clear()
            expression = memo[dialect, text] = self._compiled(text, cast("Dialect", dialect))
        return expression

    def _compiled(self, text: str, dialect: Dialect) -> UserExpression:
        from dj_query.user_sql import compile_condition

        expression = compile_condition(text, self.heading.kinds, dialect)
        if expression.is_aggregate:
            raise DataJointError(
                f"the condition {text!r} aggregates. Use .aggr() first, then restrict by its result."
            )
        return expression


def as_expression(other: Any, verb: str) -> Any:
    """Return a query for a table class or a query.

    Raises
    ------
    DataJointError
        For anything else.
    """
    if isinstance(other, type) and hasattr(other, "definition"):
        other = other()
    if isinstance(other, QueryExpression):
        return other
    from dj_query.universal import REMOVED_JOIN, U

    if isinstance(other, U):
        if verb == "join":
            raise DataJointError(REMOVED_JOIN)
        raise DataJointError(
            f"cannot {verb} {other!r}: it is no query. Use `dj.U(...) & query` to make it one."
        )
    raise DataJointError(f"cannot {verb} {type(other).__name__} {other!r:.60}: a table or a query is needed.")
