"""Limits that hold across all workers: how many compute a table at once, how many jobs begin in a minute,
what of a host they use; and which version of the code may compute it, and whether it is paused.

They are decided where jobs are claimed, by the database. A table without limits pays nothing for them, but
for the condition in its claims that nobody has paused it since.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from dj_jobs import claim as claims
from dj_jobs import clock, control
from dj_jobs.job import Claim, Worker
from dj_jobs.own_tables import is_made, own_table
from dj_jobs.server_lock import Turn, turn
from dj_jobs.states import Status
from dj_jobs.version import code_version
from dj_schema.definition.spec import AttributeSpec, Literal
from dj_schema.errors import DataJointError
from dj_schema.sql import Ident, Param, idents, sql
from dj_schema.types import CoreType

if TYPE_CHECKING:
    from dj_jobs.table import JobTable
    from dj_schema.connection import Connection
    from dj_schema.table_info import TableInfo

log = logging.getLogger("datajoint.jobs")

STARTS = "~job_starts"
_WINDOW_S = 60.0
_LONGEST_VERSION = 255  # of the column in `~job_control`
_MOST_LOSSES = 3  # of the connection, before a claim is given up that took nothing


@dataclass(frozen=True)
class Limits:
    """What all workers together may do with one table: ``limits = dj.Limits(...)`` in its class.

    Attributes
    ----------
    concurrent : int or None
        How many processes compute it at once; each computes one job at a time.
    per_minute : int or None
        How many of its jobs begin in any 60 seconds.
    resources : mapping
        What a process needs of its host while it computes it, of what the setting `jobs.resources` says that
        the host has. A host that lacks one of them leaves the jobs alone.
    version : str
        That the code must have, by the setting `jobs.version` or `jobs.version_method`: itself, or a
        condition such as ``">=2.1,<3"``.
    """

    concurrent: int | None = None
    per_minute: int | None = None
    resources: Mapping[str, int] = field(default_factory=dict)
    version: str = ""

    def __post_init__(self) -> None:
        for name in ("concurrent", "per_minute"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise DataJointError(
                    f"{name} of a table's limits must be a whole number from 1, not {value!r}."
                )
        for name, n in self.resources.items():
            if not isinstance(n, int) or n < 1:
                raise DataJointError(
                    f"a job needs a whole number from 1 of the resource {name!r}, not {n!r}."
                )
        is_wanted_version("0", self.version)

    @property
    def are_counted(self) -> bool:
        """Whether a claim has to count first."""
        return self.concurrent is not None or self.per_minute is not None


def limits_of(cls: type) -> Limits | None:
    """Return the limits of a table class, where it has any."""
    own = getattr(cls, "limits", None)
    return own if isinstance(own, Limits) else None


def check_required(version: str) -> None:
    """Raise `DataJointError` where no table can require this version, or condition for one."""
    is_wanted_version("0", version)
    if len(version) > _LONGEST_VERSION:
        raise DataJointError(f"a version has at most {_LONGEST_VERSION} characters, not {len(version)}.")


def is_wanted_version(version: str, required: str) -> bool:
    """Whether a version is the one that is required, or fulfils the condition.

    Raises
    ------
    DataJointError
        Where the condition cannot be read.
    """
    if not any(sign in required for sign in "<>=!~"):
        return not required or version == required
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        wanted = SpecifierSet(required, prereleases=True)
    except InvalidSpecifier as e:
        raise DataJointError(
            f'{required!r} is no condition for a version; write one such as ">=2.1,<3", or a version itself.'
        ) from e
    try:
        return Version(version) in wanted
    except InvalidVersion:
        return False  # a commit of git, or nothing


# -- at a claim ------------------------------------------------------------------------------------


class Gate:
    """What one worker passes to claim jobs of one table.

    Attributes
    ----------
    is_full : bool
        The last claim found a limit that will not last: it is worth asking again.
    closed : str
        Why this worker leaves the jobs alone for now; empty where it does not.
    """

    def __init__(self, jobs: JobTable, worker: Worker) -> None:
        self._jobs = jobs
        self._worker = worker
        self._limits = limits_of(type(jobs.target))
        self._rules = control.NO_RULES
        self._version = code_version(jobs.connection.config)
        self._slots: Slots | None = None
        self.is_full = False
        self.closed = ""
        if self._limits is not None:
            if self._limits.resources:
                self._slots = Slots(jobs.connection, worker.host, self._limits.resources)
            self._judge()

    def claim(self, n: int, priority: int | None, token: UUID | None = None) -> list[Claim]:
        """Claim up to `n` jobs with a token, as the limits allow.

        A claim that took nothing for a lost connection is made again, under a lock that was taken again.
        """
        connection = self._jobs.connection
        for _ in range(_MOST_LOSSES):
            session = connection.session_id
            claimed = self._claim_once(n, priority, token)
            if claimed or self.is_full or self.closed or session in (0, connection.session_id):
                break
        return claimed

    def _claim_once(self, n: int, priority: int | None, token: UUID | None) -> list[Claim]:
        self.is_full = False
        if self.closed:
            return []
        if self._slots is not None and not self._slots.are_taken():
            self.is_full = True
            return []
        if self._limits is None or not self._limits.are_counted:
            return self._claim(n, priority, token)
        connection = self._jobs.connection
        with self._alone() as mine:
            session = connection.session_id
            room = self._room(self._limits) if mine.is_ours else 0
            if room < 1 or connection.session_id != session:  # with which the lock has gone
                self.is_full = True
                return []
            claimed = self._claim(min(n, room), priority, token)
            if claimed and self._limits.per_minute is not None:
                self._note_start(len(claimed))
            return claimed

    def _claim(self, n: int, priority: int | None, token: UUID | None) -> list[Claim]:
        also = control.unchanged(self._jobs, self._rules)
        return claims.claim(self._jobs, self._worker, n, priority=priority, token=token, also=also)

    def has_changed(self) -> bool:
        """Whether a claim that found nothing is worth repeating, because what operators laid down is new."""
        rules = control.rules_of(self._jobs)
        if rules == self._rules:
            return False
        self._rules = rules
        self._judge()
        return not self.closed

    def _judge(self) -> None:
        rules, limits = self._rules, self._limits
        table = self._jobs.target.full_table_name
        missing = self._slots.missing if self._slots is not None else ""
        self.closed = rules.pause_text(table) or missing
        for required in (rules.required_version, limits.version if limits is not None else ""):
            if not self.closed and not is_wanted_version(self._version, required):
                self.closed = (
                    f"{table} is for version {required}, and this worker has {self._version or 'none'}: "
                    "it leaves the jobs to others; update it, or set jobs.version"
                )

    def _alone(self) -> AbstractContextManager[Turn]:
        """Have no other worker count meanwhile."""
        return turn(self._jobs.connection, f"limits of {'.'.join(self._jobs.table_id)}")

    def _room(self, limits: Limits) -> int:
        """How many jobs may be claimed now."""
        room = 1_000_000
        if limits.concurrent is not None and self._n_others() >= limits.concurrent:
            return 0
        if limits.per_minute is not None:
            room = limits.per_minute - self._n_started()
        return room

    def _n_others(self) -> int:
        """How many other processes compute this table: each holds a batch, and computes one job of it."""
        statement = sql(
            "SELECT count(*) FROM "
            "(SELECT DISTINCT {} FROM {} WHERE {} = {} AND NOT ({} = {} AND {} = {})) AS {}",
            idents(["host", "pid"]), Ident(*self._jobs.table_id),
            Ident("status"), Param(Status.RESERVED.value),
            Ident("host"), Param(self._worker.host[:255]), Ident("pid"), Param(self._worker.pid),
            Ident("others"),
        )  # fmt: skip
        return int(self._jobs.connection.execute(statement, is_read=True).rows[0][0])

    def _n_started(self) -> int:
        connection = self._jobs.connection
        schema, name = self._jobs.table_id
        if not is_made(connection, starts_info(schema)):
            raise DataJointError(
                f"{schema}.{STARTS}, by which jobs a minute of {self._jobs.target.full_table_name} are "
                f"limited, cannot be made; ask for the right to create tables in {schema}."
            )
        table = Ident(schema, STARTS)
        ours = sql("{} = {}", Ident("table_name"), Param(name))
        since = clock.after(connection, -_WINDOW_S)
        old = sql("DELETE FROM {} WHERE {} AND {} <= {}", table, ours, Ident("start_time"), since)
        connection.execute(old, is_read=True)  # which is the same twice
        count = sql("SELECT coalesce(sum({}), 0) FROM {} WHERE {}", Ident("n_jobs"), table, ours)
        return int(connection.execute(count, is_read=True).rows[0][0])

    def _note_start(self, n: int) -> None:
        connection = self._jobs.connection
        schema, name = self._jobs.table_id
        insert = sql(
            "INSERT INTO {} ({}) VALUES ({}, {}, {}, {})",
            Ident(schema, STARTS), idents(["table_name", "start", "start_time", "n_jobs"]),
            Param(name), Param(uuid4()), clock.after(connection, 0), Param(n),
        )  # fmt: skip
        connection.execute(insert)

    def close(self) -> None:
        """Give back what is used of the host."""
        if self._slots is not None:
            self._slots.close()


def starts_info(schema: str) -> TableInfo:
    """Return what the table of the last minute's claims is to be."""
    return own_table(
        (schema, STARTS),
        "When jobs of tables with a limit a minute began",
        [AttributeSpec("table_name", CoreType("varchar", (64,))), AttributeSpec("start", CoreType("uuid"))],
        [
            AttributeSpec("start_time", CoreType("datetime", (6,))),
            AttributeSpec("n_jobs", CoreType("int32"), Literal(1)),
        ],
    )


