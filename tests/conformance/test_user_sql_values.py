"""The same user SQL has the same value on PostgreSQL, MySQL and MariaDB.

Each expression is evaluated over three rows: an ordinary one, one of odd values, and one of NULLs.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
import pymysql
import pytest

from dj_query.user_sql import Dialect, Kind, compile_condition, compile_order, compile_value
from tests.conformance.user_sql_cases import CASES
from tests.support.servers import ServerUnderTest

SCHEMA = f"dj_test_user_sql_{uuid.uuid4().hex[:8]}"
# name, kind, type on PostgreSQL, type on MySQL and MariaDB: those that core types are declared with
COLUMNS: list[tuple[str, Kind, str, str]] = [
    ("id", "int", "int", "int"),
    ("small", "int", "smallint", "tinyint unsigned"),
    ("n", "int", "int", "int"),
    ("big", "int", "bigint", "bigint"),
    ("x", "float", "double precision", "double"),
    ("f", "float", "real", "float"),
    ("amount", "decimal", "numeric(5,2)", "decimal(5,2)"),
    ("ok", "bool", "boolean", "tinyint"),
    ("sex", "enum", "sex", "enum('M','F')"),
    ("name", "string", "varchar(40)", "varchar(40)"),
    ("code", "string", "varchar(10)", "varchar(10)"),
    ("d", "date", "date", "date"),
    ("t", "datetime", "timestamp", "datetime"),
    ("car", "json", "jsonb", "json"),
    ("u", "uuid", "uuid", "binary(16)"),
]
KINDS: dict[str, Kind] = {name: kind for name, kind, _, _ in COLUMNS}
CAR = {
    "name": "Chaching",
    "length": 20.5,
    "inspected": True,
    "tags": ["a", "b"],
    "lights": [{"on": 1}, {"on": 0}],
}
OTHER_CAR = {"name": "Rever", "length": 100, "inspected": False, "tags": [], "note": None}
U1, U2 = uuid.UUID("6c2c5e1e-0000-4000-8000-0000000000ab"), uuid.UUID(int=2)
ROWS: list[tuple[Any, ...]] = [
    (
        1,
        200,
        7,
        5_000_000_000,
        2.5,
        0.5,
        Decimal("3.25"),
        True,
        "F",
        "Ada Lovelace",
        "12ab",
        "2024-02-29",
        "2024-02-29 13:45:10",
        json.dumps(CAR),
        U1,
    ),
    (
        2,
        3,
        -4,
        -1,
        -1.25,
        0.25,
        Decimal("0.10"),
        False,
        "M",
        "bob_50%",
        "x",
        "2023-12-31",
        "2023-12-31 23:59:59",
        json.dumps(OTHER_CAR),
        U2,
    ),
    (3, *[None] * 14),
]
SQL_MODE = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"


@dataclass
class Table:
    """The rows above, on a server."""

    dialect: Dialect
    quote: str
    execute: Callable[[str, Any], Any]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        # With arguments, for both drivers turn %% into % only then.
        return list(self.execute(sql, {"none": None}).fetchall())

    def name(self, name: str) -> str:
        return self.quote + name + self.quote

    def values(self, text: str, kinds: dict[str, Kind] = KINDS) -> list[Any]:
        expression = compile_value(text, kinds, self.dialect)
        order = "" if expression.is_aggregate else f" ORDER BY {self.name('id')}"
        rows = self.query(f"SELECT {expression.sql} AS v FROM {self.name('odd')}{order}")
        return [_plain(row[0], expression.kind) for row in rows]

    def ids(self, condition: str) -> list[int]:
        where = compile_condition(condition, KINDS, self.dialect).sql
        key = self.name("id")
        return [
            row[0] for row in self.query(f"SELECT {key} FROM {self.name('odd')} WHERE {where} ORDER BY {key}")
        ]


def _plain(value: Any, kind: Kind) -> Any:
    """Undo what drivers do differently, without changing what the value is."""
    if value is None:
        return None
    match kind:
        case "bool" | "int":
            assert value == int(value)
            return bool(value) if kind == "bool" else int(value)
        case "float":
            return round(float(value), 9)
        case "decimal":
            return Decimal(str(value))
        case "string":
            return value.decode() if isinstance(value, bytes) else str(value)
    return value


def _postgres(server: ServerUnderTest) -> Iterator[Table]:
    settings = dict(server.settings)
    settings.pop("backend")
    # As text, to parse JSON as for the other servers.
    with psycopg.connect(dbname=settings.pop("database_name"), autocommit=True, **settings) as connection:
        connection.adapters.register_loader("jsonb", psycopg.types.string.TextLoader)
        connection.execute("SET timezone = 'UTC'")
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        connection.execute(f"SET search_path = {SCHEMA}")
        connection.execute("CREATE TYPE sex AS ENUM ('M', 'F')")
        columns = ", ".join(f'"{name}" {type_}' for name, _, type_, _ in COLUMNS)
        connection.execute(f"CREATE TABLE odd ({columns})")
        for row in ROWS:
            connection.execute(f"INSERT INTO odd VALUES ({', '.join(['%s'] * len(row))})", row)
        yield Table("postgresql", '"', connection.execute)
        connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def _mysql(server: ServerUnderTest) -> Iterator[Table]:
    login = {name: server.settings[name] for name in ("host", "port", "user", "password")}
    init = f"SET time_zone = '+00:00', sql_mode = '{SQL_MODE}', NAMES utf8mb4 COLLATE utf8mb4_bin"
    with closing(pymysql.connect(autocommit=True, init_command=init, **login)) as connection:
        cursor = connection.cursor()

        def execute(sql: str, arguments: Any = None) -> Any:
            cursor.execute(sql, arguments)
            return cursor

        execute(f"DROP DATABASE IF EXISTS {SCHEMA}")
        execute(f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        execute(f"USE {SCHEMA}")
        execute(f"CREATE TABLE odd ({', '.join(f'`{name}` {type_}' for name, _, _, type_ in COLUMNS)})")
        for row in ROWS:
            values = [value.bytes if isinstance(value, uuid.UUID) else value for value in row]
            execute(f"INSERT INTO odd VALUES ({', '.join(['%s'] * len(row))})", values)
        yield Table("mariadb" if server.name == "mariadb" else "mysql", "`", execute)
        execute(f"DROP DATABASE {SCHEMA}")


@pytest.fixture(scope="module")
def table(server: ServerUnderTest) -> Iterator[Table]:
    yield from _postgres(server) if server.name == "postgresql" else _mysql(server)


@pytest.mark.parametrize("text", CASES)
def test_expression_has_the_same_value_on_every_server(table: Table, text: str) -> None:
    expected = CASES[text]
    values = table.values(text)
    if compile_value(text, KINDS, table.dialect).kind == "json":
        values = [value if value is None else json.loads(value) for value in values]
    assert values == expected
    assert [type(value) for value in values] == [type(value) for value in expected]


CONDITIONS = [
    text
    for text, values in CASES.items()
    if len(values) == 3 and {type(v) for v in values} <= {bool, type(None)}
]


@pytest.mark.parametrize("text", CONDITIONS)
def test_condition_keeps_the_rows_where_its_value_is_true(table: Table, text: str) -> None:
    assert table.ids(text) == [row for row, value in enumerate(CASES[text], 1) if value]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("n", [1, 2]),
        ("n - 7", [2]),
        ("x", [1, 2]),
        ("1", [1, 2, 3]),
        ("0", []),
        ("NULL", []),
        ("'1'", [1, 2, 3]),
        ("code", [1]),
        ("amount", [1, 2]),
        ("car->>'$.length'", [1, 2]),
    ],
)
def test_condition_may_be_a_number_or_a_text(table: Table, text: str, ids: list[int]) -> None:
    assert table.ids(text) == ids


def test_enum_may_be_given_as_a_string(table: Table) -> None:
    kinds: dict[str, Kind] = {**KINDS, "sex": "string"}
    assert table.values("CONCAT(LOWER(sex), sex LIKE 'F%')", kinds) == ["f1", "m0", None]
    assert table.values("SUM(sex='F')", kinds) == [1]


ODD_TEXTS = [
    "it's",
    'say "hi"',
    "back\\slash",
    "100%",
    "\\'; DROP TABLE odd",
    "%s %(a)s",
    "ünï ☃",
    "a\nb",
    "`x`",
]


@pytest.mark.parametrize("value", ODD_TEXTS)
@pytest.mark.parametrize("quote", ["'", '"'])
def test_string_arrives_as_it_was_written(table: Table, value: str, quote: str) -> None:
    literal = quote + value.replace("\\", "\\\\").replace(quote, quote * 2) + quote
    assert table.values(literal)[0] == value


def test_unknown_function_is_left_to_the_server(table: Table) -> None:
    text = "quote_literal(code)" if table.dialect == "postgresql" else "quote(code)"
    assert table.values(text)[:2] == ["'12ab'", "'x'"]


def test_order_is_the_same_and_null_is_least(table: Table) -> None:
    terms = compile_order("ok DESC, n + 1", KINDS, table.dialect)
    order = ", ".join(term.sql for term in terms)
    rows = table.query(f"SELECT {table.name('id')} FROM {table.name('odd')} ORDER BY {order}")
    assert [row[0] for row in rows] == [1, 2, 3]
    (term,) = compile_order("n", KINDS, table.dialect)
    rows = table.query(f"SELECT {table.name('id')} FROM {table.name('odd')} ORDER BY {term.sql}")
    assert [row[0] for row in rows] == [3, 2, 1]
