"""The edges between two states of a job, told by what changed: independent of the engine's own table."""

from __future__ import annotations

from tests.chaos.history import Job, Move

ENDS = ("complete", "forget")
_WAYS_BACK = {
    # by the change of attempts, faults and rescues
    (0, 0, 1): "rescue",
    (-1, 0, 1): "rescue",
    (-1, 0, 0): "release",
    (-1, 1, 0): "fault",
    (0, 0, 0): "retry",
}
_KEEPS_COUNTS = ("renew", "complete", "cancel", "fail", "give_up", "ignore", "reschedule")
_PLAIN: dict[tuple[str | None, str | None], str] = {
    (None, "pending"): "add",
    (None, "ignore"): "ignore",
    ("pending", "reserved"): "claim",
    ("pending", "pending"): "reschedule",
    ("pending", "ignore"): "ignore",
    ("pending", None): "drop",
    ("reserved", "success"): "complete",
    ("reserved", None): "forget",
    ("reserved", "ignore"): "cancel",
    ("error", "pending"): "again",
    ("error", "ignore"): "ignore",
    ("error", None): "drop",
    ("success", "pending"): "again",
    ("success", None): "drop",
    ("ignore", "pending"): "again",
    ("ignore", "ignore"): "ignore",
    ("ignore", None): "drop",
}


def edge_of(before: Job | None, after: Job | None) -> str | None:
    """Return the name of the edge between two states; None where there is no such edge."""
    statuses = (before.status if before else None, after.status if after else None)
    if statuses in _PLAIN:
        return _PLAIN[statuses]
    if before is None or after is None or before.status != "reserved":
        return None
    if after.status == "reserved":
        return "renew" if after.token == before.token else None
    if after.status == "error":
        return "give_up" if after.error.startswith("WorkerLost") else "fail"
    if after.status == "pending":
        return _way_back(before, after)
    return None


def _way_back(before: Job, after: Job) -> str | None:
    """Tell the four ways from reserved to pending by their counts."""
    change = (
        after.attempts - before.attempts,
        after.faults - before.faults,
        after.rescues - before.rescues,
    )
    if change == (-1, 0, 1) and before.rescues:
        return None  # only at the first rescue is it not known whether a job of a batch had begun
    return _WAYS_BACK.get(change)


def sums_up(move: Move) -> str:
    """Return what is wrong with the counts of a move; nothing where they add up."""
    before, after = move.before, move.after
    edge = edge_of(before, after)
    if before is None or after is None or edge is None:
        return ""
    change = (
        after.attempts - before.attempts,
        after.faults - before.faults,
        after.rescues - before.rescues,
    )
    if edge == "claim" and change != (1, 0, 0):
        return f"a claim changed the counts of attempts, faults and rescues by {change}"
    if edge == "again" and (after.attempts, after.faults, after.rescues) != (0, 0, 0):
        return f"a job that begins anew has counts: {after}"
    if edge in _KEEPS_COUNTS and change != (0, 0, 0):
        return f"the edge {edge} changed the counts of attempts, faults and rescues by {change}"
    if after.status != "reserved" and after.lease_until is not None:
        return f"a job that is {after.status} has a lease until {after.lease_until}"
    if after.status in ("pending", "error") and after.token is not None:
        return f"a job that is {after.status} carries a token"
    return ""
