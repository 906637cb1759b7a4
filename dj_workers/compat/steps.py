"""The steps of a worker: a table that populates itself, or a function that is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dj_jobs import populate as populating
from dj_jobs.autopopulate import AutoPopulate
from dj_jobs.events import Events
from dj_jobs.job import Outcome
from dj_jobs.make_form import check_make
from dj_jobs.options import Options
from dj_schema.errors import DataJointError
from dj_workers.plan import TableClass, name_of

_OPTIONS = (
    "max_calls",
    "limit",
    "make_kwargs",
    "priority",
    "refresh",
    "timeout_s",
    "restrictions",
    "processes",
)
_ALWAYS = ("reserve_jobs", "suppress_errors", "display_progress", "return_exception_objects")


@dataclass(frozen=True)
class TableStep:
    """Populate a table."""

    table: TableClass
    arguments: Mapping[str, Any]

    def __post_init__(self) -> None:
        if unknown := set(self.arguments) - {*_OPTIONS, *_ALWAYS}:
            raise DataJointError(
                f"a step for a table takes {', '.join(_OPTIONS)}; there is no {', '.join(sorted(unknown))}."
            )

    @property
    def name(self) -> str:
        return name_of(self.table)

    def run(self, events: Events, should_stop: Callable[[], bool]) -> Iterator[Outcome]:
        """Compute what is due."""
        given = self.arguments
        check_make(self.table, given.get("make_kwargs"))
        options = Options(
            restrictions=tuple(given.get("restrictions", ())),
            max_calls=given.get("max_calls", given.get("limit")),
            make_kwargs=dict(given.get("make_kwargs") or {}),
            priority=given.get("priority"),
            refresh=given.get("refresh"),
            suppress_errors=True,
            reserve_jobs=True,
            outlives_exit=True,
            timeout_s=given.get("timeout_s"),
        )
        if given.get("processes", 1) > 1:
            from dj_workers.pools.process import populate_in_processes

            return populate_in_processes(self.table(), options, given["processes"], events)
        return populating.reserved(self.table(), options, events, should_stop=should_stop)


@dataclass(frozen=True)
class FunctionStep:
    """Call a function, in each cycle."""

    function: Callable[..., Any]
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        named: Any = self.function
        return f"{named.__module__}.{getattr(named, '__qualname__', type(named).__qualname__)}"


Step = TableStep | FunctionStep


def step_of(process: Any, arguments: Mapping[str, Any]) -> Step:
    """Return the step that a table class, a table or a function stands for.

    Raises
    ------
    DataJointError
        Where it is none of these, or does not take these arguments.
    """
    if isinstance(process, AutoPopulate):
        process = type(process)
    if isinstance(process, type) and issubclass(process, AutoPopulate):
        return TableStep(process, dict(arguments))
    if callable(process) and not isinstance(process, type):
        return FunctionStep(process, dict(arguments))
    raise DataJointError(f"a step is a computed or imported table, or a function; {process!r} is neither.")
