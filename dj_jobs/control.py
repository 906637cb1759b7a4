"""What workers tell each other of a job table: when it was last refreshed, whether it is paused, when jobs
that a worker held were removed from it.

One table a schema, `~job_control`, with a row for a job table that there is something to say of.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dj_jobs import clock, wakeup
from dj_jobs.claim import assignments, user_of
from dj_jobs.own_tables import add_missing_columns, is_made, is_there, own_table
from dj_jobs.wakeup import News
from dj_schema.definition.spec import AttributeSpec, Literal, Null
from dj_schema.errors import JobError
from dj_schema.sql import EMPTY, Ident, Param, Sql, idents, join, sql
from dj_schema.table_info import TableInfo
from dj_schema.types import CoreType

if TYPE_CHECKING:
    from dj_jobs.table import JobTable
    from dj_schema.connection import Connection
    from dj_schema.table_info import TableName

CONTROL = "~job_control"


def control_info(schema: str) -> TableInfo:
    """Return what the table is to be."""
    return own_table(
        (schema, CONTROL),
        "What workers tell each other of job tables",
        [AttributeSpec("table_name", CoreType("varchar", (64,)))],
        [
            AttributeSpec("refreshed_time", CoreType("datetime", (6,)), Null()),
            AttributeSpec("paused_time", CoreType("datetime", (6,)), Null()),
            AttributeSpec("paused_by", CoreType("varchar", (255,)), Literal("")),
            AttributeSpec("required_version", CoreType("varchar", (255,)), Literal("")),
            AttributeSpec("n_changes", CoreType("int32"), Literal(0)),  # of the three before; see `n_untold`
            AttributeSpec("removal_time", CoreType("datetime", (6,)), Null()),
        ],
    )


def _is_there(jobs: JobTable) -> bool:
    """Whether there is such a table, making it where there is none; False where we may not."""
    return is_made(jobs.connection, control_info(jobs.table_id[0]))


def _of(jobs: JobTable) -> Sql:
    return sql("{} = {}", Ident("table_name"), Param(jobs.table_id[1]))


def _write(connection: Connection, schema: str, name: str, values: dict[str, Sql | Param]) -> None:
    """Set columns of a row, which is made where there is none."""
    insert = sql(
        "INSERT INTO {} ({}) VALUES ({})",
        Ident(schema, CONTROL),
        idents(["table_name", *values]),
        join(", ", [Param(name), *values.values()]),
    )
    update = connection.dialect.rows.on_duplicate((schema, CONTROL), ["table_name"], list(values))
    connection.execute(insert + update)


# -- refreshes -------------------------------------------------------------------------------------


def was_refreshed_since(jobs: JobTable, since: datetime) -> bool:
    """Whether another worker has begun to refresh all of the jobs after a moment, and has finished."""
    if not _is_there(jobs):
        return False
    table = Ident(jobs.table_id[0], CONTROL)
    statement = sql("SELECT {} FROM {} WHERE {}", Ident("refreshed_time"), table, _of(jobs))
    rows = jobs.connection.execute(statement, is_read=True).rows
    return bool(rows) and rows[0][0] is not None and rows[0][0] >= since


def note_refresh(jobs: JobTable) -> None:
    """Note that a refresh of all of the jobs sees the key source as it is now."""
    if _is_there(jobs):
        schema, name = jobs.table_id
        _write(jobs.connection, schema, name, {"refreshed_time": clock.after(jobs.connection, 0)})


# -- jobs that were removed, with what told whose they were -----------------------------------------


def can_note_removals(jobs: JobTable) -> bool:
    """Whether there is a place for it, making it where there is none; before a transaction is open."""
    if jobs.connection.in_transaction:
        return _has_column(jobs, "removal_time")
    return _is_there(jobs) and add_missing_columns(jobs.connection, control_info(jobs.table_id[0]))


def note_removal(jobs: JobTable) -> None:
    """Note that jobs are gone, though not by the end that their worker gave them."""
    if can_note_removals(jobs):
        schema, name = jobs.table_id
        _write(jobs.connection, schema, name, {"removal_time": clock.after(jobs.connection, 0)})


def was_any_removed(jobs: JobTable, since: float) -> bool:
    """Whether such a removal was noted since a moment, which is of the monotonic clock of this process.

    That moment is told by the server's clock only after the server has said what time it is: however long
    the question takes, the moment comes out too early rather than too late.
    """
    schema, _ = jobs.table_id
    jobs.connection.catalog.forget(schema)  # others may have made the place since
    if not _has_column(jobs, "removal_time"):
        return False
    now = clock.after(jobs.connection, 0)
    statement = sql(
        "SELECT {}, {} FROM {} WHERE {}", Ident("removal_time"), now, Ident(schema, CONTROL), _of(jobs)
    )
    rows = jobs.connection.execute(statement, is_read=True).rows
    earliest = timedelta(seconds=time.monotonic() - since)
    return any(removed is not None and removed >= now - earliest for removed, now in rows)


# -- pauses, and the version that a worker must have -----------------------------------------------


@dataclass(frozen=True, slots=True)
class Rules:
    """What operators have laid down for a job table.

    Attributes
    ----------
    n_changes : int
        Of these rules: whoever knows the last number knows what holds.
    """

    n_changes: int = 0
    paused_by: str | None = None
    paused_time: datetime | None = None
    required_version: str = ""

    def pause_text(self, table: str) -> str:
        """Say that the table is paused; empty where it is not."""
        if self.paused_by is None:
            return ""
        return f"{table} is paused, by {self.paused_by} since {self.paused_time:%Y-%m-%d %H:%M} UTC"


NO_RULES = Rules()


def rules_of(jobs: JobTable) -> Rules:
    """Return what holds now."""
    schema, _ = jobs.table_id
    if not _has_rules(jobs):
        return NO_RULES
    columns = ["n_changes", "paused_by", "paused_time", "required_version"]
    statement = sql("SELECT {} FROM {} WHERE {}", idents(columns), Ident(schema, CONTROL), _of(jobs))
    rows = jobs.connection.execute(statement, is_read=True).rows
    if not rows:
        return NO_RULES
    n, by, time, version = rows[0]
    return Rules(int(n), by if time is not None else None, time, version)


def _has_rules(jobs: JobTable) -> bool:
    return _has_column(jobs, "n_changes")


def _has_column(jobs: JobTable, name: str) -> bool:
    return _is_column(jobs.connection, jobs.table_id[0], name)


def _is_column(connection: Connection, schema: str, name: str) -> bool:
    known = connection.catalog.schema(schema).tables.get(CONTROL)
    return known is not None and name in known.heading.by_name


def unchanged(jobs: JobTable, rules: Rules) -> Sql:
    """Return the condition that the rules are still these, for the WHERE of a claim."""
    if not _has_rules(jobs):
        return EMPTY
    return sql(
        " AND NOT EXISTS (SELECT 1 FROM {} WHERE {} AND {} <> {})",
        Ident(jobs.table_id[0], CONTROL), _of(jobs), Ident("n_changes"), Param(rules.n_changes),
    )  # fmt: skip


def is_open(connection: Connection, job_table: TableName) -> Sql:
    """Return the condition that a job table is not paused."""
    schema, name = job_table
    if not _is_column(connection, schema, "paused_time"):
        return sql("TRUE")
    paused = sql("{} = {} AND {} IS NOT NULL", Ident("table_name"), Param(name), Ident("paused_time"))
    return sql("NOT EXISTS (SELECT 1 FROM {} WHERE {})", Ident(schema, CONTROL), paused)


def pause(jobs: JobTable) -> None:
    """Have nobody claim jobs, until `resume`."""
    time = clock.after(jobs.connection, 0)
    _lay_down(jobs, {"paused_time": time, "paused_by": Param(user_of(jobs.connection))})


def resume(jobs: JobTable) -> None:
    """Have jobs claimed again."""
    _lay_down(jobs, {"paused_time": sql("NULL"), "paused_by": Param("")})


def require_version(jobs: JobTable, version: str) -> None:
    """Have only workers of this version claim jobs; with an empty one, all."""
    _lay_down(jobs, {"required_version": Param(version)})


def _lay_down(jobs: JobTable, values: dict[str, Sql | Param]) -> None:
    schema, name = jobs.table_id
    connection = jobs.connection
    info = control_info(schema)
    if not (_is_there(jobs) and add_missing_columns(connection, info)):
        raise JobError(
            f"{schema}.{CONTROL}, which tells workers of this, cannot be made: ask for the right to create "
            f"tables in {schema}, or have somebody who has it call jobs.refresh() once."
        )
    more = sql("{} = {} + 1", Ident("n_changes"), Ident("n_changes"))
    with connection.atomic():
        _write(connection, schema, name, values)
        table = Ident(schema, CONTROL)
        connection.execute(sql("UPDATE {} SET {} WHERE {}", table, more, _of(jobs)))
        wakeup.tell(connection, jobs.target.table_id, News.JOBS)


# -- turns of what one worker does for all ---------------------------------------------------------


def takes_turn(connection: Connection, schema: str, name: str, every_s: float) -> bool:
    """Whether it is for this worker to do something now that is to be done once in so many seconds."""
    if not is_there(connection, (schema, CONTROL)) and not is_made(connection, control_info(schema)):
        return True  # each worker for itself
    table = Ident(schema, CONTROL)
    row = sql("{} = {}", Ident("table_name"), Param(name))
    is_due = sql("{} IS NULL OR {} <= {}", *[Ident("refreshed_time")] * 2, clock.after(connection, -every_s))
    # read first: mostly it is not our turn, and an update would lock the row all the same on MySQL
    select = sql("SELECT CASE WHEN {} THEN 1 ELSE 0 END FROM {} WHERE {}", is_due, table, row)
    found = connection.execute(select, is_read=True).rows
    if not found:
        insert = sql("INSERT INTO {} ({}) VALUES ({})", table, Ident("table_name"), Param(name))
        skip = connection.dialect.rows.on_duplicate((schema, CONTROL), ["table_name"], None)
        connection.execute(insert + skip)
    elif not found[0][0]:
        return False
    sets = assignments({"refreshed_time": clock.after(connection, 0)})
    return bool(
        connection.execute(sql("UPDATE {} SET {} WHERE {} AND ({})", table, sets, row, is_due)).n_rows
    )


def gives_turn_back(connection: Connection, schema: str, name: str, within_s: float) -> None:
    """Have the next worker that asks take the turn, unless it was taken within the last so many seconds."""
    if not is_there(connection, (schema, CONTROL)):
        return
    time = Ident("refreshed_time")
    old = sql(
        "{} = {} AND {} <= {}", Ident("table_name"), Param(name), time, clock.after(connection, -within_s)
    )
    connection.execute(sql("UPDATE {} SET {} = NULL WHERE {}", Ident(schema, CONTROL), time, old))


# -- what is told once, however many have seen it ---------------------------------------------------


def n_untold(connection: Connection, schema: str, name: str, n_before: int, n_now: int) -> int:
    """Return how many of the things between two counts nobody has told of; from now on they are told.

    Where the count went down, it is told anew from there. The count that is told is kept in `n_changes`.
    """
    info = control_info(schema)
    if not (is_made(connection, info) and add_missing_columns(connection, info)):
        return max(0, n_now - n_before)  # each for itself
    table, told = Ident(schema, CONTROL), Ident("n_changes")
    row = sql("{} = {}", Ident("table_name"), Param(name))
    if n_now <= n_before:
        too_high = sql("{} > {}", told, Param(n_now))
        connection.execute(
            sql("UPDATE {} SET {} = {} WHERE {} AND {}", table, told, Param(n_now), row, too_high)
        )
        return 0
    insert = sql(
        "INSERT INTO {} ({}) VALUES ({}, {})",
        table, idents(["table_name", "n_changes"]), Param(name), Param(n_before),
    )  # fmt: skip
    connection.execute(insert + connection.dialect.rows.on_duplicate((schema, CONTROL), ["table_name"], None))
    while True:
        rows = connection.execute(sql("SELECT {} FROM {} WHERE {}", told, table, row), is_read=True).rows
        n_told = int(rows[0][0]) if rows else n_now  # gone in this moment, by hand: the next count tells
        if n_told >= n_now:
            return 0
        update = sql(
            "UPDATE {} SET {} = {} WHERE {} AND {} = {}", table, told, Param(n_now), row, told, Param(n_told)
        )
        if connection.execute(update).n_rows:
            return n_now - max(n_told, n_before)
