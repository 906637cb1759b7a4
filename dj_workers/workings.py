"""What a worker is doing, as text for people: the answer to SIGUSR1."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dj_jobs.job import Result

if TYPE_CHECKING:
    from dj_jobs.presence import Presence
    from dj_workers.daemon import Worker


def report(worker: Worker) -> str:
    """Return a line for what runs in each process, and one for each table. Waits for nothing."""
    presence, name = worker.presence, worker.identity.name
    if presence is None:
        steps = ", ".join(step.name for step in worker.work.steps)
        return f"dj-worker {name}: calls {steps}, and has no tables\n"
    lines = [f"dj-worker {name}: up for {time_text(presence.uptime_s)}, {_state(worker)}"]
    if not worker.has_children:  # which tell by themselves what they compute
        lines += activity_text(presence).splitlines()
    for table, counts in list(worker.tally.by_table.items()):
        said = ", ".join(f"{n} {result.value}" for result, n in sorted(counts.items(), key=_order))
        lines.append(f"  {table}: {said}")
    lines += [f"  {what}: {why}" for what, why in list(worker.tally.broken.items())]
    if presence.note:
        lines.append(f"  {presence.note}")
    return "\n".join(lines) + "\n"


def activity_text(presence: Presence) -> str:
    """Return a line for what this process computes; empty where that is nothing."""
    now = time.monotonic()
    return "".join(
        f"  computes {activity.table} {' '.join(f'{k}={v}' for k, v in activity.key.items())}"
        f" in process {presence.worker.pid}, for {time_text(now - activity.since)}\n"
        for activity in list(presence.running.values())
    )


def _order(item: tuple[Result, int]) -> int:
    return list(Result).index(item[0])


def _state(worker: Worker) -> str:
    if worker.vitals.is_stopping:
        return "stopping after the running jobs"
    if worker.presence is not None and worker.presence.is_draining:
        return "draining"
    n_busy = worker.vitals.n_busy
    return f"{n_busy} of {worker.processes} busy" if n_busy else "waiting for work"


def time_text(seconds: float) -> str:
    """Return a duration for people."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
    )
