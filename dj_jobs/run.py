"""The pipeline of one job: run `make`, commit its rows with the end of the job, decide on a failure.

In one process, in many or behind a queue, this is what runs.
"""

from __future__ import annotations

import itertools
import logging
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from dj_jobs import control, finish, metadata
from dj_jobs.events import Events
from dj_jobs.group import Group
from dj_jobs.job import Claim, Outcome, Result, Worker, error_message, error_stack
from dj_jobs.keys import is_there, is_wanted
from dj_jobs.lease import lost_error, note_lock_session
from dj_jobs.make import Making
from dj_jobs.retry import AWAY, CONFLICTS, Retry, verdict
from dj_jobs.states import Status
from dj_jobs.telling import Teller
from dj_jobs.watch import InterruptedMakeError, Watch, ends_make_alone
from dj_schema.errors import (
    ClaimLostError,
    DuplicateError,
    InputChangedError,
    JobCancelledError,
    JobTimeoutError,
    LostConnectionError,
    MakeError,
)

if TYPE_CHECKING:
    from dj_jobs.table import JobTable
    from dj_query.table import Table


log = logging.getLogger("datajoint.jobs")

LONGEST_HOLD_S = 600.0  # that a computed result waits for a server which is away
_LONGEST_PAUSE_S = 5.0


class Held(Protocol):
    """What the runner asks of whoever keeps a claim alive."""

    def watched(self, claim: Claim, watch: Watch) -> AbstractContextManager[object]:
        """Have a make interrupted where its claim is lost."""

    def confirm(self, jobs: JobTable, claim: Claim) -> None:
        """Raise ClaimLostError where the claim may have passed to another worker."""


class Unkept:
    """A claim that nobody keeps alive: the fence alone decides."""

    def watched(self, claim: Claim, watch: Watch) -> AbstractContextManager[object]:
        return nullcontext()

    def confirm(self, jobs: JobTable, claim: Claim) -> None:
        return


_UNKEPT = Unkept()


