"""How far a table is, as operators and dashboards see it; looking changes nothing in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dj_jobs import progress
from dj_jobs.keys import key_source_of, missing_keys
from dj_jobs.table import JobTable
from dj_query.universal import U
from dj_schema.names import job_table_name

_RATE_MINUTES = 10


@dataclass(frozen=True)
class TableState:
    """One table.

    Attributes
    ----------
    total : int
        Keys that there should be.
    done : int
        Keys that are computed, or ended without a row.
    oldest_pending_s : float or None
        Since the first of the pending jobs was added, by the server's clock.
    rate_per_minute : float or None
        None where nothing in the database tells.
    """

    table: str
    total: int
    done: int
    pending: int
    reserved: int
    error: int
    ignored: int
    oldest_pending_s: float | None
    rate_per_minute: float | None


def job_table_of(table: Any) -> JobTable | None:
    """Return the jobs of a table, or None where it has never had any."""
    if job_table_name(table.table_name) not in table.connection.catalog.table_names(table.database):
        return None
    return JobTable.of_target(table)


def state_of(table: Any) -> TableState:
    """Count keys and jobs; a handful of statements."""
    total = len(key_source_of(table, ()))
    done = total - len(missing_keys(table, ()))
    jobs = job_table_of(table)
    counts = progress.counts(jobs) if jobs is not None else {}
    empty = 0 if jobs is None else len(jobs.completed & "_is_empty")
    return TableState(
        table=".".join(table.table_id),
        total=total,
        done=min(total, done + empty),
        pending=counts.get("pending", 0),
        reserved=counts.get("reserved", 0),
        error=counts.get("error", 0),
        ignored=counts.get("ignore", 0),
        oldest_pending_s=None if jobs is None else _oldest_s(jobs),
        rate_per_minute=_rate(table, jobs),
    )


def _oldest_s(jobs: JobTable) -> float | None:
    age = "TIMESTAMPDIFF(SECOND, min(created_time), NOW())"
    (row,) = U().aggr(jobs.pending, age_s=age).to_dicts()
    return None if row["age_s"] is None else float(row["age_s"])


def _rate(table: Any, jobs: JobTable | None) -> float | None:
    """Jobs a minute lately: from rows that carry their time, else from jobs that are kept."""
    lately = f"NOW() - INTERVAL {_RATE_MINUTES} MINUTE"
    if "_job_start_time" in table.heading.by_name:
        return len(table & f"_job_start_time > {lately}") / _RATE_MINUTES
    if jobs is not None and table.connection.config.jobs.keep_completed:
        return len(jobs.completed & f"completed_time > {lately}") / _RATE_MINUTES
    return None
