"""The judge: whether the five guarantees held in a history. Pure; it knows no server and no engine.

====================  ================================================================================
one owner             a claim is taken from nobody who may still be alive, and a token serves once
exactly one effect    a result and the end of its job are one transaction, of whoever held the claim
nothing lost          every key ends, for the right reason, and soon after its lease where a worker died
never stale           a result was computed from the input as it was when the result was inserted
no starvation         nothing less urgent is claimed for long while a job is due
====================  ================================================================================
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.chaos.edges import ENDS, edge_of, sums_up
from tests.chaos.history import Fault, History, Job, Key, Move, RowChange, Violation

Check = Callable[[History], Iterator[Violation]]
_INFRASTRUCTURE = ("LostConnection", "Deadlock", "LockTimeout", "ConnectionRefused")
_CLOCKS_DIFFER_S = 1.0  # what is noted outside of the server, and when it took effect


def violations(history: History) -> list[Violation]:
    """Return all that went against a guarantee; nothing where they held."""
    return [found for check in GUARANTEES.values() for found in check(history)]


def _by_key(moves: Sequence[Move]) -> Mapping[Key, list[Move]]:
    found: dict[Key, list[Move]] = defaultdict(list)
    for move in sorted(moves, key=lambda m: m.seq):
        found[move.key].append(move)
    return found


# -- one owner -------------------------------------------------------------------------------------


def one_owner(history: History) -> Iterator[Violation]:
    name = "one owner"
    for key, moves in _by_key(history.moves).items():
        now: Job | None = None
        claimed_at = 0.0
        spent: set[str] = set()
        for move in moves:
            if move.before != now:
                yield Violation(name, key, f"move {move.seq} leaves {move.before}, but the job was {now}")
            now = move.after
            edge = edge_of(move.before, move.after)
            if edge is None:
                yield Violation(name, key, f"no edge leads from {move.before} to {move.after}")
            elif edge == "claim":
                assert move.after is not None
                claimed_at = move.at
                if move.after.token is None or move.after.token in spent:
                    yield Violation(name, key, f"claimed with token {move.after.token}, which fences none")
                spent.add(move.after.token or "")
            elif edge in ("rescue", "give_up") and not _is_due(history.faults, move, claimed_at):
                yield Violation(name, key, f"taken from a live owner: {move.before} at {move.at}")
    yield from _beliefs(history)


def _is_due(faults: Sequence[Fault], move: Move, claimed_at: float) -> bool:
    """Whether the lease had ended, or something may have ended the session of the owner since its claim."""
    owner = move.before
    assert owner is not None
    if owner.lease_until is not None and owner.lease_until < move.at:
        return True
    return any(
        f.at <= move.at + _CLOCKS_DIFFER_S
        and max(f.at, f.until) >= claimed_at - _CLOCKS_DIFFER_S
        and (f.hits_all or owner.pid in f.pids or owner.session in f.sessions)
        for f in faults
    )


def _beliefs(history: History) -> Iterator[Violation]:
    """What workers believe to hold is what the database gave to them, and to nobody else."""
    given = {
        (m.key, m.after.token): m.after.pid
        for m in history.moves
        if m.after is not None and edge_of(m.before, m.after) == "claim"
    }
    believers: dict[tuple[Key, str], set[int]] = defaultdict(set)
    for note in history.notes:
        if note.kind in ("claimed", "began"):
            believers[note.key, note.token].add(note.pid)
    for (key, token), pids in believers.items():
        if pids != {given.get((key, token))}:
            owner = given.get((key, token), "nobody")
            yield Violation(
                "one owner", key, f"{sorted(pids)} believe to hold it by {token}, given to {owner}"
            )


# -- exactly one effect ----------------------------------------------------------------------------


def exactly_one_effect(history: History) -> Iterator[Violation]:
    name = "exactly one effect"
    rows = _rows_by_key(history.rows)
    moves = _by_key(history.moves)
    for key in rows.keys() | moves.keys():
        yield from _row_and_end_together(key, rows.get(key, []), moves.get(key, []))
        n = 0
        for row in rows.get(key, []):
            n += row.change
            if n not in (0, 1):
                yield Violation(name, key, f"{n} results after {row}")
    # Of a job that is forgotten with its end nothing tells who ended it: a worker whose answer was lost may
    # tell of the success of another, which is true of the key.
    ended = {m.key for m in history.moves if edge_of(m.before, m.after) in ENDS}
    for note in history.notes:
        if note.kind == "told" and note.key not in ended:
            yield Violation(name, note.key, f"process {note.pid} told of a success that was never committed")


def _rows_by_key(rows: Sequence[RowChange]) -> Mapping[Key, list[RowChange]]:
    found: dict[Key, list[RowChange]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: r.seq):
        found[row.key].append(row)
    return found


def _row_and_end_together(key: Key, rows: Sequence[RowChange], moves: Sequence[Move]) -> Iterator[Violation]:
    name = "exactly one effect"
    unpaired = [r for r in rows if r.change > 0 and not r.is_foreign]
    for move in moves:
        if edge_of(move.before, move.after) not in ENDS:
            continue
        same = (move.session, move.transaction)
        own = [r for r in unpaired if (r.session, r.transaction) == same and r.seq < move.seq]
        for row in own[-1:]:
            unpaired.remove(row)
        is_empty = move.after is not None and move.after.is_empty
        if is_empty and own:
            yield Violation(name, key, f"the job ended as one without a result, which it has: {own[-1]}")
        elif not is_empty and not own and not _is_there(rows, move.seq):
            yield Violation(name, key, f"the job ended at {move.seq}, and there was no result")
    for row in unpaired:
        yield Violation(name, key, f"a result was committed without the end of its job after it: {row}")


def _is_there(rows: Sequence[RowChange], seq: int) -> bool:
    return sum(r.change for r in rows if r.seq < seq) > 0


# -- nothing lost ----------------------------------------------------------------------------------


def nothing_lost(history: History) -> Iterator[Violation]:
    name = "nothing lost"
    rules = history.rules
    by_key = _by_key(history.moves)
    results: Counter[Key] = Counter()
    for row in history.rows:
        results[row.key] += row.change
    claims = sorted(m.at for m in history.moves if edge_of(m.before, m.after) == "claim")
    for key, moves in by_key.items():
        for move in moves:
            if wrong := sums_up(move):
                yield Violation(name, key, wrong)
            lease = move.before.lease_until if move.before else None
            if lease is None or (move.after is not None and move.after.status == "reserved"):
                continue
            due = lease + rules.longest_limbo_s
            if bisect_left(claims, due) < bisect_left(claims, move.at):  # who claims rescues first
                yield Violation(name, key, f"left in reserved for {move.at - lease:.0f} s after its lease")
    for key, ending in rules.endings.items():
        moves = by_key.get(key, [])
        reasons = [_wrong_end(history, one, moves, results[key]) for one in ending.split("|")]
        if all(reasons):
            yield Violation(name, key, reasons[0])


def _wrong_end(history: History, ending: str, moves: Sequence[Move], n_results: int) -> str:
    last = moves[-1].after if moves else None
    status = "gone" if last is None else last.status
    if status in ("reserved", "pending"):
        return f"still {status}: {last}"
    is_ended = status in ("gone", "success")
    if ending == "row" and is_ended and n_results == 1 and not (last and last.is_empty):
        return ""
    if ending == "empty" and status == "success" and n_results == 0 and last is not None and last.is_empty:
        return ""
    if status == "error" and n_results == 0:
        assert last is not None
        if ending.startswith("error:") and last.error.startswith(ending.removeprefix("error:")):
            return _wrong_count(history, last, moves)
        if _is_excused(history, last, moves):
            return ""
    return f"expected {ending}, found {status} with {n_results} results: {last}"


def _wrong_count(history: History, last: Job, moves: Sequence[Move]) -> str:
    """Whether an error came after as many tries as it should have."""
    rules = history.rules
    edges = [(edge_of(m.before, m.after), m.before) for m in moves]
    if last.error.startswith("WorkerLost"):
        n = sum(edge == "rescue" for edge, _ in edges)
        return "" if n + 1 == rules.max_rescues else f"given up at death {n + 1} of its worker: {last}"
    if last.error.startswith("InputChanged"):
        return "" if last.faults == rules.max_faults else f"given up after {last.faults} faults: {last}"
    # an attempt that cost a worker counts too, and is followed by another in any case
    early = last.attempts < rules.attempts
    late = any(e == "retry" and before and before.attempts >= rules.attempts for e, before in edges)
    return f"failed for good too {'early' if early else 'late'}: {last}" if early or late else ""


def _is_excused(history: History, last: Job, moves: Sequence[Move]) -> bool:
    """A key may fail for what happened to its workers, once that was often enough."""
    n_rescues = sum(edge_of(m.before, m.after) == "rescue" for m in moves)
    if last.error.startswith("WorkerLost"):
        return n_rescues + 1 >= history.rules.max_rescues
    return last.error.startswith(_INFRASTRUCTURE) and last.faults >= history.rules.max_faults


# -- never stale -----------------------------------------------------------------------------------


def never_stale(history: History) -> Iterator[Violation]:
    versions: dict[Key, list[tuple[int, int]]] = defaultdict(list)
    for change in sorted(history.inputs, key=lambda c: c.seq):
        versions[change.key].append((change.seq, change.version))
    for row in history.rows:
        if row.change < 0 or row.seen is None:
            continue
        known = versions[row.key]
        i = bisect_left(known, (row.seq, -1)) - 1
        current = known[i][1] if i >= 0 else None
        if row.seen != current:
            yield Violation(
                "never stale", row.key, f"computed from version {row.seen} of its input, which was {current}"
            )


# -- no starvation ---------------------------------------------------------------------------------


def no_starvation(history: History) -> Iterator[Violation]:
    grace_s = history.rules.longest_overtaking_s
    claims: dict[int, list[float]] = defaultdict(list)
    for move in history.moves:
        if edge_of(move.before, move.after) == "claim":
            assert move.before is not None
            claims[move.before.priority].append(move.at)
    for times in claims.values():
        times.sort()
    last = max((m.at for m in history.moves), default=0.0)
    for key, moves in _by_key(history.moves).items():
        for move, following in zip(moves, [*moves[1:], None], strict=True):
            job = move.after
            if job is None or job.status != "pending":
                continue
            due = max(move.at, job.scheduled) + grace_s
            until = (following.at if following else last) - grace_s
            for priority, times in claims.items():
                if priority > job.priority and bisect_left(times, due) < bisect_right(times, until):
                    yield Violation(
                        "no starvation",
                        key,
                        f"due with priority {job.priority} for {until - due + 2 * grace_s:.1f} s, while jobs "
                        f"of priority {priority} were claimed",
                    )
                    break


GUARANTEES: Mapping[str, Check] = {
    "one owner": one_owner,
    "exactly one effect": exactly_one_effect,
    "nothing lost": nothing_lost,
    "never stale": never_stale,
    "no starvation": no_starvation,
}
