"""When a key that failed is tried again, and how long it waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dj_schema.errors import (
    ClaimLostError,
    ConnectionRefusedByServerError,
    DeadlockError,
    InputChangedError,
    LockTimeoutError,
    LostConnectionError,
)

AWAY = (LostConnectionError, ConnectionRefusedByServerError)
"""The server is not there, and may come back."""
CONFLICTS = (DeadlockError, LockTimeoutError)
"""Another transaction was in the way."""
INFRASTRUCTURE = (*AWAY, *CONFLICTS, InputChangedError)
"""Faults that are not the key's: they have a budget of their own and are no error at the first try."""


@dataclass(frozen=True)
class Retry:
    """How often a key is tried before its failure is final, for which exceptions, after what wait.

    Parameters
    ----------
    attempts : int
        Tries in all.
    on : tuple of exception classes
        Others are final at once.
    backoff : float or callable
        Seconds before the second try, doubled for each further one; or a function of the attempt.
    longest_s : float
        No wait is longer.
    """

    attempts: int = 1
    on: tuple[type[BaseException], ...] = (Exception,)
    backoff: float | Callable[[int], float] = 1.0
    longest_s: float = 3600.0

    def wait_s(self, attempt: int, jitter: float) -> float:
        """Return the seconds to wait after a failed attempt; `jitter` in [0, 1] spreads them over half."""
        if callable(self.backoff):
            return min(self.longest_s, float(self.backoff(attempt)))
        whole = min(self.longest_s, self.backoff * 2.0 ** min(60, max(0, attempt - 1)))
        return whole * (0.5 + 0.5 * jitter)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a failed attempt."""

    is_final: bool
    wait_s: float = 0.0
    is_fault: bool = False


def verdict(
    error: BaseException, *, attempt: int, n_faults: int, retry: Retry, max_faults: int, jitter: float
) -> Verdict:
    """Decide whether a failure is final. Pure: the clock and chance are arguments of the caller."""
    if isinstance(error, ClaimLostError):
        return Verdict(is_final=False)
    if isinstance(error, INFRASTRUCTURE):
        wait = Retry(backoff=0.1, longest_s=30.0).wait_s(n_faults + 1, jitter)
        return Verdict(is_final=n_faults >= max_faults, wait_s=wait, is_fault=True)
    if attempt < retry.attempts and isinstance(error, retry.on):
        return Verdict(is_final=False, wait_s=retry.wait_s(attempt, jitter))
    return Verdict(is_final=True)
