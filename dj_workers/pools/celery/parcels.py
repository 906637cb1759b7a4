"""The messages of one populate: any number alike, or one for each few keys."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from dj_jobs.job import Key
from dj_jobs.options import Options
from dj_jobs.version import code_version
from dj_schema.settings import Config
from dj_workers.pools.celery.fates import KeyValues, values_of
from dj_workers.pools.celery.message import WakeUp


class Parcels:
    """What is sent for keys.

    Where populate asks for all keys of a table, each message is for whatever is due. Where it asks for
    some, messages name their keys: restrictions may be anything, and a number of calls holds whoever
    computes, however often a message is delivered.
    """

    def __init__(self, table: str, keys: list[Key], options: Options, config: Config) -> None:
        self._most = config.celery.queue_length
        self._n_keys = len(keys)
        n_jobs = config.celery.jobs_per_message
        base = WakeUp(
            table=table,
            n_jobs=n_jobs,
            priority=options.priority,
            make_kwargs=dict(options.make_kwargs),
            timeout_s=options.timeout_s,
            version=code_version(config),
        )
        if options.restrictions or options.max_calls is not None:
            size = max(1, min(n_jobs, math.ceil(len(keys) / self._most)))
            parts = [keys[i : i + size] for i in range(0, len(keys), size)]
            self._wake_ups = [_for_keys(base, part) for part in parts]
            self._contents = [frozenset(map(values_of, part)) for part in parts]
        else:
            self._wake_ups = [base]
            self._contents = [frozenset()]  # whatever is due
        self._turn = 0

    @property
    def _names_keys(self) -> bool:
        return self._wake_ups[0].keys is not None

    def all(self) -> list[WakeUp]:
        """Return what is to be sent where nobody sends again."""
        return self._wake_ups if self._names_keys else self._wake_ups * min(self._most, self._n_keys)

    def wanted(self, due: set[KeyValues], limit: int) -> int:
        """Return how many messages are of use now."""
        if not self._names_keys:
            return min(limit, len(due))
        n = 0
        for content in self._contents:
            if n == limit:
                break
            n += not content.isdisjoint(due)
        return n

    def next(self, due: set[KeyValues], n: int) -> Iterator[WakeUp]:
        """Yield up to `n` messages that are of use, going on behind those of the last time."""
        for _ in range(len(self._wake_ups) if self._names_keys else max(0, n)):
            if n <= 0:
                return
            i = self._turn
            self._turn = (i + 1) % len(self._wake_ups)
            if not self._names_keys or not self._contents[i].isdisjoint(due):
                n -= 1
                yield self._wake_ups[i]


def _for_keys(base: WakeUp, keys: list[Key]) -> WakeUp:
    return replace(base, n_jobs=len(keys), keys=keys)
