"""Tables that fill themselves: `Computed` from other tables, `Imported` from outside."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dj_jobs import populate as populating
from dj_jobs.arguments import seconds, whole
from dj_jobs.events import Events, Subscriber
from dj_jobs.job import Outcome, Result
from dj_jobs.job_log import log_event
from dj_jobs.keys import key_source_of, missing_keys
from dj_jobs.limits import Limits
from dj_jobs.make_form import check_make
from dj_jobs.options import Options, PoolRunner, Summary
from dj_jobs.retry import Retry
from dj_jobs.table import JobTable
from dj_query.schema import register_tier
from dj_query.table import FreeTable
from dj_query.user_table import UserTable
from dj_schema.errors import ArgumentTypeError, DataJointError, TransactionError
from dj_schema.names import Tier

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression

INLINE = "inline"
PROCESS = "process"
CELERY = "celery"
# Written while `datajoint` is imported, and by tests; read after that. A fork has a copy of its own.
_pools: dict[str, PoolRunner] = {}


def set_pool(name: str, runner: PoolRunner) -> None:
    """Say how ``populate(dispatch=name)`` computes elsewhere; the packages above this one know."""
    _pools[name] = runner


class AutoPopulate(UserTable):
    """A table whose rows `make` computes, one key at a time."""

    retry: ClassVar[Retry | None] = None
    timeout_s: ClassVar[float | None] = None
    limits: ClassVar[Limits | None] = None

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        for name, kind in (("retry", Retry), ("limits", Limits)):
            value = cls.__dict__.get(name)
            if value is not None and not isinstance(value, kind):
                raise ArgumentTypeError(
                    f"{name} of {cls.__name__} says how its jobs are run, and is a dj.{kind.__name__}(...), "
                    f"not {value!r}."
                )

    @property
    def key_source(self) -> QueryExpression:
        """The keys that should be here: the join of the tables that the primary key refers to.

        Override it to compute fewer.
        """
        key = self.heading.key_columns
        source: Any = None
        for fk in self.info.foreign_keys:
            if not all(child in key for child, _ in fk.pairs):
                continue
            parent = FreeTable.at(self.connection, *fk.parent).proj(**{c: p for c, p in fk.pairs if c != p})
            source = parent if source is None else source * parent
        if source is None:
            raise DataJointError(
                f"{self.full_table_name} refers to no table in its primary key, so it needs "
                "a key_source of its own."
            )
        return source  # type: ignore[no-any-return]

    @property
    def jobs(self) -> JobTable:
        """The jobs of this table; the job table is made at first use."""
        return JobTable.of_target(self)

    def progress(self, *restrictions: Any, display: bool = False) -> tuple[int, int]:
        """Return how many keys remain, and how many there are in all."""
        total = len(key_source_of(self, restrictions))
        remaining = len(missing_keys(self, restrictions))
        if display:
            done = total - remaining
            share = f"{done / total:.0%}" if total else "nothing to do"
            print(f"{type(self).__name__}: {done}/{total} ({share})")  # noqa: T201 - what display asks for
        return remaining, total

    def populate(
        self,
        *restrictions: Any,
        suppress_errors: bool = False,
        return_exception_objects: bool = False,
        reserve_jobs: bool = False,
        max_calls: int | None = None,
        display_progress: bool = False,
        processes: int = 1,
        make_kwargs: Mapping[str, Any] | None = None,
        priority: int | None = None,
        refresh: bool | None = None,
        limit: int | None = None,
        dispatch: Literal["inline", "process", "celery"] | None = None,
        wait: bool = True,
        timeout_s: float | None = None,
        on_event: Subscriber | None = None,
    ) -> dict[str, Any]:
        """Compute the rows that are missing.

        Parameters
        ----------
        *restrictions
            Compute only keys of the key source that match all of these.
        suppress_errors : bool
            Go on after a key that fails, and report it in the result.
        return_exception_objects : bool
            Report exceptions rather than their text.
        reserve_jobs : bool
            Share the work with other workers, each key for exactly one of them.
        max_calls : int
            Call `make` at most so often; `limit` is another name for it.
        display_progress : bool
            Show a progress bar.
        processes : int
            Compute in so many processes.
        make_kwargs : dict
            More arguments for `make`.
        priority : int
            With `reserve_jobs`, take only jobs as urgent as this, or more: lower is more urgent.
        refresh : bool
            With `reserve_jobs`, bring the jobs in line with the key source first; by default as the
            setting `jobs.auto_refresh` says.
        dispatch : {"inline", "process", "celery"}
            Where to compute: in this process, in others of this machine, or by Celery's workers. By default
            here, or in processes where `processes` is more than one.
        wait : bool
            False sends the work to Celery's workers and returns at once.
        timeout_s : float
            How long one `make` may take, in seconds; by default as `timeout_s` of the class says. A key
            that takes longer fails with `JobTimeoutError`. In a process pool its process is killed.
        on_event : callable
            Called in this process with each `dj.jobs.Event` of this call, also of what other processes of it
            compute; the kinds are in docs/workers.md. What it raises is logged, and harms nothing. Not with
            Celery, whose workers hear of what they compute.

        Returns
        -------
        dict
            ``success_count``, ``error_list`` with (key, error) pairs; ``success``, ``error`` and ``skip``
            as counts.
        """
        if self.connection.in_transaction:
            raise TransactionError("populate cannot run inside a transaction: each make has one of its own.")
        if self.is_restricted:
            raise DataJointError(
                "populate the whole table; what to compute is an argument: Table.populate(restriction)."
            )
        if max_calls is not None and limit is not None:
            raise DataJointError("limit is another name for max_calls; give one of them.")
        processes = whole("processes", processes, 1)
        if (most := limit if max_calls is None else max_calls) is not None:
            most = whole("max_calls" if limit is None else "limit", most, 0)
        pool = _pool_of(dispatch, processes, reserve_jobs=reserve_jobs, wait=wait)
        if timeout_s is not None:
            timeout_s = seconds("timeout_s", timeout_s, is_above_zero=True)
        if on_event is not None and not callable(on_event):
            raise DataJointError(f"on_event is a function that takes an event, not {on_event!r}.")
        if on_event is not None and pool == CELERY:
            raise DataJointError(
                'on_event hears nothing with dispatch="celery": what happens to a job is told in the Celery '
                "worker that computes it."
            )
        check_make(type(self), make_kwargs)
        options = Options(
            restrictions=restrictions,
            max_calls=most,
            make_kwargs=dict(make_kwargs or {}),
            priority=priority,
            refresh=refresh,
            suppress_errors=suppress_errors,
            reserve_jobs=reserve_jobs,
            wait=wait,
            timeout_s=timeout_s,
        )
        events = Events(log_event) if on_event is None else Events(log_event, on_event)
        summary = self._populate(options, pool, processes, events, display_progress)
        return summary.as_dict(return_exception_objects)

    def _populate(
        self, options: Options, pool: str, processes: int, events: Events, display_progress: bool
    ) -> Summary:
        summary = Summary()
        bar = _bar(self, options) if display_progress else None
        # closed here and now where it raises: what it holds must not wait for the traceback to be forgotten
        outcomes = self._outcomes(options, pool, processes, events)
        try:
            for outcome in outcomes:
                summary.add(outcome)
                if bar is not None and outcome.result not in (Result.RETRY, Result.LOST):
                    bar.update()
                if outcome.result is Result.ERROR and not options.suppress_errors:
                    assert outcome.error is not None
                    raise outcome.error
        finally:
            if isinstance(outcomes, Generator):
                outcomes.close()
            if bar is not None:
                bar.close()
        return summary

    def _outcomes(self, options: Options, pool: str, processes: int, events: Events) -> Iterator[Outcome]:
        if pool in _pools:
            return _pools[pool](self, options, processes, events)
        if pool != INLINE:
            raise DataJointError(f"no {pool} pool is set up; import datajoint rather than dj_jobs.")
        if options.reserve_jobs:
            return populating.reserved(self, options, events)
        return populating.direct(self, options, events)


def _pool_of(dispatch: str | None, processes: int, *, reserve_jobs: bool, wait: bool) -> str:
    """Return where to compute, or raise where what was asked for does not go together."""
    pool = dispatch or (PROCESS if processes > 1 else INLINE)
    if pool not in (INLINE, PROCESS, CELERY):
        raise DataJointError(f'dispatch is "inline", "process" or "celery", not {dispatch!r}.')
    if pool != PROCESS and processes > 1:
        raise DataJointError(f'processes={processes} needs dispatch="process", not {pool!r}.')
    if pool == CELERY and not reserve_jobs:
        raise DataJointError('dispatch="celery" shares the work by jobs; add reserve_jobs=True.')
    if not wait and pool != CELERY:
        raise DataJointError('wait=False needs dispatch="celery": nobody else would compute.')
    return pool


def _bar(table: AutoPopulate, options: Options) -> Any:
    from tqdm import tqdm

    total = len(missing_keys(table, options.restrictions))
    if options.max_calls is not None:
        total = min(total, options.max_calls)
    return tqdm(total=total, desc=type(table).__name__)


class Computed(AutoPopulate):
    """Rows computed from other tables."""

    tier: ClassVar[Tier] = Tier.COMPUTED


class Imported(AutoPopulate):
    """Rows read from files or instruments."""

    tier: ClassVar[Tier] = Tier.IMPORTED


for _tier in (Computed, Imported):
    register_tier(_tier)
