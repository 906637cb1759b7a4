"""DataJoint 2.0: tables as Python classes, queries as expressions, computations as jobs.

``import datajoint as dj`` gives the public names of the packages below. Each is imported at its
first use, so that the import itself is quick and touches nothing: no file, no connection.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datajoint.default import (
        Connection,
        FreeTable,
        Schema,
        VirtualModule,
        config,
        conn,
        list_schemas,
        schema,
        virtual_schema,
    )
    from dj_jobs.autopopulate import Computed, Imported
    from dj_jobs.limits import Limits
    from dj_jobs.retry import Retry
    from dj_query.conditions import AndList, Not, Top
    from dj_query.diagram import Diagram
    from dj_query.tiers import Lookup, Manual, Part
    from dj_query.universal import U
    from dj_schema.codecs import Codec, get_codec, list_codecs
    from dj_schema.errors import DataJointError

_PLACES = {
    "config": "datajoint.default",
    "conn": "datajoint.default",
    "Connection": "datajoint.default",
    "Schema": "datajoint.default",
    "schema": "datajoint.default",
    "FreeTable": "datajoint.default",
    "VirtualModule": "datajoint.default",
    "virtual_schema": "datajoint.default",
    "list_schemas": "datajoint.default",
    "Computed": "datajoint.default",
    "Imported": "datajoint.default",
    "Limits": "dj_jobs.limits",
    "Retry": "dj_jobs.retry",
    "Diagram": "dj_query.diagram",
    "AndList": "dj_query.conditions",
    "Not": "dj_query.conditions",
    "Top": "dj_query.conditions",
    "Manual": "dj_query.tiers",
    "Lookup": "dj_query.tiers",
    "Part": "dj_query.tiers",
    "Table": "dj_query.table",
    "U": "dj_query.universal",
    "Codec": "dj_schema.codecs",
    "get_codec": "dj_schema.codecs",
    "list_codecs": "dj_schema.codecs",
    "DataJointError": "dj_schema.errors",
    "logger": "datajoint.default",
}
_MODULES = ("errors", "codecs", "blob", "hash", "jobs", "migrate", "settings", "testing")

__all__ = [
    "AndList",
    "Codec",
    "Computed",
    "Connection",
    "DataJointError",
    "Diagram",
    "FreeTable",
    "Imported",
    "Limits",
    "Lookup",
    "Manual",
    "Not",
    "Part",
    "Retry",
    "Schema",
    "Top",
    "U",
    "VirtualModule",
    "config",
    "conn",
    "get_codec",
    "list_codecs",
    "list_schemas",
    "schema",
    "virtual_schema",
]
__version__ = "2.0.0.dev0"


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is not None:
        value = getattr(import_module(place), name)
    elif name in _MODULES:
        value = import_module(f"datajoint.{name}")
    else:
        raise AttributeError(f"module 'datajoint' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_PLACES, *_MODULES, "__version__"})
