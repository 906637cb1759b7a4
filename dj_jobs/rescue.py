"""Rescue: jobs whose worker is dead or silent go back to pending. It is part of claiming and of refreshing.

A worker is silent where its lease has ended; dead where the server no longer knows the sessions of one
that connects as the same user (a session of another user may be hidden from us). The sessions of a silent
one are ended first, so that what its transactions have locked is free for whoever computes the key now.
Of jobs that were claimed before the server was started, the lease alone tells.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dj_jobs import attempts, clock, wakeup
from dj_jobs.claim import TAKEN, assignments, take, user_of
from dj_jobs.control import takes_turn
from dj_jobs.states import Status
from dj_jobs.wakeup import News
from dj_schema.errors import DataJointError
from dj_schema.sql import Ident, Param, Sql, sql

if TYPE_CHECKING:
    from dj_jobs.table import JobTable

log = logging.getLogger("datajoint.jobs")

_BATCH = 1000
_NULL = sql("NULL")


def rescue(jobs: JobTable) -> int:
    """Return jobs of dead workers to pending; one that has cost too many workers becomes an error."""
    most = jobs.connection.config.jobs.max_rescues
    dead = is_dead(jobs)
    worn_out = _is_last_death(most)
    # a look that locks nothing, because mostly nobody is dead
    look = sql(
        "SELECT {}, {}, min({}), min({}), max(CASE WHEN {} THEN 1 ELSE 0 END), "
        "max(CASE WHEN {} THEN 1 ELSE 0 END) FROM {} WHERE {} GROUP BY {}, {}",
        Ident("connection_id"),
        Ident("_lock_session"),
        Ident("reserved_time"),
        Ident("_lease_until"),
        worn_out,
        _silent(jobs),
        Ident(*jobs.table_id),
        dead,
        Ident("connection_id"),
        Ident("_lock_session"),
    )
    found = jobs.connection.execute(look, is_read=True).rows
    if not found:
        return 0
    alive = _alive(jobs) if any(row[5] for row in found) else set()
    lease = timedelta(seconds=float(jobs.connection.config.jobs.lease_timeout))
    for session, lock_session, reserved, lease_until, _, is_silent in found:
        # when the job was last known to be held by these sessions; later ones may have their numbers
        since = max(reserved, lease_until - lease) if lease_until is not None else reserved
        if is_silent and session not in alive:
            end_session(jobs, int(session), since)
        if lock_session:
            end_session(jobs, int(lock_session), since)
    n = 0
    if any(row[4] for row in found):
        n += len(take(jobs, sql("{} AND {}", dead, worn_out), _BATCH, _giving_up(jobs, most), ()))
    n_pending = len(take(jobs, sql("{} AND NOT {}", dead, worn_out), _BATCH, _returning(jobs), ()))
    if n_pending:
        wakeup.tell(jobs.connection, jobs.target.table_id, News.JOBS)
    return n + n_pending


def is_our_turn(jobs: JobTable, every_s: float) -> bool:
    """Whether this worker is to look for the dead now, as one of all that compute the table.

    Each look reads what everybody holds, so that thousands of workers that all looked would fill the server.
    """
    schema, name = jobs.table_id
    turn = f"rescue {hashlib.sha256(name.encode()).hexdigest()[:40]}"
    return takes_turn(jobs.connection, schema, turn, every_s)


def _is_last_death(most: int) -> Sql:
    """The condition that the death of its worker is the last that a job may cause.

    One of a batch may not have begun: it is never given up before it was run by itself.
    """
    enough = sql("{} + 1 >= {}", Ident("_rescues"), Param(most))
    return sql("({} AND ({} > 0 OR {} = 1))", enough, Ident("_rescues"), Ident("_batch"))


def _alive(jobs: JobTable) -> set[int]:
    """The sessions that hold other jobs and renew them.

    What such a one has let run out is what it has finished, and commits together with the job that it runs.
    """
    statement = sql(
        "SELECT DISTINCT {} FROM {} WHERE {} = {} AND NOT {}",
        Ident("connection_id"),
        Ident(*jobs.table_id),
        Ident("status"),
        Param(Status.RESERVED.value),
        _silent(jobs),
    )
    return {int(row[0]) for row in jobs.connection.execute(statement, is_read=True).rows}


def _silent(jobs: JobTable) -> Sql:
    return sql("{} < {}", Ident("_lease_until"), clock.now(jobs.connection))


def is_dead(jobs: JobTable) -> Sql:
    """Return the condition that a worker holds a job, and is dead or silent."""
    connection = jobs.connection
    live = connection.dialect.jobs.LIVE_SESSIONS
    return sql(
        "{} = {} AND {} IS NOT NULL"
        " AND ({} OR ({} = {} AND {} > {} AND {} NOT IN ({}) AND {} NOT IN ({}) AND EXISTS ({})))",
        Ident("status"),
        Param(Status.RESERVED.value),
        Ident("_token"),  # else another program holds it, and only orphan_timeout tells
        _silent(jobs),
        Ident("user"),
        Param(user_of(connection)),
        Ident("reserved_time"),  # a server that was started since has ended the sessions of the living too
        connection.dialect.jobs.SERVER_START,
        Ident("connection_id"),
        live,
        Ident("_lease_session"),
        live,
        live,  # where a server shows no session at all, not even ours, none is known to be gone
    )


def sessions_of(jobs: JobTable, *, with_main: bool) -> list[tuple[int, datetime]]:
    """Return the sessions that hold locks for the reserved ones of these jobs, and when they were there.

    Parameters
    ----------
    with_main : bool
        Also those in which their workers write.
    """
    columns = ["_lock_session", "connection_id"] if with_main else ["_lock_session"]
    times = ("reserved_time", "_lease_until")
    held = (jobs & {"status": Status.RESERVED.value} & "_token IS NOT NULL").proj(*columns, *times)
    lease = timedelta(seconds=float(jobs.connection.config.jobs.lease_timeout))
    found: dict[int, datetime] = {}
    for row in held.to_dicts():
        until = row["_lease_until"]
        since = row["reserved_time"] if until is None else max(row["reserved_time"], until - lease)
        found |= {int(row[name]): since for name in columns if row[name]}
    return list(found.items())


def end_session(jobs: JobTable, session: int, since: datetime) -> None:
    """End the session of a worker whose claim is lost, where it is still there and we may."""
    connection = jobs.connection
    if session == connection.session_id:
        return  # ours: a job of this process, which has been silent for too long
    try:
        is_ended = connection.dialect.jobs.end_session(connection.execute, session, since)
    except DataJointError as e:
        log.warning("the session %d of a worker cannot be ended: %s", session, e)
        return
    if is_ended:
        log.warning(
            "ended session %d of a worker whose claim on jobs of %s is over", session, jobs.full_table_name
        )


def _giving_up(jobs: JobTable, n_deaths: int) -> Sql:
    times = "once" if n_deaths == 1 else f"{n_deaths} times"
    why = f"WorkerLost: the worker of this key died {times}; see whether it runs out of memory"
    return assignments(
        {
            "_history": attempts.appended(jobs, "rescued", why),
            "status": Param(Status.ERROR.value),
            "completed_time": clock.now(jobs.connection),
            "error_message": Param(why),
            "error_stack": _NULL,
            **TAKEN,
            "_token": _NULL,
            "_lease_until": _NULL,
        }
    )


def _returning(jobs: JobTable) -> Sql:
    why = "the worker died, or its lease ran out"
    # The first time, a key of a batch may not have begun, and its attempt does not count. It is then run by
    # itself. The order matters: MySQL reads what stands before an assignment as it is after it.
    attempt = sql("CASE WHEN {} > 1 AND {} = 0 THEN 1 ELSE 0 END", Ident("_batch"), Ident("_rescues"))
    return assignments(
        {
            "_history": attempts.appended(jobs, "rescued", why),
            "_attempts": sql("{} - {}", Ident("_attempts"), attempt),
            "_rescues": sql("{} + 1", Ident("_rescues")),
            "status": Param(Status.PENDING.value),
            **TAKEN,
            "_token": _NULL,
            "_lease_until": _NULL,
        }
    )
