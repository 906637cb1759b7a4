"""What a supervisor and its child processes say to each other, over one pipe for each child.

A pipe has one writer at each end and no lock, so that a child that is killed leaves nothing locked.
"""

from __future__ import annotations

import builtins
import pickle
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from dj_jobs.events import Event, Kind
from dj_jobs.job import Key, Outcome, Result, error_stack
from dj_schema import errors
from dj_schema.errors import MakeError

# -- to the child ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claiming:
    """Claim and compute until nothing is due, with at most so many calls of `make`."""

    n_calls: int | None


@dataclass(frozen=True, slots=True)
class Keys:
    """Compute these keys, without jobs."""

    keys: list[Key]


@dataclass(frozen=True, slots=True)
class Pass:
    """Go over the tables once, from those that may have work, with at most so many calls of `make`."""

    due: list[str]
    n_calls: int | None


@dataclass(frozen=True, slots=True)
class CallStep:
    """Call a function of the work, by its place among the steps, where it is this worker's turn."""

    number: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End after the job that is running."""


# -- from the child --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Idle:
    """The last order is done, or this child has just started."""


@dataclass(frozen=True, slots=True)
class Bye:
    """The child ends now, of its own will."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The child cannot work."""

    error: PortableError
    traceback: str


@dataclass(frozen=True, slots=True)
class Doing:
    """What the child has computed for a while now."""

    table: str
    key: Key
    since: float


@dataclass(frozen=True, slots=True)
class StepCalled:
    """A step was called, and raised something or nothing."""

    name: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Broken:
    """A table cannot be worked on, whatever the key."""

    table: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """An event of the engine, with its error beside it: many are told before one report."""

    event: Event
    error: PortableError | None = None
    traceback: str = ""

    @classmethod
    def of(cls, event: Event) -> Note:
        error = event.error
        if error is None:
            return cls(event)
        return cls(replace(event, error=None), PortableError.of(error), error_stack(error))

    def restored(self) -> Event:
        """Return the event with its error."""
        if self.error is None:
            return self.event
        return replace(self.event, error=self.error.restored(self.traceback))


@dataclass(frozen=True, slots=True)
class Notes:
    """What the engine told, where no report is due yet that could bring it."""

    notes: list[Note]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one key, and what the engine told on the way.

    Attributes
    ----------
    table : str
        ``schema.table``.
    """

    table: str
    key: Key
    result: str
    duration_s: float
    error: PortableError | None = None
    traceback: str = ""
    notes: list[Note] = field(default_factory=list)

    @classmethod
    def of(cls, table: str, outcome: Outcome, notes: list[Note]) -> Report:
        error = None if outcome.error is None else PortableError.of(outcome.error)
        return cls(
            table, outcome.key, outcome.result.value, outcome.duration_s, error, outcome.traceback, notes
        )

    def outcome(self) -> Outcome:
        error = None if self.error is None else self.error.restored(self.traceback)
        return Outcome(self.key, Result(self.result), self.duration_s, error, self.traceback)


def dumped_start(event: Event) -> bytes:
    """Return the start of a job as bytes, for each job of a process: an `Event` takes seven times as long."""
    token = None if event.token is None else event.token.bytes
    return pickle.dumps((event.table, event.key, event.attempt, event.worker, token, event.timeout_s))


def loaded_start(data: bytes) -> Event | None:
    """Return what `dumped_start` was given, or None where that was written."""
    found = pickle.loads(data)
    if found is None:
        return None
    table, key, attempt, worker, token, timeout_s = found
    uuid = None if token is None else UUID(bytes=token)
    return Event(Kind.STARTED, table, key, 1, attempt, worker, token=uuid, timeout_s=timeout_s)


# -- exceptions ------------------------------------------------------------------------------------


class ErrorInWorker(MakeError):
    """An exception of a worker process whose class cannot travel between processes.

    Attributes
    ----------
    class_name : str
        The class of the exception, as the worker saw it.
    """

    def __init__(self, class_name: str, message: str) -> None:
        super().__init__(class_name, message)
        self.class_name = class_name
        self.message = message

    def __str__(self) -> str:
        return f"{self.class_name}: {self.message}" if self.message else self.class_name


class TracebackOfWorker(Exception):
    """The traceback of an exception that was raised in a worker process, as its cause."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


@dataclass(frozen=True, slots=True)
class PortableError:
    """An exception on its way to another process; its text where it cannot go itself."""

    class_name: str
    message: str
    pickled: bytes | None

    @classmethod
    def of(cls, error: BaseException) -> PortableError:
        return cls(type(error).__name__, _text(error), _pickled(error))

    def restored(self, traceback: str) -> BaseException:
        """Return the exception, with the worker's traceback as its cause."""
        error = _unpickled(self.pickled) or ErrorInWorker(self.class_name, self.message)
        if traceback:
            error.__cause__ = TracebackOfWorker(traceback)
        return error


def error_of_text(message: str, stack: str) -> BaseException:
    """Return an exception for what a job table holds of one, with the worker's traceback as its cause.

    Its class has the name that it had in the worker and, where that is one of Python's or of ours, is a
    subclass of it.
    """
    name, _, text = message.partition(": ")
    if not name.isidentifier():
        name, text = "ErrorInWorker", message
    error = _error_of_kind(_known_class(name), name, text)
    if stack:
        error.__cause__ = TracebackOfWorker(stack)
    return error


def _known_class(name: str) -> type[Exception] | None:
    found = getattr(builtins, name, None) or getattr(errors, name, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _error_of_kind(kind: type[Exception] | None, name: str, text: str) -> BaseException:
    bases = (ErrorInWorker,) if kind is None or issubclass(ErrorInWorker, kind) else (ErrorInWorker, kind)
    try:
        cls = type(name, bases, {"__str__": lambda self: self.message, "__module__": __name__})
        error: BaseException = cls(name, text)
    except TypeError:  # a class that is made from other things than a text
        return _error_of_kind(None, name, text)
    return error


# The pickling of an exception runs its author's code, which may raise anything.


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as e:  # noqa: BLE001
        return f"(its text cannot be had: {type(e).__name__})"


def _pickled(error: BaseException) -> bytes | None:
    try:
        data = pickle.dumps(error)
        return data if type(pickle.loads(data)) is type(error) else None
    except Exception:  # noqa: BLE001
        return None


def _unpickled(data: bytes | None) -> BaseException | None:
    if data is None:
        return None
    try:
        found: Any = pickle.loads(data)
    except Exception:  # noqa: BLE001  for one, a class that only the child can import
        return None
    return found if isinstance(found, BaseException) else None
