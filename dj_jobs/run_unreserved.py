"""One key without a job: run `make`, commit its rows, and find out what became of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dj_jobs import metadata
from dj_jobs.doubt import Doubt
from dj_jobs.job import Outcome, Result, error_stack
from dj_jobs.keys import is_wanted
from dj_jobs.make import Making
from dj_jobs.retry import AWAY, CONFLICTS, comes_of_fault
from dj_jobs.run import cause_of, timeout_of
from dj_jobs.watch import Watch, ends_make_alone
from dj_schema.errors import DuplicateError, InputChangedError, LockTimeoutError, LostConnectionError

if TYPE_CHECKING:
    from dj_jobs.run import Runner


def run_key(runner: Runner, key: Mapping[str, Any]) -> Outcome:
    """Compute one key without a job; what infrastructure fails is tried again at once."""
    most = runner.table.connection.config.jobs.max_infrastructure_retries
    n_faults, beside = 0, sys.exception()
    while True:
        started = time.perf_counter()
        making = Making(runner.table, key, runner.make_kwargs)
        watch = Watch(timeout_of(runner))
        runner.teller.started(key, 1 + n_faults, None, watch.timeout_s)

        doubt = Doubt(runner.table, key)

        def end(has_rows: bool, started: float = started, watch: Watch = watch, doubt: Doubt = doubt) -> None:
            watch.finish()
            if has_rows:
                metadata.record(runner.table, key, time.perf_counter() - started)
            doubt.reaches_end(has_rows=has_rows)

        try:
            with making, watch:
                making.prepare()
                has_rows = making.insert(end)
            result = Result.SUCCESS if has_rows else Result.EMPTY
            outcome = Outcome(dict(key), result, time.perf_counter() - started)
        except BaseException as e:
            if not ends_make_alone(e):
                raise
            error = cause_of(e, watch)
            runner.table.connection.forsake_transaction()
            ended = _known_end(runner, key, error, started, doubt, beside)
            if ended is None and comes_of_fault(error, beside) and n_faults < most:
                n_faults += 1
                continue
            outcome = ended or _failed(key, error, started)
        outcome = replace(outcome, phases=making.phases)
        runner.teller.ended(outcome, 1 + n_faults)
        return outcome


def _known_end(
    runner: Runner,
    key: Mapping[str, Any],
    error: Exception,
    started: float,
    doubt: Doubt,
    beside: BaseException | None,
) -> Outcome | None:
    """Return what became of a key that an error need not mean a failure of; None where it does."""
    seconds = time.perf_counter() - started
    if isinstance(error, LostConnectionError):
        if not doubt.is_at_end:
            return None  # nothing was committed
        try:
            result = Result.SUCCESS if doubt.has_rows else Result.EMPTY
            return Outcome(dict(key), result, seconds) if doubt.was_committed() else None
        except (*AWAY, LockTimeoutError) as e:
            return _failed(key, e, started)
    if isinstance(error, (DuplicateError, *CONFLICTS)):  # with whoever computed it, maybe
        return Outcome(dict(key), Result.SKIP, seconds) if runner.table & dict(key) else None
    if isinstance(error, InputChangedError) or not comes_of_fault(error, beside):
        return None if is_wanted(runner.table, key) else Outcome(dict(key), Result.SKIP, seconds, error)
    return None


def _failed(key: Mapping[str, Any], error: Exception, started: float) -> Outcome:
    stack = error_stack(error)
    return Outcome(dict(key), Result.ERROR, time.perf_counter() - started, error, stack)
