"""The pipeline of one job: run `make`, commit its rows with the end of the job, decide on a failure.

In one process, in many or behind a queue, this is what runs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dj_jobs import finish, metadata
from dj_jobs.events import Event, Events
from dj_jobs.job import Claim, Outcome, Result, Worker, error_message, error_stack
from dj_jobs.keys import is_wanted
from dj_jobs.make import make_once
from dj_jobs.retry import INFRASTRUCTURE, Retry, verdict
from dj_query.compile import where_clause
from dj_schema.errors import ClaimLostError, DuplicateError, InputChangedError, LostConnectionError
from dj_schema.sql import Ident, sql

if TYPE_CHECKING:
    from dj_jobs.table import JobTable
    from dj_query.table import Table


@dataclass(frozen=True)
class Runner:
    """What all jobs of one run share."""

    table: Table
    worker: Worker
    events: Events
    make_kwargs: Mapping[str, Any] = field(default_factory=dict)
    chance: Callable[[], float] = random.random

    # -- with a claim ------------------------------------------------------------------------------

    def run_claim(
        self, jobs: JobTable, claim: Claim, is_cut_off: Callable[[], bool] = lambda: False
    ) -> Outcome:
        """Compute one claimed key; every way in which that can end leaves the job in a state of its own.

        Nobody is told: the caller does that, by `tell`, once the outcome is committed.

        Parameters
        ----------
        is_cut_off : callable
            Whether a transaction around several jobs is gone, so that nothing can be recorded in it.
        """
        started = time.perf_counter()
        keep = jobs.connection.config.jobs.keep_completed

        def end(has_rows: bool) -> None:
            duration_s = time.perf_counter() - started
            if has_rows:
                metadata.record(self.table, claim.key, duration_s)
            finish.complete(jobs, claim, duration_s, has_rows=has_rows, keep=keep)

        try:
            has_rows = make_once(self.table, claim.key, self.make_kwargs, end)
            result = Result.SUCCESS if has_rows else Result.EMPTY
            outcome = Outcome(claim.key, result, time.perf_counter() - started)
        except Exception as e:  # noqa: BLE001 - of the user's make
            duration_s = time.perf_counter() - started
            if is_cut_off():
                return Outcome(claim.key, Result.RETRY, duration_s, e)
            outcome = self._after_error(jobs, claim, e, duration_s)
        except BaseException:
            finish.release(jobs, claim)
            self._emit("released", claim.key, claim.attempt)
            raise
        return outcome

    def _after_error(self, jobs: JobTable, claim: Claim, error: Exception, duration_s: float) -> Outcome:
        stack = error_stack(error)
        if isinstance(error, ClaimLostError):
            return Outcome(claim.key, Result.LOST, duration_s, error, stack)
        if isinstance(error, LostConnectionError) and (known := self.resolved(jobs, claim)) is not None:
            return Outcome(claim.key, known, duration_s, error if known is Result.LOST else None)
        if isinstance(error, DuplicateError) and self._is_there(claim.key):
            finish.forget(jobs, claim)  # computed by a populate without jobs, or by another program
            return Outcome(claim.key, Result.SKIP, duration_s)
        decided = verdict(
            error,
            attempt=claim.attempt,
            n_faults=claim.n_faults,
            retry=retry_of(self.table),
            max_faults=jobs.connection.config.jobs.max_infrastructure_retries,
            jitter=self.chance(),
        )
        message = error_message(error)
        if (decided.is_final or isinstance(error, InputChangedError)) and not is_wanted(
            self.table, claim.key
        ):
            finish.forget(jobs, claim)  # what it was to be computed from has been deleted
            return Outcome(claim.key, Result.SKIP, duration_s, error, stack)
        if decided.is_final:
            recorded = finish.fail(jobs, claim, message, stack, duration_s)
            result = Result.ERROR
        else:
            recorded = finish.retry_later(
                jobs, claim, decided.wait_s, message, stack, is_fault=decided.is_fault
            )
            result = Result.RETRY
        if not recorded:
            # a COMMIT whose answer was lost may have ended only now, while this waited for its rows
            known = self.resolved(jobs, claim) if isinstance(error, LostConnectionError) else None
            result = known or Result.LOST
        return Outcome(claim.key, result, duration_s, error, stack)

    def _is_there(self, key: Mapping[str, Any]) -> bool:
        """Whether the row of a key is there, also where this transaction's snapshot is older than the row."""
        connection = self.table.connection
        rows = self.table & dict(key)
        if not connection.in_transaction:
            return bool(rows)
        where = where_clause(rows.select, connection.dialect)
        statement = sql("SELECT 1 FROM {}{} FOR UPDATE", Ident(*self.table.table_id), where)
        return bool(connection.execute(statement).rows)

    def resolved(self, jobs: JobTable, claim: Claim) -> Result | None:
        """After an answer that never came: what the database says became of the job, by its token.

        None where it is still ours, so that nothing was committed.
        """
        rows = (jobs & claim.key).proj("status", "_token", "_is_empty").to_dicts()
        if not rows:
            return Result.SUCCESS if self.table & claim.key else Result.LOST
        if rows[0]["_token"] != claim.token:
            return Result.LOST
        if rows[0]["status"] == "reserved":
            return None
        return Result.EMPTY if rows[0]["_is_empty"] else Result.SUCCESS

    # -- without -----------------------------------------------------------------------------------

    def run_key(self, key: Mapping[str, Any]) -> Outcome:
        """Compute one key without a job; what infrastructure fails is tried again at once."""
        started = time.perf_counter()

        def end(has_rows: bool) -> None:
            if has_rows:
                metadata.record(self.table, key, time.perf_counter() - started)

        most = self.table.connection.config.jobs.max_infrastructure_retries
        n_faults = 0
        while True:
            try:
                has_rows = make_once(self.table, key, self.make_kwargs, end)
                result = Result.SUCCESS if has_rows else Result.EMPTY
                outcome = Outcome(dict(key), result, time.perf_counter() - started)
                break
            except INFRASTRUCTURE as e:
                n_faults += 1
                ended = self._known_end(key, e, started)
                if ended is None and n_faults <= most:
                    continue
                outcome = ended or self._failed(key, e, started)
                break
            except Exception as e:  # noqa: BLE001 - of the user's make
                outcome = self._known_end(key, e, started) or self._failed(key, e, started)
                break
        self.tell(outcome, 1 + n_faults)
        return outcome

    def _known_end(self, key: Mapping[str, Any], error: Exception, started: float) -> Outcome | None:
        """Return what became of a key that an error need not mean a failure of; None where it does."""
        seconds = time.perf_counter() - started
        if isinstance(error, LostConnectionError):  # maybe only the answer to COMMIT was lost
            return Outcome(dict(key), Result.SUCCESS, seconds) if self.table & dict(key) else None
        if isinstance(error, DuplicateError):
            return Outcome(dict(key), Result.SKIP, seconds) if self.table & dict(key) else None
        if isinstance(error, InputChangedError) or not isinstance(error, INFRASTRUCTURE):
            return None if is_wanted(self.table, key) else Outcome(dict(key), Result.SKIP, seconds, error)
        return None

    def _failed(self, key: Mapping[str, Any], error: Exception, started: float) -> Outcome:
        stack = error_stack(error)
        return Outcome(dict(key), Result.ERROR, time.perf_counter() - started, error, stack)

    # -- telling -----------------------------------------------------------------------------------

    def tell(self, outcome: Outcome, attempt: int) -> None:
        """Tell the subscribers what became of a key."""
        self._emit(_KINDS[outcome.result], outcome.key, attempt, outcome.duration_s, outcome.error)

    def _emit(
        self,
        kind: str,
        key: Mapping[str, Any],
        attempt: int,
        duration_s: float = 0.0,
        error: BaseException | None = None,
    ) -> None:
        table = ".".join(self.table.table_id)
        self.events.emit(Event(kind, table, dict(key), 1, attempt, self.worker.name, duration_s, error))


_KINDS = {
    Result.SUCCESS: "succeeded",
    Result.EMPTY: "empty",
    Result.ERROR: "failed",
    Result.RETRY: "retried",
    Result.SKIP: "skipped",
    Result.LOST: "fenced",
    Result.RELEASED: "released",
}


def retry_of(table: Table) -> Retry:
    """Return how a table's failures are retried: its own rule, or that of the settings."""
    own = getattr(type(table), "retry", None)
    return own if isinstance(own, Retry) else Retry(attempts=table.connection.config.jobs.max_attempts)
