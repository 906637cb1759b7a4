"""All job tables of a schema, and the progress of whole schemas in one statement each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from dj_jobs.overview import TableJobs, overview
from dj_jobs.table import JobTable
from dj_query.table import FreeTable
from dj_schema.names import job_table_name, tier_of

if TYPE_CHECKING:
    from dj_schema.connection import Connection


class SchemaJobs(Sequence[JobTable]):
    """The job tables of one schema, as a sequence in the order of their names.

    Those tables that have never been populated with `reserve_jobs` have none yet, and are left out.
    """

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema

    def _targets(self) -> list[str]:
        tables = self._connection.catalog.schema(self._schema).tables
        is_auto_populated = (
            (name, tier.is_auto_populated) for name in tables if (tier := tier_of(name)) is not None
        )
        found = (name for name, is_auto in is_auto_populated if is_auto and job_table_name(name) in tables)
        return sorted(found, key=job_table_name)

    def _job_table(self, target: str) -> JobTable:
        return JobTable.of_target(FreeTable.at(self._connection, self._schema, target))

    def __len__(self) -> int:
        return len(self._targets())

    def __iter__(self) -> Iterator[JobTable]:
        return map(self._job_table, self._targets())

    @overload
    def __getitem__(self, index: int) -> JobTable: ...

    @overload
    def __getitem__(self, index: slice) -> list[JobTable]: ...

    def __getitem__(self, index: int | slice) -> JobTable | list[JobTable]:
        targets = self._targets()[index]
        return self._job_table(targets) if isinstance(targets, str) else list(map(self._job_table, targets))

    def progress(self) -> dict[str, dict[str, int]]:
        """Return for each auto-populated table the number of its jobs by status, and their ``total``."""
        return {jobs.table: counts_of(jobs) for jobs in overview(self._connection, [self._schema])}

    def __repr__(self) -> str:
        lines = [f"jobs of {self._schema}"]
        for table, counts in self.progress().items():
            shown = ", ".join(f"{n} {status}" for status, n in counts.items() if n and status != "total")
            lines.append(f"  {table}: {shown or 'none'}")
        return "\n".join(lines)


def counts_of(jobs: TableJobs) -> dict[str, int]:
    """Return the number of jobs by status, and their total."""
    return {**jobs.counts, "total": jobs.total}


def progress_of_schemas(connection: Connection, schemas: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return for each ``schema.table`` the number of its jobs by status, in one statement a schema."""
    return {f"{jobs.schema}.{jobs.table}": counts_of(jobs) for jobs in overview(connection, schemas)}
