"""Steps: plain functions that a worker calls now and then, to ingest files for one.

::

    @dj_workers.step(every_s=60)
    def ingest() -> None:
        ...
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from dj_jobs import control
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError

log = logging.getLogger("datajoint.workers")

F = TypeVar("F", bound=Callable[[], Any])
_MARK = "_dj_step_every_s"


@dataclass(frozen=True)
class Step:
    """A function without arguments.

    Attributes
    ----------
    every_s : float
        It begins once in so many seconds, over all workers that have it.
    """

    function: Callable[[], Any]
    every_s: float = 60.0

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise DataJointError(f"a step is a function without arguments, not {self.function!r}.")
        if not self.every_s > 0:
            raise DataJointError(
                f"the interval of the step {self.name} must be above 0 s, not {self.every_s}."
            )

    @property
    def name(self) -> str:
        module = getattr(self.function, "__module__", "")
        return f"{module}.{getattr(self.function, '__qualname__', repr(self.function))}"


def step(every_s: float = 60.0) -> Callable[[F], F]:
    """Have `dj-worker run` call a function of the module, once in so many seconds over all workers."""

    def mark(function: F) -> F:
        Step(function, every_s)  # refuses what is none
        function.__dict__[_MARK] = every_s
        return function

    return mark


def steps_of(module: ModuleType) -> list[Step]:
    """Return the marked functions of a module, in order."""
    marked = {id(v): v for v in vars(module).values() if callable(v) and _MARK in getattr(v, "__dict__", {})}
    return [Step(function, getattr(function, _MARK)) for function in marked.values()]


class Steps:
    """The steps of one process, and when each is due here.

    Parameters
    ----------
    connection, schema : optional
        Where workers tell each other whose turn it is; without, each worker calls for itself.
    """

    def __init__(
        self, steps: Iterable[Step], connection: Connection | None = None, schema: str | None = None
    ) -> None:
        self._due = dict.fromkeys(steps, 0.0)
        self._connection = connection
        self._schema = schema

    def wait_s(self) -> float | None:
        """In how many seconds the next is due; None where there is none."""
        now = time.monotonic()
        return max(0.0, min(self._due.values()) - now) if self._due else None

    def take_due(self) -> int | None:
        """Return the place of a step that is due, which somebody else calls; None where there is none."""
        now = time.monotonic()
        for number, step in enumerate(self._due):
            if self._due[step] <= now:
                self._due[step] = now + step.every_s
                return number
        return None

    def call(self, number: int) -> tuple[str, str | None] | None:
        """Call a step by its place; return its name and what it raised, or None where it is not our turn."""
        step = list(self._due)[number]
        return (step.name, _called(step)) if self._is_our_turn(step) else None

    def run_due(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[tuple[Step, str | None]]:
        """Call those that are due; yield each with what it raised, or None."""
        for step in list(self._due):
            if should_stop():
                return
            if self._due[step] <= time.monotonic():
                self._due[step] = time.monotonic() + step.every_s
                if self._is_our_turn(step):
                    yield step, _called(step)

    def _is_our_turn(self, step: Step) -> bool:
        if self._connection is None or self._schema is None:
            return True
        name = f"step {hashlib.sha256(step.name.encode()).hexdigest()[:40]}"
        # a little less, so that this worker's own clock does not make it late by a whole interval
        return control.takes_turn(self._connection, self._schema, name, 0.98 * step.every_s)


def _called(step: Step) -> str | None:
    started = time.monotonic()
    try:
        step.function()
    except Exception as e:
        log.exception("step %s failed; it is called again in %g s", step.name, step.every_s)
        return f"{type(e).__name__}: {e}"
    log.info("step %s: done in %.3f s", step.name, time.monotonic() - started)
    return None
