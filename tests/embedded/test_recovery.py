"""The embedded server is whole again, and gone when unused, whatever is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from dj_schema.dialects.embedded import EmbeddedServer
from dj_schema.dialects.embedded.account import account_for
from dj_schema.dialects.embedded.folder import DataFolder
from dj_schema.dialects.embedded.locks import is_held
from dj_schema.dialects.embedded.programs import find_programs
from dj_schema.dialects.embedded.watchdog import postmaster_pid
from dj_schema.errors import EmbeddedServerError
from tests.embedded.client import Client, execute
from tests.embedded.conftest import wait_until_stopped

pytestmark = pytest.mark.kill

on_linux = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")


def server_pid(folder: DataFolder) -> int:
    pid = postmaster_pid(folder.cluster)
    assert pid is not None
    return pid


def watchdog_pid(folder: DataFolder) -> int:
    status = Path(f"/proc/{server_pid(folder)}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:")))


def kill_server(folder: DataFolder) -> None:
    os.kill(server_pid(folder), signal.SIGKILL)
    wait_until_stopped(folder)


def test_killed_holder_of_the_last_lease_takes_the_server_with_it(folder: DataFolder) -> None:
    with Client(folder.path) as client:
        client.ask("acquire")
        client.ask("create table kept as select 1 as n")
        client.kill()
    wait_until_stopped(folder)
    with EmbeddedServer.acquire(folder.path) as lease:
        assert execute(lease.address, "select n from kept") == [[1]]


def test_killed_starter_leaves_the_server_to_the_others(folder: DataFolder) -> None:
    with Client(folder.path) as client:
        socket_dir = client.ask("acquire")
        lease = EmbeddedServer.acquire(folder.path)
        client.kill()
    assert lease.address.socket_dir == socket_dir
    assert execute(lease.address, "select 1") == [[1]]
    lease.release()
    assert not is_held(folder.alive)


def test_killed_server_is_started_again_with_what_was_committed(folder: DataFolder) -> None:
    broken = EmbeddedServer.acquire(folder.path)
    execute(broken.address, "create table kept as select 1 as n")
    kill_server(folder)
    with EmbeddedServer.acquire(folder.path) as lease:
        assert execute(lease.address, "select n from kept") == [[1]]
        broken.release()
        assert execute(lease.address, "select n from kept") == [[1]]
    assert not is_held(folder.alive)


@on_linux
def test_killed_watchdog_is_replaced_by_the_one_who_leaves(folder: DataFolder) -> None:
    lease = EmbeddedServer.acquire(folder.path)
    os.kill(watchdog_pid(folder), signal.SIGKILL)
    wait_until_free(folder)
    assert execute(lease.address, "select 1") == [[1]]
    lease.release()
    assert not is_held(folder.alive)
    assert not Path(lease.address.socket_dir).exists()


@on_linux
def test_killed_watchdog_is_replaced_by_the_one_who_comes(folder: DataFolder) -> None:
    with Client(folder.path) as client:
        client.ask("acquire")
        os.kill(watchdog_pid(folder), signal.SIGKILL)
        wait_until_free(folder)
        with Client(folder.path) as second:
            second.ask("acquire")
            client.kill()
            second.kill()
    wait_until_stopped(folder)


@on_linux
def test_server_whose_watchdog_and_clients_were_all_killed_is_taken_over(folder: DataFolder) -> None:
    with Client(folder.path) as client:
        socket_dir = client.ask("acquire")
        os.kill(watchdog_pid(folder), signal.SIGKILL)
        client.kill()
    with EmbeddedServer.acquire(folder.path) as lease:
        assert lease.address.socket_dir == socket_dir
        assert execute(lease.address, "select 1") == [[1]]
    assert not is_held(folder.alive)


def wait_until_free(folder: DataFolder) -> None:
    """Wait until the kernel has taken a killed watchdog's lock back."""
    while is_held(folder.watched):
        pass


def test_pid_file_that_names_a_foreign_process_is_removed_and_the_process_lives(folder: DataFolder) -> None:
    lease = EmbeddedServer.acquire(folder.path)
    kill_server(folder)
    lease.release()
    account = account_for(folder.path, folder.cluster)
    foreign = subprocess.Popen(["sleep", "600"], **account.popen_arguments())
    pid_file = folder.cluster / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(foreign.pid), *lines[1:]]) + "\n")
    try:
        with EmbeddedServer.acquire(folder.path) as lease:
            assert execute(lease.address, "select 1") == [[1]]
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


