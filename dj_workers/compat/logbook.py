"""The tables of a worker schema: which workers there are, what they did, and what failed."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import new_class
from typing import Any
from uuid import uuid4

from dj_jobs.job import error_message, error_stack
from dj_query.schema import Schema
from dj_query.tiers import Manual
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError

KEPT_DAYS = 30

_DEFINITIONS = {
    "RegisteredWorker": """
        # Workers, as they were when they last started
        worker_name : varchar(64)
        ---
        registered : datetime(6)
        worker_kwargs : json
        """,
    "RegisteredProcess": """
        # The steps of a worker, with what tells how far each is
        -> RegisteredWorker
        process_index : int32
        ---
        process : varchar(255)
        full_table_name = "" : varchar(255)
        key_source = null : json    # statements that count keys: all of them, and those that are missing
        """,
    "WorkerLog": """
        # When a worker began a step
        process_timestamp : datetime(6)
        worker_name : varchar(64)
        process : varchar(255)
        ---
        host : varchar(255)
        user : varchar(255)
        pid : int32
        """,
    "ErrorLog": """
        # What failed
        error_id : uuid
        ---
        error_timestamp : datetime(6)
        worker_name : varchar(64)
        process : varchar(255)
        job_key = null : json
        error_message : varchar(2047)
        error_stack = null : <blob>
        host : varchar(255)
        user : varchar(255)
        pid : int32
        """,
}


@dataclass(frozen=True)
class Logbook:
    """The log of all workers that name one schema."""

    registered_worker: Any
    registered_process: Any
    worker_log: Any
    error_log: Any

    @classmethod
    def of(cls, schema_name: str, connection: Connection) -> Logbook:
        """Return the tables of a worker schema, declaring those that are not there.

        Raises
        ------
        DataJointError
            Where the schema has tables of these names that another program has made.
        """
        schema = Schema(schema_name, connection=connection)
        classes: dict[str, Any] = {}
        for name, definition in _DEFINITIONS.items():
            made = new_class(name, (Manual,), exec_body=partial(_fill, definition))
            classes[name] = schema(made, context=classes)
            _check_ours(classes[name])
        return cls(*classes.values())

    # -- writing -----------------------------------------------------------------------------------

    def register(self, worker_name: str, settings: Mapping[str, Any], steps: list[dict[str, Any]]) -> None:
        """Write down a worker and its steps, in the place of what it was before."""
        connection: Connection = self.registered_worker._schema.connection
        row = {"worker_name": worker_name, "registered": _now(), "worker_kwargs": dict(settings)}
        with connection.transaction:
            (self.registered_process & {"worker_name": worker_name}).delete_quick()
            self.registered_worker.insert1(row, replace=True)
            self.registered_process.insert([{**step, "worker_name": worker_name} for step in steps])

    def began(self, worker_name: str, process: str) -> None:
        moment = {"process_timestamp": _now(), "worker_name": worker_name, "process": process}
        self.worker_log.insert1({**moment, **_who()}, skip_duplicates=True)

    def failed(
        self, worker_name: str, process: str, error: BaseException, key: Mapping[str, Any] | None, stack: str
    ) -> None:
        self.error_log.insert1(
            {
                "error_id": uuid4(),
                "error_timestamp": _now(),
                "worker_name": worker_name,
                "process": process,
                "job_key": None if key is None else {name: _plain(value) for name, value in key.items()},
                "error_message": error_message(error),
                "error_stack": stack or error_stack(error),
                **_who(),
            }
        )

    def forget_old(self) -> None:
        """Remove what is older than 30 days."""
        before = _now() - timedelta(days=KEPT_DAYS)
        (self.worker_log & f"process_timestamp < '{before}'").delete_quick()
        (self.error_log & f"error_timestamp < '{before}'").delete_quick()


def _fill(definition: str, namespace: dict[str, Any]) -> None:
    namespace.update(definition=definition, __module__=__name__)


def _check_ours(cls: Any) -> None:
    lines = [line.strip() for line in cls.definition.splitlines()]
    names = ["worker_name"] if "-> RegisteredWorker" in lines else []
    names += [line.split()[0] for line in lines if " : " in line]
    there = cls().heading.names
    if set(names) != set(there):
        raise DataJointError(
            f"{cls.full_table_name} was made by another program, with {', '.join(there)}. "
            "Give this worker a worker_schema_name of its own."
        )


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _who() -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return {"host": socket.gethostname()[:255], "user": user[:255], "pid": os.getpid()}


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
