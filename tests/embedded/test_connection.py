"""A `Connection` to the embedded server: it holds a lease, gives it back, and outlives the server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from dj_schema.connection import Connection
from dj_schema.dialects.embedded.folder import DataFolder
from dj_schema.dialects.embedded.locks import is_held
from dj_schema.dialects.embedded.watchdog import postmaster_pid
from dj_schema.errors import LostConnectionError
from dj_schema.server_address import connection_settings
from dj_schema.settings import Config
from tests.embedded.conftest import wait_until_stopped


@pytest.fixture
def connection(folder: DataFolder) -> Iterator[Connection]:
    config = Config()
    config["database.embedded_path"] = str(folder.path)
    with Connection(connection_settings(config), config) as opened:
        yield opened


def _kill_server(folder: DataFolder) -> None:
    pid = postmaster_pid(folder.cluster)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_without_a_host_the_embedded_server_is_started_and_left(
    connection: Connection, folder: DataFolder
) -> None:
    assert "embedded" in repr(connection)
    assert not folder.path.exists()  # nothing starts before it is needed
    assert connection.query("SELECT 1") == [(1,)]
    assert connection.dialect.name == "postgresql"
    assert is_held(folder.alive)
    with connection.clone() as other:
        assert other.query("SELECT 2") == [(2,)]
    assert connection.query("SELECT 3") == [(3,)]
    connection.close()
    connection.close()
    assert connection.connect().query("SELECT 4") == [(4,)]


def test_a_killed_server_is_started_again(connection: Connection, folder: DataFolder) -> None:
    connection.query("CREATE TABLE kept (k int)")
    connection.query("INSERT INTO kept VALUES (7)")
    _kill_server(folder)
    wait_until_stopped(folder)
    assert _until_it_answers(connection) == [(7,)]
    with pytest.raises(LostConnectionError):
        _insert_until_it_breaks(connection, folder)
    assert not connection.in_transaction
    assert _until_it_answers(connection) == [(7,)]


def _insert_until_it_breaks(connection: Connection, folder: DataFolder) -> None:
    with connection.transaction:
        _kill_server(folder)
        while True:
            connection.query("INSERT INTO kept VALUES (8)")


def _until_it_answers(connection: Connection) -> list[tuple[int, ...]]:
    """Ask again where a connection was lost, which is said once."""
    while True:
        try:
            return list(connection.query("SELECT k FROM kept"))
        except LostConnectionError:
            continue
