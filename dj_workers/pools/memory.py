"""How much memory a process holds."""

from __future__ import annotations

import os
import subprocess

_KB_PER_MB = 1024


def resident_mb(pid: int) -> float | None:
    """Return the resident memory of a process in MB; None where the system does not tell, or it is gone."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (_KB_PER_MB * 1024)
    except FileNotFoundError:
        return None if os.path.isdir("/proc/self") else _asked_mb(pid)
    except (OSError, IndexError, ValueError):
        return None


def _asked_mb(pid: int) -> float | None:
    """As `ps` tells, on systems without /proc."""
    try:
        said = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=True
        ).stdout
        return int(said) / _KB_PER_MB
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
