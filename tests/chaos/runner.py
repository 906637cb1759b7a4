"""One run on one server: start the workers, break things as planned, wait for the end, and judge."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dj_query.table import FreeTable
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_schema.server_address import connection_settings
from dj_schema.settings import Config
from tests.chaos.breaking import Breaker
from tests.chaos.checker import violations
from tests.chaos.crew import Crew
from tests.chaos.edges import edge_of
from tests.chaos.history import Fault, History, Move, RowChange, Rules
from tests.chaos.plan import ROW, UNGUARDED, Plan
from tests.chaos.prepare import NAMES, audit_of, rows_of
from tests.chaos.report import Report, ends_of, write_evidence
from tests.chaos.servers import ROOT, OwnServer
from tests.support.servers import ServerUnderTest

MAX_FAULTS = 5
ATTEMPTS = 2
OF_OWNERS = ("claim", "renew")  # what a worker does with its own jobs
_POLL_S = 0.05
_LOOK_S = 0.4
_STALLED_S = 8.0  # then what waits for a share of the results is done anyway
_N_WAVES = 4


def open_connection(settings: Mapping[str, Any]) -> Connection:
    config = Config()
    return Connection(connection_settings(config, **settings), config)


class Run:
    """One run.

    Parameters
    ----------
    own : OwnServer, optional
        The server, where it may be stopped; without it nothing stops the server.
    folder : Path
        Empty; notes, logs and markers go there.
    """

    def __init__(
        self,
        plan: Plan,
        server: ServerUnderTest,
        folder: Path,
        own: OwnServer | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.plan = plan
        self._server = server
        self._folder = folder
        self._say = say
        self._schema = f"djt_chaos_{secrets.token_hex(4)}"
        self._waves = self._planned_waves()
        self._connection = open_connection(server.settings)
        self._breaks = list(plan.breaks)
        has_proxy = [slot.has_proxy for slot in plan.size.slots]
        self._breaker = Breaker(self._connection, self._schema, own, has_proxy, say)

    def execute(self) -> Report:
        """Do all of it, and leave nothing running."""
        started = time.monotonic()
        with self._cleaned_up():
            self._prepare()
            crew = Crew(
                self._folder,
                self.plan.size.slots,
                [self._environment(i) for i in range(len(self.plan.size.slots))],
            )
            try:
                self._break_and_wait(crew)
            finally:
                crew.stop()
            report = self._judged(crew)
        report.seconds = time.monotonic() - started
        return report

    @contextlib.contextmanager
    def _cleaned_up(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._breaker.close()
            with contextlib.suppress(DataJointError):
                self._connection.script(self._connection.dialect.ddl.drop_schema(self._schema))
            self._connection.close()

    # -- before ------------------------------------------------------------------------------------

    def _environment(self, i: int | None) -> dict[str, str]:
        """Return what the processes of a slot get; without a number, those of ours."""
        settings = dict(self._server.settings)
        extra: dict[str, str] = {}
        if i is not None:
            extra["CHAOS_SLOT"] = self.plan.size.slots[i].name
            proxy = self._breaker.proxies[i]
            if proxy is not None:
                settings |= {"host": "127.0.0.1", "port": proxy.port}
                extra["DJ_USE_TLS"] = "false"  # else the proxy could not see a COMMIT
        variables = {
            "DJ_BACKEND": settings["backend"],
            "DJ_HOST": settings["host"],
            "DJ_PORT": settings["port"],
            "DJ_USER": settings["user"],
            "DJ_PASS": settings["password"],
            "DJ_DATABASE_NAME": settings["database_name"],
            "DJ_JOBS_LEASE_TIMEOUT": self.plan.size.lease_s,
            "DJ_JOBS_MAX_RESCUES": self.plan.size.max_rescues,
            "DJ_JOBS_MAX_INFRASTRUCTURE_RETRIES": MAX_FAULTS,
            "DJ_JOBS_KEEP_COMPLETED": str(self.plan.keeps_completed).lower(),
            "CHAOS_SCHEMA": self._schema,
            "CHAOS_FOLDER": self._folder,
            "CHAOS_SLOW_S": self.plan.size.lease_s * 1.5,
            "CHAOS_TIMEOUT_S": self.plan.size.lease_s * 2,
            "PYTHONPATH": ROOT,
        }
        return {name: str(value) for name, value in variables.items() if value != ""} | extra

    def _planned_waves(self) -> list[tuple[float, list[dict[str, object]]]]:
        later = rows_of(self.plan.inputs[len(self.plan.inputs) - self.plan.later :])
        return [(0.15 * (i + 1), later[i::_N_WAVES]) for i in range(_N_WAVES)]

    def _prepare(self) -> None:
        first = self.plan.inputs[: len(self.plan.inputs) - self.plan.later]
        subprocess.run(
            [sys.executable, "-m", "tests.chaos.prepare"],
            input=json.dumps(rows_of(first)).encode(),
            env={**os.environ, **self._environment(None)},
            cwd=ROOT,
            check=True,
        )

    # -- while it runs -----------------------------------------------------------------------------

    def _break_and_wait(self, crew: Crew) -> None:
        expected = sum(ending.startswith(ROW) for of in self._endings().values() for ending in of.values())
        n = n_seen = 0
        changed = looked = time.monotonic()
        while True:
            self._breaker.faults += crew.keep_running()
            crew.resume_due()
            if time.monotonic() - looked > _LOOK_S:
                looked = time.monotonic()
                n = self._n_ended()
                if n != n_seen:
                    n_seen, changed = n, looked
                if n >= self.plan.size.n_jobs and not self._breaks and crew.is_whole:
                    return
                if looked - changed > 60 + 10 * self.plan.size.lease_s:
                    self._say(f"nothing has ended for a long while, {n} of {self.plan.size.n_jobs} have")
                    return
            is_stalled = time.monotonic() - changed > _STALLED_S
            share = n / max(1, expected)
            if self._waves and (share >= self._waves[0][0] or is_stalled):
                FreeTable.at(self._connection, self._schema, "input").insert(self._waves.pop(0)[1])
            if self._breaks and (share >= self._breaks[0].at_share or is_stalled):
                self._breaker.do(self._breaks.pop(0), crew)
            time.sleep(_POLL_S)

    def _n_ended(self) -> int:
        """Return how many keys have a result, an error, or an end without a result."""
        n = 0
        for name in NAMES:
            result = FreeTable.at(self._connection, self._schema, f"__{name.lower()}")
            jobs = FreeTable.at(self._connection, self._schema, f"~~{name.lower()}")
            n += len(result) + len(jobs & "status = 'error'") + len(jobs & "status = 'success' AND _is_empty")
        return n

    # -- after -------------------------------------------------------------------------------------

    def _endings(self) -> dict[str, dict[int, str]]:
        return {
            name: {i.id: i.ending(name) for i in self.plan.inputs if name in ("Plain", i.form)}
            for name in NAMES
        }

    def _judged(self, crew: Crew) -> Report:
        report = Report(
            self._server.name, self.plan.seed, self.plan.size.n_jobs, left_out=self._breaker.left_out
        )
        notes, ends = crew.notes()
        faults = [*self._breaker.faults, *self._breaker.cut_commits(crew), *ends]
        report.faults = Counter(f.kind for f in faults)
        report.n_workers = crew.n_started
        recorded = {name: audit_of(self._connection, self._schema, name).read() for name in NAMES}
        faults = [_with_owners(f, [m for moves, _, _ in recorded.values() for m in moves]) for f in faults]
        for name, endings in self._endings().items():
            moves, rows, inputs = recorded[name]
            is_guarded = name not in UNGUARDED
            history = History(
                moves,
                rows if is_guarded else [_blind(row) for row in rows],
                inputs if is_guarded else [],
                notes.get(f"__{name.lower()}", []),
                faults,
                Rules(
                    max_rescues=self.plan.size.max_rescues,
                    max_faults=MAX_FAULTS,
                    attempts=ATTEMPTS,
                    endings=endings,
                    longest_limbo_s=10.0,
                    longest_overtaking_s=15.0,
                ),
            )
            found = violations(history)
            report.n_moves += len(moves)
            report.violations += [(name, violation) for violation in found]
            report.ends.update(ends_of(history))
            if found:
                write_evidence(self._folder / f"violations-{name}.txt", history, found)
        return report


def _with_owners(fault: Fault, moves: list[Move]) -> Fault:
    """Of a session that was ended, name the process too: it may then close its others by itself."""
    if not fault.sessions:
        return fault
    owners = {
        m.after.pid
        for m in moves
        if m.after is not None and m.session in fault.sessions and edge_of(m.before, m.after) in OF_OWNERS
    }
    return replace(fault, pids=fault.pids | owners)


def _blind(row: RowChange) -> RowChange:
    """Of a make in one part it is not said which version it has seen."""
    return replace(row, seen=None)
