"""The message: which table to look at, and how far to go. It owns no job; the database says who does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from kombu.utils import json

from dj_jobs.job import Key
from dj_schema.errors import DataJointError

MOST_REFUSALS = 3  # before a message that no worker understands is dropped


@dataclass(frozen=True)
class WakeUp:
    """Claim and compute jobs of one table.

    Attributes
    ----------
    table : str
        ``schema.table``.
    n_jobs : int
        At most so many.
    keys : list of dict or None
        Only these.
    priority : int or None
        Only jobs as urgent as this, or more.
    timeout_s : float or None
        That a make may take.
    version : str
        That of the code which the sender expects; empty where it does not care.
    n_refused : int
        How many workers have passed it on.
    """

    table: str
    n_jobs: int
    keys: list[Key] | None = None
    priority: int | None = None
    make_kwargs: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float | None = None
    version: str = ""
    n_refused: int = 0

    def as_arguments(self) -> dict[str, Any]:
        """Return what the task is called with."""
        return asdict(self)

    @classmethod
    def of_arguments(cls, arguments: Mapping[str, Any]) -> Self:
        """Read a message; what a later version of the sender has added is passed over."""
        known = {name: value for name, value in arguments.items() if name in cls.__dataclass_fields__}
        return cls(**known)

    def refused(self) -> Self:
        return replace(self, n_refused=self.n_refused + 1)


def check_travels(what: str, value: Any) -> None:
    """Raise where a value would not arrive as it is.

    Raises
    ------
    DataJointError
        Names it, and says what can be sent.
    """
    try:
        arrived = json.loads(json.dumps(value))
    except (TypeError, ValueError) as e:
        raise DataJointError(
            f'dispatch="celery" sends its {what} as JSON, and that cannot be done: {e}. Give numbers, text, '
            "dates, UUIDs, lists and dicts, or populate without Celery."
        ) from e
    if arrived != value:
        raise DataJointError(
            f'dispatch="celery" sends its {what} as JSON, which would change them; tuples arrive as lists, '
            "and the keys of dicts as text. Give what arrives as it is, or populate without Celery."
        )
