"""One worker on one table: it claims, computes and commits until nothing is due."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from dj_jobs import claim as claims
from dj_jobs import finish, wakeup
from dj_jobs.group import Group
from dj_jobs.job import Claim, Outcome, Result
from dj_jobs.lease import LeaseKeeper
from dj_jobs.limits import Gate
from dj_jobs.make_form import is_one_part
from dj_jobs.options import Options
from dj_jobs.presence import Presence
from dj_jobs.rescue import is_our_turn, rescue
from dj_jobs.run import Runner, lost_by
from dj_jobs.waiting import Retries
from dj_jobs.wakeup import News
from dj_schema.errors import ClaimLostError, ConnectionRefusedByServerError, LostConnectionError

if TYPE_CHECKING:
    from dj_jobs.table import JobTable

log = logging.getLogger("datajoint.populate")

_BATCH_S = 0.25  # so much work is claimed at once: much for short jobs, one for long ones
_LARGEST_BATCH = 200
_NEWS_EVERY_S = 0.05
_LONGEST_BATCH_S = 2.0  # what is left of a batch that takes longer goes back to all workers
_LONGEST_NAP_S = 0.2  # to be stopped in time
_PAUSE_FOR_ROOM_S = 0.5


def _apart(claimed: list[Claim]) -> tuple[list[Claim], list[Claim]]:
    """Return what to run of a claim, and what to give back: a key whose worker died is run by itself.

    So only that key is to blame where its worker dies again.
    """
    suspect = next((i for i, claim in enumerate(claimed) if claim.n_rescues), len(claimed))
    n = max(1, suspect)
    return claimed[:n], claimed[n:]


@dataclass
class Loop:
    """One worker on one table: claims in batches that suit how long jobs take."""

    jobs: JobTable
    runner: Runner
    options: Options
    should_stop: Callable[[], bool]
    presence: Presence
    waits_for_room: bool
    gate: Gate
    retries: Retries
    n_calls: int = 0
    is_failed: bool = False
    batch: int = 1
    has_long_jobs: bool = False
    has_failures: bool = False
    has_news: bool = False
    told_at: float = float("-inf")
    running: Claim | None = None

    def run(self, keeper: LeaseKeeper, *, has_rescued: bool) -> Iterator[Outcome]:
        if not has_rescued:
            self._rescue()
        next_rescue = time.monotonic() + self._rescue_interval_s()
        while not self._is_done():
            if time.monotonic() >= next_rescue:
                if is_our_turn(self.jobs, self._rescue_interval_s()):
                    self._rescue()
                next_rescue = time.monotonic() + self._rescue_interval_s()
            token = uuid4()
            try:
                asked = time.monotonic()
                claimed = self.gate.claim(self._batch_size(), self.options.priority, token)
                if claimed:
                    yield from self._run_claimed(keeper, claimed, asked)
                    continue
            except BaseException:
                self.jobs.connection.forsake_transaction()
                self._give_back(keeper, token)  # also what was claimed and is in nobody's hands yet
                raise
            if self.gate.has_changed() or self._rescue() or self._waited():
                continue
            if self.gate.closed and self.presence.is_news(self.gate.closed):
                log.warning("%s", self.gate.closed)
            return

    def _run_claimed(self, keeper: LeaseKeeper, claimed: list[Claim], asked: float) -> Iterator[Outcome]:
        self.runner.teller.claimed(claimed)
        claimed, others = _apart(claimed)
        keeper.hold(self.jobs, claimed, asked)
        self.runner.teller.released(finish.release_all(self.jobs, others))
        yield from self._run_batch(keeper, claimed)
        if claimed[0].n_rescues:
            self.batch = 1

    def _run_batch(self, keeper: LeaseKeeper, claimed: list[Claim]) -> Iterator[Outcome]:
        started = time.perf_counter()
        left = list(claimed)
        group_commit_s = self._group_commit_s()
        group = Group(self.jobs, group_commit_s, has_failures=self.has_failures)
        try:
            while left and not self.should_stop() and time.perf_counter() - started < _LONGEST_BATCH_S:
                claim = left.pop(0)
                if not self._begins(keeper, claim):
                    continue
                group.open()
                self.n_calls += 1
                outcome = self._run(claim, keeper, group)
                group.add(claim, outcome)
                if not outcome.is_open:
                    keeper.drop(self.jobs, claim)
                if outcome.duration_s > group_commit_s:
                    self.has_long_jobs = True
                    group.end()
                is_last = outcome.result is Result.ERROR and not self.options.suppress_errors
                if group.is_due or not left or is_last:
                    yield from self._committed(group, keeper)
                if is_last:
                    self.is_failed = True
                    break
            yield from self._committed(group, keeper)
        except GeneratorExit:
            if self.running is not None:  # raised by its make, which has rows and no end
                group.cancel()
                raise
            for claim, outcome in group.commit()[0]:  # nobody asks for more; what is done is done
                self._told(claim, outcome)
            raise
        except BaseException:
            group.cancel()  # the job that was interrupted may have rows in it, and not its end
            raise
        finally:
            self.has_failures = group.has_failures
            for claim in claimed:
                keeper.drop(self.jobs, claim)
        self.runner.teller.released(finish.release_all(self.jobs, left) + keeper.take_n_given_back())
        per_job_s = (time.perf_counter() - started) / max(1, len(claimed) - len(left))
        self.batch = max(1, min(_LARGEST_BATCH, self.batch * 8, int(_BATCH_S / max(per_job_s, 1e-6))))

    def _begins(self, keeper: LeaseKeeper, claim: Claim) -> bool:
        """Whether a claim is still ours, and not given back to others while the one before took long."""
        try:
            return keeper.start(self.jobs, claim)
        except ClaimLostError as e:
            self._told(claim, Outcome(claim.key, lost_by(e), 0.0, e))
            return False

    def _run(self, claim: Claim, keeper: LeaseKeeper, group: Group | None = None) -> Outcome:
        self.running = claim
        outcome = self.runner.run_claim(self.jobs, claim, group, keeper)
        self.running = None
        return outcome

    def _give_back(self, keeper: LeaseKeeper, token: UUID) -> None:
        """Give back all that is held, and tell of it; first of all of what was interrupted."""
        teller = self.runner.teller
        n_before = keeper.take_n_given_back()
        try:
            n = finish.release_token(self.jobs, token)
        except (LostConnectionError, ConnectionRefusedByServerError) as e:
            # this runs while another error is on its way, and a rescue does the same later
            log.warning("jobs are left to be rescued: %s", e)
            n = 0
        if n and self.running is not None:
            interrupted = Outcome(self.running.key, Result.RELEASED, 0.0)
            teller.ended(interrupted, self.running.attempt, self.running.token)
            n -= 1
        teller.released(n_before + n, token)

    def _committed(self, group: Group, keeper: LeaseKeeper) -> Iterator[Outcome]:
        """Commit a group; what its transaction lost is looked up by its token, and run again if ours."""
        kept, lost = group.commit()
        for claim, outcome in kept:
            keeper.drop(self.jobs, claim)
            self._told(claim, outcome)
        for claim, outcome in lost:
            known = self.runner.resolved(self.jobs, claim)
            if known is None:
                outcome = self._run_alone(claim, keeper)
            elif known is Result.SUCCESS and group.is_rolled_back:
                outcome = replace(outcome, result=Result.SKIP)  # by another program, which notes no removal
            elif known in (Result.LOST, Result.CANCELLED) and not self.runner.is_recorded(
                self.jobs, claim, outcome
            ):
                outcome = replace(outcome, result=known)
            keeper.drop(self.jobs, claim)
            yield self._told(claim, outcome)
        for _, outcome in kept:  # last: after a failure nobody may ask for more
            yield outcome

    def _run_alone(self, claim: Claim, keeper: LeaseKeeper) -> Outcome:
        """Run a job again whose transaction was lost, and commit it by itself."""
        keeper.drop(self.jobs, claim)
        keeper.hold(self.jobs, [claim], since=float("-inf"))  # how long it has been ours is not known
        try:
            is_ours = keeper.start(self.jobs, claim)
        except ClaimLostError as e:
            return Outcome(claim.key, lost_by(e), 0.0, e)
        return self._run(claim, keeper) if is_ours else Outcome(claim.key, Result.LOST, 0.0)

    def _told(self, claim: Claim, outcome: Outcome) -> Outcome:
        if outcome.result is Result.SUCCESS:
            self.has_news = True
            self.tell_news(_NEWS_EVERY_S)
        self.retries.note(outcome)
        self.presence.count(".".join(self.jobs.target.table_id), outcome)
        self.runner.teller.ended(outcome, claim.attempt, claim.token)
        return outcome

    def tell_news(self, every_s: float = 0.0) -> None:
        """Wake those who wait for rows: after the commit, as commits that notify wait for each other."""
        now = time.monotonic()
        if not self.has_news or now - self.told_at < every_s or self.jobs.connection.in_transaction:
            return
        self.has_news, self.told_at = False, now
        with suppress(LostConnectionError, ConnectionRefusedByServerError):  # who waits looks in time
            wakeup.tell(self.jobs.connection, self.jobs.target.table_id, News.ROWS)

    def _group_commit_s(self) -> float:
        """A make in parts must have no transaction open while it computes."""
        kind = type(self.runner.table)
        if self.has_long_jobs or not is_one_part(kind):
            return 0.0
        return float(self.jobs.connection.config.jobs.group_commit_s)

    def _is_done(self) -> bool:
        most = self.options.max_calls
        return self.is_failed or self.should_stop() or (most is not None and self.n_calls >= most)

    def _batch_size(self) -> int:
        most = self.options.max_calls
        return self.batch if most is None else min(self.batch, most - self.n_calls)

    def _rescue_interval_s(self) -> float:
        return float(self.jobs.connection.config.jobs.lease_timeout) / 3

    def _rescue(self) -> int:
        n = rescue(self.jobs)
        if n:
            log.warning("%d jobs of %s were left by dead workers", n, self.runner.table.full_table_name)
            self.runner.teller.rescued(n)
        return n

    def _waited(self) -> bool:
        """Wait for what can be expected soon: room below the limits of the table, or a retry."""
        if not (self.gate.is_full and self.waits_for_room):
            return self._waited_for_retry()
        if claims.seconds_until_due(self.jobs, self.options.priority) is None:
            return False
        self._sleep(_PAUSE_FOR_ROOM_S)
        return True

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0 and not self.should_stop():
            time.sleep(min(left_s, _LONGEST_NAP_S))

    def _waited_for_retry(self) -> bool:
        """Wait for a retry of this call that is due soon; False where there is none, or others have it."""
        if self.gate.closed or (wait_s := self.retries.wait_s()) is None:
            return False
        self._sleep(wait_s)
        return True
