"""The text that names a codec in a definition: `<name>`, `<name@>`, `<name@store>`."""

from __future__ import annotations

import re
from typing import NamedTuple

from dj_schema.errors import DataJointError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
_SPEC = re.compile(rf"\s*(?P<name>{NAME.pattern})\s*(?P<at>@)?\s*(?P<store>(?(at){NAME.pattern}|))?\s*")


class TypeSpec(NamedTuple):
    """A codec and where it stores: `None` in the database, `""` in the default store, else a store's name."""

    name: str
    store: str | None


def is_codec_spec(dtype: str) -> bool:
    """Say whether a type's text names a codec, which is to be in angle brackets."""
    return dtype.lstrip().startswith("<")


def parse_type_spec(spec: str) -> TypeSpec:
    """Split `<name@store>` into its name and store; the brackets may be left out.

    Raises
    ------
    DataJointError
        The text is not of that form.
    """
    text = spec.strip()
    if text.startswith("<") == text.endswith(">"):
        found = _SPEC.fullmatch(text[1:-1] if text.startswith("<") else text)
        if found:
            return TypeSpec(found["name"], (found["store"] or "") if found["at"] else None)
    raise DataJointError(
        f"{spec!r} does not name a codec. Write <name> to store in the database, "
        "<name@> for the default store, or <name@store>."
    )
