"""A data folder of its own for each test, and after it the proof that no server runs on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dj_schema.dialects.embedded import is_available
from dj_schema.dialects.embedded.folder import DataFolder
from dj_schema.dialects.embedded.locks import FileLock, is_held


def wait_until_stopped(folder: DataFolder) -> None:
    """Wait for the watchdog to end, which it does when the server has."""
    with FileLock(folder.watched) as watched:
        watched.exclusive()
    assert not is_held(folder.alive)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    if not is_available():
        pytest.skip("the extra `embedded` is not installed")
    folder = DataFolder(tmp_path / "data of the lab")
    yield folder
    if folder.path.exists():
        wait_until_stopped(folder)
