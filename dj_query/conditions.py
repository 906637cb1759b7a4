"""What users hand to a restriction beside plain values: `Not`, `AndList`, `Top`."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dj_schema.errors import ArgumentTypeError, DataJointError


class AndList(list[Any]):
    """Conditions that must all hold; a plain list means that one of them must."""


@dataclass(frozen=True, slots=True)
class Not:
    """The rows that do not match a condition."""

    restriction: Any


@dataclass(frozen=True)
class Top:
    """The first rows in an order, as a restriction.

    Parameters
    ----------
    limit : int or None
        How many rows at most; None for all.
    order_by : str, list of str or None
        Attributes, or paths into JSON ones, each with an optional ``DESC``; ``"KEY"`` is the primary key;
        None keeps the order of an earlier `Top`.
    offset : int
        How many rows to pass over first.
    """

    limit: int | None = 1
    order_by: str | list[str] | tuple[str, ...] | None = "KEY"
    offset: int = 0

    def __post_init__(self) -> None:
        if self.limit is not None:
            object.__setattr__(self, "limit", whole_number(self.limit, "limit of Top must be an int or None"))
        object.__setattr__(self, "offset", whole_number(self.offset, "offset of Top must be an int"))
        items = self.order_by
        is_list = isinstance(items, (list, tuple)) and all(isinstance(i, str) for i in items)
        if not (items is None or isinstance(items, str) or is_list):
            raise ArgumentTypeError(f"order_by of Top must be a str, a list of str or None, not {items!r}")
        if (self.limit or 0) < 0 or self.offset < 0:
            raise DataJointError("limit and offset of Top cannot be negative")
        if max(self.limit or 0, self.offset) >= 2**63:
            raise DataJointError("limit and offset of Top are less than 2**63; limit=None is for all rows")


def whole_number(value: Any, rule: str) -> int:
    """Return a whole number as Python's own: a length or count from numpy is one, too.

    Raises
    ------
    ArgumentTypeError
        For what is none; it says the rule.
    """
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise ArgumentTypeError(f"{rule}, not {value!r}")
    return operator.index(value)
