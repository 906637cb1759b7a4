"""What a worker does with a message: claim, compute, and pass the message on while there is more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dj_jobs import populate as populating
from dj_jobs.events import Events
from dj_jobs.options import Options
from dj_jobs.version import code_version
from dj_schema.errors import DataJointError
from dj_workers.plan import TableClass, name_of
from dj_workers.pools.celery.message import WakeUp
from dj_workers.pools.celery.stopping import released_by_sigterm
from dj_workers.shutdown import StoppedAtOnceError
from dj_workers.work import reason_of

log = logging.getLogger("datajoint.workers")

_HESITATION_S = 1.0


class Ending(Enum):
    """Why a wake-up is over."""

    NOTHING_DUE = "nothing is due"
    HAS_MORE = "its share is done, or its time is over"
    NOT_FOR_US = "this worker has other code"
    BROKEN = "this worker cannot work on the table now"


@dataclass
class Pipeline:
    """The tables that this worker computes.

    Attributes
    ----------
    events : Events
        What happens to jobs in this process.
    """

    tables: Mapping[str, TableClass]
    events: Events
    _refused: dict[str, str] = field(default_factory=dict)  # by table, why
    _said: set[str] = field(default_factory=set)  # why jobs of a table were left to others

    @classmethod
    def of(cls, tables: list[TableClass], events: Events) -> Pipeline:
        return cls({name_of(table): table for table in tables}, events)

    def refusal(self, wake_up: WakeUp) -> str:
        """Say why this worker leaves the jobs of a message alone; nothing where it does not."""
        table = self.tables.get(wake_up.table)
        if table is None:
            return f"its pipeline has no table {wake_up.table}"
        ours = code_version(table._schema.connection.config)
        if wake_up.version and wake_up.version != ours:
            return f"its code is of version {ours or '(none)'}, and {wake_up.version} is asked for"
        return ""

    def _refuse(self, table: str, reason: str, should_stop: Callable[[], bool]) -> None:
        """Say it once, and be slow: others shall get the message, and it shall not go round in circles."""
        if self._refused.get(table) != reason:
            self._refused[table] = reason
            log.warning("this worker leaves jobs of %s alone: %s", table, reason)
        end = time.monotonic() + _HESITATION_S
        while time.monotonic() < end and not should_stop():
            time.sleep(_HESITATION_S / 10)

    def work(self, wake_up: WakeUp, seconds: float, should_stop: Callable[[], bool]) -> Ending:
        """Claim and compute until nothing is due, the share is done, or the time is over."""
        if reason := self.refusal(wake_up):
            self._refuse(wake_up.table, reason, should_stop)
            return Ending.NOT_FOR_US
        table: Any = self.tables[wake_up.table]
        end = time.monotonic() + seconds
        n_done = 0

        def is_over() -> bool:
            return time.monotonic() >= end or should_stop()

        outcomes = populating.reserved(
            table(), _options(wake_up), self.events, said=self._said, should_stop=is_over
        )
        try:
            with released_by_sigterm():
                for _ in outcomes:
                    n_done += 1
        except StoppedAtOnceError:
            return Ending.HAS_MORE
        except DataJointError as e:  # no right to it, the server is away: the next message tries again
            self._refuse(wake_up.table, reason_of(self.tables[wake_up.table], e), should_stop)
            return Ending.BROKEN
        self._refused.pop(wake_up.table, None)
        is_share_done = wake_up.keys is None and n_done >= wake_up.n_jobs
        return Ending.HAS_MORE if is_share_done or is_over() else Ending.NOTHING_DUE


def _options(wake_up: WakeUp) -> Options:
    return Options(
        restrictions=() if wake_up.keys is None else (wake_up.keys,),
        max_calls=wake_up.n_jobs,
        make_kwargs=wake_up.make_kwargs,
        priority=wake_up.priority,
        refresh=False,
        suppress_errors=True,
        reserve_jobs=True,
        outlives_exit=True,
        timeout_s=wake_up.timeout_s,
    )
