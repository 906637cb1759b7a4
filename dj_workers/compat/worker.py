"""`DataJointWorker`: steps one after the other, again and again, with a log in the database."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dj_jobs.events import Events
from dj_jobs.job import Result
from dj_jobs.job_log import log_event
from dj_query.conditions import AndList
from dj_schema.connection import Connection
from dj_schema.errors import ConnectionRefusedByServerError, DataJointError, LostConnectionError
from dj_schema.server_address import connection_settings
from dj_schema.settings import Config
from dj_workers.compat.logbook import Logbook
from dj_workers.compat.progress import ProcessProgress, counting, workflow_progress
from dj_workers.compat.steps import FunctionStep, Step, TableStep, step_of
from dj_workers.host_clock import warn_of_clock_once
from dj_workers.notify import Notifications
from dj_workers.shutdown import StoppedAtOnceError, StopRequests
from dj_workers.state import job_table_of
from dj_workers.work import DONE

log = logging.getLogger("datajoint.workers")

_BETWEEN_CLEANUPS_S = 24 * 3600.0
P = TypeVar("P")


class DataJointWorker:
    """A worker with steps.

    Parameters
    ----------
    worker_name : str
    worker_schema_name : str
        The schema of its log.
    run_duration : float or None
        Begin no cycle after so many seconds; one that has begun is gone through. None or below zero: no end.
    sleep_duration : float
        Seconds between two cycles.
    max_idled_cycle : int or None
        End after so many cycles in a row in which no table had work; None, zero or below: never.
    autoclear_error_patterns : sequence of str
        Failed jobs whose message is like one of these (``%`` for any text) are tried again.
    db_prefix : str or sequence of str
        Left out of the names of schemas in the log.
    stale_timeout_hours : float
        Jobs that a program without leases has held for longer are given to others. Jobs of this engine
        need no such thing.
    notifiers : sequence
        Told of failures, of work that is done and of work that stands still: see `Notifications`.
    remove_stale_reserved_jobs : bool
        Whether `stale_timeout_hours` holds.
    connection : Connection, optional
        Where the log is; by default where the first table is.
    """

    def __init__(
        self,
        worker_name: str,
        worker_schema_name: str,
        *,
        run_duration: float | None = -1,
        sleep_duration: float = 60,
        max_idled_cycle: int | None = -1,
        autoclear_error_patterns: Sequence[str] = (),
        db_prefix: str | Sequence[str] = "",
        stale_timeout_hours: float = 24,
        notifiers: Sequence[Any] = (),
        remove_stale_reserved_jobs: bool = True,
        connection: Connection | None = None,
    ) -> None:
        if not worker_name or len(worker_name) > 64:
            raise DataJointError("a worker has a name, of 64 characters at most.")
        if sleep_duration < 0 or stale_timeout_hours <= 0:
            raise DataJointError("sleep_duration is 0 or more, and stale_timeout_hours above 0.")
        self.name = worker_name
        self.worker_schema_name = worker_schema_name
        self.events = Events(log_event)
        # by these names scripts set them anew, from their command lines
        self._run_duration = run_duration
        self._sleep_duration = sleep_duration
        self._max_idled_cycle = max_idled_cycle
        self._patterns = _listed(autoclear_error_patterns)
        self._prefixes = [prefix for prefix in _listed(db_prefix) if prefix]
        self._stale_s = stale_timeout_hours * 3600 if remove_stale_reserved_jobs else None
        self._notifiers = list(notifiers)
        self._connection = connection
        self._steps: list[Step] = []
        self._requests: StopRequests | None = None
        self._next_cleanup = 0.0

    # -- steps -------------------------------------------------------------------------------------

    def __call__(self, process: P, **kwargs: Any) -> P:
        """Add a step; returns it, so that a worker decorates tables and functions."""
        self.add_step(process, **kwargs)
        return process

    def add_step(self, process: Any, position_: int | None = None, **kwargs: Any) -> None:
        """Add a table with options of populate, or a function with its arguments.

        Parameters
        ----------
        position_ : int, optional
            Before the step of this number, counted from 0; by default behind those there are.
        """
        self._steps.insert(len(self._steps) if position_ is None else position_, step_of(process, kwargs))

    # -- running -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Go through the steps until it is over, or until SIGINT or SIGTERM; the second releases the job.

        Raises
        ------
        DataJointError
            Where there are no steps, or the worker schema is not ours to use.
        """
        if not self._steps:
            raise DataJointError(f"worker {self.name} has no steps; add tables or functions: worker(Table).")
        connection = self._log_connection()
        warn_of_clock_once(connection)
        book = Logbook.of(self.worker_schema_name, connection)
        book.register(self.name, self._settings(), [self._row(i, s) for i, s in enumerate(self._steps)])
        tables = [step.table for step in self._steps if isinstance(step, TableStep)]
        with (
            Notifications(*self._notifiers, tables=tables) as told,
            StopRequests(
                interrupts=True, shutdown_timeout_s=connection.config.jobs.shutdown_timeout
            ) as requests,
        ):
            self._requests = requests
            self.events.subscribe(told)
            try:
                self._cycles(book, requests)
            except StoppedAtOnceError:
                log.warning("worker %s was stopped at once", self.name)
            finally:
                self._requests = None

    def stop(self) -> None:
        """Have `run` end after the running job; from another thread, or from a step."""
        if self._requests is not None:
            self._requests.request()

    def _cycles(self, book: Logbook, requests: StopRequests) -> None:
        duration_s, max_idled = self._run_duration, self._max_idled_cycle or 0
        end = math.inf if duration_s is None or duration_s < 0 else time.monotonic() + duration_s
        n_idle = 0
        while not requests and time.monotonic() < end:
            try:
                has_worked = self._cycle(book, requests.__bool__)
            except (LostConnectionError, ConnectionRefusedByServerError) as e:
                log.warning("the server is away, it is asked again soon: %s", e)
                has_worked = True  # nobody knows
            n_idle = 0 if has_worked else n_idle + 1
            if 0 < max_idled <= n_idle:
                return
            left_s = min(self._sleep_duration, end - time.monotonic())
            if left_s > 0:
                requests.wait(left_s)

    def _cycle(self, book: Logbook, is_stopped: Callable[[], bool]) -> bool:
        """Go once through the steps; return whether a table had work."""
        if time.monotonic() >= self._next_cleanup:
            book.forget_old()
            self._next_cleanup = time.monotonic() + _BETWEEN_CLEANUPS_S
        has_worked = False
        for step in self._steps:
            if is_stopped():
                break
            book.began(self.name, self._shown(step.name))
            try:
                has_worked |= self._run(step, book, is_stopped)
            except (LostConnectionError, ConnectionRefusedByServerError):
                raise
            except Exception as e:
                log.exception("step %s failed", step.name)
                book.failed(self.name, self._shown(step.name), e, None, "")
        return has_worked

    def _run(self, step: Step, book: Logbook, is_stopped: Callable[[], bool]) -> bool:
        if isinstance(step, FunctionStep):
            step.function(**step.arguments)
            return False
        self._clear(step)
        has_worked = False
        for outcome in step.run(self.events, is_stopped):
            has_worked |= outcome.result in DONE or outcome.result is Result.ERROR
            if outcome.result is Result.ERROR and outcome.error is not None:
                shown = self._shown(step.name)
                book.failed(self.name, shown, outcome.error, outcome.key, outcome.traceback)
        return has_worked

    def _clear(self, step: TableStep) -> None:
        """Give failed jobs another try, and jobs to others that a program without leases has left."""
        jobs = job_table_of(step.table())
        if jobs is None:
            return
        for pattern in self._patterns:
            alike = jobs.errors & _like("error_message", pattern)
            if n := alike.retry():
                log.info("%d failed jobs of %s are tried again", n, step.name)
        if self._stale_s is not None:
            age = f"reserved_time < CURRENT_TIMESTAMP(3) - INTERVAL {int(self._stale_s)} SECOND"
            (jobs.reserved & AndList(["_token IS NULL", age])).delete()

    # -- looking -----------------------------------------------------------------------------------

    def progress(self) -> list[ProcessProgress]:
        """Return how far the steps of all workers of the schema are; see `workflow_progress`."""
        return workflow_progress(self.worker_schema_name, self._log_connection())

    @property
    def worker_log(self) -> Any:
        """The table of what each worker of the schema began when."""
        return self._book().worker_log

    @property
    def error_log(self) -> Any:
        """The table of what failed."""
        return self._book().error_log

    def _book(self) -> Logbook:
        return Logbook.of(self.worker_schema_name, self._log_connection())

    def _log_connection(self) -> Connection:
        if self._connection is None:
            tables = [step.table for step in self._steps if isinstance(step, TableStep)]
            if tables:
                self._connection = tables[0]._schema.connection
            else:
                config = Config.load()
                self._connection = Connection(connection_settings(config), config)
        return self._connection

    def _shown(self, name: str) -> str:
        prefix = next((p for p in self._prefixes if name.startswith(p)), "")
        return name.removeprefix(prefix)[:255]

    def _row(self, index: int, step: Step) -> dict[str, Any]:
        is_table = isinstance(step, TableStep)
        return {
            "process": self._shown(step.name),
            "process_index": index,
            "full_table_name": step.name if is_table else "",
            "key_source": counting(step.table()) if isinstance(step, TableStep) else None,
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "run_duration": self._run_duration,
            "sleep_duration": self._sleep_duration,
            "max_idled_cycle": self._max_idled_cycle,
            "autoclear_error_patterns": self._patterns,
            "db_prefix": self._prefixes,
            "stale_timeout_hours": None if self._stale_s is None else self._stale_s / 3600,
        }


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _like(attribute: str, pattern: str) -> str:
    quoted = pattern.replace("\\", "\\\\").replace("'", "''")
    return f"{attribute} LIKE '{quoted}'"
