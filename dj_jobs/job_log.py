"""What became of each job, as lines of the log with the fields of the job beside the text."""

from __future__ import annotations

import logging
from typing import Any

from dj_jobs.events import Event, Kind
from dj_jobs.job import error_message

log = logging.getLogger("datajoint.jobs")

_LEVELS = {
    Kind.FAILED: logging.WARNING,
    Kind.RETRIED: logging.WARNING,
    Kind.FENCED: logging.WARNING,
    Kind.CANCELLED: logging.INFO,
    Kind.RELEASED: logging.INFO,
}


def log_event(event: Event) -> None:
    """Log what happened to a job, failures as such, the rest for those who look closely; a subscriber."""
    level = _LEVELS.get(event.kind, logging.DEBUG)
    if event.kind is Kind.RESCUED or not log.isEnabledFor(level):
        return  # the engine itself tells of a rescue
    what = event.table if event.key is None else f"{event.table} {event.key}"
    said = f"{event.n} jobs" if event.key is None else f"{event.duration_s:.3f} s"
    if event.error is not None:
        said = error_message(event.error)
    log.log(level, "%s: %s: %s", what, event.kind.value, said, extra={"job": _fields(event)})


def _fields(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "event": event.kind.value,
        "table": event.table,
        "worker": event.worker,
    }
    if event.key is None:
        return {**fields, "n": event.n}
    fields |= {"key": event.key, "attempt": event.attempt, "duration_s": round(event.duration_s, 6)}
    if event.error is not None:
        fields["exception"] = getattr(event.error, "class_name", type(event.error).__name__)
    return fields
