"""Keys on the command line: `attr=value` for each attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dj_jobs.table import JobTable
from dj_workers.cli.exit_codes import UsageMistakeError


def parse_keys(pairs: Sequence[str], jobs: JobTable) -> list[dict[str, Any]]:
    """Return the keys that pairs of attribute and value spell; an attribute named again begins another key.

    Raises
    ------
    UsageMistakeError
        Where a pair is none, or names no attribute of the key.
    """
    names = jobs.heading.primary_key
    keys: list[dict[str, Any]] = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in names:
            raise UsageMistakeError(
                f"{pair!r} is no part of a key of {jobs.target.full_table_name}; "
                f"write attr=value, with attr one of {', '.join(names)}."
            )
        if not keys or name in keys[-1]:
            keys.append({})
        keys[-1][name] = value
    return keys


def key_text(key: Mapping[str, Any]) -> str:
    """Return a key as it is written on the command line."""
    return " ".join(f"{name}={value}" for name, value in key.items())
