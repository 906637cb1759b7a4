"""The specification, which lies beside the checkout and is no part of it: its pages, and how they are run."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

SPECIFICATION = Path(__file__).parents[2].parent / "shared" / "spec"
RUNNER = SPECIFICATION / "run_tutorial.py"
COMPUTATION_TEXT = "004_d42cda37c03613d4.txt"


def pages_folder() -> Path:
    """Return the folder of the pages that are files of their own."""
    (folder,) = SPECIFICATION.glob("000_*")
    return folder


def python_blocks(page: Path) -> list[str]:
    """Return the Python blocks of a page."""
    return re.findall(r"(?ms)^```python\n(.*?)^```", page.read_text())


def schema_names(page: Path) -> list[str]:
    """Return the names of the schemas that a page makes, to be dropped before and after."""
    return sorted(set(re.findall(r"Schema\(['\"](\w+)['\"]", page.read_text())))


def with_indents(text: str, blocks: Sequence[str]) -> Iterator[str]:
    """Yield the blocks of a program whose text has lost its indents.

    Parameters
    ----------
    text : str
        The program among prose and output, every line of it without indent.
    blocks : sequence of str
        The blocks of another edition of it, indents and all: where a block begins and how far a line is
        indented is taken from there, the lines themselves are those of `text`.
    """
    lines = [line.strip() for line in text.splitlines()]
    starts = []
    after = 0
    for block in blocks:
        first = next(line for line in block.splitlines() if line.strip())
        after = next(i for i, line in enumerate(lines[after:], after) if _squeezed(line) == _squeezed(first))
        starts.append(after)
        after += 1
    for block, start, end in zip(blocks, starts, [*starts[1:], len(lines)], strict=True):
        yield _longest_program(lines[start:end], block)


def _longest_program(lines: Sequence[str], model: str) -> str:
    """Return the most lines from the first on that are Python: prose and output follow them."""
    indented = _indented(lines, model.splitlines())
    shortest = sum(map(bool, map(str.strip, model.splitlines()))) * 4 // 5
    for n in range(len(lines), shortest - 1, -1):
        program = "\n".join(indented[:n])
        try:
            ast.parse(program)
        except SyntaxError:
            continue
        return program
    raise ValueError(f"the text from {lines[0]!r} on is not the program of the page")


def _indented(lines: Sequence[str], model: Sequence[str]) -> list[str]:
    """Give each line the indent of its like in the model; a line without one that of the line before it."""
    squeezed = [_squeezed(line) for line in model]
    likes: dict[int, int] = {}
    matcher = difflib.SequenceMatcher(None, [_squeezed(line) for line in lines], squeezed, autojunk=False)
    for tag, start, end, low, high in matcher.get_opcodes():
        for i in range(start, end):
            if tag == "equal":
                likes[i] = low + i - start
            elif found := difflib.get_close_matches(_squeezed(lines[i]), squeezed[low:high], 1, 0.6):
                likes[i] = low + squeezed[low:high].index(found[0])
    indent = ""
    out = []
    for i, line in enumerate(lines):
        if i in likes:
            indent = model[likes[i]][: len(model[likes[i]]) - len(model[likes[i]].lstrip())]
        elif i and lines[i - 1].endswith(":"):
            indent += "    "
        out.append(indent + line if line else "")
    return out


def _squeezed(line: str) -> str:
    return re.sub(r"\s+", " ", line.strip())
