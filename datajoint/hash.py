"""Short names for keys, as pipelines use them to blind subjects and to name files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

__all__ = ["key_hash"]


def key_hash(key: Mapping[str, Any]) -> str:
    """Return 32 hexadecimal digits, as a uuid takes them, that tell the values of a key in any order."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(key):
        digest.update(str(key[name]).encode())
    return digest.hexdigest()
