"""The examples of `docs/query.md` give what the page says, on every server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "query.md"


def test_examples_give_what_the_page_says(new_schema: Any, dj: Any) -> None:
    blocks = re.findall(r"<!-- runs -->\n```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len(blocks) == 5
    names: dict[str, Any] = {"dj": dj, "schema": new_schema(), "__name__": "query_page"}
    n_results = 0
    for block in blocks:
        if "# -> " not in block:
            exec(block, names)
            continue
        for line in block.strip().splitlines():
            code, _, expected = line.partition("  # -> ")
            assert repr(eval(code, names)) == expected, code
            n_results += 1
    assert n_results == 12
