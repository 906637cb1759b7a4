"""A number of calls, shared out so that several processes together make exactly so many."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Allotment:
    """A part of the budget in the hands of one process; without a limit where `n_calls` is None."""

    n_calls: int | None
    n_done: int = 0


class Budget:
    """Calls that are left.

    Parameters
    ----------
    n_calls : int or None
        None for no limit.
    n_takers : int
        How many processes share it. Each gets less the less there is, so that they end together.
    """

    def __init__(self, n_calls: int | None, n_takers: int) -> None:
        self.left = n_calls
        self._n_takers = n_takers

    def take(self) -> Allotment | None:
        """Return a share, or None where nothing is left."""
        if self.left is None:
            return Allotment(None)
        if self.left <= 0:
            return None
        n = max(1, self.left // (2 * self._n_takers))
        self.left -= n
        return Allotment(n)

    def give_back(self, allotment: Allotment) -> bool:
        """Take back what was not used; return whether all was."""
        if allotment.n_calls is None:
            return False
        unused = max(0, allotment.n_calls - allotment.n_done)
        if self.left is not None:
            self.left += unused
        return unused == 0
