"""A picture as text for Graphviz (its DOT language), and the program that draws it."""

from __future__ import annotations

import html
import shutil
import subprocess

from dj_schema.errors import DataJointError
from dj_schema.graph.picture import COLLAPSED, RENAMED, STYLES, Arrow, Node, Picture, Reference
from dj_schema.names import Tier

_LINES = {
    Reference.EXTENSION: ("solid", "2.4"),
    Reference.CONTAINMENT: ("solid", "0.9"),
    Reference.ATTRIBUTE: ("dashed", "0.9"),
}
NO_GRAPHVIZ = (
    "Pictures are drawn by the program `dot` of Graphviz, which is not on the PATH. Install it (Debian and "
    "Ubuntu: apt-get install graphviz; macOS: brew install graphviz; conda: conda install graphviz), or use "
    "make_mermaid(), or save('diagram.mmd'), which need nothing."
)


def dot_text(picture: Picture) -> str:
    """Return the picture in DOT; parents stand above their children."""
    names = {node.name: f"n{i}" for i, node in enumerate(picture.nodes)}
    lines = [
        "digraph {",
        "  graph [rankdir=TB, ranksep=0.4, nodesep=0.25, labeljust=l, fontname=Helvetica, fontsize=11]",
        '  node [fontname=Helvetica, fontsize=11, height=0.3, margin="0.12,0.05", penwidth=1.2]',
        f'  edge [arrowhead=none, color="#505050", fontname=Helvetica, fontsize=8, fontcolor="{RENAMED}"]',
    ]
    groups = picture.groups
    for i, (group, nodes) in enumerate(groups.items()):
        drawn = [f"{names[node.name]} [{_attributes(node)}]" for node in nodes]
        if len(groups) == 1 or nodes[0].kind == COLLAPSED:
            lines += [f"  {line}" for line in drawn]
        else:
            head = f'label={_quoted(group)}; style=rounded; color="#c0c0c0"; fontcolor="#606060"'
            lines += [f"  subgraph cluster_{i} {{ {head}", *(f"    {line}" for line in drawn), "  }"]
    lines += [f"  {names[a.parent]} -> {names[a.child]} [{_line(a)}]" for a in picture.arrows]
    return "\n".join([*lines, "}"]) + "\n"


def _attributes(node: Node) -> str:
    style = STYLES[node.kind]
    text = html.escape(node.label)
    label = f"<<u>{text}</u>>" if node.is_dimension else f"<{text}>"
    shape = {Tier.PART: "plaintext", COLLAPSED: "box3d"}.get(node.kind, "box")
    look = "filled,rounded" if shape == "box" else "filled"
    return (
        f'label={label}, shape={shape}, style="{look}", fillcolor="{style.fill}", color="{style.stroke}", '
        f'fontcolor="{style.text}", tooltip={_quoted(node.tooltip or node.label)}'
    )


def _line(arrow: Arrow) -> str:
    style, width = _LINES[arrow.kind]
    text = [f"style={style}", f"penwidth={width}", f"tooltip={_quoted(arrow.kind.value)}"]
    if arrow.is_nullable:
        text.append("arrowtail=odot, dir=back")
    if arrow.renames:
        text.append(f'color="{RENAMED}", label={_quoted(chr(10).join(arrow.renames))}')
    return ", ".join(text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def has_graphviz() -> bool:
    """Whether Graphviz can be used."""
    return shutil.which("dot") is not None


def draw(text: str, file_format: str) -> bytes:
    """Let Graphviz draw a text in DOT.

    Raises
    ------
    DataJointError
        Where Graphviz is not installed, or does not draw it.
    """
    program = shutil.which("dot")
    if program is None:
        raise DataJointError(NO_GRAPHVIZ)
    done = subprocess.run(
        [program, f"-T{file_format}"], input=text.encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise DataJointError(
            f"Graphviz could not draw the diagram: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout
