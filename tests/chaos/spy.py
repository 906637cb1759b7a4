"""What a worker process believes, written down line by line, so that it outlives a SIGKILL.

Installed in worker processes by the pipeline that they import. It looks at what the engine tells of its
claims and jobs, and changes nothing of it.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import time
from pathlib import Path
from typing import Any

import dj_jobs.claim
from dj_jobs.run import Runner
from dj_jobs.telling import Teller

_file: tuple[int, int] | None = None  # of this process: (pid, descriptor)
_folder = Path()
_slot = ""


def install(folder: Path, slot: str) -> None:
    """Begin to note, into a file for each process."""
    global _folder, _slot
    _folder, _slot = folder, slot
    dj_jobs.claim.claim = _noting_claims(dj_jobs.claim.claim)
    Runner.run_claim = _noting_makes(Runner.run_claim)  # type: ignore[method-assign]
    Teller.ended = _noting_success(Teller.ended)  # type: ignore[method-assign]
    atexit.register(note, "exits")


def note(kind: str, **what: Any) -> None:
    """Write one line; the kernel has it when this returns."""
    global _file
    pid = os.getpid()
    if _file is None or _file[0] != pid:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        _file = pid, os.open(_folder / f"{pid}-{time.time_ns()}.notes", flags, 0o644)
        note("hello", slot=_slot)
    line = json.dumps({"kind": kind, "pid": pid, "at": time.time(), **what}) + "\n"
    os.write(_file[1], line.encode())


def _of(table: Any, claim: Any) -> dict[str, Any]:
    return {"table": table.table_name, "key": claim.key["id"], "token": claim.token.hex}


def _noting_claims(claim: Any) -> Any:
    @functools.wraps(claim)
    def noting(jobs: Any, *args: Any, **kwargs: Any) -> Any:
        claimed = claim(jobs, *args, **kwargs)
        for one in claimed:
            note("claimed", **_of(jobs.target, one))
        return claimed

    return noting


def _noting_makes(run_claim: Any) -> Any:
    @functools.wraps(run_claim)
    def noting(self: Any, jobs: Any, claim: Any, *args: Any, **kwargs: Any) -> Any:
        _tokens[self.table.table_name, claim.key["id"]] = claim.token.hex
        note("began", **_of(self.table, claim))
        outcome = run_claim(self, jobs, claim, *args, **kwargs)
        note("ended", result=str(outcome.result.value), **_of(self.table, claim))
        return outcome

    return noting


_tokens: dict[tuple[str, int], str] = {}


def _noting_success(tell: Any) -> Any:
    @functools.wraps(tell)
    def noting(self: Any, outcome: Any, *args: Any, **kwargs: Any) -> Any:
        key = outcome.key["id"]
        if outcome.result.value in ("success", "empty"):
            table = self.table[1]
            token = _tokens.get((table, key), "")  # none where it was computed by a child that was killed
            note("told", result=outcome.result.value, table=table, key=key, token=token)
        return tell(self, outcome, *args, **kwargs)

    return noting
