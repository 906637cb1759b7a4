"""When a key that failed is tried again, and how long it waits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dj_schema.errors import (
    ArgumentTypeError,
    ClaimLostError,
    ConnectionRefusedByServerError,
    DataJointError,
    DeadlockError,
    InputChangedError,
    JobTimeoutError,
    LockTimeoutError,
    LostConnectionError,
)

AWAY = (LostConnectionError, ConnectionRefusedByServerError)
"""The server is not there, and may come back."""
CONFLICTS = (DeadlockError, LockTimeoutError)
"""Another transaction was in the way."""
INFRASTRUCTURE = (*AWAY, *CONFLICTS, InputChangedError)
"""Faults that are not the key's: they have a budget of their own and are no error at the first try."""


def causes(error: BaseException | None, beside: BaseException | None = None) -> list[BaseException]:
    """Return an exception with those that it was raised for, or in the handlers of, and those of groups.

    Parameters
    ----------
    beside : exception, optional
        What was being handled when the make was called, and is none of its own.
    """
    found: dict[int, BaseException] = {}  # by what they are: what they are equal to is the user's
    waiting = [error]
    while waiting:
        error = waiting.pop()
        if error is None or error is beside or id(error) in found:
            continue
        found[id(error)] = error
        waiting.append(error.__context__ if error.__cause__ is None else error.__cause__)
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
    return list(found.values())


def comes_of_fault(error: BaseException, beside: BaseException | None = None) -> bool:
    """Whether an exception is a fault, or was raised for one: ``raise AnalysisError(...) from deadlock``."""
    if isinstance(error, JobTimeoutError):  # which ends the session that the make goes on to use
        return False
    return any(isinstance(e, INFRASTRUCTURE) for e in causes(error, beside))


@dataclass(frozen=True)
class Retry:
    """How often a key is tried before its failure is final, for which exceptions, after what wait.

    Parameters
    ----------
    attempts : int
        Tries in all.
    on : exception class, or several
        Others are final at once.
    backoff : float or callable
        Seconds before the second try, doubled for each further one; or a function of the attempt.
    longest_s : float
        No wait is longer.

    Raises
    ------
    ArgumentTypeError, DataJointError
        Where one of these is something else, so that a class which has it cannot be made.
    """

    attempts: int = 1
    on: type[BaseException] | Iterable[type[BaseException]] = (Exception,)
    backoff: float | Callable[[int], float] = 1.0
    longest_s: float = 3600.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", _kinds(self.on))
        if not _is_number(self.attempts) or self.attempts != int(self.attempts) or self.attempts < 1:
            raise DataJointError(f"attempts of a Retry must be a whole number from 1, not {self.attempts!r}.")
        if not (callable(self.backoff) or (_is_number(self.backoff) and self.backoff >= 0)):
            raise DataJointError(
                f"backoff of a Retry must be a number of seconds or a function of the attempt, "
                f"not {self.backoff!r}."
            )
        if not (_is_number(self.longest_s) and self.longest_s >= 0):
            raise DataJointError(f"longest_s of a Retry must be a number of seconds, not {self.longest_s!r}.")

    def is_for(self, error: BaseException) -> bool:
        """Whether an exception is one of those that are tried again."""
        return isinstance(error, _kinds(self.on))

    def wait_s(self, attempt: int, jitter: float) -> float:
        """Return the seconds to wait after a failed attempt; `jitter` in [0, 1] spreads them over half."""
        if callable(self.backoff):
            return min(self.longest_s, float(self.backoff(attempt)))
        whole = min(self.longest_s, self.backoff * 2.0 ** min(60, max(0, attempt - 1)))
        return whole * (0.5 + 0.5 * jitter)


def _kinds(on: object) -> tuple[type[BaseException], ...]:
    kinds = tuple(on) if isinstance(on, Iterable) and not isinstance(on, (str, type)) else (on,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise ArgumentTypeError(
                f"Retry(on=...) takes exception classes, such as on=(OSError, TimeoutError); "
                f"{kind!r} is none."
            )
    return kinds


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a failed attempt."""

    is_final: bool
    wait_s: float = 0.0
    is_fault: bool = False


def verdict(
    error: BaseException,
    *,
    attempt: int,
    n_faults: int,
    retry: Retry,
    max_faults: int,
    jitter: float,
    beside: BaseException | None = None,
) -> Verdict:
    """Decide whether a failure is final. Pure: the clock and chance are arguments of the caller."""
    if isinstance(error, ClaimLostError):
        return Verdict(is_final=False)
    if comes_of_fault(error, beside):
        wait = Retry(backoff=0.1, longest_s=30.0).wait_s(n_faults + 1, jitter)
        return Verdict(is_final=n_faults >= max_faults, wait_s=wait, is_fault=True)
    if attempt < retry.attempts and retry.is_for(error):
        return Verdict(is_final=False, wait_s=retry.wait_s(attempt, jitter))
    return Verdict(is_final=True)
