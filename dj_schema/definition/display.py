"""A heading as aligned text for people; `printer.py` writes what reads back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_schema.definition.printer import print_default

if TYPE_CHECKING:
    from dj_schema.heading import Attribute, Heading


def heading_text(heading: Heading) -> str:
    """Return the visible attributes, one a line, the key above `---`."""
    rows = [(a.in_key, _name(a), _type(a), " ".join(a.comment.split())) for a in heading.attributes.values()]
    name_width = max((len(name) for _, name, _, _ in rows), default=0)
    type_width = max((len(type_) for _, _, type_, _ in rows), default=0)
    lines: dict[bool, list[str]] = {True: [f"# {heading.comment}"] if heading.comment else [], False: []}
    for in_key, name, type_, comment in rows:
        note = f"  # {comment}" if comment else ""
        lines[in_key].append(f"{name:<{name_width}} : {type_:<{type_width}}{note}".rstrip())
    return "\n".join([*lines[True], "---", *lines[False]])


def _name(attribute: Attribute) -> str:
    if attribute.default is None or attribute.type is None:
        return attribute.name
    return f"{attribute.name} = {print_default(attribute.type, attribute.default)}"


def _type(attribute: Attribute) -> str:
    """A computed attribute has no declared type; what its values are is said in brackets."""
    return f"({attribute.kind})" if attribute.type is None else str(attribute.type)
