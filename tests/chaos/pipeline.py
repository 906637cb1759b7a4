"""The pipeline that is computed while everything breaks; each input says what its computing does.

================  ==========================================================================
CHAOS_SCHEMA      the schema
CHAOS_FOLDER      where notes and markers go
CHAOS_SLOT        which of the workers this is
CHAOS_SLOW_S      how long a slow key takes
CHAOS_TIMEOUT_S   how long a key of `Timed` may take; a slow one takes longer there
================  ==========================================================================
"""

from __future__ import annotations

import functools
import os
import signal
import time
from pathlib import Path
from typing import Any

import datajoint as dj
from dj_jobs.run import Runner
from dj_query.table import FreeTable
from dj_schema.errors import DuplicateError
from tests.chaos import spy

folder = Path(os.environ["CHAOS_FOLDER"])
slow_s = float(os.environ.get("CHAOS_SLOW_S", "1"))
timeout_s = float(os.environ.get("CHAOS_TIMEOUT_S", "1"))
schema = dj.Schema(os.environ["CHAOS_SCHEMA"])
if "CHAOS_SLOT" in os.environ:
    spy.install(folder, os.environ["CHAOS_SLOT"])


@schema
class Input(dj.Manual):
    definition = """
    id : int32
    ---
    version = 1 : int32
    form : varchar(8)     # which table has it, beside Plain
    deed : varchar(20)
    urgency : int8
    """


@schema
class Changed(dj.Manual):
    definition = """  # inputs that were changed while something was computed from them
    id : int32
    table_name : varchar(30)
    """


_DEFINITION = """
    -> Input
    ---
    version : int32
    result : int64
    """


@schema
class Plain(dj.Computed):
    definition = _DEFINITION
    retry = dj.Retry(attempts=2, backoff=0.05)

    def make(self, key: dict[str, int]) -> None:
        version, deed, form = (Input & key).fetch1("version", "deed", "form")
        if form == "Locked" or not deed.startswith("change"):  # a make in one part is not guarded against it
            do(self, deed, key)
        if deed != "empty":
            self.insert1(result_of(key, version))
        do(self, f"{deed}_late", key)


@schema
class Parts(dj.Computed):
    definition = _DEFINITION
    retry = dj.Retry(attempts=2, backoff=0.05)

    @property
    def key_source(self) -> Any:
        return Input & {"form": "Parts"}

    def make_fetch(self, key: dict[str, int]) -> tuple[int, str]:
        version, deed = (Input & key).fetch1("version", "deed")
        return int(version), deed

    def make_compute(self, key: dict[str, int], version: int, deed: str) -> tuple[int, str]:
        do(self, deed, key)
        return version, deed

    def make_insert(self, key: dict[str, int], version: int, deed: str) -> None:
        if deed != "empty":
            self.insert1(result_of(key, version))
        do(self, f"{deed}_late", key)


class _InSteps:
    """A make that is a generator."""

    definition = _DEFINITION

    @property
    def key_source(self) -> Any:
        return Input & {"form": type(self).__name__}

    def make(self: Any, key: dict[str, int]) -> Any:
        version, deed = (Input & key).fetch1("version", "deed")
        yield int(version), deed
        if not (isinstance(self, Locked) and deed.startswith("change")):  # it would wait for itself
            do(self, deed, key)
        yield
        if deed != "empty":
            self.insert1(result_of(key, version))
        do(self, f"{deed}_late", key)


@schema
class Steps(_InSteps, dj.Computed):
    """Its inputs are changed by itself, while it computes."""

    retry = dj.Retry(attempts=2, backoff=0.05)


@schema
class Locked(_InSteps, dj.Computed):
    """Computed with `jobs.verify = "lock"`; its inputs are changed by `Plain`, whenever that can be."""

    retry = dj.Retry(attempts=2, backoff=0.05)


@schema
class Timed(dj.Computed):
    definition = _DEFINITION
    retry = dj.Retry(attempts=2, backoff=0.05)
    timeout_s = timeout_s

    @property
    def key_source(self) -> Any:
        return Input & {"form": "Timed"}

    def make(self, key: dict[str, int]) -> None:
        version, deed = (Input & key).fetch1("version", "deed")
        if deed == "slow":
            spy.note("dies")  # killed in a pool; in one process, it sleeps to the end
            time.sleep(timeout_s + 2.5)
        elif not deed.startswith("change"):
            do(self, deed, key)
        if deed != "empty":
            self.insert1(result_of(key, version))
        do(self, f"{deed}_late", key)


TABLES = (Plain, Parts, Steps, Locked, Timed)


def _locking_inputs(run_claim: Any) -> Any:
    @functools.wraps(run_claim)
    def locking(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(self.table, Locked):
            return run_claim(self, *args, **kwargs)
        with self.table.connection.config.override(jobs={"verify": "lock"}):
            return run_claim(self, *args, **kwargs)

    return locking


Runner.run_claim = _locking_inputs(Runner.run_claim)  # type: ignore[method-assign]


def result_of(key: dict[str, int], version: int) -> dict[str, int]:
    return {**key, "version": version, "result": key["id"] ** 2 + version}


# -- what an input may ask for ---------------------------------------------------------------------


def do(table: Any, deed: str, key: dict[str, int]) -> None:
    """Do what the deed says; most deeds are done without a word."""
    action = globals().get(f"do_{deed}")
    if action is not None:
        action(table, key)


def is_first_time(table: Any, key: dict[str, int]) -> bool:
    try:
        (folder / f"{table.table_name}-{key['id']}.marker").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def do_raise(table: Any, key: dict[str, int]) -> None:
    raise ValueError(f"{key['id']} is bad")


def do_raise_once(table: Any, key: dict[str, int]) -> None:
    if is_first_time(table, key):
        raise OSError("not this time")


def do_die(table: Any, key: dict[str, int]) -> None:
    spy.note("dies")
    os.kill(os.getpid(), signal.SIGKILL)


def do_die_once(table: Any, key: dict[str, int]) -> None:
    if is_first_time(table, key):
        do_die(table, key)


def do_once_late(table: Any, key: dict[str, int]) -> None:
    """Die when the row is inserted, and not committed."""
    do_die_once(table, key)


def do_slow(table: Any, key: dict[str, int]) -> None:
    time.sleep(slow_s)


def do_change(table: Any, key: dict[str, int]) -> None:
    """Change the input, each time that it is computed from."""
    with table.connection.clone() as other:
        other.query(f"UPDATE {Input.full_table_name} SET version = version + 1 WHERE id = %s", [key["id"]])


def do_change_once(table: Any, key: dict[str, int]) -> None:
    """Change the input once, before anybody can insert what was computed from it."""
    with table.connection.clone() as other:
        mark = FreeTable.at(other, *Changed().table_id)
        mine = {"id": key["id"], "table_name": table.table_name}
        try:
            with other.transaction:
                mark.insert1(mine)
                update = f"UPDATE {Input.full_table_name} SET version = version + 1 WHERE id = %s"
                other.query(update, [key["id"]])
        except DuplicateError:
            return
