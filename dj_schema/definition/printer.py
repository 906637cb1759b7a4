"""A spec to the canonical text of its definition, which `grammar.py` reads back to the same spec."""

from __future__ import annotations

from dj_schema.definition.spec import (
    AttributeSpec,
    CurrentTimestamp,
    Default,
    ForeignKeySpec,
    IndexSpec,
    Item,
    Null,
    TableSpec,
)
from dj_schema.types import CodecType, TypeSpec, quote


def print_definition(spec: TableSpec) -> str:
    """Return the definition, a line an item, without indentation and without a line break at its end."""
    lines = [f"# {_one_line(spec.comment)}".rstrip()] if spec.comment else []
    lines += map(print_item, spec.primary)
    if spec.secondary:
        lines += ["---", *map(print_item, spec.secondary)]
    return "\n".join(lines)


def print_item(item: Item) -> str:
    """Return the line of an attribute, a foreign key or an index."""
    if isinstance(item, IndexSpec):
        return f"{'unique ' if item.is_unique else ''}index({', '.join(item.columns)})"
    text = _attribute(item) if isinstance(item, AttributeSpec) else _foreign_key(item)
    return f"{text}  # {_one_line(item.comment)}" if item.comment else text


def print_default(type_: TypeSpec, default: Default) -> str:
    """Return a default as definitions write it."""
    if isinstance(default, Null):
        return "null"
    if isinstance(default, CurrentTimestamp):
        return "CURRENT_TIMESTAMP"
    value = default.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and (isinstance(type_, CodecType) or type_.kind != "decimal"):
        return quote(value)
    return str(value)


def _attribute(attribute: AttributeSpec) -> str:
    if attribute.default is None:
        return f"{attribute.name} : {attribute.type}"
    return f"{attribute.name} = {print_default(attribute.type, attribute.default)} : {attribute.type}"


def _foreign_key(key: ForeignKeySpec) -> str:
    chosen = [word for word, is_on in (("nullable", key.is_nullable), ("unique", key.is_unique)) if is_on]
    options = f"[{', '.join(chosen)}] " if chosen else ""
    renames = ", ".join(f"{new}={quote(old)}" for new, old in key.renames)
    return f"-> {options}{key.target}" + (f".proj({renames})" if renames else "")


def _one_line(comment: str) -> str:
    """A comment in the database may have line breaks, a definition's may not."""
    return " ".join(comment.splitlines())