def test_server_started_by_hand_is_left_alone(folder: DataFolder) -> None:
    with EmbeddedServer.acquire(folder.path):
        pass
    account = account_for(folder.path, folder.cluster)
    programs = find_programs()
    assert programs is not None
    command: list[str | Path] = [
        programs.postgres,
        "-D",
        "." if not account.is_other else "/proc/self/cwd",
        "-c",
    ]
    socket_dir = Path(tempfile.mkdtemp(dir="/tmp"))
    account.own(socket_dir)
    command += ["listen_addresses=", "-c", f"unix_socket_directories={socket_dir}"]
    by_hand = subprocess.Popen(
        command, cwd=folder.cluster, stderr=subprocess.PIPE, text=True, **account.popen_arguments()
    )
    assert by_hand.stderr is not None
    while "ready to accept" not in by_hand.stderr.readline():
        assert by_hand.poll() is None
    try:
        with pytest.raises(EmbeddedServerError, match=f"Process {by_hand.pid} is a PostgreSQL server"):
            EmbeddedServer.acquire(folder.path)
        assert by_hand.poll() is None
    finally:
        by_hand.send_signal(signal.SIGINT)
        by_hand.communicate()
        socket_dir.rmdir()


def kill_during_initdb(folder: DataFolder, *, with_initdb: bool) -> None:
    """Kill a client in the middle of making the cluster; with another folder where it was too fast for us."""
    while not _was_killed_during_initdb(folder, with_initdb=with_initdb):
        wait_until_stopped(folder)
        shutil.rmtree(folder.path)


def _was_killed_during_initdb(folder: DataFolder, *, with_initdb: bool) -> bool:
    with Client(folder.path) as client:
        client.say("acquire")
        while not (folder.marker.exists() or list(folder.path.glob("cluster.new-*/PG_VERSION"))):
            assert client.process.poll() is None
        children = Path(f"/proc/{client.process.pid}/task/{client.process.pid}/children")
        pids = children.read_text().split() if with_initdb else []
        client.kill()
    is_in_time = not folder.marker.exists() and bool(pids) == with_initdb
    for pid in map(int, pids) if is_in_time else ():
        try:
            os.killpg(pid, signal.SIGKILL)  # its own session: what it has started ends with it
        except ProcessLookupError:
            is_in_time = False
    return is_in_time


def test_client_killed_during_initdb_leaves_nothing_in_the_way(folder: DataFolder) -> None:
    kill_during_initdb(folder, with_initdb=False)
    with EmbeddedServer.acquire(folder.path) as lease:
        assert execute(lease.address, "select 1") == [[1]]
    assert not list(folder.path.glob("cluster.new-*"))


@on_linux
def test_initdb_killed_with_its_client_leaves_nothing_in_the_way(folder: DataFolder) -> None:
    kill_during_initdb(folder, with_initdb=True)
    with EmbeddedServer.acquire(folder.path) as lease:
        assert execute(lease.address, "select 1") == [[1]]
    assert not list(folder.path.glob("cluster.new-*"))


def test_cluster_without_its_marker_is_set_aside_and_not_deleted(folder: DataFolder) -> None:
    folder.cluster.mkdir(parents=True)
    (folder.cluster / "precious").write_text("data")
    with EmbeddedServer.acquire(folder.path) as lease:
        assert execute(lease.address, "select 1") == [[1]]
    (kept,) = folder.path.glob("cluster.set-aside-*/cluster/precious")
    assert kept.read_text() == "data"


def test_data_of_another_major_version_is_refused(folder: DataFolder) -> None:
    folder.path.mkdir()
    folder.marker.write_text('{"major": 12}')
    with pytest.raises(EmbeddedServerError, match="made by PostgreSQL 12"):
        EmbeddedServer.acquire(folder.path)


def test_server_that_cannot_start_says_its_last_words(folder: DataFolder) -> None:
    with EmbeddedServer.acquire(folder.path):
        pass
    (folder.cluster / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedServerError, match="did not start") as caught:
        EmbeddedServer.acquire(folder.path)
    assert "could not find the database system" in str(caught.value)
    assert not is_held(folder.leases)


def test_folder_removed_under_a_running_server_does_not_keep_it_running(folder: DataFolder) -> None:
    lease = EmbeddedServer.acquire(folder.path)
    moved = DataFolder(folder.path.with_name("moved"))
    folder.path.rename(moved.path)
    lease.release()
    wait_until_stopped(moved)
