"""What a process that replaces a dead one does first: see that the engine has the dead one's jobs back."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

from dj_jobs.events import Event, Events, Kind
from dj_jobs.job import Outcome, Result
from dj_jobs.rescue import rescue
from dj_schema.errors import JobError
from dj_schema.names import job_table_name
from dj_workers.pools.supervise import log

_SESSION_END_S = 10.0  # that a server may take to see that a killed process is gone


def after_death(table: Any, pid: int, events: Events) -> Iterator[Outcome]:
    """Wait until a dead process of this host holds no job; yield the jobs that the engine has given up."""
    if job_table_name(table.table_name) not in table.connection.catalog.table_names(table.database):
        return
    jobs = table.jobs
    name = ".".join(table.table_id)
    of_the_dead = {"host": socket.gethostname(), "pid": pid}
    deadline = time.monotonic() + _SESSION_END_S
    pause_s = 0.02
    while jobs.reserved & of_the_dead:
        if n := rescue(jobs):
            events.emit(Event(Kind.RESCUED, name, n=n))
            continue
        if time.monotonic() > deadline:
            log.warning("jobs of process %d are still held by its session; they wait for their lease", pid)
            break
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.5)
    for row in (jobs.errors & of_the_dead).to_dicts():
        if row["error_message"].startswith("WorkerLost"):
            key = {name: row[name] for name in jobs.primary_key}
            error = JobError(row["error_message"])
            events.emit(Event(Kind.FAILED, name, key, error=error))
            yield Outcome(key, Result.ERROR, 0.0, error)
