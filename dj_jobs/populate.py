"""Computing what is missing: in direct mode key by key, in reserved mode by claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dj_jobs.events import Events
from dj_jobs.job import Outcome, Result, Worker
from dj_jobs.keys import key_source_of, missing_keys
from dj_jobs.lease import LeaseKeeper
from dj_jobs.limits import Gate
from dj_jobs.loop import Loop
from dj_jobs.options import Options
from dj_jobs.presence import Presence
from dj_jobs.refresh import refresh_once
from dj_jobs.run import Runner
from dj_jobs.run_unreserved import run_key
from dj_jobs.waiting import Retries
from dj_query.where import Exists

if TYPE_CHECKING:
    from dj_jobs.table import JobTable
    from dj_query.table import Table


def direct(
    table: Table, options: Options, events: Events, *, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[Outcome]:
    """Compute the missing keys one after the other, without jobs."""
    keys = missing_keys(table, options.restrictions).keys(order_by="KEY", limit=options.max_calls)
    yield from run_keys(table, keys, options, events, should_stop)


def run_keys(
    table: Table,
    keys: Sequence[Mapping[str, Any]],
    options: Options,
    events: Events,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Compute these keys one after the other, without jobs."""
    runner = Runner(table, Worker.of_this_process(), events, options.make_kwargs, options.timeout_s)
    for key in keys:
        if should_stop():
            return
        try:
            outcome = run_key(runner, key)
        except BaseException:
            table.connection.forsake_transaction()
            raise
        yield outcome
        if outcome.result is Result.ERROR and not options.suppress_errors:
            return


def reserved(
    table: Any,
    options: Options,
    events: Events,
    *,
    worker: Worker | None = None,
    presence: Presence | None = None,
    said: set[str] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Claim and compute until nothing is due; what a failure or a stop leaves claimed is given back.

    Retries that this call caused and that are due soon are waited for.

    Parameters
    ----------
    presence : Presence, optional
        Of a worker that lasts longer than this call; else the call has one of its own.
    said : set of str, optional
        What was told before of why jobs are left alone, by calls without a presence; it is not told again.
    """
    worker = worker or (presence.worker if presence is not None else Worker.of_this_process())
    jobs: JobTable = table.jobs
    wants_refresh = table.connection.config.jobs.auto_refresh if options.refresh is None else options.refresh
    runner = Runner(
        table, worker, events, options.make_kwargs, options.timeout_s, outlives_exit=options.outlives_exit
    )
    if wants_refresh and (n_rescued := refresh_once(jobs, options.restrictions)):
        runner.teller.rescued(n_rescued)
    claimable = restricted_jobs(jobs, options.restrictions)
    is_alone = presence is None
    presence = presence or Presence(table.connection, worker, [table.table_id], said=said)
    gate = Gate(claimable, worker)
    retries = Retries(claimable, options.priority)
    loop = Loop(claimable, runner, options, should_stop, presence, is_alone, gate, retries)
    try:
        with LeaseKeeper(table.connection, presence) as keeper:
            try:
                yield from loop.run(keeper, has_rescued=wants_refresh)
            finally:
                loop.tell_news()
    finally:
        gate.close()
        if is_alone:
            presence.leave(table.connection)


def restricted_jobs(jobs: JobTable, restrictions: Sequence[Any]) -> JobTable:
    """Return the jobs of the keys that match restrictions of the key source."""
    if not restrictions:
        return jobs
    if all(isinstance(r, Mapping) and set(r) <= set(jobs.heading.primary_key) for r in restrictions):
        for restriction in restrictions:
            jobs = jobs & restriction
        return jobs
    source = key_source_of(jobs.target, restrictions)
    return jobs._where(Exists(source.select, tuple(jobs.heading.primary_key)))
