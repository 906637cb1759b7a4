"""The version of the code that computes, as the settings say; found once a process."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dj_schema.settings import Config


def code_version(config: Config) -> str:
    """Return `jobs.version`, or the short commit for ``version_method = "git"``, or nothing."""
    jobs = config.jobs
    if jobs.version and jobs.version != "git":
        return str(jobs.version)[:64]
    return _git_commit() if "git" in (jobs.version, jobs.version_method) else ""


@lru_cache(maxsize=1)
def _git_commit() -> str:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""  # the page asks for an empty version outside of a repository
    return done.stdout.strip()[:64]
