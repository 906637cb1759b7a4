"""Keeping claims alive: a thread renews the leases of what this process holds, on a connection of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING
from uuid import UUID

from dj_jobs import finish
from dj_jobs.job import Claim, Key
from dj_jobs.states import Status
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_schema.sql import Ident, Param, idents, join, sql

if TYPE_CHECKING:
    from dj_jobs.table import JobTable
    from dj_schema.table_info import TableName

log = logging.getLogger("datajoint.lease")


class LeaseKeeper:
    """Renews leases at a third of their length, from the first that lasts that long.

    The session that renews is the one that the job names from then on, so that a broken main
    connection during hours of computing does not look like a dead worker.
    """

    def __init__(self, connection: Connection) -> None:
        self._lease_s = float(connection.config.jobs.lease_timeout)
        self._connection = connection.clone()
        self._held: dict[tuple[TableName, UUID], list[Key]] = {}
        self._waiting: list[tuple[JobTable, Claim, float]] = []  # claimed, and not begun
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="datajoint-lease", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def hold(self, jobs: JobTable, claims: Iterable[Claim]) -> None:
        """Keep these claims alive from now on."""
        with self._lock:
            for claim in claims:
                self._held.setdefault((jobs.table_id, claim.token), []).append(claim.key)
                self._waiting.append((jobs, claim, time.monotonic()))

    def start(self, jobs: JobTable, claim: Claim) -> bool:
        """Say that a claim is being computed from now on; False where it went back to other workers."""
        with self._lock:
            for i, (_, waiting, _) in enumerate(self._waiting):
                if waiting is claim:
                    del self._waiting[i]
                    return True
        return False

    def drop(self, jobs: JobTable, claim: Claim) -> None:
        """Let a claim go."""
        with self._lock:
            self._drop(jobs.table_id, claim)

    def _drop(self, table: TableName, claim: Claim) -> None:
        self._waiting = [w for w in self._waiting if w[1] is not claim]
        keys = self._held.get((table, claim.token), [])
        if claim.key in keys:
            keys.remove(claim.key)
        if not keys:
            self._held.pop((table, claim.token), None)

    def _run(self) -> None:
        while not self._stop.wait(self._lease_s / 3):
            self._give_back()
            with self._lock:
                held = {where: list(keys) for where, keys in self._held.items()}
            for (table, token), keys in held.items():
                try:
                    self._renew(table, token, keys)
                except DataJointError as e:
                    # the fence in the database keeps a late result out; trying again is all there is to do
                    log.warning("cannot renew the lease on %d jobs of %s: %s", len(keys), ".".join(table), e)

    def _give_back(self) -> None:
        """Give back what waits behind a job that takes long, so that other workers can have it."""
        latest = time.monotonic() - self._lease_s / 3
        with self._lock:
            waiting = [(jobs, claim) for jobs, claim, since in self._waiting if since <= latest]
            for jobs, claim in waiting:
                self._drop(jobs.table_id, claim)
        if not waiting:
            return
        try:
            finish.release_all(waiting[0][0], [claim for _, claim in waiting], self._connection)
        except DataJointError as e:
            log.warning("%d jobs that wait behind a long one are left to be rescued: %s", len(waiting), e)

    def _renew(self, table: TableName, token: UUID, keys: list[Key]) -> None:
        connection = self._connection
        names = list(keys[0])
        rows = join(", ", (sql("({})", join(", ", (Param(k[n]) for n in names))) for k in keys))
        these = sql("({}) IN ({})", idents(names), rows) if names else sql("TRUE")
        statement = sql(
            "UPDATE {} SET {} = {}, {} = {} WHERE {} AND {} = {} AND {} = {}",
            Ident(*table),
            Ident("_lease_until"), connection.dialect.jobs.after(Param(self._lease_s)),
            Ident("connection_id"), Param(connection.connection_id),
            these,
            Ident("_token"), Param(token),
            Ident("status"), Param(Status.RESERVED.value),
        )  # fmt: skip
        n_renewed = connection.execute(statement).n_rows
        if n_renewed < len(keys):
            log.warning("%d of %d leases of %s are lost", len(keys) - n_renewed, len(keys), ".".join(table))
