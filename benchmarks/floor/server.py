"""One connection to either server, with what the two do differently."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, LiteralString

import psycopg
import psycopg.rows
import pymysql
import pymysql.cursors

from benchmarks.floor import statements as sql

BATCH = 5_000  # rows in a multi-row statement
Row = tuple[Any, ...]


class Server(ABC):
    """A connection that commits each statement, unless a transaction was begun.

    Parameters
    ----------
    schema : str
        Made by `fresh`; every table below is in it.
    """

    types: ClassVar[dict[str, str]]

    @abstractmethod
    def execute(self, statement: LiteralString, values: Sequence[Any] = ()) -> int:
        """Run a statement and return how many rows it touched."""

    @abstractmethod
    def fetch(self, statement: LiteralString, values: Sequence[Any] = ()) -> Sequence[Row]:
        """Return all rows."""

    @abstractmethod
    def fetch_dicts(self, statement: LiteralString) -> Sequence[dict[str, Any]]:
        """Return all rows as dicts."""

    @abstractmethod
    def stream(self, statement: LiteralString) -> Iterator[dict[str, Any]]:
        """Yield rows as they come, without having all of them in memory."""

    @abstractmethod
    def insert_source(self, rows: Sequence[dict[str, Any]]) -> None:
        """Insert many rows in the fastest way that the server has."""

    @abstractmethod
    def claim(self, token: int) -> int | None:
        """Reserve the next job for `token` and return its key, or None when there is none."""

    @abstractmethod
    def use(self, schema: str) -> None:
        """Work in a schema that exists."""

    @abstractmethod
    def fresh(self, schema: str) -> None:
        """Make an empty schema and work in it."""

    @abstractmethod
    def drop(self, schema: str) -> None:
        """Remove a schema."""

    def create(self, *tables: str) -> None:
        """Create tables from texts of `statements`."""
        for table in tables:
            self.execute(table.format(**self.types))


def _values(row: dict[str, Any]) -> Row:
    return row["source_id"], row["x"], row["label"], row["when_added"]


class Postgres(Server):
    """psycopg."""

    types: ClassVar[dict[str, str]] = {
        "datetime": "timestamp(0)",
        "microseconds": "timestamptz(6)",
        "blob": "bytea",
    }

    def __init__(self) -> None:
        self._connection = psycopg.connect(
            host=os.environ["DJ_HOST"],
            port=int(os.environ["DJ_PORT"]),
            user=os.environ["DJ_USER"],
            password=os.environ["DJ_PASS"],
            dbname=os.environ["BENCH_DATABASE"],
            autocommit=True,
        )
        self._cursor = self._connection.cursor()
        self._binary = self._connection.cursor(binary=True)

    def execute(self, statement: LiteralString, values: Sequence[Any] = ()) -> int:
        return self._cursor.execute(statement, values).rowcount

    def fetch(self, statement: LiteralString, values: Sequence[Any] = ()) -> Sequence[Row]:
        return self._binary.execute(statement, values).fetchall()

    def fetch_dicts(self, statement: LiteralString) -> Sequence[dict[str, Any]]:
        with self._connection.cursor(binary=True, row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(statement).fetchall()

    def stream(self, statement: LiteralString) -> Iterator[dict[str, Any]]:
        # A cursor on the server lives in a transaction.
        with (
            self._connection.transaction(),
            self._connection.cursor("bench", row_factory=psycopg.rows.dict_row) as cursor,
        ):
            cursor.itersize = BATCH
            yield from cursor.execute(statement, binary=True)

    def insert_source(self, rows: Sequence[dict[str, Any]]) -> None:
        with self._cursor.copy("COPY source (source_id, x, label, when_added) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(_values(row))

    def claim(self, token: int) -> int | None:
        found = self._cursor.execute(sql.RESERVE_NEXT, (token,)).fetchone()
        return None if found is None else int(found[0])

    def use(self, schema: str) -> None:
        self.execute(f'SET search_path TO "{schema}"')

    def fresh(self, schema: str) -> None:
        self.drop(schema)
        self.execute(f'CREATE SCHEMA "{schema}"')
        self.use(schema)

    def drop(self, schema: str) -> None:
        self.execute("SET client_min_messages TO warning")
        self.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


class MySQL(Server):
    """PyMySQL, for MySQL and MariaDB."""

    types: ClassVar[dict[str, str]] = {
        "datetime": "datetime",
        "microseconds": "datetime(6)",
        "blob": "longblob",
    }

    def __init__(self) -> None:
        self._connection = pymysql.connect(
            host=os.environ["DJ_HOST"],
            port=int(os.environ["DJ_PORT"]),
            user=os.environ["DJ_USER"],
            password=os.environ["DJ_PASS"],
            autocommit=True,
            # Without gap locks two workers do not wait for each other's keys.
            init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        )
        self._cursor = self._connection.cursor()

    def execute(self, statement: LiteralString, values: Sequence[Any] = ()) -> int:
        return int(self._cursor.execute(statement, values or None))

    def fetch(self, statement: LiteralString, values: Sequence[Any] = ()) -> Sequence[Row]:
        self._cursor.execute(statement, values or None)
        return self._cursor.fetchall()

    def fetch_dicts(self, statement: LiteralString) -> Sequence[dict[str, Any]]:
        with self._connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def stream(self, statement: LiteralString) -> Iterator[dict[str, Any]]:
        with self._connection.cursor(pymysql.cursors.SSDictCursor) as cursor:
            cursor.execute(statement)
            yield from cursor

    def insert_source(self, rows: Sequence[dict[str, Any]]) -> None:
        self.execute("BEGIN")
        for start in range(0, len(rows), BATCH):
            self._cursor.executemany(sql.INSERT_SOURCE, [_values(row) for row in rows[start : start + BATCH]])
        self.execute("COMMIT")

    def claim(self, token: int) -> int | None:
        self.execute("BEGIN")
        found = self.fetch(sql.NEXT_JOB)
        if found:
            self.execute(sql.RESERVE, (token, found[0][0]))
        self.execute("COMMIT")
        return int(found[0][0]) if found else None

    def use(self, schema: str) -> None:
        self._connection.select_db(schema)

    def fresh(self, schema: str) -> None:
        self.drop(schema)
        self._cursor.execute(f"CREATE DATABASE `{schema}`")
        self.use(schema)

    def drop(self, schema: str) -> None:
        with self._connection.cursor() as cursor:
            # PyMySQL turns the server's note on a missing schema into a warning of Python's.
            cursor.execute("SET sql_notes = 0")
            cursor.execute(f"DROP DATABASE IF EXISTS `{schema}`")


def connect() -> Server:
    """Connect to the server that the environment names."""
    return Postgres() if os.environ["DJ_BACKEND"] == "postgresql" else MySQL()