@dataclass(frozen=True)
class Runner:
    """What all jobs of one run share.

    Attributes
    ----------
    timeout_s : float or None
        How long one make may take; by default as `timeout_s` of the table's class says.
    outlives_exit : bool
        See `Options`.
    """

    table: Table
    worker: Worker
    events: Events
    make_kwargs: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float | None = None
    chance: Callable[[], float] = random.random
    outlives_exit: bool = False

    @property
    def teller(self) -> Teller:
        return Teller(self.table.table_id, self.worker.name, self.events)

    # -- with a claim ------------------------------------------------------------------------------

    def run_claim(
        self,
        jobs: JobTable,
        claim: Claim,
        group: Group | None = None,
        held: Held = _UNKEPT,
    ) -> Outcome:
        """Compute one claimed key; every way in which that can end leaves the job in a state of its own.

        Nobody is told how it ended: the caller does that, by `teller.ended`, once the outcome is committed.
        After an interruption that is no failure, the caller gives the job back with all that it holds.

        Parameters
        ----------
        group : Group, optional
            The jobs that share a transaction with this one; in an open one, it is the group that ends the
            job (`Outcome.is_open`).
        """
        started, beside = time.perf_counter(), sys.exception()
        group = group or Group(jobs, 0)  # its own transaction
        keep = group.keeps_completed or claim.was_taken
        making = Making(
            self.table,
            claim.key,
            self.make_kwargs,
            locking=lambda session: note_lock_session(jobs, claim, session),
            joins=group.is_joined,
        )
        watch = Watch(timeout_of(self))
        self.teller.started(claim.key, claim.attempt, claim.token, watch.timeout_s)
        later: Callable[[], object] | None = None

        def end(has_rows: bool) -> None:
            nonlocal later
            watch.finish()
            duration_s = time.perf_counter() - started
            if has_rows:
                metadata.record(self.table, claim.key, duration_s)
            complete = partial(finish.complete, jobs, claim, duration_s, has_rows=has_rows, keep=keep)
            if not group.is_open:
                complete()
            elif keep or not has_rows:
                later = complete

        try:
            with _exit_as_failure(self.outlives_exit), making, watch, held.watched(claim, watch):
                making.prepare()
                has_rows = self._insert(
                    jobs, claim, making, lambda: making.insert(end, lambda: held.confirm(jobs, claim)), watch
                )
            result = Result.SUCCESS if has_rows else Result.EMPTY
            duration_s = time.perf_counter() - started
            is_open = group.is_open
            outcome = Outcome(claim.key, result, duration_s, phases=making.phases, is_open=is_open, end=later)
        except BaseException as e:
            if not ends_make_alone(e):
                raise
            error = cause_of(e, watch)
            duration_s = time.perf_counter() - started
            if watch.error is None and (group.is_cut_off() or group.give_up_early()):
                return Outcome(claim.key, Result.RETRY, duration_s, error)
            group.undo()
            if not group.is_open:
                self.table.connection.forsake_transaction()
            outcome = self.after_error(jobs, claim, error, duration_s, group, beside)
            outcome = replace(outcome, phases=making.phases)
        return outcome

    def _insert(
        self, jobs: JobTable, claim: Claim, making: Making, insert: Callable[[], bool], watch: Watch
    ) -> bool:
        """Insert what was computed, again after a fault: it may have taken hours, and is not thrown away."""
        give_up = time.monotonic() + LONGEST_HOLD_S
        unknown: Exception | None = None  # how a COMMIT ended whose answer was lost
        for n_faults in itertools.count(claim.n_faults):
            try:
                return insert()
            except ClaimLostError as e:
                if unknown is None:
                    raise
                raise unknown from e  # so that it is found out
            except AWAY as e:
                unknown = e
                if not making.can_insert_again or time.monotonic() > give_up:
                    raise
                self._wait(n_faults, watch)
                if self._is_ended(jobs, claim):
                    raise  # the caller finds out how
                log.warning("the result of %s is inserted again: %s", claim.key, e)
            except CONFLICTS as e:
                most = jobs.connection.config.jobs.max_infrastructure_retries
                if not making.can_insert_again or n_faults >= most:
                    raise
                self._wait(n_faults, watch)
                log.warning("the result of %s is inserted again: %s", claim.key, e)
            except Exception as e:
                if unknown is None or not self._is_ended(jobs, claim):
                    raise
                raise unknown from e  # that COMMIT was carried out
        raise AssertionError("it ends by a return or an error")

    def _wait(self, n_faults: int, watch: Watch) -> None:
        if watch.error is not None:
            raise watch.error
        self._pause(n_faults)

    def _pause(self, n_faults: int) -> None:
        time.sleep(Retry(backoff=0.1, longest_s=_LONGEST_PAUSE_S).wait_s(n_faults + 1, self.chance()))

    def _is_ended(self, jobs: JobTable, claim: Claim) -> bool:
        try:
            return self.resolved(jobs, claim) is not None
        except AWAY:
            return False

    def after_error(
        self,
        jobs: JobTable,
        claim: Claim,
        error: Exception,
        duration_s: float,
        group: Group | None = None,
        beside: BaseException | None = None,
    ) -> Outcome:
        """Decide on a failure, and have it recorded; how it ended turns out otherwise, at times.

        Parameters
        ----------
        beside : exception, optional
            What was being handled when the make was called, and is none of its own.
        """
        stack = error_stack(error)
        outcome = Outcome(claim.key, Result.ERROR, duration_s, error, stack)
        if isinstance(error, ClaimLostError):
            result = lost_by(error)
            with suppress(*AWAY):
                if self.resolved(jobs, claim) is Result.CANCELLED:
                    result = Result.CANCELLED
            return replace(outcome, result=result)
        if isinstance(error, LostConnectionError) and (known := self.resolved(jobs, claim)) is not None:
            return _known(outcome, known)
        if isinstance(error, DuplicateError) and is_there(self.table, claim.key):
            # computed by a populate without jobs, or by another program
            skip = Outcome(claim.key, Result.SKIP, duration_s)
            return self._recorded(jobs, claim, skip, lambda: finish.forget(jobs, claim), group, error)
        decided = verdict(
            error,
            attempt=claim.attempt,
            n_faults=claim.n_faults,
            retry=retry_of(self.table),
            max_faults=jobs.connection.config.jobs.max_infrastructure_retries,
            jitter=self.chance(),
            beside=beside,
        )
        message = error_message(error)
        if (decided.is_final or isinstance(error, InputChangedError)) and not is_wanted(
            self.table, claim.key
        ):
            # what it was to be computed from has been deleted
            skip = replace(outcome, result=Result.SKIP)
            return self._recorded(jobs, claim, skip, lambda: finish.forget(jobs, claim), group, error)
        if decided.is_final:
            record = partial(finish.fail, jobs, claim, message, stack, duration_s)
            return self._recorded(jobs, claim, outcome, record, group, error)
        is_fault = decided.is_fault
        record = partial(finish.retry_later, jobs, claim, decided.wait_s, message, stack, is_fault=is_fault)
        return self._recorded(jobs, claim, replace(outcome, result=Result.RETRY), record, group, error)

    def _recorded(
        self,
        jobs: JobTable,
        claim: Claim,
        outcome: Outcome,
        record: Callable[[], bool],
        group: Group | None,
        error: Exception,
    ) -> Outcome:
        """Have the end of a job recorded: by its group where that is open, else now."""
        if group is not None and group.is_open:
            return replace(outcome, is_open=True, end=partial(_insist, jobs, claim, record))
        try:
            is_recorded = self._past_conflicts(jobs, claim, record)
        except AWAY:
            is_recorded = record() or self.is_recorded(jobs, claim, outcome)
        if is_recorded:
            return outcome
        known = self.resolved(jobs, claim)
        # a COMMIT whose answer was lost may have ended only now, while this waited for its rows
        may_be_done = isinstance(error, (LostConnectionError, JobTimeoutError, DuplicateError))
        if known is None or not (may_be_done or known is Result.CANCELLED):
            known = Result.LOST
        return _known(outcome, known)

    def _past_conflicts(self, jobs: JobTable, claim: Claim, record: Callable[[], bool]) -> bool:
        """Have an end recorded, again where another transaction was in the way."""
        for n_faults in itertools.count():
            try:
                return record()
            except CONFLICTS as e:
                if n_faults >= jobs.connection.config.jobs.max_infrastructure_retries:
                    raise
                self._pause(n_faults)
                log.warning("the end of %s is recorded again: %s", claim.key, e)
        raise AssertionError("it ends by a return or an error")

    def is_recorded(self, jobs: JobTable, claim: Claim, outcome: Outcome) -> bool:
        """Whether a failure is what the job tells of, where the answer to who recorded it was lost."""
        status = {Result.ERROR: Status.ERROR, Result.RETRY: Status.PENDING}.get(outcome.result)
        if status is None:
            return False
        columns = ("status", "error_message", "_worker")
        rows = (jobs & claim.key).proj(*columns).to_dicts()
        ours = (status.value, outcome.message, self.worker.name[:255])
        return bool(rows) and tuple(rows[0][name] for name in columns) == ours

    def resolved(self, jobs: JobTable, claim: Claim) -> Result | None:
        """After an answer that never came: what the database says became of the job, by its token.

        None where it is still ours, so that nothing was committed. A job that is gone was ended by us: one
        that is taken from us would have kept the token of its end, or its removal was noted.
        """
        rows = (jobs & claim.key).proj("status", "_token", "_is_empty").to_dicts()
        if not rows:
            is_ours = not control.was_any_removed(jobs, claim.since)
            return Result.SUCCESS if is_ours and self.table & claim.key else Result.LOST
        if rows[0]["_token"] != claim.token:
            return Result.CANCELLED if rows[0]["status"] == "ignore" else Result.LOST
        if rows[0]["status"] == "reserved":
            return None
        return Result.EMPTY if rows[0]["_is_empty"] else Result.SUCCESS