class Slots:
    """What a process uses of its host, as locks of a session of its own: they go with the process.

    Attributes
    ----------
    missing : str
        What the host does not have; empty where it has all.
    """

    def __init__(self, connection: Connection, host: str, needs: Mapping[str, int]) -> None:
        has: Mapping[str, int] = connection.config.jobs.resources
        self._has = {name: int(has.get(name, 0)) for name in needs}
        self._needs = needs
        self._host = host
        self._connection = connection.clone()
        self._session = 0  # that holds what we need
        lacks = [f"{n} {name} (it has {self._has[name]})" for name, n in needs.items() if n > self._has[name]]
        self.missing = (
            f"jobs that need {', '.join(lacks)} are not for the host {host}; "
            "the setting jobs.resources says what it has"
            if lacks
            else ""
        )

    def are_taken(self) -> bool:
        """Take what we need, all or nothing; True where we have it."""
        if self._session and self._session == self._connection.session_id:
            return True
        self._connection.close()  # and with it, whatever it still holds
        self._connection.connect()
        for name, n in self._needs.items():
            if not self._take(name, n):
                self._connection.close()
                self._session = 0
                return False
        self._session = self._connection.session_id
        return True

    def _take(self, resource: str, n: int) -> bool:
        numbers = list(range(self._has[resource]))
        random.shuffle(numbers)  # so that two workers are not in each other's way all along
        n_taken = 0
        for number in numbers:
            lock = self._connection.dialect.jobs.try_lock(f"{self._host} {resource} {number}")
            n_taken += bool(self._connection.execute(lock).rows[0][0])
            if n_taken == n:
                return True
        return False

    def close(self) -> None:
        self._session = 0
        self._connection.close()
