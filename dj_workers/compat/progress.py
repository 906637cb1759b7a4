"""How far a workflow is, from what its workers have written down: no code of the pipeline is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dj_jobs import progress
from dj_jobs.keys import key_source_of, missing_keys
from dj_query.compile import count_statement
from dj_query.shape import statement_of
from dj_query.table import FreeTable
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_schema.names import job_table_name
from dj_workers.compat.logbook import Logbook

_SENT = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class ProcessProgress:
    """One step.

    Attributes
    ----------
    total, remaining : int or None
        Keys that there should be, and that are missing; None for a function, and where the key source
        holds values that cannot be written down.
    reserved, error, ignored : int
        Of its jobs.
    """

    worker_name: str
    process: str
    total: int | None
    remaining: int | None
    reserved: int = 0
    error: int = 0
    ignored: int = 0


def counting(table: Any) -> dict[str, Any] | None:
    """Return the statements that count the keys of a table, as they are stored."""
    dialect = table.connection.dialect
    stored = {}
    for name, query in (("total", key_source_of(table, ())), ("remaining", missing_keys(table, ()))):
        text, values = statement_of(count_statement, query.select, dialect)
        if not all(isinstance(value, _SENT) for value in values):
            return None
        stored[name] = {"text": text, "values": list(values)}
    return stored


def workflow_progress(worker_schema_name: str, connection: Connection) -> list[ProcessProgress]:
    """Return how far each step of each worker is, in the order of the steps."""
    book = Logbook.of(worker_schema_name, connection)
    rows = book.registered_process.to_dicts(order_by=["worker_name", "process_index"])
    return [_progress(row, connection) for row in rows]


def _progress(row: dict[str, Any], connection: Connection) -> ProcessProgress:
    counts: dict[str, int | None] = {"total": None, "remaining": None}
    for name, statement in (row["key_source"] or {}).items():
        try:
            counts[name] = int(
                connection.run(statement["text"], tuple(statement["values"]), is_read=True).rows[0][0]
            )
        except DataJointError:
            continue  # a table of it is gone since
    jobs = _jobs_of(row["full_table_name"], connection)
    return ProcessProgress(row["worker_name"], row["process"], counts["total"], counts["remaining"], **jobs)


def _jobs_of(full_name: str, connection: Connection) -> dict[str, int]:
    schema, _, table = full_name.partition(".")
    if not table or job_table_name(table) not in connection.catalog.table_names(schema):
        return {}
    jobs: Any = FreeTable.at(connection, schema, job_table_name(table))
    found = progress.counts(jobs)
    return {"reserved": found["reserved"], "error": found["error"], "ignored": found["ignore"]}
