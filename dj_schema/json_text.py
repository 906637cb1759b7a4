"""JSON documents as text: the form in which every server takes them."""

from __future__ import annotations

import json
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
