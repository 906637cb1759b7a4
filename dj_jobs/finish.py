"""The edges out of `reserved`, each one statement that names the token it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import UUID

from dj_jobs import attempts, clock, control, wakeup
from dj_jobs.claim import assignments, take
from dj_jobs.job import Claim
from dj_jobs.states import Status, target_of
from dj_jobs.wakeup import News
from dj_schema.codecs.chain import chain_of
from dj_schema.errors import ClaimLostError
from dj_schema.sql import Ident, Param, Sql, idents, join, sql

if TYPE_CHECKING:
    from dj_jobs.table import JobTable
    from dj_schema.connection import Connection

_NULL = sql("NULL")
_TRUE = sql("TRUE")


def _leave_reserved(jobs: JobTable, claim: Claim, edge: str, **sets: Sql | Param) -> bool:
    """Move one job out of `reserved` along an edge; False where the claim is no longer ours."""
    target = target_of(edge)
    if target is None:
        text = jobs.heading.memo("delete_reserved", lambda: _delete_reserved(jobs))
        params = (*claim.key.values(), claim.token)
        return jobs.connection.run(text, params).n_rows == 1
    ours = sql(
        "{} AND {} = {} AND {} = {}",
        join(" AND ", (sql("{} = {}", Ident(k), Param(v)) for k, v in claim.key.items())) or _TRUE,
        Ident("_token"),
        Param(claim.token),
        Ident("status"),
        Param(Status.RESERVED.value),
    )
    # the history comes first, because MySQL reads what stands before an assignment as it is after it
    moved = assignments({**sets, "status": Param(target.value)})
    statement = sql("UPDATE {} SET {} WHERE {}", Ident(*jobs.table_id), moved, ours)
    return jobs.connection.execute(statement).n_rows == 1


def _delete_reserved(jobs: JobTable) -> str:
    """The text that every job without a trace ends with; its values are the key and the token."""
    place = Sql(("%s",))
    key = join(" AND ", (sql("{} = {}", Ident(k), place) for k in jobs.heading.primary_key)) or _TRUE
    table = Ident(*jobs.table_id)
    reserved = Sql((f"'{Status.RESERVED.value}'",))
    statement = sql(
        "DELETE FROM {} WHERE {} AND {} = {} AND {} = {}",
        table, key, Ident("_token"), place, Ident("status"), reserved,
    )  # fmt: skip
    return jobs.connection.render(statement).text


def complete(jobs: JobTable, claim: Claim, duration_s: float, *, has_rows: bool, keep: bool) -> None:
    """End a job well; called inside the transaction of its rows.

    A job without rows is kept, so that it is not run again (ruling 28).

    Raises
    ------
    ClaimLostError
        Where the claim is no longer ours: the caller's transaction must roll back.
    """
    if keep or not has_rows:
        is_ours = _leave_reserved(
            jobs,
            claim,
            "complete",
            completed_time=clock.now(jobs.connection),
            duration=Param(duration_s),
            error_message=Param(""),  # of an attempt before this one
            error_stack=_NULL,
            _is_empty=Param(not has_rows),
            _lease_until=_NULL,
        )
    else:
        is_ours = _leave_reserved(jobs, claim, "complete_and_forget")
    if not is_ours:
        raise ClaimLostError(
            f"the claim on {claim.key} of {jobs.target.full_table_name} was lost before its end: "
            "the lease ran out, or the job was taken back. Nothing was written; whoever holds the key now "
            "computes it."
        )


def complete_all(jobs: JobTable, claims: Sequence[Claim]) -> None:
    """End jobs well that leave no trace, in one statement; called inside the transaction of their rows.

    Raises
    ------
    ClaimLostError
        Where one of the claims is no longer ours: the caller's transaction must roll back.
    """
    if not claims:
        return
    table = Ident(*jobs.table_id)
    n = jobs.connection.execute(sql("DELETE FROM {} WHERE {}", table, _held_by(jobs, claims))).n_rows
    if n != len(claims):
        raise ClaimLostError(
            f"{len(claims) - n} of {len(claims)} claims on {jobs.target.full_table_name} were lost before "
            "their end; nothing was written."
        )


def _held_by(jobs: JobTable, claims: Sequence[Claim]) -> Sql:
    """The condition that tells the jobs of these claims that are still ours."""
    names = jobs.heading.primary_key
    tokens = join(", ", (Param(token) for token in {claim.token for claim in claims}))
    ours = sql(
        "{} = {} AND {} IN ({})", Ident("status"), Param(Status.RESERVED.value), Ident("_token"), tokens
    )
    if not names:
        return ours
    keys = join(", ", (sql("({})", join(", ", (Param(c.key[n]) for n in names))) for c in claims))
    return sql("{} AND ({}) IN ({})", ours, idents(names), keys)


def fail(jobs: JobTable, claim: Claim, message: str, stack: str, duration_s: float) -> bool:
    """Record a final failure; False where the claim is no longer ours."""
    return _leave_reserved(
        jobs,
        claim,
        "fail",
        _history=attempts.appended(jobs, "error", message, stack),
        completed_time=clock.now(jobs.connection),
        duration=Param(duration_s),
        error_message=Param(message),
        error_stack=Param(chain_of("<blob>").encode(stack)),
        _token=_NULL,
        _lease_until=_NULL,
    )


def retry_later(
    jobs: JobTable, claim: Claim, wait_s: float, message: str, stack: str, *, is_fault: bool
) -> bool:
    """Return a job to pending after a failure that is not final; False where it is no longer ours."""
    return _leave_reserved(
        jobs,
        claim,
        "retry_later",
        _history=attempts.appended(jobs, "retried", message, stack),
        scheduled_time=clock.after(jobs.connection, wait_s),
        error_message=Param(message),
        error_stack=Param(chain_of("<blob>").encode(stack)),
        _token=_NULL,
        _lease_until=_NULL,
        _attempts=Param(claim.attempt - 1 if is_fault else claim.attempt),
        _faults=Param(claim.n_faults + is_fault),
    )


def release(jobs: JobTable, claim: Claim) -> bool:
    """Give a job back untouched; its attempt does not count."""
    is_released = _leave_reserved(
        jobs,
        claim,
        "release",
        _token=_NULL,
        _lease_until=_NULL,
        _attempts=Param(max(0, claim.attempt - 1)),
    )
    if is_released:
        wakeup.tell(jobs.connection, jobs.target.table_id, News.JOBS)
    return is_released


def release_all(jobs: JobTable, claims: Sequence[Claim], connection: Connection | None = None) -> int:
    """Give jobs of one claim back that were never begun; return how many were still ours."""
    if not claims:
        return 0
    return release_where(jobs, _held_by(jobs, claims), connection or jobs.connection)


def release_token(jobs: JobTable, token: UUID) -> int:
    """Give back all that is still held with a token, which may be more than is known of here."""
    is_reserved = sql("{} = {}", Ident("status"), Param(Status.RESERVED.value))
    return release_where(
        jobs, sql("{} AND {} = {}", is_reserved, Ident("_token"), Param(token)), jobs.connection
    )


def release_free(jobs: JobTable, token: UUID) -> int:
    """Give back what is held with a token, passing over rows that its session has locked."""
    is_reserved = sql("{} = {}", Ident("status"), Param(Status.RESERVED.value))
    held = sql("{} AND {} = {}", is_reserved, Ident("_token"), Param(token))
    n = len(take(jobs, held, _MOST_OF_A_CLAIM, assignments(_RELEASED), ()))
    if n:
        wakeup.tell(jobs.connection, jobs.target.table_id, News.JOBS)
    return n


_MOST_OF_A_CLAIM = 1000
_RELEASED: Mapping[str, Sql | Param] = {
    "status": Param(Status.PENDING.value),
    "_token": _NULL,
    "_lease_until": _NULL,
    "_attempts": sql("{} - 1", Ident("_attempts")),
}


def release_where(
    jobs: JobTable, these: Sql, connection: Connection, also: Mapping[str, Sql] = MappingProxyType({})
) -> int:
    """Give back the jobs of a condition, which says that they are reserved."""
    sets = assignments({**also, **_RELEASED})
    statement = sql("UPDATE {} SET {} WHERE {}", Ident(*jobs.table_id), sets, these)
    with connection.atomic():
        n = connection.execute(statement).n_rows
        if n:
            wakeup.tell(connection, jobs.target.table_id, News.JOBS)
    return n


def forget(jobs: JobTable, claim: Claim) -> bool:
    """Remove a job whose row is there already, or is not wanted any more."""
    if not claim.was_taken:
        return _leave_reserved(jobs, claim, "complete_and_forget")
    control.can_note_removals(jobs)
    with jobs.connection.atomic():
        is_forgotten = _leave_reserved(jobs, claim, "complete_and_forget")
        if is_forgotten:
            control.note_removal(jobs)
    return is_forgotten
