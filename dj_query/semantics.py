"""Semantic matching: which attributes of two headings mean the same thing.

The rules are those of `reference/specs/semantic-matching.md` and `primary-keys.md` of the specification.
"""

from __future__ import annotations

import logging

from dj_schema.errors import DataJointError
from dj_schema.heading import Attribute, Heading

log = logging.getLogger("datajoint.semantics")


def namesakes(a: Heading, b: Heading) -> list[str]:
    """The visible names that both have, in the order of the first."""
    return [name for name in a.attributes if name in b.attributes]


def matching_names(a: Heading, b: Heading, semantic_check: bool = True, verb: str = "join") -> list[str]:
    """Return the names to match on, having seen that each means the same in both.

    Raises
    ------
    DataJointError
        Where namesakes have different origins, or none.
    """
    names = namesakes(a, b)
    if not semantic_check:
        return names
    if not (a.lineage_available and b.lineage_available):
        log.warning(
            "semantic check disabled: a ~lineage table was not found; schema.rebuild_lineage() makes it"
        )
        return names
    for name in names:
        first, second = a.attributes[name].lineage, b.attributes[name].lineage
        if first is None or first != second:
            raise DataJointError(
                f"Cannot {verb} on attribute `{name}`: different lineages ({first} vs {second}). "
                "Use .proj() to rename one of the attributes."
            )
    return names


def determines(a: Heading, b: Heading) -> bool:
    """Whether every attribute of the primary key of `b` is in `a`."""
    return all(name in a.attributes for name in b.primary_key)


def joined_attributes(a: Heading, b: Heading) -> list[Attribute]:
    """Return the attributes of the join of two headings in order, the primary key first."""
    if determines(a, b):
        key = set(a.primary_key)
    elif determines(b, a):
        key, a, b = set(b.primary_key), b, a
    else:
        key = {*a.primary_key, *b.primary_key}
    merged = {**a.attributes, **{n: v for n, v in b.attributes.items() if n not in a.attributes}}
    in_order = [n for n in merged if n in key] + [n for n in merged if n not in key]
    return [_with_key(merged[n], n in key) for n in in_order]


def _with_key(attribute: Attribute, in_key: bool) -> Attribute:
    if attribute.in_key == in_key:
        return attribute
    from dataclasses import replace

    return replace(attribute, in_key=in_key)
