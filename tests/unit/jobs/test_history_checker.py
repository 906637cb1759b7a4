"""The judge of histories: it accepts what may happen, and refuses each thing that must not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chaos.checker import violations
from tests.chaos.history import Fault, History, InputChange, Job, Key, Move, Note, RowChange, Rules

LEASE_S = 10.0


class Script:
    """Writes a history, one committed thing after the other, a second apart."""

    def __init__(self, **rules: Any) -> None:
        self.rules = Rules(longest_limbo_s=30, longest_overtaking_s=5, **rules)
        self.now = 1000.0
        self.jobs: dict[Key, Job | None] = {}
        self.moves: list[Move] = []
        self.rows: list[RowChange] = []
        self.inputs: list[InputChange] = []
        self.notes: list[Note] = []
        self.faults: list[Fault] = []
        self._seq = 0

    def seq(self) -> int:
        self._seq += 1
        return self._seq

    def wait(self, seconds: float = 1.0) -> None:
        self.now += seconds

    def move(self, key: Key, after: Job | None, session: int = 0, transaction: str = "") -> None:
        self.wait()
        before = self.jobs.get(key)
        self.jobs[key] = after
        self.moves.append(Move(self.seq(), self.now, key, before, after, session, transaction))

    def add(self, key: Key, priority: int = 5) -> None:
        self.inputs.append(InputChange(self.seq(), key, 1))
        self.move(key, Job("pending", priority=priority, scheduled=self.now))

    def now_of(self, key: Key) -> Job:
        job = self.jobs[key]
        assert job is not None
        return job

    def claim(self, key: Key, token: str, pid: int) -> None:
        before = self.now_of(key)
        lease = self.now + 1 + LEASE_S
        attempts = before.attempts + 1
        self.move(
            key,
            replace(
                before,
                status="reserved",
                token=token,
                lease_until=lease,
                attempts=attempts,
                pid=pid,
                session=pid + 1000,
            ),
        )
        self.notes += [Note(kind, pid, self.now, key, token) for kind in ("claimed", "began")]

    def renew(self, key: Key) -> None:
        self.move(key, replace(self.now_of(key), lease_until=self.now + 1 + LEASE_S))

    def complete(self, key: Key, *, keep: bool = False, seen: int = 1) -> None:
        job = self.now_of(key)
        session, transaction = job.pid + 1000, f"t{self._seq}"
        self.rows.append(RowChange(self.seq(), self.now, key, 1, seen, session, transaction))
        self.move(
            key, replace(job, status="success", lease_until=None) if keep else None, session, transaction
        )
        self.notes.append(Note("told", job.pid, self.now, key, str(job.token), "success"))

    def back(self, key: Key, **counts: int) -> None:
        job = self.now_of(key)
        changed = {name: getattr(job, name) + by for name, by in counts.items()}
        self.move(key, replace(job, status="pending", token=None, lease_until=None, **changed))

    def fail(self, key: Key, error: str) -> None:
        self.move(key, replace(self.now_of(key), status="error", token=None, lease_until=None, error=error))

    def history(self) -> History:
        return History(self.moves, self.rows, self.inputs, self.notes, self.faults, self.rules)


def test_a_job_may_be_left_where_nobody_works() -> None:
    s = a_good_run()
    s.add(8)
    s.claim(8, "x", pid=1)
    s.wait(LEASE_S + 400)
    s.back(8, rescues=1)
    s.claim(8, "y", pid=2)
    s.complete(8)
    assert violations(s.history()) == []


def a_good_run() -> Script:
    """Everything that may happen to keys, once."""
    endings = dict.fromkeys((1, 2, 4, 7), "row") | {3: "error:ValueError", 5: "error:WorkerLost", 6: "empty"}
    s = Script(attempts=2, max_rescues=2, endings=endings)
    for key in endings:
        s.add(key)
    s.claim(1, "a", pid=1)
    s.renew(1)
    s.complete(1)
    s.claim(2, "b", pid=1)  # rescued after its lease
    s.wait(LEASE_S + 1)
    s.back(2, rescues=1)
    s.claim(2, "c", pid=2)
    s.complete(2, keep=True)
    s.claim(3, "d", pid=2)  # tried twice, and released in between
    s.back(3)
    s.claim(3, "e", pid=1)
    s.back(3, attempts=-1)
    s.claim(3, "f", pid=1)
    s.fail(3, "ValueError: no")
    s.claim(4, "g", pid=1)  # rescued at once, because its process is gone
    s.faults.append(Fault("kill", s.now, pids=frozenset({1})))
    s.back(4, rescues=1)
    s.inputs.append(InputChange(s.seq(), 4, 2))
    s.claim(4, "h", pid=2)
    s.back(4, attempts=-1, faults=1)
    s.claim(4, "i", pid=2)
    s.complete(4, seen=2)
    for token in "jk":
        s.claim(5, token, pid=3)
        s.faults.append(Fault("kill", s.now, pids=frozenset({3})))
        if token == "j":
            s.back(5, rescues=1)
    s.fail(5, "WorkerLost: died 2 times")
    s.claim(6, "l", pid=2)
    s.move(6, replace(s.now_of(6), status="success", lease_until=None, is_empty=True))
    s.claim(7, "m", pid=2)
    s.complete(7)
    return s


def test_a_good_run_is_accepted() -> None:
    assert violations(a_good_run().history()) == []


# -- each of these is one defect ---------------------------------------------------------------------


def steal(s: Script) -> None:
    """Two claims that overlap: the second takes the job from the first."""
    s.add(8)
    s.claim(8, "x", pid=1)
    s.claim(8, "y", pid=2)
    s.complete(8)


def take_early(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=2)
    s.back(8, rescues=1)
    s.claim(8, "y", pid=4)
    s.complete(8)


def believe_in_vain(s: Script) -> None:
    s.notes.append(Note("claimed", 4, s.now, 1, "a"))


def claim_what_is_not_there(s: Script) -> None:
    s.notes.append(Note("claimed", 4, s.now, 9, "z"))


def use_a_token_twice(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.back(8, attempts=-1)
    s.claim(8, "x", pid=1)
    s.complete(8)


def skip_a_move(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.moves.pop()
    s.complete(8)


def revive(s: Script) -> None:
    """From done to reserved, without a claim."""
    s.move(2, replace(s.now_of(2), status="reserved", token="c"))


def insert_twice(s: Script) -> None:
    s.rows.append(replace(s.rows[0], seq=s.seq(), transaction="again"))


def insert_twice_at_once(s: Script) -> None:
    s.rows.append(replace(s.rows[0], seq=s.rows[0].seq))


def commit_the_row_alone(s: Script) -> None:
    """The row in one transaction, the end of the job in the next."""
    s.rows[0] = replace(s.rows[0], transaction="another")


def lose_the_row(s: Script) -> None:
    del s.rows[0]


def call_it_empty(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.rows.append(RowChange(s.seq(), s.now, 8, 1, 1, 1001, "t"))
    s.move(8, replace(s.now_of(8), status="success", lease_until=None, is_empty=True), 1001, "t")


def tell_too_early(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.notes.append(Note("told", 1, s.now, 8, "x", "success"))
    s.back(8, attempts=-1)


def leave_reserved(s: Script) -> None:
    s.add(1_0)
    s.claim(10, "x", pid=1)
    s.rules = replace(s.rules, endings={**s.rules.endings, 10: "row"})


def forget_a_key(s: Script) -> None:
    s.rules = replace(s.rules, endings={**s.rules.endings, 11: "row"})


def find_late(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.wait(LEASE_S + 40)
    s.add(9)
    s.claim(9, "z", pid=2)
    s.complete(9)
    s.back(8, rescues=1)
    s.claim(8, "y", pid=2)
    s.complete(8)


def fail_for_another_reason(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.fail(8, "LostConnectionError: gone")
    s.rules = replace(s.rules, endings={**s.rules.endings, 8: "row"})


def fail_too_early(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.fail(8, "ValueError: no")
    s.rules = replace(s.rules, endings={**s.rules.endings, 8: "error:ValueError"})


def give_up_too_early(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.wait(LEASE_S + 1)
    s.fail(8, "WorkerLost: died")
    s.rules = replace(s.rules, endings={**s.rules.endings, 8: "error:WorkerLost"})


def miscount_a_claim(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.moves[-1] = replace(s.moves[-1], after=replace(s.now_of(8), attempts=2))
    s.jobs[8] = s.moves[-1].after
    s.complete(8)


def keep_the_token(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.move(8, replace(s.now_of(8), status="pending", lease_until=None))


def keep_the_lease(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.move(8, replace(s.now_of(8), status="success", is_empty=True))


def insert_what_is_stale(s: Script) -> None:
    s.add(8)
    s.claim(8, "x", pid=1)
    s.inputs.append(InputChange(s.seq(), 8, 2))
    s.complete(8, seen=1)


def starve(s: Script) -> None:
    s.add(8, priority=1)
    for key in range(20, 40):
        s.add(key, priority=7)
        s.claim(key, f"t{key}", pid=1)
        s.complete(key)


DEFECTS: dict[Callable[[Script], None], str] = {
    steal: "one owner",
    take_early: "one owner",
    believe_in_vain: "one owner",
    claim_what_is_not_there: "one owner",
    use_a_token_twice: "one owner",
    skip_a_move: "one owner",
    revive: "one owner",
    insert_twice: "exactly one effect",
    insert_twice_at_once: "exactly one effect",
    commit_the_row_alone: "exactly one effect",
    lose_the_row: "exactly one effect",
    call_it_empty: "exactly one effect",
    tell_too_early: "exactly one effect",
    leave_reserved: "nothing lost",
    forget_a_key: "nothing lost",
    find_late: "nothing lost",
    fail_for_another_reason: "nothing lost",
    fail_too_early: "nothing lost",
    give_up_too_early: "nothing lost",
    miscount_a_claim: "nothing lost",
    keep_the_token: "nothing lost",
    keep_the_lease: "nothing lost",
    insert_what_is_stale: "never stale",
    starve: "no starvation",
}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda d: d.__name__)
def test_each_defect_is_seen_for_what_it_is(defect: Callable[[Script], None]) -> None:
    s = a_good_run()
    defect(s)
    assert DEFECTS[defect] in {v.guarantee for v in violations(s.history())}


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_history_with_a_move_left_out_is_refused(data: st.DataObject) -> None:
    """Of a key with something after it, no committed move can be missing unnoticed."""
    s = a_good_run()
    followed = [i for i, m in enumerate(s.moves) if any(n.key == m.key for n in s.moves[i + 1 :])]
    del s.moves[data.draw(st.sampled_from(followed))]
    assert violations(s.history())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_history_with_two_moves_in_the_wrong_order_is_refused(data: st.DataObject) -> None:
    s = a_good_run()
    key = data.draw(st.sampled_from(sorted({m.key for m in s.moves})))
    own = [i for i, m in enumerate(s.moves) if m.key == key]
    a, b = data.draw(st.lists(st.sampled_from(own), min_size=2, max_size=2, unique=True))
    first, second = s.moves[a], s.moves[b]
    s.moves[a], s.moves[b] = replace(first, seq=second.seq), replace(second, seq=first.seq)
    assert violations(s.history())
