"""A process of a worker with several: goes over the tables when told, and tells its parent what it does."""

from __future__ import annotations

import logging
import os
import pickle
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from dj_jobs.job import Worker as Identity
from dj_jobs.presence import Presence
from dj_schema.connection import Connection
from dj_schema.errors import ConnectionRefusedByServerError, LostConnectionError
from dj_workers.plan import Plan, TableClass, name_of, plan_of
from dj_workers.pools.child import Post
from dj_workers.pools.messages import Broken, CallStep, Doing, StepCalled
from dj_workers.pools.origin import Bound, ChildSetup, Origin, find, take_over
from dj_workers.pools.rescue import after_death
from dj_workers.shutdown import tell_on_request
from dj_workers.steps import Steps
from dj_workers.work import Work, one_pass
from dj_workers.workings import activity_text

log = logging.getLogger("datajoint.workers")


@dataclass(frozen=True)
class Task:
    """What a new process of a worker has to know: its tables, and whom it replaces (process number).

    Attributes
    ----------
    name : str
        Of the worker.
    """

    origins: list[Origin]
    bound: Bound
    work: Work
    name: str
    replaces: int | None


class _ChildPresence(Presence):
    """What a child does, for its parent, which is in the registry for all of its children."""

    def __init__(self, connection: Connection, name: str, post: Post) -> None:
        super().__init__(connection, Identity.of_this_process(f"{name}/{os.getpid()}"), ())
        self._post = post

    def beat(self, connection: Connection) -> None:
        for activity in list(self.running.values()):
            with suppress(OSError):  # the parent was killed; the leases are renewed nevertheless
                # by the monotonic clock, which the processes of a host share
                self._post.send(Doing(activity.table, activity.key, activity.since))


def work_in_child(post: Post, argument: tuple[ChildSetup | None, Connection, bytes]) -> None:
    setup, connection, data = argument
    if setup is not None:
        setup(connection)
    task: Task = pickle.loads(data)
    classes = [find(origin) for origin in task.origins]
    for cls in classes:
        connection = take_over(cls, task.bound, connection)
    _go_over(post, plan_of(cast("list[TableClass]", classes)), task.work, task.name, task.replaces)
    connection.close()


def work_in_fork(post: Post, argument: tuple[Plan, Work, str, int | None]) -> None:
    _go_over(post, *argument)


def _go_over(post: Post, plan: Plan, work: Work, name: str, replaces: int | None) -> None:
    connection = plan.tables[0]._schema.connection
    presence = _ChildPresence(connection, name, post)
    post.end_with_parent(work.grace_s(connection.config))
    tell_on_request(lambda: activity_text(presence))
    steps = Steps(work.steps, connection, plan.tables[0]._class_info.schema)
    if replaces is not None:
        for cls in plan.tables:
            for outcome in after_death(cls(), replaces, post.events):
                post.report(name_of(cls), outcome)
    for order in post.orders:
        if isinstance(order, CallStep):
            if (called := steps.call(order.number)) is not None:
                post.send(StepCalled(*called))
            continue
        options = work.options(order.n_calls)
        outcomes = one_pass(
            plan,
            order.due,
            options,
            post.events,
            post.orders.should_stop,
            lambda table, reason: post.send(Broken(table, reason)),
            presence,
        )
        try:
            for table, outcome in outcomes:
                post.report(table, outcome)
        except (LostConnectionError, ConnectionRefusedByServerError) as e:
            if work.is_once:
                raise
            log.warning("the server is away, it is asked again soon: %s", e)
