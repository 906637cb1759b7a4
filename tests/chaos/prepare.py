"""Declare the pipeline of a run with its inputs and jobs, and begin to record: a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from dj_schema.connection import Connection
from tests.chaos.audit import Audit
from tests.chaos.plan import FORMS, URGENCIES, Input

NAMES = ("Plain", *FORMS)


def audit_of(connection: Connection, schema: str, table: str) -> Audit:
    """Return the record of one of the computed tables."""
    name = table.lower()
    return Audit(
        connection,
        (schema, f"~~{name}"),
        (schema, f"__{name}"),
        (schema, "input"),
        key="id",
        version="version",
    )


def rows_of(inputs: Iterable[Input]) -> list[dict[str, Any]]:
    return [{"id": i.id, "form": i.form, "deed": i.deed, "urgency": i.urgency} for i in inputs]


def main() -> None:
    from tests.chaos import pipeline

    connection = pipeline.schema.connection
    tables = [table() for table in pipeline.TABLES]
    for table in tables:
        assert len(table.jobs) == 0
        audit_of(connection, table.database, type(table).__name__).install()
    pipeline.Input().insert(json.load(sys.stdin))
    for table in tables:
        for urgency in URGENCIES:
            table.jobs.refresh({"urgency": urgency}, priority=urgency)


if __name__ == "__main__":
    main()
