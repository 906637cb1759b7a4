"""What a query looks like in a terminal and in a notebook: its first rows."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from unicodedata import category, east_asian_width

import numpy as np

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression
    from dj_schema.heading import Attribute

# What stands for values that may be long, and are not fetched for a preview.
_UNSEEN = {"bytes": "<bytes>", "json": "json"}


@dataclass(frozen=True, slots=True)
class _FirstRows:
    """The cells of the first rows; `total` is None where nobody counts."""

    attributes: list[Attribute]
    cells: list[list[str]]
    has_more: bool
    total: int | None


def _first_rows(query: QueryExpression, limit: int | None) -> _FirstRows:
    display = query.connection.config.display
    limit = display.limit if limit is None else limit
    attributes = [a for a in query.heading.all if not a.is_hidden]
    shown = [a.name for a in attributes if not a.is_codec and a.kind not in _UNSEEN]
    rows = query.proj(*shown).to_dicts(limit=limit + 1) if attributes else []
    total = len(query) if display.show_tuple_count else None
    cells = [[_cell(a, row) for a in attributes] for row in rows[:limit]]
    return _FirstRows(attributes, cells, len(rows) > limit, total)


def _cell(attribute: Attribute, row: dict[str, Any]) -> str:
    if attribute.name not in row:
        return (
            str(attribute.type) if attribute.is_codec else "json" if attribute.kind == "json" else "<bytes>"
        )
    value = row[attribute.name]
    if isinstance(value, float) and str(attribute.storage) == "float32":
        value = np.float32(value)  # with the digits that it has, and no more
    return "None" if value is None else str(value)


def as_text(query: QueryExpression, limit: int | None = None, width: int | None = None) -> str:
    """Return the first rows as aligned columns; `*` marks the primary key."""
    found = _first_rows(query, limit)
    attributes, rows = found.attributes, [[_printable(cell) for cell in row] for row in found.cells]
    width = query.connection.config.display.width if width is None else width
    heads = [("*" if a.in_key else "") + a.name for a in attributes]
    widths = [
        max([min(max(len(head), width), 40), *(min(_n_places(r[i]), width) for r in rows)])
        if len(head) >= width
        else max([len(head), *(min(_n_places(r[i]), width) for r in rows), 4])
        for i, head in enumerate(heads)
    ]

    def line(cells: Sequence[str]) -> str:
        return " ".join(_fit(c, w) for c, w in zip(cells, widths, strict=True)).rstrip()

    lines = [line(heads), line(["+" + "-" * (w - 2) + "+" for w in widths]), *map(line, rows)]
    if found.has_more:
        lines.append("   ".join(["..."] * len(widths)))
    comment = _printable(query.heading.comment)
    head = [f"# {comment}"] if comment else []
    tail = [f" (Total: {found.total})"] if found.total is not None else []
    return "\n".join([*head, *lines, *tail]) + "\n"


def _fit(text: str, width: int) -> str:
    if _n_places(text) > width:
        ends = accumulate(map(_n_places, text))
        text = "".join(c for c, end in zip(text, ends, strict=True) if end < width) + "…"
    return text + " " * (width - _n_places(text))


_JOINERS = "\u200c\u200d"  # of letters, and of pictures


def _printable(text: str) -> str:
    """Return a text that moves no cursor and sets no colour: a line break is a space, others are escaped."""
    text = text.replace("\n", " ")
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in _JOINERS or category(c) == "Zs" else c.encode("unicode_escape").decode()
        for c in text
    )


def _n_places(text: str) -> int:
    """Return how many places of a terminal a text takes: two a wide character, none a combining one."""
    if text.isascii():
        return len(text)
    return sum(
        2 if east_asian_width(c) in "WF" else 0 if category(c) in ("Mn", "Me", "Cf") else 1 for c in text
    )


def as_html(query: QueryExpression) -> str:
    """Return the first rows as an HTML table for a notebook; every value is escaped."""
    found = _first_rows(query, None)
    heads = "".join(
        f'<th title="{html.escape(a.comment)}" style="text-align:right">{_head(a)}</th>'
        for a in found.attributes
    )
    rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in found.cells)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    comment = f"<b>{html.escape(query.heading.comment)}</b>" if query.heading.comment else ""
    more = "<p>...</p>" if found.has_more else ""
    count = f"<p>Total: {found.total}</p>" if found.total is not None else ""
    return (
        f'<div class="datajoint">{comment}<table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table>{more}{count}</div>"
    )


def _head(attribute: Attribute) -> str:
    name = html.escape(attribute.name)
    return f"<b>{name}</b>" if attribute.in_key else f'<span style="font-weight:normal">{name}</span>'
