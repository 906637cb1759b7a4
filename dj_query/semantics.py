"""Semantic matching: which attributes of two headings mean the same, and what key a join has.

The rules are those of `reference/specs/semantic-matching.md` and `primary-keys.md` of the specification.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from dj_schema.errors import DataJointError
from dj_schema.heading import Attribute, Heading

log = logging.getLogger("datajoint.semantics")


def matching_names(a: Heading, b: Heading, semantic_check: bool = True, verb: str = "join") -> list[str]:
    """Return the visible names that both have, having seen that each means the same in both.

    Raises
    ------
    DataJointError
        Where namesakes have different origins, or none.
    """
    names = [name for name in a.attributes if name in b.attributes]
    if not semantic_check or not names:
        return names
    if not (a.lineage_available and b.lineage_available):
        log.warning(
            "Semantic check disabled: ~lineage table not found. "
            "To enable semantic matching, rebuild lineage with: schema.rebuild_lineage()"
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


def check_determines(a: Heading, b: Heading) -> None:
    """Raise where a left join of `a` with `b` could have NULL in its primary key."""
    if missing := [name for name in b.primary_key if name not in a.attributes]:
        raise DataJointError(
            "Left join requires the left operand to determine the right operand (A → B). "
            "The following attributes from the right operand's primary key are not determined by the "
            f"left operand: {missing}. Use an inner join or restructure the query."
        )


def joined_attributes(a: Heading, b: Heading, keeps_both_keys: bool = False) -> list[Attribute]:
    """Return the attributes of the join of two headings in order, the primary key first.

    With `keeps_both_keys` the key is that of both, whatever determines what.
    """
    if keeps_both_keys:
        key = {*a.primary_key, *b.primary_key}
    elif determines(a, b):
        key = set(a.primary_key)
    elif determines(b, a):
        key, a, b = set(b.primary_key), b, a
    else:
        key = {*a.primary_key, *b.primary_key}
    merged = {**b.attributes, **a.attributes}
    in_order = dict.fromkeys(
        [*(n for n in (*a.primary_key, *b.primary_key) if n in key), *a.attributes, *b.attributes]
    )
    return [_with_key(merged[name], name in key) for name in in_order]


def _with_key(attribute: Attribute, in_key: bool) -> Attribute:
    return attribute if attribute.in_key == in_key else replace(attribute, in_key=in_key)


def united_key(a: Heading, b: Heading) -> None:
    """Raise where the rows of two headings are not of one kind, or share more than their primary key."""
    if set(a.primary_key) != set(b.primary_key):
        raise DataJointError(
            f"a union needs the same primary key on both sides, not {a.primary_key} and {b.primary_key}."
        )
    if both := [n for n in a.attributes if n in b.attributes and n not in a.primary_key]:
        raise DataJointError(
            f"a union cannot hold the secondary attributes {both} of both sides; rename or leave out one."
        )
    matching_names(a, b, verb="unite")
