"""What the sessions of a server do at a moment: tests wait for it, and end some.

MySQL cannot read its older tables of sessions (``information_schema.processlist``, ``innodb_trx``) while any
session, also of another test, runs a statement with characters beyond utf8mb3. Its newer ones it can.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dj_schema.connection import Connection

PROCESSES = {
    "mysql": "performance_schema.processlist",
    "mariadb": "information_schema.processlist",
    "postgresql": "pg_stat_activity",
}
"""The table of a server in which its sessions stand, a row each."""


def live_sessions(connection: Connection) -> set[int]:
    found = connection.execute(connection.dialect.jobs.LIVE_SESSIONS, is_read=True)
    return {int(row[0]) for row in found.rows}


def kill(connection: Connection, session: int) -> None:
    """End a session in the server, as an administrator or a network does."""
    if connection.settings.backend == "mysql":
        connection.query(f"KILL {int(session)}")
    else:
        connection.query("SELECT pg_terminate_backend(%s)", [session])


def end(connection: Connection, session: int) -> None:
    """End a session in the server, and wait until it is gone."""
    kill(connection, session)
    wait_until_gone(connection, session)


def wait_until_gone(connection: Connection, session: int) -> None:
    """Wait until the server does not know a session any more: it ends some time after its client."""
    while session in live_sessions(connection):
        continue


def is_running(connection: Connection, session: int, text: str = "") -> bool:
    """Whether a session runs a statement in which a text stands."""
    if connection.dialect.name == "postgresql":
        return _does(connection, session, "state = 'active' AND strpos(query, %s) > 0", text)
    return _does(connection, session, "command = 'Query' AND locate(%s, info) > 0", text)


def runs_anywhere(connection: Connection, text: str) -> bool:
    """Whether any other session runs a statement in which a text stands."""
    if connection.dialect.name == "postgresql":
        others = "state = 'active' AND strpos(query, %s) > 0 AND pid <> pg_backend_pid()"
    else:
        others = "command = 'Query' AND locate(%s, info) > 0 AND id <> connection_id()"
    return bool(
        connection.query(f"SELECT 1 FROM {PROCESSES[connection.dialect.name]} WHERE {others}", [text])
    )


def is_waiting_for_table(connection: Connection, session: int) -> bool:
    """Whether a session waits for a lock on a table as a whole."""
    if connection.dialect.name == "postgresql":
        return _does(connection, session, "wait_event_type = 'Lock' AND wait_event = 'relation'")
    return _does(connection, session, "state LIKE 'Waiting for table%%'")


def is_waiting_for_name(connection: Connection, session: int) -> bool:
    """Whether a session waits for a lock on a name (an advisory lock)."""
    if connection.dialect.name == "postgresql":
        return _does(connection, session, "wait_event_type = 'Lock' AND wait_event = 'advisory'")
    return _does(connection, session, "state = 'User lock'")


def is_waiting_for_row(connection: Connection, session: int) -> bool:
    """Whether a session waits for a lock on a row that another one holds."""
    if connection.dialect.name == "postgresql":
        return _does(connection, session, "wait_event IN ('transactionid', 'tuple')")
    if connection.dialect.name == "mysql":
        waiting = (
            "SELECT 1 FROM performance_schema.data_lock_waits JOIN performance_schema.threads"
            " ON thread_id = requesting_thread_id WHERE processlist_id = %s"
        )
    else:
        # MariaDB repeats what it last told of transactions until nobody, also of other tests, has asked for
        # 0.1 s: several that ask in step with each other would be told the same for as long as they do.
        time.sleep(random.uniform(0.2, 0.8))
        waiting = (
            "SELECT 1 FROM information_schema.innodb_trx"
            " WHERE trx_mysql_thread_id = %s AND trx_state = 'LOCK WAIT'"
        )
    return bool(connection.query(waiting, [session]))


def _does(connection: Connection, session: int, what: str, *values: str) -> bool:
    number = "pid" if connection.dialect.name == "postgresql" else "id"
    statement = f"SELECT 1 FROM {PROCESSES[connection.dialect.name]} WHERE {number} = %s AND {what}"
    return bool(connection.query(statement, [session, *values]))


def wait_until_idle(connection: Connection, session: int, seconds: int) -> bool:
    """Wait until a session has had nothing to do for some seconds; False where it ended meanwhile."""
    if connection.dialect.name == "postgresql":
        idle = f"state LIKE 'idle%%' AND state_change <= clock_timestamp() - interval '{int(seconds)} s'"
    else:
        idle = f"command = 'Sleep' AND time >= {int(seconds)}"
    while not _does(connection, session, idle):
        if session not in live_sessions(connection):
            return False
    return True
