"""Random expressions, each as a query and as the reference relation that it has to equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

import datajoint as dj
from tests.support.lab import Lab
from tests.support.reference import Column, NotAllowed, Predicate, Relation, Row

DEFINITIONS: Mapping[str, str] = {
    "A": "a : int32\n---\np = null : int32\nq = null : int32",
    "B": "b : int32\n---\n-> [nullable] A\nr = null : int32",
    "AB": "-> A\n-> B.proj(bb='b')\n---\ns = null : int32",
    "C": "-> A\nc : int32\n---\nt = null : int32\nu : int16",
    "D": "-> C\nd : int32\n---\n-> B\nv = null : int32",
    "E": "-> A\n---\nw = null : int32",
}
_LINEAGE = {"a": "a.a", "b": "b.b", "bb": "b.b", "c": "c.c", "d": "d.d"}
_KEYS = {"A": ["a"], "B": ["b"], "AB": ["a", "bb"], "C": ["a", "c"], "D": ["a", "c", "d"], "E": ["a"]}
_OTHERS = {"A": ["p", "q"], "B": ["a", "r"], "AB": ["s"], "C": ["t", "u"], "D": ["b", "v"], "E": ["w"]}
_ROWS: Mapping[str, list[tuple[Any, ...]]] = {
    "A": [(1, 1, 2), (2, None, 2), (3, 3, None), (4, 0, 0), (5, 2, 1)],
    "B": [(1, 1, 1), (2, 1, None), (3, None, 2), (4, 3, 0)],
    "AB": [(1, 1, 1), (1, 2, None), (2, 1, 2), (3, 4, 3), (5, 5, 0)],
    "C": [(1, 1, 1, 1), (1, 2, None, 0), (2, 1, 2, 1), (4, 3, 0, 0), (4, 1, 3, 1)],
    "D": [(1, 1, 1, 1, 2), (1, 1, 2, 2, None), (1, 2, 1, 1, 0), (2, 1, 3, 4, 1), (4, 3, 1, 3, 3)],
    "E": [(1, 1), (3, None), (4, 2)],
}
_ROWS = {**_ROWS, "B": [*_ROWS["B"], (5, 2, 2)]}


@dataclass(frozen=True)
class Both:
    """One expression: its query, its relation, and how it was written."""

    query: Any
    relation: Relation
    text: str
    is_ordered: bool = False


def fill(lab: Lab) -> None:
    for name, rows in _ROWS.items():
        getattr(lab, name).insert(rows)


def table(lab: Lab, name: str) -> Both:
    names = [*_KEYS[name], *_OTHERS[name]]
    columns = tuple(Column(n, n in _KEYS[name], _LINEAGE.get(n)) for n in names)
    rows = tuple(dict(zip(names, row, strict=True)) for row in _ROWS[name])
    return Both(getattr(lab, name) & True, Relation(columns, rows), name)


class Refused(Exception):
    """The rules forbid the expression: the query has to refuse it too."""

    def __init__(self, make_query: Callable[[], Any], text: str) -> None:
        super().__init__(text)
        self.make_query = make_query


Draw = Callable[[st.SearchStrategy[Any]], Any]
_small = st.integers(0, 3)


def expression(lab: Lab, draw: Draw, depth: int) -> Both:
    """Draw an expression of at most so many operators on one path."""
    if depth == 0:
        return table(lab, draw(st.sampled_from(sorted(_KEYS))))
    operand = expression(lab, draw, depth - 1)
    return draw(st.sampled_from(_OPERATORS))(lab, draw, operand, depth)


def _other(lab: Lab, draw: Draw, depth: int) -> Both:
    return expression(lab, draw, draw(st.integers(0, depth - 1)))


def _built(
    query: Callable[[], Any], relation: Callable[[], Relation], text: str, is_ordered: bool = False
) -> Both:
    try:
        expected = relation()
    except NotAllowed:
        raise Refused(query, text) from None
    return Both(query(), expected, text, is_ordered)


# -- the operators -----------------------------------------------------------------------------------


def _simple_condition(draw: Draw, names: Sequence[str]) -> tuple[Any, Predicate]:
    name, n = draw(st.sampled_from(list(names))), draw(_small)
    kind = draw(st.sampled_from(["dict", "null", "greater", "is null", "unknown", "list"]))
    if kind == "dict":
        return {name: n}, lambda r: r[name] is not None and r[name] == n
    if kind == "null":
        return {name: None}, lambda r: r[name] is None
    if kind == "greater":
        return f"{name} > {n}", lambda r: None if r[name] is None else r[name] > n
    if kind == "is null":
        return f"{name} IS NULL", lambda r: r[name] is None
    if kind == "unknown":
        return {"nothing_of_that_name": n}, lambda r: True
    values = draw(st.lists(_small, max_size=3))
    return [{name: v} for v in values], lambda r: r[name] is not None and r[name] in values


def _condition(draw: Draw, names: Sequence[str]) -> tuple[Any, Predicate]:
    parts = [_simple_condition(draw, names) for _ in range(draw(st.integers(1, 2)))]
    conditions, predicates = [c for c, _ in parts], [p for _, p in parts]
    kind = draw(st.sampled_from(["one", "any", "all", "not", "bool"]))
    if kind == "any":
        return conditions, lambda r: any(p(r) is True for p in predicates)
    if kind == "all":
        return dj.AndList(conditions), lambda r: all(p(r) is True for p in predicates)
    if kind == "not":
        return dj.Not(conditions[0]), lambda r: predicates[0](r) is not True
    if kind == "bool":
        value = draw(st.booleans())
        return value, lambda r: value
    return conditions[0], predicates[0]


def _restrict(lab: Lab, draw: Draw, e: Both, depth: int) -> Both:
    if not e.relation.names:
        return e
    condition, predicate = _condition(draw, e.relation.names)
    if draw(st.booleans()):
        return Both(e.query & condition, e.relation.where(predicate), f"({e.text} & {condition!r})")
    return Both(e.query - condition, e.relation.unless(predicate), f"({e.text} - {condition!r})")


def _restrict_by_query(lab: Lab, draw: Draw, e: Both, depth: int) -> Both:
    o = _other(lab, draw, depth)
    if draw(st.booleans()):
        return _built(
            lambda: e.query & o.query,
            lambda: e.relation.where(e.relation.matches(o.relation)),
            f"({e.text} & {o.text})",
        )
    return _built(
        lambda: e.query - o.query,
        lambda: e.relation.unless(e.relation.matches(o.relation)),
        f"({e.text} - {o.text})",
    )


def _join(lab: Lab, draw: Draw, e: Both, depth: int) -> Both:
    o = _other(lab, draw, depth)
    left = draw(st.sampled_from([False, False, True]))
    return _built(
        lambda: e.query.join(o.query, left=left),
        lambda: e.relation.join(o.relation, left),
        f"{e.text}.join({o.text}, left={left})",
    )


def _union(lab: Lab, draw: Draw, e: Both, depth: int) -> Both:
    if draw(st.booleans()):
        return _united(e, _other(lab, draw, depth))
    # two parts of one relation, so that keys overlap and the union is allowed
    secondary = [n for n in e.relation.names if n not in e.relation.key]
    mine = draw(st.lists(st.sampled_from(secondary), unique=True)) if secondary else []
    theirs = [n for n in secondary if n not in mine]
    parts = [_restrict(lab, draw, _only(e, names), depth) for names in (mine, theirs)]
    return _united(*parts)


def _only(e: Both, names: list[str]) -> Both:
    return Both(e.query.proj(*names), e.relation.proj(names, {}, {}), f"{e.text}.proj({names})")


def _united(a: Both, b: Both) -> Both:
    return _built(lambda: a.query + b.query, lambda: a.relation.union(b.relation), f"({a.text} + {b.text})")


def _proj(lab: Lab, draw: Draw, e: Both, depth: int) -> Both:
    names = e.relation.names
    secondary = [n for n in names if n not in e.relation.key]
    keep = draw(st.lists(st.sampled_from(secondary), unique=True)) if secondary else []
    renames: dict[str, str] = {}
    computed: dict[str, Callable[[Row], Any]] = {}
    arguments: dict[str, str] = {}
    if names and draw(st.booleans()):
        old = draw(st.sampled_from([n for n in names if n not in keep] or names[:1]))
        keep = [n for n in keep if n != old]
        renames[old] = draw(st.sampled_from(["p", "t", "x1", "x2"]))
        arguments[renames[old]] = old
    if names and draw(st.booleans()):
        new, old = draw(st.sampled_from(["y1", "y2"])), draw(st.sampled_from(names))
        arguments[new] = f"{old} + 1"
        computed[new] = lambda r: None if r[old] is None else r[old] + 1
    return _built(
        lambda: e.query.proj(*keep, **arguments),
        lambda: e.relation.proj(keep, renames, computed),
        f"{e.text}.proj({keep}, {arguments})",
    )


def _aggregates(draw: Draw, names: Sequence[str]) -> tuple[dict[str, str], dict[str, Any]]:
    if not names:
        return {"n1": "count(*)"}, {"n1": len}
    name = draw(st.sampled_from(list(names)))
    values = lambda g: [r[name] for r in g if r[name] is not None]  # noqa: E731
    return (
        {"n1": "count(*)", "n2": f"count({name})", "n3": f"sum({name})", "n4": f"max({name})"},
        {
            "n1": len,
            "n2": lambda g: len(values(g)),
            "n3": lambda g: sum(values(g)) if values(g) else None,
            "n4": lambda g: max(values(g), default=None),
        },
    )


def _aggr(lab: Lab, draw: Draw, e: Both, depth: int) -> Both:
    o = _other(lab, draw, depth)
    secondary = [n for n in e.relation.names if n not in e.relation.key]
    keep = draw(st.lists(st.sampled_from(secondary), unique=True)) if secondary else []
    sql, functions = _aggregates(draw, o.relation.names)
    exclude = draw(st.booleans())
    return _built(
        lambda: e.query.aggr(o.query, *keep, exclude_nonmatching=exclude, **sql),
        lambda: e.relation.aggr(o.relation, keep, functions, exclude),
        f"{e.text}.aggr({o.text}, {keep}, {sql}, {exclude})",
    )


def _universal(lab: Lab, draw: Draw, e: Both, depth: int) -> Both:
    names = (
        draw(st.lists(st.sampled_from(e.relation.names), unique=True, max_size=2)) if e.relation.names else []
    )
    if draw(st.booleans()):
        return Both(dj.U(*names) & e.query, e.relation.distinct(names), f"(U({names}) & {e.text})")
    sql, functions = _aggregates(draw, e.relation.names)
    return _built(
        lambda: dj.U(*names).aggr(e.query, **sql),
        lambda: e.relation.universal_aggr(names, functions),
        f"U({names}).aggr({e.text}, {sql})",
    )


def _top(lab: Lab, draw: Draw, e: Both, depth: int) -> Both:
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
