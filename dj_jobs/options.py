"""What a call of populate asks for, and what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dj_jobs.events import Events
from dj_jobs.job import Outcome, Result, error_message

if TYPE_CHECKING:
    from dj_query.table import Table


@dataclass(frozen=True)
class Options:
    """What one call of populate asks for.

    Attributes
    ----------
    outlives_exit : bool
        A make that calls ``sys.exit`` has failed, and ends nothing else: for workers.
    """

    restrictions: tuple[Any, ...] = ()
    max_calls: int | None = None
    make_kwargs: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None
    refresh: bool | None = None
    suppress_errors: bool = False
    reserve_jobs: bool = False
    wait: bool = True
    timeout_s: float | None = None
    outlives_exit: bool = False


PoolRunner = Callable[["Table", Options, int, Events], "Iterator[Outcome]"]


@dataclass
class Summary:
    """What a call did."""

    success_count: int = 0
    skip: int = 0
    error_list: list[tuple[dict[str, Any], BaseException]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        if outcome.result in (Result.SUCCESS, Result.EMPTY):
            self.success_count += 1
        elif outcome.result is Result.ERROR and outcome.error is not None:
            self.error_list.append((outcome.key, outcome.error))
        elif outcome.result is Result.SKIP:
            self.skip += 1

    def as_dict(self, return_exception_objects: bool) -> dict[str, Any]:
        """Return the mapping that `populate` returns."""
        errors = [(key, e if return_exception_objects else error_message(e)) for key, e in self.error_list]
        return {
            "success_count": self.success_count,
            "error_list": errors,
            "success": self.success_count,
            "error": len(errors),
            "skip": self.skip,
        }