@contextmanager
def _exit_as_failure(is_failure: bool) -> Iterator[None]:
    """Have ``sys.exit`` end the job, and not the worker: the next would take the key, and end too."""
    try:
        yield
    except SystemExit as e:
        if not is_failure:
            raise
        raise MakeError(f"make called sys.exit({e.code!r}), which counts as a failure of this key.") from e


def cause_of(error: BaseException, watch: Watch) -> Exception:
    """Return what a make ended with; where it was interrupted, what for."""
    if watch.error is not None:
        if error is not watch.error:
            watch.error.__cause__ = None if isinstance(error, InterruptedMakeError) else error
            return watch.error.with_traceback(error.__traceback__)
        return watch.error
    assert isinstance(error, Exception)
    return error


def _known(outcome: Outcome, known: Result) -> Outcome:
    """Return an outcome as it turned out to be."""
    is_lost = known in (Result.LOST, Result.CANCELLED)
    return replace(outcome, result=known) if is_lost else Outcome(outcome.key, known, outcome.duration_s)


def _insist(jobs: JobTable, claim: Claim, record: Callable[[], bool]) -> None:
    if not record():
        raise lost_error(jobs.target.full_table_name, claim.key)


def lost_by(error: ClaimLostError) -> Result:
    """Return how a job ended for us whose claim was lost."""
    return Result.CANCELLED if isinstance(error, JobCancelledError) else Result.LOST


def timeout_of(runner: Runner) -> float | None:
    if runner.timeout_s is not None:
        return runner.timeout_s
    own = getattr(type(runner.table), "timeout_s", None)
    return float(own) if own is not None else None


def retry_of(table: Table) -> Retry:
    """Return how a table's failures are retried: its own rule, or that of the settings."""
    own = getattr(type(table), "retry", None)
    return own if isinstance(own, Retry) else Retry(attempts=table.connection.config.jobs.max_attempts)
