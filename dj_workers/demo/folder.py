"""The folder of the demonstration: its database, the settings that name it, the picture.

Any program that runs in this folder finds the database, because `datajoint.json` is there.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from dj_workers.logs import FORMAT_VARIABLE, LEVEL_VARIABLE

PIPELINE = "dj_workers.demo.pipeline"
SCHEMA = "demo_blobs"
_LEASE_S = 15  # short, so that a job of a dead worker is not missed for long


@dataclass(frozen=True)
class DemoFolder:
    """Where it lies, and which variables of the user's would lead away from it."""

    path: Path
    variables_put_aside: tuple[str, ...] = ()

    @property
    def picture(self) -> Path:
        return self.path / "blobs.png"

    @classmethod
    def enter(cls, path: Path, *, keep_log_level: bool = False) -> DemoFolder:
        """Make the folder where it is not there, and have this process and its children work in it.

        Settings of the user's own database are put aside: the demonstration keeps to itself.

        Parameters
        ----------
        keep_log_level : bool
            Follow `DJ_LOG_LEVEL`; else only warnings are logged.
        """
        path = path.expanduser().resolve()
        path.mkdir(parents=True, exist_ok=True)
        settings = {
            "database": {"backend": "embedded", "embedded_path": str(path / "postgresql")},
            "jobs": {"keep_completed": True, "lease_timeout": _LEASE_S},
            "loglevel": "WARNING",
        }
        (path / "datajoint.json").write_text(json.dumps(settings, indent=2) + "\n")
        if not keep_log_level:
            os.environ.pop(LEVEL_VARIABLE, None)
        os.environ.pop(FORMAT_VARIABLE, None)  # this program's own, by which its children would log
        put_aside = tuple(sorted(n for n in os.environ if n.startswith("DJ_") and n != LEVEL_VARIABLE))
        for name in put_aside:
            del os.environ[name]
        os.chdir(path)
        return cls(path, put_aside)

    def command_line(self, *arguments: str) -> str:
        """Return a line for a shell that runs `dj-worker` on the database of this folder."""
        beside = Path(sys.executable).with_name("dj-worker")
        program = [str(beside)] if beside.exists() else [sys.executable, "-m", "dj_workers.cli.main"]
        unset = [word for name in self.variables_put_aside for word in ("-u", name)]
        words = [*(["env", *unset] if unset else []), *program, *arguments]
        return f"cd {shlex.quote(str(self.path))} && {shlex.join(words)}"
