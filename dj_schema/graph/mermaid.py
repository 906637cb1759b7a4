"""A picture as text for Mermaid, which GitHub, JupyterLab and many editors draw."""

from __future__ import annotations

import html

from dj_schema.graph.picture import COLLAPSED, RENAMED, STYLES, Arrow, Node, Picture, Reference
from dj_schema.names import Tier

_LINES = {Reference.EXTENSION: "===", Reference.CONTAINMENT: "---", Reference.ATTRIBUTE: "-.-"}


def mermaid_text(picture: Picture) -> str:
    """Return the picture as a Mermaid flowchart; parents stand above their children."""
    names = {node.name: f"n{i}" for i, node in enumerate(picture.nodes)}
    lines = ["flowchart TB"]
    for kind in dict.fromkeys(node.kind for node in picture.nodes):
        style = STYLES[kind]
        lines.append(f"  classDef {_class(kind)} fill:{style.fill},stroke:{style.stroke},color:{style.text}")
    groups = picture.groups
    for i, (group, nodes) in enumerate(groups.items()):
        drawn = [f"{names[node.name]}{_box(node)}:::{_class(node.kind)}" for node in nodes]
        if len(groups) == 1 or nodes[0].kind == COLLAPSED:
            lines += [f"  {line}" for line in drawn]
        else:
            lines += [f"  subgraph g{i} [{_quoted(group)}]", *(f"    {line}" for line in drawn), "  end"]
    lines += [f"  {names[a.parent]} {_arrow(a)} {names[a.child]}" for a in picture.arrows]
    renamed = [str(i) for i, arrow in enumerate(picture.arrows) if arrow.renames]
    if renamed:
        lines.append(f"  linkStyle {','.join(renamed)} stroke:{RENAMED}")
    return "\n".join(lines) + "\n"


def _class(kind: Tier | str) -> str:
    return kind.name.lower() if isinstance(kind, Tier) else kind


def _box(node: Node) -> str:
    text = _escaped(node.label)
    text = f'"<u>{text}</u>"' if node.is_dimension else f'"{text}"'
    return (
        f"[[{text}]]" if node.kind == COLLAPSED else f"([{text}])" if node.kind is Tier.PART else f"[{text}]"
    )


def _arrow(arrow: Arrow) -> str:
    line = _LINES[arrow.kind]
    return f"{line}|{_quoted(', '.join(arrow.renames))}|" if arrow.renames else line


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Write what Mermaid would read as its own as entities, which it spells with a # in front."""
    return html.escape(text.replace("#", "&#35;"), quote=True).replace("&amp;#35;", "#35;").replace("&", "#")
