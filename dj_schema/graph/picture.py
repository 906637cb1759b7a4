"""What a diagram shows, as values: tables, the references between them, and their colours."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from dj_schema.names import Tier


class Reference(Enum):
    """How a child refers to its parent (how-to/model-relationships)."""

    EXTENSION = "one-to-one: the whole primary key of the child"
    CONTAINMENT = "one-to-many: a part of the primary key of the child"
    ATTRIBUTE = "one-to-many: attributes below the primary key of the child"


@dataclass(frozen=True, slots=True)
class Style:
    """The colours of a kind of node."""

    fill: str
    stroke: str
    text: str


COLLAPSED = "collapsed"
STYLES: dict[Tier | str, Style] = {
    Tier.MANUAL: Style("#d5ecd4", "#2f7d32", "#1b4d1e"),
    Tier.LOOKUP: Style("#e6e6e6", "#757575", "#424242"),
    Tier.IMPORTED: Style("#d3e6fb", "#1f66b5", "#123d6d"),
    Tier.COMPUTED: Style("#fbd7d4", "#c0322b", "#7a1d18"),
    Tier.PART: Style("#ffffff", "#b0b0b0", "#404040"),
    COLLAPSED: Style("#f4f0fa", "#6b5b95", "#40365c"),
}
"""Green is entered by people, gray is for reference, blue comes from outside, red is computed."""

RENAMED = "#b36b00"
"""The colour of a reference under other names."""


@dataclass(frozen=True, slots=True)
class Node:
    """A table, or a whole schema.

    Attributes
    ----------
    kind : Tier or str
        What it is drawn as, a key of `STYLES`.
    group : str
        The schema.
    is_dimension : bool
        It brings an attribute of its own to primary keys, and is underlined.
    """

    name: str
    label: str
    kind: Tier | str
    group: str
    tooltip: str = ""
    is_dimension: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """A reference, from the parent's node to the child's."""

    parent: str
    child: str
    kind: Reference
    renames: tuple[str, ...] = ()
    is_nullable: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """Nodes in order of dependency, and the arrows between them."""

    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]

    @property
    def groups(self) -> dict[str, list[Node]]:
        """The nodes by schema."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            found.setdefault(node.group, []).append(node)
        return found
