"""JSON as PostgreSQL gives it back: it writes out large floats with all of their digits."""

from __future__ import annotations

import json
import re
from typing import Any

from dj_schema.json_text import is_whole_of_64_bits

_LARGE = re.compile(r"\d{20}")


def json_loads(data: str | bytes) -> Any:
    """Read a document; what is beyond 64 bits was a float, as on MySQL."""
    text = data if isinstance(data, str) else bytes(data).decode()
    return _decoder.decode(text) if _LARGE.search(text) else json.loads(text)


def _number(digits: str) -> int | float:
    return int(digits) if is_whole_of_64_bits(digits) else float(digits)


_decoder = json.JSONDecoder(parse_int=_number)
