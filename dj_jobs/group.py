"""Many short jobs in one transaction, committed together after a moment.

A commit waits for the disk, which for a job of a millisecond is most of its time. What a job does stays
all or nothing, rows and the end of the job together; only when it becomes durable, and is told to anyone,
is up to `jobs.group_commit_s` later, or when the job that runs then has ended: once one has been seen to
take longer than that, those that follow are committed each by itself. The jobs of a group are ended right
before the commit, most of them by one statement: a job that had been ended earlier would be locked for as
long as the next one takes, for whoever renews leases beside us, cancels or releases. Where the transaction
is lost, they are still reserved by us, and are run again one by one.

Each job has a savepoint, so that it can fail alone. Where a savepoint costs a wait, that is a third of a
short job, and there are none until the first job fails: then the transaction is rolled back with the jobs
before it, which are run again one by one, and those that come after have savepoints.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from dj_jobs import finish
from dj_jobs.job import Claim, Outcome
from dj_schema.errors import DataJointError, LostConnectionError
from dj_schema.transaction import transaction
from dj_schema.waiting_rows import WaitingRows

if TYPE_CHECKING:
    from dj_jobs.table import JobTable

Ended = tuple[Claim, Outcome]

_MOST_JOBS = 60  # PostgreSQL keeps 64 savepoints of a transaction at hand, and looks on its disk for more


class _RolledBackError(Exception):
    """Has a transaction roll back."""


class Group:
    """The jobs of one worker since its last commit.

    Parameters
    ----------
    longest_s : float
        How long a finished job may wait for its commit; 0 commits each by itself.
    has_failures : bool
        Jobs are known to fail, so that each has a savepoint.

    Attributes
    ----------
    is_rolled_back : bool
        Of the jobs that were lost last, it is known that nothing was kept.
    keeps_completed : bool
        Jobs that are done stay in the job table, each ended by a statement of its own.
    """

    def __init__(self, jobs: JobTable, longest_s: float, *, has_failures: bool = False) -> None:
        self._jobs = jobs
        self._connection = jobs.connection
        self._longest_s = longest_s
        self._context: ExitStack | None = None
        self._started = 0.0
        self._n_rows_before = 0  # those that had waited when the job began which runs now
        self._has_savepoints = has_failures or jobs.connection.dialect.flags.has_cheap_savepoints
        self._undone: list[Ended] = []
        self.keeps_completed = bool(jobs.connection.config.jobs.keep_completed)
        self.has_failures = has_failures
        self.is_rolled_back = False
        self.ended: list[Ended] = []

    def open(self) -> None:
        """Begin a transaction for the jobs to come, where none is open; called before each job."""
        if self._longest_s > 0 and self._context is None:
            with ExitStack() as stack:
                stack.enter_context(transaction(self._connection, guarded=True))
                self._context, self._started = stack.pop_all(), time.monotonic()
            if not self._has_savepoints:
                self._connection.transaction_state.waiting = WaitingRows()
        waiting = self._connection.transaction_state.waiting
        self._n_rows_before = waiting.n_added if waiting is not None else 0

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open, in which the jobs of the group are ended together."""
        return self._context is not None

    @property
    def is_joined(self) -> bool:
        """Whether a job has nothing of its own in the open transaction: it fails with all before it."""
        return self.is_open and not self._has_savepoints

    def give_up_early(self) -> bool:
        """Give up the transaction where rows still wait of a job that failed: what they meet it never saw.

        So each job of it is run again, by itself, and its rows do not wait.
        """
        state = self._connection.transaction_state
        waiting = state.waiting if self.is_joined else None
        if waiting is None or waiting.n_added <= max(waiting.n_taken, self._n_rows_before):
            return False
        state.is_doomed = self.has_failures = self._has_savepoints = True
        return True

    def undo(self) -> None:
        """A job failed: what it did is undone; those before it too, without a savepoint or a session."""
        self.has_failures = True
        if self.is_joined or self.is_cut_off():
            self._undone, self.ended, self.is_rolled_back = [*self._undone, *self.ended], [], True
            self._roll_back()
        self._has_savepoints = True

    def end(self) -> None:
        """Begin no further transaction: the jobs to come are long, and end one by one."""
        self._longest_s = 0.0

    def add(self, claim: Claim, outcome: Outcome) -> None:
        self.ended.append((claim, outcome))

    @property
    def is_due(self) -> bool:
        """Whether the jobs that ended have waited long enough, or can wait no longer."""
        is_full = self._has_savepoints and len(self.ended) >= _MOST_JOBS
        too_long = time.monotonic() - self._started >= self._longest_s
        return self._context is None or is_full or too_long or self.is_cut_off()

    def is_cut_off(self) -> bool:
        """Whether the server has ended the transaction: a lost connection, or a deadlock on MySQL."""
        if self._context is None:
            return False
        return self._is_broken()

    def _is_broken(self) -> bool:
        return not self._connection.in_transaction or self._connection.transaction_state.is_doomed

    def cancel(self) -> None:
        """Roll the transaction back, and let go of its jobs, which are still reserved."""
        self.ended = []
        self._roll_back()

    def _roll_back(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            with suppress(_RolledBackError, LostConnectionError), context:
                raise _RolledBackError

    def commit(self) -> tuple[list[Ended], list[Ended]]:
        """End the jobs that are still open, and the transaction.

        Returns
        -------
        kept, lost : lists of (claim, outcome)
            Jobs that are committed, and those whose transaction was not kept, or of which it is not known.
        """
        ended, self.ended = self.ended, []
        undone, self._undone = self._undone, []
        context, self._context = self._context, None
        if context is None:
            return ended, undone
        is_broken = self._is_broken()
        try:
            with context:
                if not is_broken:
                    self._end_jobs(ended)
        except DataJointError as e:  # also of rows that are refused now: whose they are shows one by one
            self.has_failures = True
            self.is_rolled_back = is_broken or not isinstance(e, LostConnectionError)
            return [], ended
        return ended, []

    def _end_jobs(self, ended: Sequence[Ended]) -> None:
        traceless = [claim for claim, outcome in ended if outcome.is_open and outcome.end is None]
        finish.complete_all(self._jobs, traceless)
        for _, outcome in ended:
            if outcome.end is not None:
                outcome.end()
