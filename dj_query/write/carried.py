"""Conditions on a parent that hold for its children as they are: a foreign key repeats its attributes."""

from __future__ import annotations

from collections.abc import Iterable

from dj_query.where import AllOf, AnyOf, Condition, Equals, Exists, Negated, OneOf, UserCondition, names_in
from dj_schema.dialects.base import Flags
from dj_schema.table_info import ForeignKey, TableInfo


def carries(edge: ForeignKey, child: TableInfo, conditions: Iterable[Condition], flags: Flags) -> bool:
    """Whether the rows of a child that refer to rows of these conditions are those that meet them themselves.

    They are where each row refers to a parent, under the parent's own names, and where a value of the child
    that equals the parent's is the same value for the condition too.
    """
    by_name = child.heading.by_name
    if any(by_name[name].is_nullable for name, _ in edge.pairs):
        return False
    same = {name for name, parent in edge.pairs if name == parent}
    exact = {n for n in same if _is_exact(by_name[n].kind, flags)}
    return all((same if _compares_only(c) else exact).issuperset(names_in(c)) for c in conditions)


def _is_exact(kind: str, flags: Flags) -> bool:
    if kind in ("string", "enum"):
        return flags.has_exact_texts
    return kind != "float"  # 0 and -0 are equal


def _compares_only(condition: Condition) -> bool:
    """Whether a condition looks at values only by comparing them for equality."""
    match condition:
        case Equals() | OneOf() | Exists():
            return True
        case AnyOf(conditions=parts) | AllOf(conditions=parts):
            return all(map(_compares_only, parts))
        case Negated(condition=inner):
            return _compares_only(inner)
    return not isinstance(condition, UserCondition) and not names_in(condition)
