"""The job table of an auto-populated table: one row a key, with its state. `~~name` beside `__name`.

The visible columns are those of the specification; what the engine adds is hidden and has defaults, so
that other programs can use the same table (rulings 21 and 27).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dj_jobs import claim, control, limits, operate, progress, refresh, registry
from dj_jobs.attempts import HISTORY, Attempt, attempts_of
from dj_jobs.registry import WorkerInfo
from dj_jobs.states import Status
from dj_query.table import FreeTable, Table
from dj_schema.catalog import LINEAGE
from dj_schema.declare import create_lineage_table, declare_table, drop_tables, table_info_of
from dj_schema.definition.spec import AttributeSpec, CurrentTimestamp, IndexSpec, Literal, Null, TableSpec
from dj_schema.errors import DataJointError, DefinitionError, JobError, QueryError
from dj_schema.names import Tier, job_table_name
from dj_schema.table_info import TableInfo
from dj_schema.types import CodecType, CoreType, TypeSpec

if TYPE_CHECKING:
    from typing import Self

    from dj_schema.connection import Connection

_TIME = CoreType("datetime", (3,))
_FINE_TIME = CoreType("datetime", (6,))


def _text(name: str, length: int) -> AttributeSpec:
    return AttributeSpec(name, CoreType("varchar", (length,)), Literal(""))


def _nullable(name: str, type_: TypeSpec) -> AttributeSpec:
    return AttributeSpec(name, type_, Null())


def _count(name: str) -> AttributeSpec:
    return AttributeSpec(name, CoreType("int32"), Literal(0))


VISIBLE = (
    AttributeSpec("status", CoreType("enum", ("pending", "reserved", "success", "error", "ignore"))),
    AttributeSpec("priority", CoreType("int8")),
    AttributeSpec("created_time", _TIME, CurrentTimestamp()),
    AttributeSpec("scheduled_time", _TIME, CurrentTimestamp()),
    _nullable("reserved_time", _TIME),
    _nullable("completed_time", _TIME),
    _nullable("duration", CoreType("float64")),
    _text("error_message", 2047),
    _nullable("error_stack", CodecType("blob")),
    _text("user", 255),
    _text("host", 255),
    _count("pid"),
    AttributeSpec("connection_id", CoreType("int64"), Literal(0)),
    _text("version", 64),
)
HIDDEN = (
    _nullable("_token", CoreType("uuid")),  # the fence: who may write the result
    _nullable("_lease_until", _FINE_TIME),
    AttributeSpec("_lease_session", CoreType("int64"), Literal(0)),  # that renews it, beside connection_id
    AttributeSpec("_lock_session", CoreType("int64"), Literal(0)),  # that has its inputs locked
    _text("_worker", 255),
    _count("_attempts"),
    _count("_rescues"),
    _count("_faults"),
    AttributeSpec("_batch", CoreType("int32"), Literal(1)),  # how many the claim asked for
    AttributeSpec("_is_empty", CoreType("bool"), Literal(False)),  # make ended without a row (ruling 28)
    AttributeSpec("_was_taken", CoreType("bool"), Literal(False)),  # from a worker: its end leaves its token
    _nullable(HISTORY, CoreType("json")),  # the last attempts
)


def job_table_info(target: TableInfo, key_in_indexes: bool) -> TableInfo:
    """Return what the job table of a table is to be.

    Parameters
    ----------
    key_in_indexes : bool
        Whether the server's indexes hold the primary key anyway; else it is put into the one that
        orders claims, so that jobs of one moment need no sorting.
    """
    wanted = job_key(target)
    key = tuple(
        AttributeSpec(a.name, a.type) for a in target.heading.all if a.name in wanted and a.type is not None
    )
    for clash in {spec.name for spec in key} & {spec.name for spec in (*VISIBLE, *HIDDEN)}:
        raise DefinitionError(
            f"the table of jobs for {target.schema}.{target.name} has a column {clash!r} of its own, which "
            "cannot be in the key.",
            expected=f"another name in the key, as in: -> Parent.proj(own_{clash}='{clash}')",
        )
    order = ("status", "priority", "scheduled_time")
    columns = order if key_in_indexes else (*order, *(k.name for k in key))
    spec = TableSpec(
        f"Job queue for {target.schema}.{target.name}", key, (*VISIBLE, *HIDDEN, IndexSpec(columns))
    )
    name = (target.schema, job_table_name(target.name))
    info = table_info_of(spec, name, Tier.JOBS, _no_foreign_keys, allow_hidden=True)
    origins = {a.name: a.lineage for a in target.heading.all}
    attributes = {  # a key counts in the table where it began, not here
        a.name: replace(a, lineage=origins[a.name], is_auto_increment=False) if a.in_key else a
        for a in info.heading.all
    }
    return replace(info, heading=info.heading.select(attributes))


def job_key(target: TableInfo) -> list[str]:
    """Return the attributes that tell one job from another: those of the key that come from foreign keys."""
    key = target.heading.primary_key  # nothing, where a table has a single row at most
    inherited = {c for fk in target.foreign_keys if all(c in key for c, _ in fk.pairs) for c, _ in fk.pairs}
    return [name for name in key if name in inherited] or key


def _no_foreign_keys(_: object) -> TableInfo:
    raise AssertionError("a job table has no foreign keys")


class JobTable(FreeTable):
    """The jobs of one auto-populated table, restricted or not."""

    _target: Table

    @classmethod
    def of_target(cls, target: Table) -> JobTable:
        """Return the jobs of a table, declaring the job table where it is not there."""
        connection = target.connection
        known = connection.catalog.find(target.database, job_table_name(target.table_name))
        if known is None:
            known = _declare(target)
        elif any(spec.name not in known.heading.by_name for spec in HIDDEN):
            known = _add_engine_columns(connection, known)
        jobs = cls.of_info(connection, known)
        jobs._target = target
        return jobs

    @property
    def target(self) -> Table:
        """The table that these jobs fill."""
        return self._target

    # -- views -------------------------------------------------------------------------------------

    def _in(self, status: Status) -> Self:
        return self & {"status": status.value}

    @property
    def pending(self) -> Self:
        """Jobs that wait, those scheduled for later included."""
        return self._in(Status.PENDING)

    @property
    def reserved(self) -> Self:
        """Jobs that a worker holds."""
        return self._in(Status.RESERVED)

    @property
    def errors(self) -> Self:
        """Jobs that failed for good."""
        return self._in(Status.ERROR)

    @property
    def ignored(self) -> Self:
        """Jobs that are to be passed over."""
        return self._in(Status.IGNORE)

    @property
    def completed(self) -> Self:
        """Jobs that succeeded, where they are kept, or that ended without a row."""
        return self._in(Status.SUCCESS)

    def progress(self) -> dict[str, int]:
        """Return the number of jobs in each state, and ``total``."""
        return progress.counts(self)

    # -- what operators do -------------------------------------------------------------------------

    def refresh(
        self,
        *restrictions: Any,
        priority: int | None = None,
        delay: float = 0,
        stale_timeout: float | None = None,
        orphan_timeout: float | None = None,
        retry_empty: bool = False,
    ) -> dict[str, int]:
        """Bring the jobs in line with the key source.

        Parameters
        ----------
        *restrictions
            Add only keys that match all of these.
        priority : int
            Of the jobs that are added; lower is more urgent.
        delay : float
            Seconds until they may run, by the server's clock.
        stale_timeout : float
            Remove pending jobs older than so many seconds whose key is no longer to be computed.
        orphan_timeout : float
            Return jobs to pending that have been reserved for longer than so many seconds.
        retry_empty : bool
            Run keys again whose `make` ended without a row.

        Returns
        -------
        dict
            Counts: ``added``, ``removed``, ``orphaned``, ``re_pended``.
        """
        return refresh.refresh(
            self,
            restrictions,
            priority=priority,
            delay_s=delay,
            stale_timeout_s=stale_timeout,
            orphan_timeout_s=orphan_timeout,
            retry_empty=retry_empty,
        )

    def retry(self, *restrictions: Any) -> int:
        """Make failed jobs pending again, with a new count of attempts; return how many."""
        return operate.retry(self._restricted(restrictions))

    def ignore(self, key: Mapping[str, Any]) -> None:
        """Have a key passed over from now on, whether its job waits, has failed, or is not there yet.

        Raises
        ------
        JobError
            Where a worker holds the key, or it is done: its row is there, or it ended without one.
        """
        operate.ignore(self, self._own_key(key))

    def cancel(self, *restrictions: Any) -> int:
        """Have jobs passed over from now on, also those that run; return how many.

        A worker that computes one of them learns of it when it next renews its lease, at a third of
        `jobs.lease_timeout`, and stops; whatever it does meanwhile, it writes nothing. `unignore` brings
        the jobs back.
        """
        return operate.cancel(self._restricted(restrictions))

    def release(self, worker: str) -> int:
        """Give back all that a worker holds, by its name (`_worker`); return how many.

        For a worker that will not come back, or that is to do something else. If it is alive after all, it
        writes nothing of these keys. Its sessions are ended, so that what it has locked is free.
        """
        return operate.release_worker(self, worker)

    def attempts(self, key: Mapping[str, Any]) -> list[Attempt]:
        """Return how often a key was tried, and how each ended, the oldest first.

        The last `jobs.attempts_kept` failures are kept, for as long as the job has a row.
        """
        return attempts_of(self, self._own_key(key))

    def workers(self) -> list[WorkerInfo]:
        """Return who works on this table: since when, what it computes, how fast, and whether it is alive.

        Workers of every kind that have computed for a third of `jobs.lease_timeout` at least, and those that
        hold jobs now.
        """
        return registry.workers_of(self)

    def pause(self) -> None:
        """Have nobody claim jobs of this table until `resume`; what runs goes on."""
        control.pause(self)

    def resume(self) -> None:
        """Have jobs claimed again."""
        control.resume(self)

    def require_version(self, version: str) -> None:
        """Have only workers claim whose code has this version, or fulfils ``">=2.1"``; "" lets all.

        A worker of another version, by its setting `jobs.version`, leaves the jobs alone and says so.
        """
        limits.check_required(version)
        control.require_version(self, version)

    @property
    def rules(self) -> control.Rules:
        """Whether the table is paused, and which version it requires."""
        return control.rules_of(self)

    def unignore(self, *restrictions: Any) -> int:
        """Make ignored jobs pending again; return how many."""
        return operate.unignore(self._restricted(restrictions))

    def _restricted(self, restrictions: Sequence[Any]) -> Self:
        jobs = self
        for restriction in restrictions:
            jobs = jobs & restriction
        return jobs

    # -- one job at a time, for programs that run make themselves ----------------------------------

    def reserve(self, key: Mapping[str, Any]) -> bool:
        """Claim one pending job for this process; False where it is not to be had."""
        return claim.reserve(self, self._own_key(key))

    def complete(self, key: Mapping[str, Any], duration: float | None = None) -> None:
        """End a job that `reserve` claimed."""
        operate.complete_reserved(self, self._own_key(key), duration)

    def error(self, key: Mapping[str, Any], error_message: str, error_stack: str | None = None) -> None:
        """Record that a job which `reserve` claimed has failed."""
        operate.fail_reserved(self, self._own_key(key), error_message, error_stack)

    def _own_key(self, key: Mapping[str, Any]) -> dict[str, Any]:
        if missing := [k for k in self.heading.primary_key if k not in key]:
            raise JobError(f"the key of a job of {self.target.full_table_name} needs {missing} too.")
        return {k: key[k] for k in self.heading.primary_key}

    def delete(self, *_: Any, **__: Any) -> int:
        """Delete these jobs, without a question; their keys are added again by the next refresh.

        A worker that computes one of them writes nothing.
        """
        return operate.delete(self)

    def delete_quick(self, get_count: bool = False) -> int | None:
        """Do the same as `delete`."""
        n = operate.delete(self)
        return n if get_count else None

    def drop(self, *_: Any, **__: Any) -> None:
        """Drop the job table, without a question; it is made again at its next use."""
        if self.is_restricted:
            raise DataJointError("restricted jobs cannot be dropped; delete() removes them.")
        control.note_removal(self)
        drop_tables(self.connection, [self.table_id])


def _declare(target: Table) -> TableInfo:
    connection = target.connection
    if LINEAGE not in connection.catalog.table_names(target.database):
        create_lineage_table(connection, target.database)
        connection.catalog.forget(target.database)
    info = job_table_info(target.info, connection.dialect.jobs.HAS_KEY_IN_INDEXES)
    return declare_table(connection, info)


def _add_engine_columns(connection: Connection, known: TableInfo) -> TableInfo:
    """Another program declared this job table: add what the engine needs, hidden and with defaults."""
    wanted = job_table_info(TableInfo(known.schema, known.name.lstrip("~"), _key_heading(known)), True)
    for attribute in wanted.heading.all:
        if attribute.is_hidden and attribute.name not in known.heading.by_name:
            try:
                connection.script(connection.dialect.ddl.add_column(known.schema, known.name, attribute))
            except QueryError as e:
                if e.code not in connection.dialect.ddl.EXISTS_CODES:
                    raise  # else another worker was faster
    connection.catalog.forget(known.schema)
    return connection.catalog.table(known.schema, known.name)


def _key_heading(info: TableInfo) -> Any:
    return replace(info.heading, all=tuple(a for a in info.heading.all if a.in_key), _memo={})
