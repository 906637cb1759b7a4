"""What breaks things: workers, their connections, and the server under them."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable

from dj_query.table import FreeTable
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from tests.chaos.crew import Crew
from tests.chaos.history import Fault
from tests.chaos.plan import Break
from tests.chaos.prepare import NAMES
from tests.chaos.proxy import MysqlCommits, PostgresCommits, Proxy
from tests.chaos.servers import OwnServer
from tests.support.sessions import PROCESSES, kill


class Breaker:
    """Breaks what a plan says, and notes it.

    Parameters
    ----------
    own : OwnServer, optional
        The server, where it may be stopped.

    Attributes
    ----------
    proxies : list of Proxy or None
        For each slot.
    """

    def __init__(
        self,
        connection: Connection,
        schema: str,
        own: OwnServer | None,
        has_proxy: list[bool],
        say: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._own = own
        self._say = say
        self._is_mysql = connection.settings.backend == "mysql"
        self.proxies = [self._new_proxy() if has else None for has in has_proxy]
        self.faults: list[Fault] = []
        self.left_out: Counter[str] = Counter()

    def _new_proxy(self) -> Proxy:
        port = self._connection.settings.port
        assert port is not None
        return Proxy(port, MysqlCommits if self._is_mysql else PostgresCommits)

    def close(self) -> None:
        for proxy in filter(None, self.proxies):
            proxy.close()

    def cut_commits(self, crew: Crew) -> list[Fault]:
        """Return the cuts that were planned for a COMMIT, as they happened."""
        return [
            Fault("cut commit", at, crew.pids(slot, alive=False))
            for slot, proxy in enumerate(self.proxies)
            for at in (proxy.cut_commits_at if proxy is not None else ())
        ]

    def do(self, planned: Break, crew: Crew) -> None:
        """Break one thing; what could not be broken now is left out."""
        done = getattr(self, "_do_" + planned.kind.replace(" ", "_"))(planned, crew)
        if done is not None:
            self.faults.append(done)
            self._say(f"{planned.at_share:.2f} {planned.kind} {sorted(done.pids | done.sessions)}")

    def _do_kill(self, planned: Break, crew: Crew) -> Fault | None:
        pid = crew.choose(planned.slot, planned.chance)
        if pid is None:
            return None
        fault = Fault("kill", time.time(), frozenset({pid}))
        crew.kill(pid)
        return fault

    def _do_stop(self, planned: Break, crew: Crew) -> Fault | None:
        pid = crew.choose(planned.slot, planned.chance)
        if pid is None:
            return None
        crew.pause(pid, planned.lasts_s)
        return Fault("stop", time.time(), frozenset({pid}), until=time.time() + planned.lasts_s)

    def _do_interrupt(self, planned: Break, crew: Crew) -> Fault | None:
        pid = crew.interrupt(planned.slot)
        return None if pid is None else Fault("interrupt", time.time(), crew.pids(planned.slot, alive=True))

    def _do_terminate(self, planned: Break, crew: Crew) -> Fault | None:
        if self._is_mysql:
            number, theirs = "id", "db IS NULL AND id <> connection_id() AND command <> 'Daemon'"
            theirs += " AND user = substring_index(current_user(), '@', 1)"
        else:
            number, theirs = "pid", "application_name = 'datajoint' AND pid <> pg_backend_pid()"
        processes = PROCESSES[self._connection.dialect.name]
        others = [
            row[0]
            for row in self._connection.query(
                f"SELECT {number} FROM {processes} WHERE {theirs} ORDER BY {number}"
            )
        ]
        ours = [one for one in others if self._own is not None or one in self._named_sessions()]
        if not ours:
            return None
        session = int(ours[int(planned.chance * len(ours))])
        fault = Fault("terminate", time.time(), sessions=frozenset({session}))
        with contextlib.suppress(DataJointError):  # it has ended by itself
            kill(self._connection, session)
        return fault

    def _named_sessions(self) -> set[int]:
        """On a server that others use too, only sessions that our jobs name."""
        found: set[int] = set()
        for name in NAMES:
            jobs = FreeTable.at(self._connection, self._schema, f"~~{name.lower()}")
            found |= {row["connection_id"] for row in (jobs & "status = 'reserved'").to_dicts()}
        return found

    def _do_cut(self, planned: Break, crew: Crew) -> Fault | None:
        proxy = self.proxies[planned.slot]
        assert proxy is not None
        fault = Fault("cut", time.time(), crew.pids(planned.slot, alive=True))
        proxy.cut_all()
        return fault

    def _do_cut_commit(self, planned: Break, crew: Crew) -> None:
        """Counted when it happens."""
        proxy = self.proxies[planned.slot]
        assert proxy is not None
        assert planned.cut is not None
        proxy.arm(planned.cut)

    def _do_restart(self, planned: Break, crew: Crew) -> Fault | None:
        return self._server_away("restart", crash=False)

    def _do_crash(self, planned: Break, crew: Crew) -> Fault | None:
        return self._server_away("crash", crash=True)

    def _server_away(self, kind: str, *, crash: bool) -> Fault | None:
        if self._own is None:
            self.left_out[kind] += 1
            return None
        began = time.time()
        for proxy in filter(None, self.proxies):
            proxy.is_open = False
        self._own.stop(crash=crash)
        self._own.start()
        for proxy in filter(None, self.proxies):
            proxy.cut_all()
            proxy.is_open = True
        return Fault(kind, began, hits_all=True, until=time.time())
