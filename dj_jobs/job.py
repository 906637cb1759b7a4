"""Jobs as values: who claims, what was claimed, and what became of it."""

from __future__ import annotations

import os
import socket
import time
import traceback as tracebacks
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

Key = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Worker:
    """Who holds jobs: a name for people, and the process behind it."""

    name: str
    host: str
    pid: int

    @classmethod
    def of_this_process(cls, name: str | None = None) -> Worker:
        host = socket.gethostname()
        pid = os.getpid()
        return cls(name or f"{host}:{pid}", host, pid)


@dataclass(frozen=True, slots=True)
class Claim:
    """One key that is ours until the lease ends, or is fenced off by another token.

    Attributes
    ----------
    token : UUID
        Made by the client for this claim; every later statement on the job names it.
    attempt : int
        One for the first time that the key is tried.
    n_faults : int
        How often infrastructure failed it: deadlocks, lost connections, changed inputs.
    n_rescues : int
        How many workers held it when they died.
    was_taken : bool
        A claim before this one was taken from its worker, which may ask what became of the job.
    since : float
        When the claim was known here, by the monotonic clock.
    """

    key: Key = field(hash=False)
    token: UUID
    attempt: int
    n_faults: int
    n_rescues: int
    priority: int
    scheduled_time: datetime
    was_taken: bool = False
    since: float = field(default_factory=time.monotonic, compare=False)


class Result(StrEnum):
    """How a call of `make` ended."""

    SUCCESS = "success"
    EMPTY = "empty"
    ERROR = "error"
    RETRY = "retry"
    SKIP = "skip"
    LOST = "lost"
    CANCELLED = "cancelled"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Phases:
    """How long the parts of a make took, in seconds; a plain `make` is all `compute_s`."""

    fetch_s: float = 0.0
    compute_s: float = 0.0
    insert_s: float = 0.0


_NO_PHASES = Phases()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one key.

    Attributes
    ----------
    is_open : bool
        What it did is done, and its job is still to be ended, in the same transaction.
    end : callable or None
        What ends the job of an open outcome, or raises ClaimLostError; None where it leaves no trace, and is
        ended by one statement with others of that kind.
    """

    key: Key
    result: Result
    duration_s: float
    error: BaseException | None = None
    traceback: str = ""
    phases: Phases = _NO_PHASES
    is_open: bool = False
    end: Callable[[], object] | None = None

    @property
    def message(self) -> str:
        """The error as the job table holds it."""
        return error_message(self.error) if self.error is not None else ""


_MESSAGE_LENGTH = 2047
_STACK_LENGTH = 500_000
_CUT = "...truncated"


def error_message(error: BaseException) -> str:
    """Return ``Class: text``, cut to what the column holds, in characters that every server takes."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - the exception is the user's, and so is its __str__
        said = "<its text cannot be had>"
    text = storable(f"{type(error).__name__}: {said}" if said else type(error).__name__)
    return text if len(text) <= _MESSAGE_LENGTH else text[: _MESSAGE_LENGTH - len(_CUT)] + _CUT


def error_stack(error: BaseException) -> str:
    """Return the traceback of an error, the end of it where it is too long to keep."""
    text = storable("".join(tracebacks.format_exception(error)))
    return text if len(text) <= _STACK_LENGTH else _CUT + text[-_STACK_LENGTH:]


def storable(text: str) -> str:
    """Return a text without what a database refuses: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
