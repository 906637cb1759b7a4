"""A computed table and its jobs, worked on by a program of either implementation of DataJoint.

``python squares.py ACTION SCHEMA [KEY]`` prints what it sees as JSON:

declare   declare the tables, and fill in the inputs
drain     say READY, wait for a line, and compute all that is due; the first results wait for each other
hold      compute KEY: its `make` says WAITING, before or after it inserts, and goes on with the next line
reset     return to pending what is reserved, whoever holds it

The environment says in ``SHARED_BY`` who this is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import datajoint as dj

N = 100
MAKE_S = 0.02
LONG_LEASE_S = 900.0
dj.config["safemode"] = False
if name := os.environ.get("SHARED_DATABASE"):
    dj.config["database.name"] = name
schema = dj.Schema()
who = os.environ["SHARED_BY"]
held: tuple[int, str] | None = None
is_draining = False


def is_bad(number: int) -> bool:
    return number % 20 == 7


@schema
class Number(dj.Manual):
    definition = """
    number : int32
    """


@schema
class Square(dj.Computed):
    definition = """
    -> Number
    ---
    square : int64
    maker : varchar(8)
    """

    def make(self, key: dict[str, int]) -> None:
        number = int(key["number"])
        time.sleep(MAKE_S)
        if is_bad(number):
            raise ValueError(f"{number} is bad")
        _meet()
        _wait(number, "before")
        self.insert1({**key, "square": number**2, "maker": who})
        assert self & key  # the server has the row now, which may wait for those of other jobs
        _wait(number, "after")


def _wait(number: int, when: str) -> None:
    global held
    if held == (number, when):
        held = None
        print("WAITING", flush=True)
        sys.stdin.readline()


def _meet() -> None:
    """While both drain: wait until the other computes, too, so that none is done before the other begins."""
    if not is_draining:
        return
    Path(f"draining-{who}").touch()
    while len(list(Path().glob("draining-*"))) < 2:
        time.sleep(MAKE_S)


def declare() -> None:
    Number.insert([{"number": number} for number in range(N)])
    Square().jobs.refresh()


def drain() -> Any:
    global is_draining
    is_draining = True
    jobs = Square().jobs
    print("READY", jobs.table_name, flush=True)
    sys.stdin.readline()
    done = Square.populate(reserve_jobs=True, suppress_errors=True)
    return {"success": done["success_count"], "errors": sorted(k["number"] for k, _ in done["error_list"])}


def hold(number: str, when: str) -> Any:
    global held
    held = int(number), when
    if who == "ours":  # else it would be told with a renewal that the job is not ours any more, and give up
        dj.config["jobs.lease_timeout"] = LONG_LEASE_S
    done = Square.populate({"number": int(number)}, reserve_jobs=True, suppress_errors=True)
    return {"success": done["success_count"], "errors": [str(error) for _, error in done["error_list"]]}


def reset() -> Any:
    time.sleep(1.1)  # both tell whole seconds apart
    return Square().jobs.refresh(orphan_timeout=1)["orphaned"]


def main(action: str, schema_name: str, *arguments: str) -> None:
    schema.activate(schema_name)
    actions: dict[str, Any] = {"declare": declare, "drain": drain, "hold": hold, "reset": reset}
    print("SEEN", json.dumps(actions[action](*arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
