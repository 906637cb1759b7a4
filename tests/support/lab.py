"""A small laboratory to query: definitions, rows, and the same tables without a server."""

from __future__ import annotations

import datetime as dt
import types
import uuid
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import datajoint as dj
from dj_query.table import FreeTable
from dj_schema.declare import table_info_of
from dj_schema.definition.grammar import parse_definition
from dj_schema.dialects.base import Dialect
from dj_schema.names import Tier, table_name_of
from dj_schema.sql import Sql, Statement, render
from dj_schema.table_info import TableInfo
from tests.support.servers import ServerUnderTest

DEFINITIONS: Mapping[str, str] = {
    "Experimenter": """
        experimenter : varchar(20)
        ---
        full_name : varchar(40)
        """,
    "Subject": """
        subject_id : int32
        ---
        species : varchar(20)
        sex : enum('M', 'F', 'U')
        weight = null : float64
        """,
    "Session": """
        -> Subject
        session : int16
        ---
        -> [nullable] Experimenter
        session_date : date
        duration = null : int32
        """,
    "Trial": """
        -> Session
        trial : int16
        ---
        rt = null : int32
        correct : bool
        """,
    "Mouse": """
        -> Subject
        ---
        strain : varchar(20)
        """,
    "Rat": """
        -> Subject
        ---
        cage : int16
        """,
    "Stray": """
        subject_id : int32
        ---
        species : varchar(20)
        """,
    # the shapes of the examples in the chapter on primary keys
    "X": "x : int32",
    "Y": "y : int32",
    "Z": "z : int32",
    "XY": """
        -> X
        -> Y
        """,
    "XZy": """
        -> X
        -> Z
        ---
        -> Y
        """,
    "XYz": """
        -> X
        -> Y
        ---
        -> Z
        """,
    "YZx": """
        -> Y
        -> Z
        ---
        -> X
        """,
    "Zx": """
        -> Z
        ---
        -> X
        """,
}

ROWS: Mapping[str, list[tuple[Any, ...]]] = {
    "Experimenter": [("alice", "Alice A."), ("bob", "Bob B."), ("carol", "Carol C.")],
    "Subject": [
        (1, "mouse", "M", 20.5),
        (2, "mouse", "F", 18.0),
        (3, "rat", "F", None),
        (4, "rat", "U", 301.25),
        (5, "finch", "M", None),
    ],
    "Session": [
        (1, 1, "alice", dt.date(2025, 3, 1), 30),
        (1, 2, "bob", dt.date(2025, 3, 2), 45),
        (2, 1, None, dt.date(2025, 4, 1), None),
        (3, 1, "alice", dt.date(2026, 1, 5), 60),
        (3, 2, None, dt.date(2026, 1, 6), 15),
    ],
    "Trial": [
        (1, 1, 1, 250, True),
        (1, 1, 2, 300, False),
        (1, 1, 3, None, True),
        (1, 2, 1, 410, True),
        (3, 1, 1, 220, False),
        (3, 1, 2, None, False),
    ],
    "Mouse": [(1, "C57"), (2, "BALB"), (3, "odd")],
    "Rat": [(3, 7), (4, 8)],
    "Stray": [(1, "cat"), (9, "dog")],
    "X": [(1,), (2,), (3,)],
    "Y": [(1,), (2,), (3,)],
    "Z": [(1,), (2,), (3,)],
    "XY": [(1, 1), (1, 2), (2, 1), (3, 3)],
    "XZy": [(1, 1, 1), (1, 2, 2), (2, 1, 1), (3, 1, 2)],
    "XYz": [(1, 1, 1), (1, 2, 2), (2, 2, 3)],
    "YZx": [(1, 1, 1), (2, 2, 1), (2, 3, 3)],
    "Zx": [(1, 1), (2, 1), (3, 3)],
}


class Lab(SimpleNamespace):
    """The tables as attributes, and the `schema` and `connection` that they are on."""


def connect(server: ServerUnderTest) -> dj.Connection:
    """Return a new connection to a server."""
    login = {name: server.settings[name] for name in ("backend", "host", "port", "user", "password")}
    return dj.Connection(**login, database_name=server.settings["database_name"] or None)


def make_lab(connection: dj.Connection, definitions: Mapping[str, str] = DEFINITIONS) -> Lab:
    """Declare the tables in a new schema, and fill those that there are rows for."""
    schema = dj.Schema(f"dj_test_lab_{uuid.uuid4().hex[:8]}", connection=connection)
    classes: dict[str, Any] = {}
    for name, definition in definitions.items():
        cls: Any = types.new_class(name, (dj.Manual,), exec_body=_body_of(definition))
        classes[name] = schema(cls, context=classes)
        cls.insert(ROWS.get(name, ()))
    return Lab(**classes, schema=schema, connection=connection)


def _body_of(definition: str) -> Callable[[dict[str, Any]], None]:
    return lambda namespace: namespace.update(definition=definition)


class Unconnected:
    """Stands for a connection where a query is composed and written down, and never sent."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def render(self, statement: Sql) -> Statement:
        return render(statement, self.dialect.quote)


def lab_without_server(dialect: Dialect, schema: str = "lab") -> Lab:
    """Return the tables as they would be after a declaration."""
    connection: Any = Unconnected(dialect)
    infos: dict[str, TableInfo] = {}
    for name, definition in DEFINITIONS.items():
        infos[name] = table_info_of(
            parse_definition(definition),
            (schema, table_name_of(name, Tier.MANUAL, None)),
            Tier.MANUAL,
            lambda fk: infos[fk.target],
        )
    tables = {name: FreeTable.of_info(connection, info) for name, info in infos.items()}
    return Lab(**tables, connection=connection)
