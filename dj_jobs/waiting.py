"""What is worth waiting for when nothing is due: the retries that this call caused, while nobody has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dj_jobs import claim as claims
from dj_jobs.job import Key, Outcome, Result

if TYPE_CHECKING:
    from dj_jobs.table import JobTable

_LONGEST_WAIT_S = 30.0
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 2.0
_LOOK_AT = 500  # keys in one statement


class Retries:
    """The keys that one call is to try again.

    Parameters
    ----------
    jobs : JobTable
        Restricted to what the call may claim.
    priority : int, optional
        It claims only jobs as urgent as this, or more.
    """

    def __init__(self, jobs: JobTable, priority: int | None) -> None:
        self._jobs = jobs
        self._priority = priority
        self._keys: dict[tuple[Any, ...], Key] = {}
        self._pause_s = _FIRST_PAUSE_S
        self._in_vain_s = 0.0

    def note(self, outcome: Outcome) -> None:
        """Take note of what became of a key."""
        self._begin_anew()
        values = tuple(outcome.key.values())
        if outcome.result is Result.RETRY:
            self._keys[values] = outcome.key
        else:
            self._keys.pop(values, None)

    def _begin_anew(self) -> None:
        self._pause_s, self._in_vain_s = _FIRST_PAUSE_S, 0.0

    def wait_s(self) -> float | None:
        """Return how long to wait before the next claim; None where there is nothing to wait for.

        A key that others compute, have computed, or pass over is not waited for. One that is due, and that
        nobody could claim, is locked by somebody: it is asked for less and less often, and then no more.
        """
        waits = []
        all_keys = list(self._keys.values())
        for start in range(0, len(all_keys), _LOOK_AT):
            keys = all_keys[start : start + _LOOK_AT]
            due_s = claims.seconds_until_due(self._jobs, self._priority, keys)
            if due_s is None:
                for key in keys:
                    del self._keys[tuple(key.values())]
            elif due_s <= _LONGEST_WAIT_S:
                waits.append(due_s)
        if not waits:
            return None
        if min(waits) > 0:
            self._begin_anew()
            return max(_FIRST_PAUSE_S, min(waits))
        pause_s = self._pause_s
        self._pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
        self._in_vain_s += pause_s
        return pause_s if self._in_vain_s <= _LONGEST_WAIT_S else None
