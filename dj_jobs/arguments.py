"""Numbers that callers give: each is checked, and named, before anything is done with it."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from dj_query.conditions import whole_number
from dj_schema.errors import ArgumentTypeError, DataJointError


def whole(name: str, value: Any, least: int) -> int:
    """Return a whole number as Python's own; a count from numpy is one, too.

    Raises
    ------
    ArgumentTypeError
        For what is no whole number.
    DataJointError
        For one below the least.
    """
    rule = f"{name} must be a whole number from {least}"
    if (number := whole_number(value, rule)) < least:
        raise DataJointError(f"{rule}, not {number}")
    return number


def seconds(name: str, value: Any, *, is_above_zero: bool = False) -> float:
    """Return a span of time as a float.

    Raises
    ------
    ArgumentTypeError
        For what is no number.
    DataJointError
        For infinity and NaN; and, where it must be above zero, for what is not.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise ArgumentTypeError(f"{name} must be a number of seconds, not {value!r}.")
    number = float(value)
    if not math.isfinite(number) or (is_above_zero and number <= 0):
        above = " above 0" if is_above_zero else ""
        raise DataJointError(f"{name} must be a number of seconds{above}, not {value}.")
    return number
