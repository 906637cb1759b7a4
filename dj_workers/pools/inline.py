"""`populate` in this process: a signal ends it after the running job, in a limited time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from dj_jobs import populate as populating
from dj_jobs.events import Events
from dj_jobs.job import Outcome
from dj_jobs.options import Options
from dj_workers.host_clock import warn_of_clock_once
from dj_workers.shutdown import StoppedAtOnceError, StopRequests


def populate_inline(table: Any, options: Options, _: int, events: Events) -> Iterator[Outcome]:
    """Compute what is missing here, one key after the other.

    Yields
    ------
    Outcome
        As they come.

    Raises
    ------
    KeyboardInterrupt
        After SIGINT, once the running job is done or time is over; after a second one, at once: its job goes
        back.
    """
    if options.reserve_jobs:
        warn_of_clock_once(table.connection)
    shutdown_s = table.connection.config.jobs.shutdown_timeout
    with StopRequests(interrupts=True, shutdown_timeout_s=shutdown_s) as requests:
        compute = populating.reserved if options.reserve_jobs else populating.direct
        with suppress(StoppedAtOnceError):  # what it was told by is repeated below
            yield from compute(table, options, events, should_stop=lambda: bool(requests))
    requests.repeat()
