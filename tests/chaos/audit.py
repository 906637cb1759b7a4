"""Triggers that record each change of a job, a result and an input, in the transaction of the change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dj_schema.connection import Connection
from dj_schema.sql import Ident, Sql, join, sql
from tests.chaos.history import InputChange, Job, Move, RowChange

AUDIT = "audit"
_COLUMNS: Mapping[str, str] = {
    # of a `Job`: of the job table
    "status": "status",
    "token": "_token",
    "lease_until": "_lease_until",
    "attempts": "_attempts",
    "faults": "_faults",
    "rescues": "_rescues",
    "priority": "priority",
    "scheduled": "scheduled_time",
    "pid": "pid",
    "session": "connection_id",
    "is_empty": "_is_empty",
    "error": "error_message",
}
_TIMES = ("lease_until", "scheduled")


class Audit:
    """The record of one computed table with a single integer as its key.

    Parameters
    ----------
    jobs, results, inputs : (schema, table)
        All in one schema, and there already.
    version : str
        The attribute of the inputs, and of the results, that tells one version of an input from another.
    """

    def __init__(
        self,
        connection: Connection,
        jobs: tuple[str, str],
        results: tuple[str, str],
        inputs: tuple[str, str],
        *,
        key: str,
        version: str,
    ) -> None:
        self._connection = connection
        self._is_mysql = connection.settings.backend == "mysql"
        self._table = Ident(jobs[0], AUDIT)
        self._name = jobs[1].lstrip("~_#")
        self._key = key
        self._version = version
        self._tables = {"job": jobs, "row": results, "input": inputs}

    def install(self) -> None:
        """Make the table of records, where it is not there, and the triggers."""
        self._connection.script([self._declaration()])
        for kind, table in self._tables.items():
            for event in ("INSERT", "UPDATE", "DELETE"):
                if not (kind == "row" and event == "UPDATE"):
                    self._connection.script(self._trigger(kind, table, event))

    def _declaration(self) -> Sql:
        if self._is_mysql:
            number, text, now = sql("bigint AUTO_INCREMENT"), sql("json"), sql("datetime(6)")
        else:
            number = sql("bigint GENERATED ALWAYS AS IDENTITY")
            text, now = sql("jsonb"), sql("timestamp")
        return sql(
            "CREATE TABLE IF NOT EXISTS {} (seq {} PRIMARY KEY, at {} NOT NULL, name varchar(64) NOT NULL, "
            "kind varchar(8) NOT NULL, number bigint NOT NULL, session bigint NOT NULL, "
            "transaction varchar(32) NOT NULL, was {}, becomes {})",
            self._table, number, now, text, text,
        )  # fmt: skip

    def _trigger(self, kind: str, table: tuple[str, str], event: str) -> list[Sql]:
        was = self._json(kind, "OLD") if event != "INSERT" else sql("NULL")
        becomes = self._json(kind, "NEW") if event != "DELETE" else sql("NULL")
        number = Ident("OLD" if event == "DELETE" else "NEW", self._key)
        now = sql("UTC_TIMESTAMP(6)") if self._is_mysql else sql("clock_timestamp() AT TIME ZONE 'UTC'")
        session = sql("connection_id()") if self._is_mysql else sql("pg_backend_pid()")
        transaction = sql("''") if self._is_mysql else sql("pg_current_xact_id()::text")
        if not self._is_mysql:
            number_sql = sql("{}.{}", Sql(("OLD" if event == "DELETE" else "NEW",)), Ident(self._key))
        else:
            number_sql = sql("{}", number)
        note = sql(
            "INSERT INTO {} (at, name, kind, number, session, transaction, was, becomes) "
            "VALUES ({}, {}, {}, {}, {}, {}, {}, {})",
            self._table, now, _text(self._name), _text(kind), number_sql, session, transaction, was, becomes,
        )  # fmt: skip
        name = f"{AUDIT}_{self._name}_{kind}_{event.lower()}"
        verb = Sql((event,))
        if self._is_mysql:
            return [
                sql("CREATE TRIGGER {} AFTER {} ON {} FOR EACH ROW {}", Ident(table[0], name), verb,
                    Ident(*table), note)
            ]  # fmt: skip
        body = sql("BEGIN {}; RETURN NULL; END", note)
        function = Ident(table[0], name)
        return [
            sql("CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS $a$ {} $a$", function, body),
            sql("CREATE TRIGGER {} AFTER {} ON {} FOR EACH ROW EXECUTE FUNCTION {}()", Ident(name), verb,
                Ident(*table), function),
        ]  # fmt: skip

    def _json(self, kind: str, which: str) -> Sql:
        """The parts of a row that are recorded, as an object."""
        columns = _COLUMNS if kind == "job" else {"version": self._version}
        make = sql("JSON_OBJECT") if self._is_mysql else sql("jsonb_build_object")
        pairs = (sql("{}, {}", _text(name), self._value(name, which, c)) for name, c in columns.items())
        return sql("{}({})", make, join(", ", pairs))

    def _value(self, name: str, which: str, column: str) -> Sql:
        value = sql("{}.{}", Sql((which,)), Ident(column))
        if self._is_mysql:
            if name == "token":
                return sql("LOWER(HEX({}))", value)
            if name in _TIMES:
                return sql("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {}) / 1000000", value)
        elif name == "token":
            return sql("replace({}::text, '-', '')", value)
        elif name in _TIMES:
            return sql("extract(epoch FROM {})", value)
        return value

    # -- reading -----------------------------------------------------------------------------------

    def read(self) -> tuple[list[Move], list[RowChange], list[InputChange]]:
        """Return what was recorded so far."""
        at = (
            sql("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', at)")
            if self._is_mysql
            else sql("(extract(epoch FROM at) * 1000000)::bigint")
        )
        statement = sql(
            "SELECT seq, {}, kind, number, session, transaction, was, becomes FROM {} WHERE name = {} "
            "ORDER BY seq",
            at, self._table, _text(self._name),
        )  # fmt: skip
        moves: list[Move] = []
        rows: list[RowChange] = []
        inputs: list[InputChange] = []
        for seq, at_us, kind, key, session, transaction, was, becomes in self._connection.execute(
            statement, is_read=True
        ).rows:
            old, new = _object(was), _object(becomes)
            if kind == "job":
                moves.append(Move(seq, at_us / 1e6, key, _job(old), _job(new), session, transaction))
            elif kind == "row":
                value = (new or old or {})["version"]
                change = 1 if new is not None else -1
                rows.append(RowChange(seq, at_us / 1e6, key, change, value, session, transaction))
            elif new is not None:
                inputs.append(InputChange(seq, key, new["version"]))
        return moves, rows, inputs

    def clear(self) -> None:
        """Forget what was recorded."""
        self._connection.execute(sql("DELETE FROM {}", self._table))


def _text(text: str) -> Sql:
    """A name of ours, where the server takes no parameter."""
    assert text.replace("_", "").isalnum(), text
    return Sql((f"'{text}'",))


def _object(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    found: dict[str, Any] = json.loads(value) if isinstance(value, (str, bytes)) else value
    return found


def _job(found: dict[str, Any] | None) -> Job | None:
    if found is None:
        return None
    times = {name: None if found[name] is None else float(found[name]) for name in _TIMES}
    return Job(**{**found, **times, "is_empty": bool(found["is_empty"])})
