"""Where we are root the server runs as somebody else, and nobody's rights are changed for that."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dj_schema.dialects.embedded import EmbeddedServer
from dj_schema.dialects.embedded.account import Account, account_for
from dj_schema.dialects.embedded.folder import DataFolder
from dj_schema.dialects.embedded.programs import Programs, find_programs, runnable_by
from dj_schema.dialects.embedded.watchdog import postmaster_pid
from dj_schema.errors import EmbeddedServerError
from tests.embedded.client import execute

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else"),
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc"),
]
# Any user that has a name, and is not the one that new clusters in root's folders get.
ORDINARY_UID = next(user.pw_uid for user in pwd.getpwall() if user.pw_uid != 0 and user.pw_name != "nobody")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may pass, unlike pytest's."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def copy_of(programs: Programs, folder: Path) -> Programs:
    """Lay the wheel's files out below `folder` as they are where it is installed."""
    package = programs.root.parent
    shutil.copytree(programs.root, folder / package.name / programs.root.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return Programs(folder / package.name / programs.root.name)


def test_server_runs_unprivileged_below_a_folder_that_is_roots_alone(folder: DataFolder) -> None:
    private = folder.path.parent
    private.chmod(0o700)
    before = [(path, path.stat().st_mode, path.stat().st_uid) for path in folder.path.parents]
    with EmbeddedServer.acquire(folder.path) as lease:
        assert os.stat(f"/proc/{postmaster_pid(folder.cluster)}").st_uid == folder.cluster.stat().st_uid != 0
        assert execute(lease.address, "select 1") == [[1]]
    assert [(path, path.stat().st_mode, path.stat().st_uid) for path in folder.path.parents] == before
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.cluster.stat().st_mode) == 0o700


def test_server_in_a_users_folder_runs_as_that_user_who_can_go_on_with_it(folder: DataFolder) -> None:
    folder.path.mkdir(mode=0o700)
    os.chown(folder.path, ORDINARY_UID, ORDINARY_UID)
    for _ in range(2):
        with EmbeddedServer.acquire(folder.path):
            assert os.stat(f"/proc/{postmaster_pid(folder.cluster)}").st_uid == ORDINARY_UID
        owners = {path.name: path.stat().st_uid for path in folder.path.iterdir()}
        assert folder.socket_record.name in owners
        assert set(owners.values()) == {ORDINARY_UID}


def test_root_does_not_give_away_a_file_that_a_user_has_linked_to(folder: DataFolder) -> None:
    folder.path.mkdir(mode=0o700)
    os.chown(folder.path, ORDINARY_UID, ORDINARY_UID)
    treasure = folder.path.with_name("treasure")
    treasure.write_text("root's")
    folder.start.symlink_to(treasure)
    with pytest.raises(EmbeddedServerError, match="cannot be used"):
        EmbeddedServer.acquire(folder.path)
    assert treasure.stat().st_uid == 0
    folder.start.unlink()


def test_programs_that_the_user_may_not_read_are_copied_once(open_folder: Path) -> None:
    programs = find_programs()
    if programs is None:
        pytest.skip("the extra `embedded` is not installed")
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    original = copy_of(programs, closed)
    user = Account(ORDINARY_UID, ORDINARY_UID, is_other=True)
    copy = runnable_by(original, user, copies=open_folder / "copies")
    assert copy.root.is_relative_to(open_folder / "copies")
    made = copy.root.stat().st_ino
    again = runnable_by(original, user, copies=open_folder / "copies")
    assert again == copy
    assert again.root.stat().st_ino == made
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    data = DataFolder(open_folder / "data")
    with EmbeddedServer.acquire(data.path, find=lambda: copy) as lease:
        assert execute(lease.address, "select 1") == [[1]]


def test_programs_that_the_user_may_read_are_used_where_they_are(open_folder: Path) -> None:
    programs = find_programs()
    if programs is None:
        pytest.skip("the extra `embedded` is not installed")
    here = copy_of(programs, open_folder)
    user = Account(ORDINARY_UID, ORDINARY_UID, is_other=True)
    assert runnable_by(here, user, copies=open_folder / "copies") == here
    assert not (open_folder / "copies").exists()


def test_new_cluster_in_roots_folder_is_for_nobody(tmp_path: Path) -> None:
    account = account_for(tmp_path, tmp_path / "cluster")
    assert account.is_other
    assert account.uid != 0
