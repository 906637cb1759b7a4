"""From a query as a value to one SQL statement. The same query always gives the same text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dj_query.select import (
    Column,
    DerivedSource,
    JoinSource,
    Ordering,
    Select,
    Source,
    TableSource,
    UnionSource,
    Window,
)
from dj_query.union_text import union_text
from dj_query.where import (
    AllOf,
    AnyOf,
    Condition,
    Constant,
    Equals,
    Exists,
    JsonEquals,
    Negated,
    OneOf,
    UserCondition,
    may_end_in_spaces,
)
from dj_schema.dialects.base import Dialect
from dj_schema.heading import Attribute
from dj_schema.sql import EMPTY, Ident, Param, Sql, idents, join, one_of, select_list, sql

Scope = Mapping[str, str]
"""The alias of the table that has each name."""

NO_LIMIT = 2**63 - 1
_MANY_ROWS = 200


def select_text(select: Select, dialect: Dialect) -> Sql:
    """Return the SELECT of a block."""
    return _Compiler(dialect).select(select)


def fetch_text(select: Select, dialect: Dialect) -> Sql:
    """Return the SELECT of a block whose rows are fetched: every number of it with all of its digits."""
    compiler = _Compiler(dialect)
    return compiler.select(select, compiler.fetched_column)


def count_statement(select: Select, dialect: Dialect) -> Sql:
    """Return the SELECT that counts the rows of a block."""
    compiler = _Compiler(dialect)
    if select.is_plain and not select.is_distinct:
        return compiler.block(select, sql("count(*)"))
    return sql("SELECT count(*) FROM ({}) AS {}", compiler.select(select), Ident("counted"))


def exists_statement(select: Select, dialect: Dialect) -> Sql:
    """Return the SELECT that tells whether a block has any row."""
    compiler = _Compiler(dialect)
    rows = compiler.select(select)
    if select.window is not None and (select.is_distinct or select.group is not None):
        # MariaDB passes over DISTINCT and GROUP BY right inside of EXISTS, though an OFFSET counts their rows
        rows = sql("SELECT 1 FROM ({}) AS {}", rows, Ident("counted"))
    return sql("SELECT EXISTS ({})", rows)


def where_clause(select: Select, dialect: Dialect) -> Sql:
    """Return the WHERE of a block over one table, for a DELETE or an UPDATE of it."""
    assert isinstance(select.source, TableSource)
    names = select.source
    return _Compiler(dialect).where(select.where, dict.fromkeys(names.names, ""), names)


def padded_statement(select: Select, texts: frozenset[str], dialect: Dialect) -> Sql:
    """Return the SELECT that tells whether a block over one table has rows of other texts than asked for.

    A collation that takes no notice of spaces at the end finds them all the same. `texts` are the names of
    the table's text attributes.
    """
    assert isinstance(select.source, TableSource)
    table = select.source
    exact = _Compiler(dialect, texts).conditions(select.where, dict.fromkeys(table.names, ""), table)
    found = where_clause(select, dialect)
    name = Ident(table.schema, table.table)
    return sql("SELECT EXISTS (SELECT 1 FROM {}{} AND ({}) IS NOT TRUE)", name, found, exact)


class _Compiler:
    """One compilation: numbers the aliases of its tables; texts in `exact` compare to the last space."""

    def __init__(self, dialect: Dialect, exact: frozenset[str] = frozenset()) -> None:
        self._dialect = dialect
        self._exact = exact
        self._table: TableSource | None = None  # that a DELETE or an UPDATE is of
        self._n_aliases = 0

    def alias(self) -> str:
        self._n_aliases += 1
        return f"t{self._n_aliases}"

    def null_of(self, attribute: Attribute) -> Sql:
        """What stands for an attribute that a part of a union has not."""
        return self._dialect.rows.null_of(attribute)

    def select(self, select: Select, shown_as: Callable[[Column], Sql] | None = None) -> Sql:
        shown_as = shown_as or self._column
        if select.is_distinct and (texts := self._padded(select.columns)):
            return self._distinct_texts(select, texts, shown_as)
        shown = select_list(map(shown_as, select.columns))
        return self.block(select, sql("DISTINCT {}", shown) if select.is_distinct else shown)

    def _padded(self, columns: Sequence[Column]) -> list[Column]:
        """The columns that the server takes for equal where they differ in spaces at the end."""
        if self._dialect.flags.has_exact_texts:
            return []
        return [c for c in columns if may_end_in_spaces(c.attribute)]

    def _distinct_texts(
        self, select: Select, texts: Sequence[Column], shown_as: Callable[[Column], Sql]
    ) -> Sql:
        """Distinct rows where texts of another length are others; their length is not shown."""
        if all(isinstance(c.origin, str) for c in select.columns):
            grouped = tuple(str(c.origin) for c in select.columns)
            return self.select(replace(select, is_distinct=False, group=grouped), shown_as)
        lengths = [sql("{} AS {}", _length(c), Ident(f"~{i}")) for i, c in enumerate(texts)]
        rows = self.block(
            replace(select, window=None),
            sql("DISTINCT {}", join(", ", [*map(self._column, select.columns), *lengths])),
        )
        shown = join(", ", (shown_as(Column(c.attribute, c.attribute.name)) for c in select.columns))
        text = sql("SELECT {} FROM ({}) AS {}", shown, rows, Ident(self.alias()))
        return text + self._window(select.window) if select.window else text

    def _column(self, column: Column) -> Sql:
        name = Ident(column.attribute.name)
        if isinstance(column.origin, str):
            return Sql((name,)) if column.is_identity else sql("{} AS {}", Ident(column.origin), name)
        return sql("{} AS {}", Sql((column.origin.sql,)), name)

    def fetched_column(self, column: Column) -> Sql:
        """A column of the outermost block."""
        if not _may_be_single_float(column.attribute):
            return self._column(column)
        shown = self._dialect.rows.single_float(_origin(column))
        return sql("{} AS {}", shown, Ident(column.attribute.name))

    def block(self, select: Select, shown: Sql) -> Sql:
        source, scope = self.source(select.source)
        statement = sql("SELECT {} FROM {}{}", shown, source, self.where(select.where, scope))
        if select.group:
            own = [c for c in select.columns if c.attribute.in_key and c.origin in select.group]
            lengths = (_length(c) for c in self._padded(own))
            statement += sql(" GROUP BY {}", join(", ", [idents(select.group), *lengths]))
        elif select.group is not None and not select.has_empty_group:
            statement += sql(" HAVING count(*) > 0")
        elif select.group is not None and not any(_is_aggregate(c) for c in select.columns):
            statement += sql(" HAVING count(*) >= 0")  # one group, where no aggregate says so
        return statement + self._window(select.window) if select.window else statement

    def _window(self, window: Window) -> Sql:
        order = join(", ", (self._ordering(o) for o in window.order))
        text = sql(" ORDER BY {}", order) if window.order else EMPTY
        if window.limit is not None or window.offset:
            text += sql(" LIMIT {}", Param(NO_LIMIT if window.limit is None else window.limit))
        if window.offset:
            text += sql(" OFFSET {}", Param(window.offset))
        return text

    def _ordering(self, ordering: Ordering) -> Sql:
        nulls = self._dialect.rows.order_nulls(ordering.is_descending) if ordering.is_nullable else EMPTY
        by = sql("({})", Sql((ordering.inside.sql,))) if ordering.inside else sql("{}", Ident(ordering.name))
        return sql("{} DESC{}" if ordering.is_descending else "{}{}", by, nulls)

    # -- sources -----------------------------------------------------------------------------------

    def source(self, source: Source) -> tuple[Sql, Scope]:
        match source:
            case TableSource():
                alias = self.alias()
                text = sql("{} AS {}", Ident(source.schema, source.table), Ident(alias))
                return text, dict.fromkeys(source.names, alias)
            case DerivedSource():
                alias = self.alias()
                return sql("({}) AS {}", self.select(source.select), Ident(alias)), dict.fromkeys(
                    source.names, alias
                )
            case JoinSource():
                return self._join(source)
            case UnionSource():
                alias = self.alias()
                return sql("({}) AS {}", union_text(source, self), Ident(alias)), dict.fromkeys(
                    source.names, alias
                )

    def _join(self, source: JoinSource) -> tuple[Sql, Scope]:
        left, left_scope = self.source(source.left)
        right, right_scope = self.source(source.right)
        if isinstance(source.right, JoinSource):
            right = sql("({})", right)
        scope = {**right_scope, **left_scope}
        if source.using:
            verb = "{} LEFT JOIN {} USING ({})" if source.is_left else "{} JOIN {} USING ({})"
            return sql(verb, left, right, idents(source.using)), scope
        verb = "{} LEFT JOIN {} ON TRUE" if source.is_left else "{} CROSS JOIN {}"
        return sql(verb, left, right), scope

    # -- conditions --------------------------------------------------------------------------------

    def where(self, conditions: tuple[Condition, ...], scope: Scope, table: TableSource | None = None) -> Sql:
        return sql(" WHERE {}", self.conditions(conditions, scope, table)) if conditions else EMPTY

    def conditions(
        self, conditions: tuple[Condition, ...], scope: Scope, table: TableSource | None = None
    ) -> Sql:
        self._table = table or self._table  # a block inside of the conditions has conditions too
        return join(" AND ", (self.condition(c, scope) for c in conditions))

    def condition(self, condition: Condition, scope: Scope) -> Sql:
        match condition:
            case Equals(names=names, values=values):
                pairs = zip(names, values, strict=True)
                parts = [
                    sql("{} IS NULL", Ident(n)) if v is None else sql("{} = {}", *self._compared(n, v))
                    for n, v in pairs
                ]
                parts += [_spaces_alike(n, length) for n, length in condition.spaces]
                return parts[0] if len(parts) == 1 else sql("({})", join(" AND ", parts))
            case OneOf():
                return self._one_of(condition)
            case UserCondition(expression=expression):
                return Sql((expression.sql,))  # bracketed where it is more than one operand
            case Exists():
                return self._exists(condition, scope)
            case AnyOf(conditions=parts_):
                return sql("({})", join(" OR ", (self.condition(c, scope) for c in parts_)))
            case AllOf(conditions=parts_):
                inner = join(" AND ", (self.condition(c, scope) for c in parts_))
                return sql("({})", inner) if parts_ else sql("TRUE")
            case Negated(condition=inner_):
                text = self.condition(inner_, scope)
                never_unknown = isinstance(inner_, Exists)
                return sql("NOT {}", text) if never_unknown else sql("({}) IS NOT TRUE", text)
            case Constant(value=value):
                return sql("TRUE" if value else "FALSE")
            case JsonEquals(name=name, steps=steps, value=value, typed=typed):
                if typed is None:
                    return self._dialect.rows.json_equals(Ident(name), list(steps), value)
                found = Sql((typed.sql,))
                return sql("({}) IS NULL", found) if value is None else sql("({}) = {}", found, Param(value))

    def _compared(self, name: str, value: Any) -> tuple[Ident | Sql, Param]:
        """A column and a value; of a text that has to be exact, both with something behind its spaces."""
        if name in self._exact:
            return sql("CONCAT({}, '.')", Ident(name)), Param(f"{value}.")
        return Ident(name), Param(value)

    def _one_of(self, condition: OneOf) -> Sql:
        if not self._exact.isdisjoint(condition.names) or condition.has_space_at_end:
            return self.condition(AnyOf(condition.apart()), {})
        if len(condition.rows) > _MANY_ROWS:
            found = self._dialect.rows.one_of_many(condition.attributes, condition.rows)
        else:
            found = one_of(condition.names, condition.rows)
        alike = [_spaces_alike(n, 0) for n in condition.texts]
        return sql("({})", join(" AND ", [found, *alike])) if alike else found

    def _exists(self, condition: Exists, scope: Scope) -> Sql:
        """A correlated EXISTS: NULL never matches, and every server makes a semi- or anti-join of it."""
        inner = condition.select
        origins = {c.attribute.name: c.origin for c in inner.columns}
        simple = inner.is_plain and all(isinstance(origins[n], str) for n in condition.names)
        if not simple:
            inner = Select(DerivedSource(inner), inner.columns)
            origins = {n: n for n in origins}
        source, inner_scope = self.source(inner.source)
        padded = {c.attribute.name for c in self._padded(inner.columns)}
        conditions = [self.condition(c, inner_scope) for c in inner.where]
        for name in condition.names:
            origin = origins[name]
            assert isinstance(origin, str)
            outer = Ident(scope[name], name) if scope[name] else self._outer(name)
            own = Ident(inner_scope[origin], origin)
            if name in condition.texts:
                as_text = self._dialect.rows.text_of
                conditions.append(sql("{} = {}", as_text(own), as_text(outer)))
            else:
                conditions.append(sql("{} = {}", own, outer))
            if name in padded:
                conditions.append(sql("CHAR_LENGTH({}) = CHAR_LENGTH({})", own, outer))
        where = sql(" WHERE {}", join(" AND ", conditions)) if conditions else EMPTY
        return sql("EXISTS (SELECT 1 FROM {}{})", source, where)

    def _outer(self, name: str) -> Ident:
        assert self._table is not None
        return Ident(self._table.schema, self._table.table, name)


def _origin(column: Column) -> Sql:
    return sql("{}", Ident(column.origin)) if isinstance(column.origin, str) else Sql((column.origin.sql,))


def _length(column: Column) -> Sql:
    return sql("CHAR_LENGTH({})", _origin(column))


def _spaces_alike(name: str, length: int) -> Sql:
    """The condition that a text found equal ends in no space, or has the length of the one asked for."""
    if length:
        return sql(f"CHAR_LENGTH({{}}) = {length}", Ident(name))
    return sql("{} NOT LIKE '%% '", Ident(name))


def _is_aggregate(column: Column) -> bool:
    return not isinstance(column.origin, str) and column.origin.is_aggregate


def _may_be_single_float(attribute: Attribute) -> bool:
    stored = str(attribute.storage or "")  # `float` is the word of MySQL itself; SQL has no type of its own
    return attribute.kind == "float" and not stored.startswith(("float64", "double", "real"))
