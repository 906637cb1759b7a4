"""Random expressions, each as a query and as the reference relation that it has to equal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

import datajoint as dj
from tests.property.worlds import TableOfWorld, values_of
from tests.support.lab import Lab
from tests.support.reference import Aggregates, Column, NotAllowed, Predicate, Relation, Row


@dataclass(frozen=True)
class Both:
    """One expression: its query, its relation, and how it was written."""

    query: Any
    relation: Relation
    text: str
    is_ordered: bool = False


@dataclass(frozen=True)
class Place:
    """A schema that was declared and filled, and what tables it has."""

    lab: Lab
    tables: Sequence[TableOfWorld]

    def table(self, table: TableOfWorld) -> Both:
        return Both(getattr(self.lab, table.name) & True, table.relation(), table.name)


class Refused(Exception):
    """The rules forbid the expression: the query has to refuse it too."""

    def __init__(self, make_query: Callable[[], Any], text: str) -> None:
        super().__init__(text)
        self.make_query = make_query


Draw = Callable[[st.SearchStrategy[Any]], Any]


def expression(place: Place, draw: Draw, depth: int) -> Both:
    """Draw an expression of at most so many operators on one path."""
    if depth == 0:
        return place.table(draw(st.sampled_from(place.tables)))
    operand = expression(place, draw, depth - 1)
    return draw(st.sampled_from(_OPERATORS))(place, draw, operand, depth)


def _other(place: Place, draw: Draw, depth: int) -> Both:
    return expression(place, draw, draw(st.integers(0, depth - 1)))


def _built(
    query: Callable[[], Any], relation: Callable[[], Relation], text: str, is_ordered: bool = False
) -> Both:
    try:
        expected = relation()
    except NotAllowed:
        raise Refused(query, text) from None
    return Both(query(), expected, text, is_ordered)


def _constant(value: Any) -> str:
    """A value in the SQL that users write."""
    if isinstance(value, bool):
        return str(value).upper()
    return str(value) if isinstance(value, (int, float, Decimal)) else f"'{value}'"


# -- restriction -------------------------------------------------------------------------------------


def _simple_condition(draw: Draw, columns: Sequence[Column]) -> tuple[Any, Predicate]:
    column = draw(st.sampled_from(list(columns)))
    name, values = column.name, list(values_of(column))
    value = draw(st.sampled_from(values))
    kind = draw(st.sampled_from(["dict", "null", "greater", "is null", "unknown", "list", "equal", "in"]))
    if kind == "dict":
        return {name: value}, lambda r: r[name] is not None and r[name] == value
    if kind == "null":
        return {name: None}, lambda r: r[name] is None
    if kind == "greater":
        return f"{name} > {_constant(value)}", lambda r: None if r[name] is None else r[name] > value
    if kind == "equal":
        return f"{name} = {_constant(value)}", lambda r: None if r[name] is None else r[name] == value
    if kind == "is null":
        return f"{name} IS NULL", lambda r: r[name] is None
    if kind == "unknown":
        return {"nothing_of_that_name": value}, lambda r: True
    some = draw(st.lists(st.sampled_from(values), max_size=3))
    if kind == "in" and some:
        text = f"{name} IN ({', '.join(map(_constant, some))})"
        return text, lambda r: None if r[name] is None else r[name] in some
    return [{name: v} for v in some], lambda r: r[name] is not None and r[name] in some


def _condition(draw: Draw, columns: Sequence[Column]) -> tuple[Any, Predicate]:
    parts = [_simple_condition(draw, columns) for _ in range(draw(st.integers(1, 2)))]
    conditions, predicates = [c for c, _ in parts], [p for _, p in parts]
    kind = draw(st.sampled_from(["one", "any", "all", "not", "bool", "universal"]))
    if kind == "any":
        return conditions, lambda r: any(p(r) is True for p in predicates)
    if kind == "all":
        return dj.AndList(conditions), lambda r: all(p(r) is True for p in predicates)
    if kind == "not":
        return dj.Not(conditions[0]), lambda r: predicates[0](r) is not True
    if kind == "bool":
        value = draw(st.booleans())
        return value, lambda r: value
    if kind == "universal":
        return dj.U(), lambda r: True
    return conditions[0], predicates[0]


def _restrict(place: Place, draw: Draw, e: Both, depth: int) -> Both:
    if not e.relation.names:
        return e
    condition, predicate = _condition(draw, e.relation.columns)
    if draw(st.booleans()):
        return Both(e.query & condition, e.relation.where(predicate), f"({e.text} & {condition!r})")
    return Both(e.query - condition, e.relation.unless(predicate), f"({e.text} - {condition!r})")


def _restrict_by_query(place: Place, draw: Draw, e: Both, depth: int) -> Both:
    o = _other(place, draw, depth)
    kind = draw(st.sampled_from(["and", "minus", "not", "list", "by name"]))
    if kind == "minus":
        return _built(
            lambda: e.query - o.query,
            lambda: e.relation.unless(e.relation.matches(o.relation)),
            f"({e.text} - {o.text})",
        )
    if kind == "not":
        return _built(
            lambda: e.query & dj.Not(o.query),
            lambda: e.relation.unless(e.relation.matches(o.relation)),
            f"({e.text} & Not({o.text}))",
        )
    if kind == "list" and e.relation.names:
        condition, predicate = _simple_condition(draw, e.relation.columns)

        def either() -> Predicate:
            has_partner = e.relation.matches(o.relation)
            return lambda r: has_partner(r) is True or predicate(r) is True

        return _built(
            lambda: e.query & [o.query, condition],
            lambda: e.relation.where(either()),
            f"({e.text} & [{o.text}, {condition!r}])",
        )
    check = kind != "by name" or not _comparable(e, o)
    return _built(
        lambda: e.query.restrict(o.query, semantic_check=check),
        lambda: e.relation.where(e.relation.matches(o.relation, check)),
        f"{e.text}.restrict({o.text}, semantic_check={check})",
    )


def _comparable(a: Both, b: Both) -> bool:
    """Whether namesakes are of one kind: else servers convert each in its own way."""
    mine, theirs = a.relation.by_name, b.relation.by_name
    return all(mine[n].kind == theirs[n].kind for n in mine if n in theirs)


# -- the other operators -----------------------------------------------------------------------------


def _join(place: Place, draw: Draw, e: Both, depth: int) -> Both:
    o = _other(place, draw, depth)
    left = draw(st.sampled_from([False, False, True]))
    nullable_key = left and draw(st.booleans())
    check = not _comparable(e, o) or draw(st.sampled_from([True, True, False]))
    return _built(
        lambda: e.query.join(o.query, left=left, allow_nullable_pk=nullable_key, semantic_check=check),
        lambda: e.relation.join(o.relation, left, nullable_key, check),
        f"{e.text}.join({o.text}, left={left}, allow_nullable_pk={nullable_key}, semantic_check={check})",
    )


def _union(place: Place, draw: Draw, e: Both, depth: int) -> Both:
    if draw(st.booleans()):
        return _united(e, _other(place, draw, depth))
    # two parts of one relation, so that keys overlap and the union is allowed
    secondary = [n for n in e.relation.names if n not in e.relation.key]
    mine = draw(st.lists(st.sampled_from(secondary), unique=True)) if secondary else []
    theirs = [n for n in secondary if n not in mine]
    parts = [_restrict(place, draw, _only(e, names), depth) for names in (mine, theirs)]
    return _united(*parts)


def _only(e: Both, names: list[str]) -> Both:
    return Both(e.query.proj(*names), e.relation.proj(names, {}, {}), f"{e.text}.proj({names})")


def _united(a: Both, b: Both) -> Both:
    return _built(lambda: a.query + b.query, lambda: a.relation.union(b.relation), f"({a.text} + {b.text})")


def _computed(draw: Draw, column: Column) -> tuple[str, str, Callable[[Row], Any]]:
    """An expression over one attribute: its SQL, its kind, and what it is."""
    name = column.name

    def of(function: Callable[[Any], Any]) -> Callable[[Row], Any]:
        return lambda r: None if r[name] is None else function(r[name])

    value = draw(st.sampled_from(list(values_of(column))))
    choices: list[tuple[str, str, Callable[[Row], Any]]] = [
        (f"{name} <= {_constant(value)}", "bool", of(lambda v: v <= value)),
        (f"{name} IS NOT NULL", "bool", lambda r: r[name] is not None),
        (f"COALESCE({name}, {name})", column.kind, lambda r: r[name]),
    ]
    if column.kind in ("date", "datetime", "uuid"):  # with a text, all of it is text
        choices.append((f"IFNULL({name}, 'none')", "string", lambda r: _as_text(r[name]) or "none"))
    else:
        filled = f"IFNULL({name}, {_constant(value)})"
        choices.append((filled, column.kind, lambda r: value if r[name] is None else r[name]))
    if column.kind in ("int", "decimal", "float"):
        choices.append((f"{name} + 1", column.kind, of(lambda v: v + 1)))
        choices.append((f"-{name} * 2", column.kind, of(lambda v: -v * 2)))
    if column.kind == "string":
        choices.append((f"CONCAT({name}, '!')", "string", of(lambda v: v + "!")))
        choices.append((f"CHAR_LENGTH({name})", "int", of(len)))
    if column.kind in ("date", "datetime"):
        choices.append((f"YEAR({name})", "int", of(lambda v: v.year)))
        choices.append((f"DATE_ADD({name}, INTERVAL 1 DAY)", column.kind, of(lambda v: v + dt.timedelta(1))))
    if column.kind == "datetime":
        choices.append((f"DATE({name})", "date", of(lambda v: v.date())))
    return draw(st.sampled_from(choices))  # type: ignore[no-any-return]


def _as_text(value: Any) -> str | None:
    """A value as a server writes it: a moment with the digits of its attribute."""
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", "milliseconds")
    return None if value is None else str(value)


def _proj(place: Place, draw: Draw, e: Both, depth: int) -> Both:
    names = e.relation.names
    secondary = [n for n in names if n not in e.relation.key]
    keep = draw(st.lists(st.sampled_from(secondary), unique=True)) if secondary else []
    renames: dict[str, str] = {}
    computed: dict[str, tuple[str, Callable[[Row], Any]]] = {}
    arguments: dict[str, str] = {}
    if names and draw(st.booleans()):
        old = draw(st.sampled_from([n for n in names if n not in keep] or names[:1]))
        keep = [n for n in keep if n != old]
        renames[old] = draw(st.sampled_from(["p", "s", "x1", "x2"]))
        arguments[renames[old]] = old
    if names and draw(st.booleans()):
        new, column = draw(st.sampled_from(["y1", "y2"])), draw(st.sampled_from(e.relation.columns))
        arguments[new], kind, function = _computed(draw, column)
        computed[new] = (kind, function)
    return _built(
        lambda: e.query.proj(*keep, **arguments),
        lambda: e.relation.proj(keep, renames, computed),
        f"{e.text}.proj({keep}, {arguments})",
    )


def _aggregates(draw: Draw, columns: Sequence[Column]) -> tuple[dict[str, str], Aggregates]:
    if not columns:
        return {"n1": "count(*)"}, {"n1": ("int", len)}
    column = draw(st.sampled_from(list(columns)))
    name, kind = column.name, column.kind
    sql = {"n1": "count(*)", "n2": f"count({name})", "n3": f"count(DISTINCT {name})"}
    functions: dict[str, tuple[str, Callable[[Sequence[Row]], Any]]] = {
        "n1": ("int", len),
        "n2": ("int", lambda g: len(_known(g, name))),
        "n3": ("int", lambda g: len(set(_known(g, name)))),
    }
    if kind != "bool":
        sql |= {"n4": f"max({name})", "n5": f"min({name})"}
        functions["n4"] = (kind, lambda g: max(_known(g, name), default=None))
        functions["n5"] = (kind, lambda g: min(_known(g, name), default=None))
    if kind in ("int", "bool", "decimal", "float"):
        sql["n6"] = f"sum({name})"
        total = "int" if kind == "bool" else kind
        functions["n6"] = (total, lambda g: sum(_known(g, name)) if _known(g, name) else None)
    return sql, functions


def _known(rows: Sequence[Row], name: str) -> list[Any]:
    return [r[name] for r in rows if r[name] is not None]


def _aggr(place: Place, draw: Draw, e: Both, depth: int) -> Both:
    o = _other(place, draw, depth)
    secondary = [n for n in e.relation.names if n not in e.relation.key]
    keep = draw(st.lists(st.sampled_from(secondary), unique=True)) if secondary else []
    sql, functions = _aggregates(draw, o.relation.columns)
    exclude = draw(st.booleans())
    return _built(
        lambda: e.query.aggr(o.query, *keep, exclude_nonmatching=exclude, **sql),
        lambda: e.relation.aggr(o.relation, keep, functions, exclude),
        f"{e.text}.aggr({o.text}, {keep}, {sql}, {exclude})",
    )


def _universal(place: Place, draw: Draw, e: Both, depth: int) -> Both:
    names = (
        draw(st.lists(st.sampled_from(e.relation.names), unique=True, max_size=2)) if e.relation.names else []
    )
    if draw(st.booleans()):
        return Both(dj.U(*names) & e.query, e.relation.distinct(names), f"(U({names}) & {e.text})")
    sql, functions = _aggregates(draw, e.relation.columns)
    return _built(
        lambda: dj.U(*names).aggr(e.query, **sql),
        lambda: e.relation.universal_aggr(names, functions),
        f"U({names}).aggr({e.text}, {sql})",
    )


def _top(place: Place, draw: Draw, e: Both, depth: int) -> Both:
    limit, offset = draw(st.one_of(st.none(), st.integers(0, 4))), draw(st.integers(0, 2))
    # all names, so that no two rows are equal in this order
    names = list(draw(st.permutations(e.relation.names)))
    order = [(n, draw(st.booleans())) for n in names]
    if not names:
        return e
    words = [f"{n} DESC" if is_descending else n for n, is_descending in order]
    return Both(
        e.query & dj.Top(limit, words, offset),
        e.relation.top(limit, order, offset),
        f"({e.text} & Top({limit}, {words}, {offset}))",
        is_ordered=True,
    )


_OPERATORS = [
    _restrict, _restrict, _restrict_by_query, _join, _join, _union, _proj, _proj, _aggr, _universal, _top,
]  # fmt: skip
