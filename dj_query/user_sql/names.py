"""Names that are in no heading: the error, with what may have been meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from dj_schema.errors import UnknownAttributeError


def unknown_attribute(name: str, attributes: Iterable[str]) -> UnknownAttributeError:
    """Return the error for a name that is not in the heading."""
    known = sorted(attributes)
    folded = {attribute.casefold(): attribute for attribute in known}
    close = [folded[match] for match in get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.6)]
    if close:
        hint = "Did you mean " + " or ".join(repr(match) for match in close) + "?"
    else:
        hint = "It has: " + ", ".join(known[:20]) + (", ..." if len(known) > 20 else "") + "."
    return UnknownAttributeError(f"The expression has no attribute {name!r}. {hint}")
