"""The pipeline that all pools compute; each trial says what becomes of its `make`.

Tests import a copy of this file under a name of its own. PIPELINE_SCHEMA names the schema; without it the
schema waits for its activation. PIPELINE_FOLDER is where calls are noted.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import datajoint as dj

folder = Path(os.environ["PIPELINE_FOLDER"])
schema = dj.Schema(os.environ.get("PIPELINE_SCHEMA"))


class TooWarmError(Exception):
    """A class that only this module has."""


@schema
class Trial(dj.Manual):
    definition = """
    subject : varchar(20)
    day     : date
    probe   : uuid
    number  : int32
    ---
    deed = "" : varchar(20)
    """


@schema
class Score(dj.Computed):
    definition = """
    -> Trial
    ---
    score : float64
    pid   : int64
    """
    retry = dj.Retry(attempts=4, on=(TimeoutError,), backoff=0.01)

    def make(self, key: dict[str, Any], bonus: float = 0.0) -> None:
        with open(folder / "calls", "a") as file:
            file.write(f"{key['number']}\n")
        deed = (Trial & key).fetch1("deed")
        if deed == "nothing":
            return
        if deed:
            globals()[deed](key["number"])
        self.insert1({**key, "score": key["number"] / 2 + bonus, "pid": os.getpid()})


def fail(number: int) -> None:
    raise ValueError(f"{number} is bad")


def fail_oddly(number: int) -> None:
    raise TooWarmError(f"{number} degrees: too warm")


def _is_first(number: int) -> bool:
    try:
        (folder / f"tried-{number}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def fail_once(number: int) -> None:
    if _is_first(number):
        raise TimeoutError("once")


def die_once(number: int) -> None:
    if _is_first(number):
        os.kill(os.getpid(), signal.SIGKILL)
