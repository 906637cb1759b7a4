"""A job that another process computes and that cannot be interrupted: it took too long, or lost its claim."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from dj_jobs import claim as claims
from dj_jobs.events import Event
from dj_jobs.job import Claim, Outcome, Result
from dj_jobs.lease import lost_error
from dj_jobs.run import LONGEST_HOLD_S
from dj_schema.errors import JobTimeoutError
from dj_schema.transaction import transaction

if TYPE_CHECKING:
    from uuid import UUID

    from dj_jobs.run import Runner
    from dj_jobs.table import JobTable


def run_out(runner: Runner, started: Event, *, is_dead: bool) -> Outcome | None:
    """Record that a job took too long, for a process that cannot be interrupted.

    Done before the process is killed, so that its death counts as nobody's, and is no matter of rescue.

    Parameters
    ----------
    started : Event
        Of the kind `started`.
    is_dead : bool
        The process is gone. While it lives, its job is passed over where it has locked it, at its end.

    Returns
    -------
    Outcome or None
        None where the job is at its end, or over.
    """
    key, token = dict(started.key or {}), started.token
    timeout_s = started.timeout_s or 0.0
    error = JobTimeoutError(
        f"the make took longer than its timeout_s of {timeout_s:g} seconds and could not be interrupted; "
        "its process was killed, and nothing was written"
    )
    if token is None:
        outcome = Outcome(key, Result.ERROR, timeout_s, error)
    else:
        jobs: JobTable = runner.table.jobs  # type: ignore[attr-defined]
        claim = _claim_of(started, token, timeout_s)
        with transaction(jobs.connection, isolation=jobs.connection.dialect.jobs.CLAIM_ISOLATION):
            if not is_dead and not claims.is_held_and_free(jobs, claim):
                return None
            outcome = runner.after_error(jobs, claim, error, timeout_s)
    runner.teller.ended(outcome, started.attempt, token)
    return outcome


def taken(runner: Runner, started: Event, running_s: float) -> Outcome | None:
    """Return how a job that runs elsewhere ends whose claim was lost meanwhile; None where it was not.

    Nobody is told.
    """
    if started.token is None:
        return None
    jobs: JobTable = runner.table.jobs  # type: ignore[attr-defined]
    claim = _claim_of(started, started.token, running_s)
    known = runner.resolved(jobs, claim)
    if known not in (Result.LOST, Result.CANCELLED):
        return None
    is_cancelled = known is Result.CANCELLED
    error = lost_error(jobs.target.full_table_name, claim.key, is_cancelled=is_cancelled)
    return Outcome(claim.key, known, running_s, error)


def _claim_of(started: Event, token: UUID, running_s: float) -> Claim:
    """Return the claim of a job that another process computes, as far as its start tells of it."""
    since = time.monotonic() - running_s - LONGEST_HOLD_S
    return Claim(dict(started.key or {}), token, started.attempt, 0, 0, 0, datetime.min, since=since)
