"""A `Connection` to the embedded server: it holds a lease, gives it back, and outlives the server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dj_schema.connection import Connection
from dj_schema.dialects.embedded.folder import DataFolder
from dj_schema.dialects.embedded.locks import is_held
from dj_schema.errors import LostConnectionError
from dj_schema.server_address import connection_settings
from dj_schema.settings import Config


@pytest.fixture
def connection(folder: DataFolder) -> Iterator[Connection]:
    config = Config()
    config["database.embedded_path"] = str(folder.path)
    with Connection(connection_settings(config), config) as opened:
        yield opened


def _postmaster(connection: Connection) -> int:
    """Return the process that started the one of our session."""
    stat = Path(f"/proc/{connection.connection_id}/stat").read_text()
    return int(stat.rsplit(")", 1)[1].split()[1])


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


def test_a_killed_server_is_started_again(connection: Connection) -> None:
    connection.query("CREATE TABLE kept (k int)")
    connection.query("INSERT INTO kept VALUES (7)")
    os.kill(_postmaster(connection), signal.SIGKILL)
    assert _until_it_answers(connection) == [(7,)]
    with pytest.raises(LostConnectionError):
        _insert_until_it_breaks(connection)
    assert not connection.in_transaction
    assert _until_it_answers(connection) == [(7,)]


def _insert_until_it_breaks(connection: Connection) -> None:
    with connection.transaction:
        os.kill(_postmaster(connection), signal.SIGKILL)
        while True:
            connection.query("INSERT INTO kept VALUES (8)")


def _until_it_answers(connection: Connection) -> list[tuple[int, ...]]:
    """A session may live on for a moment after the server's main process is gone."""
    while True:
        try:
            return list(connection.query("SELECT k FROM kept"))
        except LostConnectionError:
            continue
