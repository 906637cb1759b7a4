"""What became of keys, as the database tells it: still waiting, held, ended well, failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dj_jobs.job import Key, Outcome, Result
from dj_jobs.table import JobTable
from dj_workers.pools.messages import error_of_text

KeyValues = tuple[Any, ...]

_LOOKED_UP = 200  # keys in one statement
_LONGEST_WAIT_S = 30  # for a retry; what is to run later is left to others

IS_DUE = "scheduled_time <= CURRENT_TIMESTAMP(3)"
_IS_SOON = f"scheduled_time <= CURRENT_TIMESTAMP(3) + INTERVAL {_LONGEST_WAIT_S} SECOND"


def values_of(key: Key) -> KeyValues:
    """Return the values of a job's key."""
    return tuple(key.values())


class Watch:
    """The keys of one populate, until each has ended.

    Attributes
    ----------
    open : dict
        Keys that have not ended.
    due : set
        Those of them that wait to be claimed.
    n_reserved : int
        How many a worker holds.
    """

    def __init__(self, table: Any, jobs: JobTable, keys: list[Key]) -> None:
        self._table = table
        self._jobs = jobs
        self._names = jobs.heading.primary_key
        self.open = {values_of(key): key for key in keys}
        self.due: set[KeyValues] = set()
        self.n_reserved = 0

    def look(self) -> Iterator[Outcome]:
        """Yield what became of keys since the last look.

        A key whose next attempt is further off than a populate waits for is let go without an outcome.
        """
        going_on = self._going_on()
        ended = [key for values, key in self.open.items() if values not in going_on]
        for some in _parts(ended):
            yield from self._ended(some)

    def _going_on(self) -> set[KeyValues]:
        """Ask which keys wait or are held, and take note of it."""
        jobs: Any = self._jobs
        if len(self.open) <= _LOOKED_UP:
            jobs = self._table.jobs & list(self.open.values())
        live = jobs & 'status IN ("pending", "reserved")'
        rows = live.proj("status", is_due=IS_DUE, is_soon=_IS_SOON).to_dicts()
        self.due = set()
        self.n_reserved = 0
        going_on = set()
        for row in rows:
            values = tuple(row[name] for name in self._names)
            if values not in self.open:
                continue
            if row["status"] == "reserved":
                self.n_reserved += 1
            elif row["is_due"]:
                self.due.add(values)
            elif not row["is_soon"]:
                continue
            going_on.add(values)
        return going_on

    def _ended(self, keys: list[Key]) -> Iterator[Outcome]:
        columns = ("status", "error_message", "error_stack", "duration", "_is_empty")
        rows = (self._table.jobs & keys).proj(*columns).to_dicts()
        known = {tuple(row[name] for name in self._names): row for row in rows}
        gone = [key for key in keys if values_of(key) not in known]
        there = self._computed(gone)
        for key in keys:
            values = values_of(key)
            row = known.get(values)
            if row is None:
                outcome = Outcome(key, Result.SUCCESS if values in there else Result.SKIP, 0.0)
            elif row["status"] == "reserved" or (row["status"] == "pending" and values in self.due):
                continue  # it was taken up again since
            else:
                outcome = _outcome(key, row)
            del self.open[values]
            if outcome.result is not Result.RETRY:
                yield outcome

    def _computed(self, keys: list[Key]) -> set[KeyValues]:
        """Which of these have their rows."""
        if not keys:
            return set()
        found = (self._table & keys).keys()
        return {tuple(row[name] for name in self._names) for row in found}


def _outcome(key: Key, row: dict[str, Any]) -> Outcome:
    duration_s = float(row["duration"] or 0.0)
    if row["status"] == "error":
        stack = row["error_stack"] or ""
        return Outcome(key, Result.ERROR, duration_s, error_of_text(row["error_message"], stack), stack)
    if row["status"] == "success":
        return Outcome(key, Result.EMPTY if row["_is_empty"] else Result.SUCCESS, duration_s)
    return Outcome(key, Result.RETRY if row["status"] == "pending" else Result.RELEASED, duration_s)


def _parts(keys: Sequence[Key]) -> Iterator[list[Key]]:
    for i in range(0, len(keys), _LOOKED_UP):
        yield list(keys[i : i + _LOOKED_UP])
