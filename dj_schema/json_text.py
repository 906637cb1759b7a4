"""JSON documents as text: the form in which every server takes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import numpy as np


class JsonText(str):
    """The text of a document, from where documents are texts: a file, a column of a table.

    Any other string is a document itself.
    """


def json_text(value: Any) -> str:
    """Serialise a document; numpy scalars and arrays count as numbers and lists.

    Raises
    ------
    TypeError, ValueError
        For what JSON cannot hold, NaN and infinities included, and what some server would refuse or change:
        the null character in a text, whole numbers of more than 64 bits.
    """
    if isinstance(value, JsonText):
        value = _document(value)
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False, default=_numpy)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return _TOKEN.sub(_same_everywhere, text) if _DOUBTFUL.search(text) else text


def _document(text: JsonText) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as e:
        raise ValueError(f"it is no JSON text ({e}); a text as a document stands in double quotes") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


_DOUBTFUL = re.compile(r"\\u0000|\d{19}|\de\+1[6-9]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*')
_NULL_CHARACTER = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_MOST_DIGITS = 20  # of 64 bits


def is_whole_of_64_bits(digits: str) -> bool:
    """Whether a number without point or exponent is one that every server keeps as it is."""
    return len(digits) <= _MOST_DIGITS and -(2**63) <= int(digits) < 2**64


def _same_everywhere(token: re.Match[str]) -> str:
    text = token[0]
    if text.startswith('"'):
        if _NULL_CHARACTER.search(text):
            raise ValueError("JSON with a null character in a text cannot be stored on every server")
    elif text.lstrip("-").isdigit():
        if not is_whole_of_64_bits(text):
            raise ValueError(
                f"{text:.40} has more than 64 bits, which JSON on MySQL rounds; make it a float or a text"
            )
    elif _DOUBTFUL.search(text) and "e+" in text:
        return f"{float(text):.1f}"  # PostgreSQL would give a whole number back
    return text


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


_FIRST_STEP = re.compile(r'("(?:[^"\\]|\\.)*")|\[\s*(0|last)\s*\]')


def json_path_parts(path: str) -> list[str]:
    """Split a path of MySQL into those to follow one after another: ``$.a[0]`` into ``$.a[*]`` and ``$[0]``.

    To the server, ``[0]`` of what is no list is the thing itself; ``[*]`` of it is nothing.
    """
    parts, head, at = [], "", 0
    for step in [] if "*" in path else _FIRST_STEP.finditer(path):
        if step[2]:
            parts.append(f"{head}{path[at : step.start()]}[*]")
            head, at = f"$[{step[2]}]", step.end()
    return [*parts, head + path[at:]]
