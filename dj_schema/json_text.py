"""JSON documents as text: the form in which every server takes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import numpy as np


def json_text(value: Any) -> str:
    """Serialise a document; numpy scalars and arrays count as numbers and lists.

    Raises
    ------
    TypeError, ValueError
        For what JSON cannot hold, NaN and infinities included.
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False, default=_numpy)


def _numpy(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON; use <blob> for Python objects")


def json_path_text(steps: Iterable[str | int]) -> str:
    """Return a path as MySQL writes it, every name in quotes: ``$."lights"[0]``."""
    return "$" + "".join(
        f"[{step}]" if isinstance(step, int) else '."' + re.sub(r'(["\\])', r"\\\1", step) + '"'
        for step in steps
    )
