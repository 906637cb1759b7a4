"""The state machine of a job: every state, and every edge that may lead from one to another.

::

            refresh                claim
    (none) ────────▶ pending ─────────────────▶ reserved
       ▲                ▲  ▲                     │ │ │ │
       │ delete         │  └─ release, rescue, ──┘ │ │ └── complete ──▶ success, or (none)
       │                │     retry_later          │ │
       └── any state    └──── retry ── error ◀─────┘ └──── cancel ──▶ ignore

Each edge is one statement that names the state and, from `reserved`, the token that it leaves; where
no row changes, the job was no longer there.
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The five states, in the words of the job table."""

    PENDING = "pending"
    RESERVED = "reserved"
    SUCCESS = "success"
    ERROR = "error"
    IGNORE = "ignore"


EDGES: dict[str, tuple[frozenset[Status | None], Status | None]] = {
    # name: (states it leaves, state it reaches); None is "no row"
    "add": (frozenset({None}), Status.PENDING),
    "claim": (frozenset({Status.PENDING}), Status.RESERVED),
    "complete": (frozenset({Status.RESERVED}), Status.SUCCESS),
    "complete_and_forget": (frozenset({Status.RESERVED}), None),
    "fail": (frozenset({Status.RESERVED}), Status.ERROR),
    "retry_later": (frozenset({Status.RESERVED}), Status.PENDING),
    "release": (frozenset({Status.RESERVED}), Status.PENDING),
    "rescue": (frozenset({Status.RESERVED}), Status.PENDING),
    "give_up": (frozenset({Status.RESERVED}), Status.ERROR),
    "retry": (frozenset({Status.ERROR}), Status.PENDING),
    "cancel": (frozenset({Status.PENDING, Status.RESERVED}), Status.IGNORE),
    "ignore": (frozenset({None, Status.PENDING, Status.ERROR, Status.IGNORE}), Status.IGNORE),
    "unignore": (frozenset({Status.IGNORE}), Status.PENDING),
    "repeat": (frozenset({Status.SUCCESS}), Status.PENDING),
}


def sources_of(edge: str) -> list[Status]:
    """Return the states of a job that an edge leaves."""
    return [status for status in Status if status in EDGES[edge][0]]


def target_of(edge: str) -> Status | None:
    """Return the state that an edge reaches; None where it removes the job."""
    return EDGES[edge][1]
