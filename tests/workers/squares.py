"""The pipeline that worker processes compute in these tests; each number says what becomes of its `make`.

A test imports a copy of this file under a name of its own. The environment says:

================  ==========================================================================
SQUARES_SCHEMA    the schema; without it the schema waits for its activation
SQUARES_FOLDER    where calls are noted, and where the pipes are that `wait` goes by
SQUARES_BACKOFF_S about how long the second try of `fail_at_first` waits
SQUARES_STEP_S    how often the step is called
SQUARES_PARENT    a process number: in any other process the import fails
================  ==========================================================================
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import datajoint as dj
import dj_workers

if os.environ.get("SQUARES_PARENT") not in (None, str(os.getpid())):
    raise ImportError("this pipeline is for one process alone")

kept: list[bytearray] = []
folder = Path(os.environ["SQUARES_FOLDER"])
schema = dj.Schema(os.environ.get("SQUARES_SCHEMA"))


class OddError(Exception):
    """Cannot be pickled, nor made from its arguments."""

    def __init__(self, text: str, file: object) -> None:
        super().__init__(text)
        self.file = file


class LaterError(Exception):
    """Not now, but surely later."""


@schema
class Number(dj.Manual):
    definition = """
    number : int32
    ---
    what = "square" : varchar(20)
    """


@schema
class Square(dj.Computed):
    definition = """
    -> Number
    ---
    square : int64
    pid    : int64
    """
    retry = dj.Retry(attempts=2, on=(LaterError,), backoff=float(os.environ.get("SQUARES_BACKOFF_S", "25")))

    def make(self, key: dict[str, int], shift: int = 0) -> None:
        number = key["number"]
        note_call(number)
        deed = globals().get((Number & key).fetch1("what"))
        if deed is not None:
            deed(number)
        self.insert1({**key, "square": number**2 + shift, "pid": os.getpid()})


@schema
class Next(dj.Computed):
    definition = """
    -> Square
    ---
    following : int64
    """

    def make(self, key: dict[str, int]) -> None:
        self.insert1({**key, "following": (Square & key).fetch1("square") + 1})


@schema
class Unmade(dj.Computed):
    definition = "-> Number"


@dj_workers.step(every_s=float(os.environ.get("SQUARES_STEP_S", "3600")))
def ingest() -> None:
    """Insert the numbers that a file asks for."""
    file = folder / "to_ingest"
    if file.exists():
        Number.insert([{"number": n} for n in range(int(file.read_text()))], skip_duplicates=True)


def note_call(number: int) -> None:
    with open(folder / "calls", "a") as file:
        file.write(f"{number}\n")


# -- what a number may ask for ---------------------------------------------------------------------


def fail(number: int) -> None:
    raise ValueError(f"{number} is bad")


def fail_at_first(number: int) -> None:
    if not (folder / f"failed-{number}").exists():
        (folder / f"failed-{number}").touch()
        raise LaterError(f"{number} is early")


def fail_oddly(number: int) -> None:
    with open(os.devnull) as file:
        raise OddError(f"{number} is odd", file)


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(number: int) -> None:
    try:
        (folder / f"died-{number}").touch(exist_ok=False)
    except FileExistsError:
        return
    die(number)


def leave(number: int) -> None:
    sys.exit(f"{number} wants to go")


def exit_once(number: int) -> None:
    try:
        (folder / f"died-{number}").touch(exist_ok=False)
    except FileExistsError:
        return
    os._exit(0)


def grow(_: int) -> None:
    kept.append(bytearray(os.urandom(1024)) * (400 * 1024))


def sleep(_: int) -> None:
    time.sleep(600)  # no step of the interpreter comes to interrupt it at


def hold(_: int) -> None:
    ctypes.PyDLL(None).usleep(600_000_000)  # with the lock of the interpreter


def start_process(_: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=os.getpid)
    process.start()
    process.join()
    assert process.exitcode == 0


def wait(_: int) -> None:
    """Tell by one pipe that the computing has begun, and wait for the end of another."""
    (folder / "started").write_text("now")
    (folder / "go").read_text()
