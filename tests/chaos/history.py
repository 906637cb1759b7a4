"""What happened to the jobs of one table: values that a checker reads, whoever recorded them.

Three sources, none of which trusts another. The database records each change of a job, of a result and of
an input, by triggers, in the transaction of the change: what was rolled back is not in it. Workers note
what they believe they hold and have done. Who breaks things notes what was broken, and when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Key = int


@dataclass(frozen=True, slots=True)
class Job:
    """A row of a job table, as far as the guarantees speak of it.

    Attributes
    ----------
    lease_until, scheduled : float or None
        By the server's clock, in seconds since 1970.
    session : int
        The session that holds it, as the job says.
    """

    status: str
    token: str | None = None
    lease_until: float | None = None
    attempts: int = 0
    faults: int = 0
    rescues: int = 0
    priority: int = 5
    scheduled: float = 0.0
    pid: int = 0
    session: int = 0
    is_empty: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """One committed change of a job. The numbers of the moves of one key are in the order of its commits.

    Attributes
    ----------
    before, after : Job or None
        None is "no row".
    at : float
        By the server's clock.
    session : int
        The session that made the change.
    """

    seq: int
    at: float
    key: Key
    before: Job | None
    after: Job | None
    session: int = 0
    transaction: str = ""


@dataclass(frozen=True, slots=True)
class RowChange:
    """A result that was inserted or deleted, committed.

    Attributes
    ----------
    change : int
        1 for an insert, -1 for a delete.
    seen : int or None
        The version of its input that the result says it was computed from.
    is_foreign : bool
        By somebody who has nothing to do with jobs.
    """

    seq: int
    at: float
    key: Key
    change: int
    seen: int | None = None
    session: int = 0
    transaction: str = ""
    is_foreign: bool = False


@dataclass(frozen=True, slots=True)
class InputChange:
    """An input that has had a version since this change was committed."""

    seq: int
    key: Key
    version: int


@dataclass(frozen=True, slots=True)
class Note:
    """What a worker believes: ``claimed``, ``began``, ``ended`` or ``told`` (of success, to anyone)."""

    kind: str
    pid: int
    at: float
    key: Key
    token: str
    result: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What was broken.

    Attributes
    ----------
    pids, sessions : frozenset of int
        Workers whose process or connection it may have cost; sessions that it has ended.
    hits_all : bool
        It was the server.
    until : float
        When it was over, for one that lasts.
    """

    kind: str
    at: float
    pids: frozenset[int] = frozenset()
    sessions: frozenset[int] = frozenset()
    hits_all: bool = False
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What the engine was told, and what is expected of it.

    Attributes
    ----------
    endings : mapping
        How each key has to end: ``row``, ``empty``, or ``error:`` and how the message begins; or any of
        several, with ``|`` in between.
    longest_limbo_s : float
        After its lease a job may stay reserved for so long, while workers claim others of its table.
    longest_overtaking_s : float
        For so long may less urgent jobs be claimed while one is due.
    """

    max_rescues: int = 3
    max_faults: int = 5
    attempts: int = 1
    endings: Mapping[Key, str] = field(default_factory=dict)
    longest_limbo_s: float = 60.0
    longest_overtaking_s: float = 30.0


@dataclass(frozen=True, slots=True)
class History:
    """All of one run, of one table."""

    moves: Sequence[Move]
    rows: Sequence[RowChange] = ()
    inputs: Sequence[InputChange] = ()
    notes: Sequence[Note] = ()
    faults: Sequence[Fault] = ()
    rules: Rules = Rules()


@dataclass(frozen=True, slots=True)
class Violation:
    """A guarantee that did not hold.

    Attributes
    ----------
    guarantee : str
        Its name, as `checker.GUARANTEES` has it.
    """

    guarantee: str
    key: Key | None
    what: str

    def __str__(self) -> str:
        of = "" if self.key is None else f" of key {self.key}"
        return f"{self.guarantee}{of}: {self.what}"
