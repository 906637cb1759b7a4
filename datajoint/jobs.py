"""The jobs of whole schemas; and what `populate(on_event=...)` tells of."""

from __future__ import annotations

from typing import Any

from datajoint.default import conn
from dj_jobs.events import Event, Kind
from dj_jobs.schema_jobs import SchemaJobs, progress_of_schemas

__all__ = ["Event", "Kind", "SchemaJobs", "progress"]


def progress(*schemas: Any) -> dict[str, dict[str, int]]:
    """Return the number of jobs by status, and their ``total``, of each auto-populated table of some schemas.

    Parameters
    ----------
    *schemas : Schema or str
        Objects, or names on the default connection; all on one server.

    Returns
    -------
    dict
        By ``schema.table``; one statement a schema, whatever the number of its tables and jobs.
    """
    names = [schema if isinstance(schema, str) else schema.database for schema in schemas]
    connection = next((s.connection for s in schemas if not isinstance(s, str)), None) or conn()
    return progress_of_schemas(connection, names)
