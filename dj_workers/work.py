"""What a worker is to do, what it did, and one pass over its tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from dj_jobs import populate as populating
from dj_jobs.events import Events
from dj_jobs.job import Outcome, Result
from dj_jobs.options import Options
from dj_jobs.presence import Presence
from dj_schema.errors import AccessError, ConnectionRefusedByServerError, DataJointError, LostConnectionError
from dj_schema.names import job_table_name
from dj_schema.settings import Config
from dj_workers.plan import Plan, name_of
from dj_workers.steps import Step

log = logging.getLogger("datajoint.workers")

FIRST_PAUSE_S = 0.1
DONE = (Result.SUCCESS, Result.EMPTY, Result.SKIP)


@dataclass(frozen=True)
class Work:
    """What a worker is to do.

    Attributes
    ----------
    is_once : bool
        End when nothing is left that can be computed now, rather than wait for more.
    is_drain : bool
        End when no job is left at all: wait for retries, and for what other workers hold.
    idle_exit_s : float or None
        End when there was nothing to do for so long.
    max_idle_cycles : int or None
        End after so many looks in a row that found nothing.
    run_duration_s : float or None
        End after so long, once the running jobs are done.
    max_calls : int or None
        Calls of `make` over all tables and processes.
    poll_interval_s : float
        The longest pause between two looks. Pauses are short at first, and grow.
    sleep_duration_s : float or None
        A pause that does not grow, in place of these.
    restrictions : tuple
        Of the key source of each table.
    steps : tuple of Step
        Functions that are called now and then.
    max_tasks_per_child, max_memory_mb : int or None
        Replace a child process after so many calls of `make`, or when it holds more memory.
    shutdown_timeout_s : float or None
        How long running jobs have after SIGTERM or SIGINT; by default the setting `jobs.shutdown_timeout`.
    """

    is_once: bool = False
    is_drain: bool = False
    idle_exit_s: float | None = None
    max_idle_cycles: int | None = None
    run_duration_s: float | None = None
    max_calls: int | None = None
    poll_interval_s: float = 10.0
    sleep_duration_s: float | None = None
    restrictions: tuple[Any, ...] = ()
    priority: int | None = None
    make_kwargs: dict[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    max_tasks_per_child: int | None = None
    max_memory_mb: float | None = None
    shutdown_timeout_s: float | None = None

    @property
    def first_pause_s(self) -> float:
        return (
            min(FIRST_PAUSE_S, self.longest_pause_s)
            if self.sleep_duration_s is None
            else self.longest_pause_s
        )

    @property
    def longest_pause_s(self) -> float:
        return self.poll_interval_s if self.sleep_duration_s is None else self.sleep_duration_s

    def grace_s(self, config: Config) -> float:
        """Return how long running jobs have after a signal."""
        return config.jobs.shutdown_timeout if self.shutdown_timeout_s is None else self.shutdown_timeout_s

    def options(self, max_calls: int | None) -> Options:
        return Options(
            restrictions=self.restrictions,
            max_calls=max_calls,
            make_kwargs=self.make_kwargs,
            priority=self.priority,
            refresh=None,
            suppress_errors=True,
            reserve_jobs=True,
            outlives_exit=True,
        )


@dataclass
class Tally:
    """How many keys ended how, by table.

    Attributes
    ----------
    broken : dict
        Tables that could not be worked on, with the reason; and steps whose last call raised.
    """

    by_table: dict[str, dict[Result, int]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def add(self, table: str, outcome: Outcome) -> None:
        counts = self.by_table.setdefault(table, {})
        counts[outcome.result] = counts.get(outcome.result, 0) + 1

    def is_broken(self, name: str, reason: str) -> None:
        """Take note of what cannot be worked on, and say so where that is news."""
        if self.broken.get(name) != reason:
            log.error("cannot work on %s: %s", name, reason)
        self.broken[name] = reason

    def count(self, *results: Result) -> int:
        return sum(counts.get(r, 0) for counts in self.by_table.values() for r in results)

    @property
    def has_failures(self) -> bool:
        return self.count(Result.ERROR) > 0 or bool(self.broken)


def one_pass(
    plan: Plan,
    due: Collection[str],
    options: Options,
    events: Events,
    should_stop: Callable[[], bool],
    broken: Callable[[str, str], None],
    presence: Presence | None = None,
) -> Iterator[tuple[str, Outcome]]:
    """Go once over the tables that are due; where one yields rows, those that depend on it are due too.

    Yields
    ------
    (schema.table, outcome)
    """
    visit = set(due)
    left = options.max_calls
    for cls in plan.tables:
        name = name_of(cls)
        if name not in visit or should_stop() or left == 0:
            continue
        limited = options if left is None else replace(options, max_calls=left)
        try:
            outcomes = populating.reserved(cls(), limited, events, presence=presence, should_stop=should_stop)
            for outcome in outcomes:
                left = None if left is None else left - 1
                if outcome.result in DONE:
                    visit |= plan.downstream[name]
                yield name, outcome
        except (LostConnectionError, ConnectionRefusedByServerError):
            raise
        except DataJointError as e:
            broken(name, reason_of(cls, e))


def reason_of(cls: Any, error: DataJointError) -> str:
    """Return why a table cannot be worked on, with what to do about it."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, AccessError):
        schema, table = cls._class_info.full_name
        user = cls._schema.connection.user or "the user of the workers"
        text = (
            f"{text.rstrip('.')}. Workers need SELECT, INSERT, UPDATE and DELETE on all tables of the schema "
            f"{schema}, among them the job table {job_table_name(table)}, and the right to create tables "
            f"there until that is made: grant them to {user}, or leave the table out with "
            f"--exclude {cls.__name__}."
        )
    return text
