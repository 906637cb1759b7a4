"""The jobs of whole schemas at a glance: counts, ages, holders and errors, one statement a schema.

For dashboards, exporters and probes; nothing here changes a job.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dj_jobs import control
from dj_jobs.keys import key_source_of, missing_keys
from dj_jobs.states import Status
from dj_query.compile import count_statement
from dj_schema.errors import MissingTableError, QueryError
from dj_schema.names import Tier, job_table_name, tier_of
from dj_schema.sql import EMPTY, Ident, Param, Sql, join, sql

if TYPE_CHECKING:
    from dj_schema.catalog import SchemaCatalog
    from dj_schema.connection import Connection
    from dj_schema.table_info import TableInfo, TableName

MOST_ERROR_CLASSES = 20  # a table; the others are counted together
OTHER = "other"
_ERROR_CLASS = re.compile(r"[A-Za-z_][\w.]{0,99}")


@dataclass
class TableJobs:
    """The jobs of one table.

    Attributes
    ----------
    counts : dict
        Jobs by status, each status named.
    n_due : int
        Pending jobs that a worker could take now: they are due, and the table is not paused.
    oldest_pending_s : float or None
        Since the first of the pending jobs was due, by the server's clock; 0 where all are for later.
    n_expired : int
        Jobs whose worker has not renewed its lease in time.
    holders : dict
        Jobs with a live lease, by the name of their worker.
    errors : dict
        Failed jobs by class of the exception; those of rare classes under ``other``.
    """

    schema: str
    table: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(map(str, Status), 0))
    n_due: int = 0
    oldest_pending_s: float | None = None
    n_expired: int = 0
    holders: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class TableProgress:
    """How many keys of a table there are, and how many are done: computed, or ended without a row."""

    schema: str
    table: str
    total: int
    done: int


# -- jobs ------------------------------------------------------------------------------------------


def overview(connection: Connection, schemas: Iterable[str]) -> list[TableJobs]:
    """Return the jobs of all auto-populated tables of some schemas, in one statement a schema.

    A table that has never had a job table counts as one without jobs. What is declared is taken from the
    connection's catalog, which is read again where a job table is gone.
    """
    found: list[TableJobs] = []
    for schema in schemas:
        try:
            found += _overview(connection, schema)
        except (QueryError, MissingTableError):
            connection.catalog.forget(schema)  # a table was dropped or changed since
            found += _overview(connection, schema)
    return found


def _overview(connection: Connection, schema: str) -> list[TableJobs]:
    catalog = connection.catalog.schema(schema)
    if not catalog.tables:
        raise MissingTableError(
            f"there is no schema {schema!r} with tables on {connection.settings.label}. Check its name, and "
            "that this user may read it."
        )
    by_table = {target: TableJobs(schema, target) for target in _targets(catalog)}
    branches = [
        branch
        for target in by_table
        if (info := catalog.tables.get(job_table_name(target))) is not None
        for branch in _branches(connection, target, info)
    ]
    if branches:
        statement = join(" UNION ALL ", branches)
        for row in connection.execute(statement, is_read=True).rows:
            _take(by_table[str(row[0])], *row[1:])
    for jobs in by_table.values():
        if rest := jobs.counts[Status.ERROR] - sum(jobs.errors.values()):
            jobs.errors[OTHER] = jobs.errors.get(OTHER, 0) + max(0, rest)
    return list(by_table.values())


def _targets(catalog: SchemaCatalog) -> Iterator[str]:
    for name in catalog.tables:
        tier = tier_of(name)
        if tier is not None and tier.is_auto_populated:
            yield name


def _branches(connection: Connection, target: str, info: TableInfo) -> Iterator[Sql]:
    """What is asked of one job table. Each gives (table, what, label, count, how many of these are due, first
    time, now).

    The counts read nothing but the index that orders claims; the rest looks at the few jobs that are held
    or have failed.
    """
    now = sql("(SELECT {})", connection.dialect.jobs.NOW)  # asked for once, and not for each row
    table = Ident(info.schema, info.name)
    status, label, time = Ident("status"), Ident("label"), Ident("scheduled_time")
    is_open = control.is_open(connection, info.full_name)
    yield sql(
        "(SELECT {}, 'status', concat({}), count(*), sum(CASE WHEN {} <= {} AND {} THEN 1 ELSE 0 END), "
        "min({}), {} FROM {} GROUP BY {})",
        Param(target), status, time, now, is_open, time, now, table, status,
    )  # fmt: skip
    message = Ident("error_message")
    yield sql(
        "(SELECT {}, 'error', {}, count(*) AS n, 0, {}, {} FROM (SELECT "
        "CASE WHEN position(':' IN {}) > 0 THEN substring({} FROM 1 FOR position(':' IN {}) - 1) ELSE {} END "
        "AS {} FROM {} WHERE {} = 'error') AS failed GROUP BY {} ORDER BY n DESC, {} LIMIT {})",
        Param(target), label, _NO_TIME, now, message, message, message, message, label,
        table, status, label, label, Param(MOST_ERROR_CLASSES),
    )  # fmt: skip
    if "_lease_until" not in info.heading.by_name:
        return  # another program declared it, and ours has not worked on it yet
    lease = Ident("_lease_until")
    held = sql("{} = 'reserved'", status)
    yield sql(
        "(SELECT {}, 'expired', '', count(*), 0, {}, {} FROM {} WHERE {} AND {} < {})",
        Param(target), _NO_TIME, now, table, held, lease, now,
    )  # fmt: skip
    yield sql(
        "(SELECT {}, 'holder', {}, count(*), 0, {}, {} FROM {} WHERE {} AND {} >= {} GROUP BY {})",
        Param(target), Ident("_worker"), _NO_TIME, now, table, held, lease, now, Ident("_worker"),
    )  # fmt: skip


_NO_TIME = sql("NULL")


def _take(
    jobs: TableJobs, what: str, label: Any, n: int, n_due: int, first: datetime | None, now: datetime
) -> None:
    n, label = int(n), str(label)
    if what == "status":
        jobs.counts[label] = n
        if label == Status.PENDING and first is not None:
            jobs.n_due = int(n_due)
            jobs.oldest_pending_s = max(0.0, (now - first).total_seconds())
    elif what == "error":
        name = label if _ERROR_CLASS.fullmatch(label) else OTHER
        jobs.errors[name] = jobs.errors.get(name, 0) + n
    elif what == "expired":
        jobs.n_expired = n
    else:
        jobs.holders[label] = n


# -- keys ------------------------------------------------------------------------------------------


def progress_of(tables: Sequence[Any]) -> list[TableProgress]:
    """Count the keys of auto-populated tables, and those done; one statement for all tables of a schema.

    It runs each key source, so that it takes as long as these do.

    Parameters
    ----------
    tables : sequence of AutoPopulate
        All on one server.
    """
    by_schema: dict[str, list[Any]] = {}
    for table in tables:
        by_schema.setdefault(table.database, []).append(table)
    found: list[TableProgress] = []
    for schema, those in by_schema.items():
        statement = join(" UNION ALL ", (_progress_branch(table) for table in those))
        for name, total, missing, empty in those[0].connection.execute(statement, is_read=True).rows:
            done = int(total) - int(missing) + int(empty)
            found.append(TableProgress(schema, str(name), int(total), max(0, min(int(total), done))))
    return found


def _progress_branch(table: Any) -> Sql:
    dialect = table.connection.dialect
    total = count_statement(key_source_of(table, ()).select, dialect)
    missing = count_statement(missing_keys(table, ()).select, dialect)
    name = Param(table.table_name)
    return sql("(SELECT {}, ({}), ({}), ({}))", name, total, missing, _n_empty(table) or sql("SELECT 0"))


def _n_empty(table: Any) -> Sql:
    """Jobs that ended without a row: their keys look as if they were missing."""
    tables = table.connection.catalog.schema(table.database).tables
    info = tables.get(job_table_name(table.table_name))
    if info is None or "_is_empty" not in info.heading.by_name:
        return EMPTY
    is_empty = Ident("_is_empty")
    jobs = Ident(info.schema, info.name)
    return sql("SELECT count(*) FROM {} WHERE {} = 'success' AND {}", jobs, Ident("status"), is_empty)


# -- probes ----------------------------------------------------------------------------------------


def check_renewal(connection: Connection, job_table: TableName) -> None:
    """Raise where a lease of this job table could not be renewed now; touches no row.

    The server checks the rights of the user, and whether it takes changes at all, before it looks for rows.

    Raises
    ------
    DataJointError
        Says what is missing.
    """
    lease = Ident("_lease_until")
    connection.execute(sql("UPDATE {} SET {} = {} WHERE 1 = 0", Ident(*job_table), lease, lease))


def job_tables_of(connection: Connection, schema: str) -> list[TableName]:
    """Return the job tables of a schema that the engine has worked on."""
    return [
        (schema, name)
        for name, info in connection.catalog.schema(schema).tables.items()
        if tier_of(name) is Tier.JOBS and "_lease_until" in info.heading.by_name
    ]
