"""How far the work is: counts of jobs by state, and of keys done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_jobs.states import Status
from dj_query.compile import where_clause
from dj_schema.sql import Ident, sql

if TYPE_CHECKING:
    from dj_jobs.table import JobTable


def counts(jobs: JobTable) -> dict[str, int]:
    """Return the number of jobs in each state, and their total, in one statement."""
    where = where_clause(jobs.select, jobs.connection.dialect)
    status = Ident("status")
    statement = sql("SELECT {}, count(*) FROM {}{} GROUP BY {}", status, Ident(*jobs.table_id), where, status)
    found = {str(s): int(n) for s, n in jobs.connection.execute(statement, is_read=True).rows}
    by_state = {status.value: found.get(status.value, 0) for status in Status}
    return {**by_state, "total": sum(by_state.values())}
