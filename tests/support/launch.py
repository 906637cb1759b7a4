"""Get a server for this test run: a program that is here, else one from Debian, else one from Docker."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.recipes import LOOPBACK, Address, Recipe
from tests.support.supervise import start_as

START_TIMEOUT_S = 60
IMAGE_TIMEOUT_S = 300
ATTEMPTS = 3  # another process may take the port between our look and the server's
_FIRST_PORT, _N_PORTS = 20_000, 12_000

_SUPERVISE = Path(__file__).with_name("supervise.py")
_POLICY = Path("/usr/sbin/policy-rc.d")
_supervisors: list[subprocess.Popen[bytes]] = []  # kept, or Python would complain that they still run


class Unavailable(Exception):
    """A server cannot be had on this machine; the text says what was tried."""


class NotHere(Unavailable):
    """Neither on the PATH nor in Debian's reach."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's lock, so that one of the test processes does a thing at a time."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def launch(recipe: Recipe, name: str, run_dir: Path) -> Address:
    """Start a server that ends with the test run that `run_dir` belongs to.

    Raises
    ------
    Unavailable
        Neither a program, nor Debian, nor Docker gives one, or the one that there is does not start.
    """
    try:
        program: str | None = program_of(recipe, run_dir)
    except NotHere:
        program = None
    if program is not None:
        return _attempt(lambda: _start_program(recipe, program, name, run_dir))
    if recipe.docker_image and _docker_runs():
        return _attempt(lambda: _start_container(recipe, name, run_dir))
    raise Unavailable(
        f"no {type(recipe).__name__} on the PATH; "
        + ("not root on Debian to install it" if recipe.debian_packages else "Debian has no package of it")
        + "; Docker does not run"
    )


def _attempt(start: Callable[[], Address]) -> Address:
    for left in reversed(range(ATTEMPTS)):
        try:
            return start()
        except Unavailable:
            if not left:
                raise
    raise AssertionError("unreachable")


def _start_program(recipe: Recipe, program: str, name: str, run_dir: Path) -> Address:
    address = _new_address(recipe)
    account = _ordinary_account()
    folder = run_dir / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    if account:
        shutil.chown(folder, account)
    log = run_dir / f"{name}.log"
    recipe.prepare(program, folder, address.password, lambda command: _run_as(account, command, folder, log))
    command = recipe.command(program, folder, address)
    _supervise(recipe, name, run_dir, account, command, address, START_TIMEOUT_S)
    return address


def _start_container(recipe: Recipe, name: str, run_dir: Path) -> Address:
    address = _new_address(recipe)
    folder = run_dir / name
    folder.mkdir(mode=0o700, exist_ok=True)
    before, after = recipe.docker_options(address)
    published = f"{LOOPBACK}:{address.port}:{recipe.docker_port}"
    command = [
        "docker",
        "run",
        "--rm",
        "--init",
        "--publish",
        published,
        *before,
        recipe.docker_image,
        *after,
    ]
    _supervise(recipe, name, run_dir, "", command, address, IMAGE_TIMEOUT_S)
    return address


def _new_address(recipe: Recipe) -> Address:
    # A password of its own also tells our server from another that took the port.
    return Address(free_port(), recipe.user, secrets.token_hex(8))


def free_port() -> int:
    """Return a port that nobody has now, and that no system gives to who asks it for any."""
    while True:
        port = _FIRST_PORT + secrets.randbelow(_N_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


def _ordinary_account() -> str:
    """Return the account that servers run as, or "" to stay what we are."""
    return "nobody" if os.geteuid() == 0 else ""


def _run_as(account: str, command: list[str], folder: Path, log: Path) -> None:
    with open(log, "ab") as output:
        try:
            status = start_as(account, command, folder, output).wait()
        except FileNotFoundError as error:
            raise Unavailable(f"no program {command[0]}") from error
    if status:
        raise Unavailable(f"{command[0]} failed: {_tail(log)}")


def _supervise(
    recipe: Recipe,
    name: str,
    run_dir: Path,
    account: str,
    command: list[str],
    address: Address,
    timeout_s: float,
) -> None:
    log = run_dir / f"{name}.log"
    files = [str(run_dir / "alive"), str(run_dir / f"{name}.running"), str(run_dir / name)]
    with open(log, "ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, str(_SUPERVISE), *files, account, *command],
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the tests
        )
    _supervisors.append(supervisor)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            recipe.probe(address)
        except recipe.not_ready as error:
            last = error
        else:
            return
        try:
            supervisor.wait(0.05)
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
            supervisor.terminate()
            supervisor.wait()  # it removes the folder, in which the next attempt begins
            raise Unavailable(f"{command[0]} is not ready after {timeout_s} s: {last}") from last
        raise Unavailable(f"{command[0]} ended as it started: {_tail(log)}")


def _tail(log: Path) -> str:
    """Return the last lines that speak of an error, or else the last lines."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()]
    return " | ".join((telling or lines)[-3:])


def program_of(recipe: Recipe, run_dir: Path) -> str:
    """Return a program of a server, installed if need be.

    Raises
    ------
    NotHere
        It is neither on the PATH nor in Debian's reach.
    """
    found = recipe.find()
    if found is None and install(recipe.debian_packages, run_dir):
        found = recipe.find()
    if found is None:
        raise NotHere(f"no {type(recipe).__name__} on the PATH; not root on Debian to install it")
    return found


def install(packages: Sequence[str], run_dir: Path) -> bool:
    """Install programs from Debian without starting their services; False where that is not ours to do."""
    if os.geteuid() != 0 or not packages or shutil.which("apt-get") is None:
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    with locked(run_dir / "apt.lock"), _no_service_starts(), open(run_dir / "apt.log", "ab") as log:
        for command in (["apt-get", "update", "-q"], install):
            done = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(install)} failed: {_tail(run_dir / 'apt.log')}")
    return True


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Tell Debian's packages not to start what they install, unless the machine has a rule of its own."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _docker_runs() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        return (
            subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False
