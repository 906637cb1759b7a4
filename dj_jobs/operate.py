"""What operators ask of jobs, and programs that claim a job by hand and run its make themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dj_jobs import attempts, clock, control, finish, wakeup
from dj_jobs.claim import TAKEN, assignments, reserved_by_us, user_of
from dj_jobs.keys import is_there
from dj_jobs.rescue import end_session, sessions_of
from dj_jobs.states import Status, sources_of, target_of
from dj_jobs.wakeup import News
from dj_query.compile import where_clause
from dj_query.write.delete import delete_own_rows
from dj_schema.codecs.chain import chain_of
from dj_schema.errors import DuplicateError, JobError
from dj_schema.sql import Ident, Param, Sql, sql

if TYPE_CHECKING:
    from dj_jobs.table import JobTable

_NULL = sql("NULL")


def _move(jobs: JobTable, edge: str, sets: Mapping[str, Sql | Param]) -> int:
    """Move all jobs of a restricted job table that are in a state which the edge leaves."""
    target = target_of(edge)
    assert target is not None
    states = jobs & [{"status": s.value} for s in sources_of(edge)]
    moved = assignments({**sets, "status": Param(target.value)})
    where = where_clause(states.select, jobs.connection.dialect)
    with jobs.connection.atomic():
        n = jobs.connection.execute(sql("UPDATE {} SET {}{}", Ident(*jobs.table_id), moved, where)).n_rows
        if n and target is Status.PENDING:
            wakeup.tell(jobs.connection, jobs.target.table_id, News.JOBS)
    return n


def fresh(jobs: JobTable) -> dict[str, Sql | Param]:
    """Return what a job is set to that is to be run as if for the first time."""
    return {
        "status": Param(Status.PENDING.value),
        "scheduled_time": clock.now(jobs.connection),
        "reserved_time": _NULL,
        "completed_time": _NULL,
        "duration": _NULL,
        "error_message": Param(""),
        "error_stack": _NULL,
        "_token": _NULL,
        "_lease_until": _NULL,
        "_is_empty": Param(False),
        "_attempts": Param(0),
        "_faults": Param(0),
        "_rescues": Param(0),
    }


def retry(jobs: JobTable) -> int:
    """Make failed jobs pending."""
    return _move(jobs, "retry", fresh(jobs))


def cancel(jobs: JobTable) -> int:
    """Have jobs passed over, also those that run: their workers find no claim any more, and write nothing.

    What keeps their inputs locked is ended: a worker that is stopped would never do that.
    """
    sessions = sessions_of(jobs, with_main=False)
    why = f"JobCancelledError: cancelled by {user_of(jobs.connection)}"
    history = Ident(attempts.HISTORY)
    sets: dict[str, Sql | Param] = {
        attempts.HISTORY: sql(
            "CASE WHEN {} = {} THEN {} ELSE {} END",
            Ident("status"),
            Param(Status.RESERVED.value),
            attempts.appended(jobs, "cancelled", why),
            history,
        ),
        "completed_time": clock.now(jobs.connection),
        "error_message": Param(why),
        **TAKEN,
        "_token": _NULL,
        "_lease_until": _NULL,
    }
    n = _move(jobs, "cancel", sets)
    for session, since in sessions:
        end_session(jobs, session, since)
    return n


def release_worker(jobs: JobTable, worker: str) -> int:
    """Give back all that a worker holds; it finds no claim any more, and writes nothing.

    Its sessions are ended, so that nothing is locked for whoever computes the keys now: it may be stopped.
    """
    sessions = sessions_of(jobs & {"_worker": worker[:255]}, with_main=True)
    held = sql(
        "{} = {} AND {} = {}",
        Ident("status"),
        Param(Status.RESERVED.value),
        Ident("_worker"),
        Param(worker[:255]),
    )
    n = finish.release_where(jobs, held, jobs.connection, TAKEN)
    for session, since in sessions:
        end_session(jobs, session, since)
    return n


def unignore(jobs: JobTable) -> int:
    """Make ignored jobs pending."""
    return _move(jobs, "unignore", fresh(jobs))


def delete(jobs: JobTable) -> int:
    """Delete jobs; of those by which a worker could learn what became of its claim, it is noted."""
    telling: list[dict[str, Any]] = [{"status": Status.RESERVED.value}, {"_was_taken": True}]
    if jobs & telling:
        control.can_note_removals(jobs)
    with jobs.connection.atomic():
        n = delete_own_rows(jobs - telling)
        if n_telling := delete_own_rows(jobs & telling):
            control.note_removal(jobs)  # after it, as it may have waited for a worker's transaction
    return n + n_telling


def ignore(jobs: JobTable, key: dict[str, Any]) -> None:
    """Mark a key to be passed over, adding a job for it where there is none."""
    _refuse_done(jobs, key)
    if _move(jobs & key, "ignore", {}):
        return
    if not jobs & key:
        _refuse_done(jobs, key)  # a job that ended just now is gone with its end
        priority = jobs.connection.config.jobs.default_priority
        try:
            jobs.insert([{**key, "status": Status.IGNORE.value, "priority": priority}])
            return
        except DuplicateError:  # a refresh has added it meanwhile
            if _move(jobs & key, "ignore", {}):
                return
    raise JobError(f"the job {key} of {jobs.target.full_table_name} is being computed, or is done.")


def _refuse_done(jobs: JobTable, key: dict[str, Any]) -> None:
    if is_there(jobs.target, key):
        raise JobError(
            f"the key {key} of {jobs.target.full_table_name} is done: its row is there. A job of it that is "
            "left goes by (jobs & key).delete(); where the row is not to be there, delete it, then ignore "
            "the key."
        )


def complete_reserved(jobs: JobTable, key: dict[str, Any], duration_s: float | None) -> None:
    """End a job that `reserve` claimed, for programs that run `make` themselves."""
    keep = jobs.connection.config.jobs.keep_completed
    target = jobs & key & reserved_by_us(jobs, key)
    sets: dict[str, Sql | Param] = {
        "completed_time": clock.now(jobs.connection),
        "duration": Param(duration_s),
        "_lease_until": _NULL,
    }
    n = _move(target if keep else target & {"_was_taken": True}, "complete", sets)
    if not n and not keep:
        n = delete_own_rows(target.reserved)
    _expect_one(jobs, key, n)


def fail_reserved(jobs: JobTable, key: dict[str, Any], message: str, stack: str | None) -> None:
    """Record the failure of a job that `reserve` claimed."""
    sets: dict[str, Sql | Param] = {
        "_history": attempts.appended(jobs, "error", message, stack or ""),
        "completed_time": clock.now(jobs.connection),
        "error_message": Param(message if len(message) <= 2047 else message[:2035] + "...truncated"),
        "error_stack": Param(chain_of("<blob>").encode(stack)) if stack is not None else _NULL,
        "_token": _NULL,
        "_lease_until": _NULL,
    }
    _expect_one(jobs, key, _move(jobs & key & reserved_by_us(jobs, key), "fail", sets))


def _expect_one(jobs: JobTable, key: dict[str, Any], n: int) -> None:
    if n != 1:
        raise JobError(f"the job {key} of {jobs.target.full_table_name} is not reserved by this process.")
