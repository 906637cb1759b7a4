"""Transactions that lose to others, in ways that have nothing to do with the key: they are run again."""

from __future__ import annotations

from typing import Any

import pytest

from dj_query.table import FreeTable
from dj_schema.connection import Connection
from dj_schema.dialects.mysql.errors import from_number
from dj_schema.errors import DeadlockError

BOTH = pytest.mark.parametrize("reserve_jobs", [False, True], ids=["direct", "reserved"])


@BOTH
def test_a_table_that_is_altered_while_its_statements_are_prepared_fails_no_job(
    declare: Any, source: Any, connection: Connection, reserve_jobs: bool
) -> None:
    source.insert({"id": i, "x": i} for i in range(6, 12))
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        if key["id"] == 9 and calls.count(9) == 1:
            change = "MODIFY" if connection.settings.backend == "mysql" else "ALTER COLUMN"
            of_type = "bigint" if connection.settings.backend == "mysql" else "TYPE bigint"
            with connection.clone() as other:
                other.query(f"ALTER TABLE {source().full_table_name} {change} x {of_type}")
        x = source.connection.query(f"SELECT x FROM {source().full_table_name} WHERE id = %s", [key["id"]])
        self.insert1({**key, "y": x[0][0]})

    table = declare(make=make)
    with connection.config.override(jobs={"group_commit_s": 0.0}):
        done = table.populate(reserve_jobs=reserve_jobs)
    assert (done["success"], done["error_list"]) == (12, [])
    assert len(table) == 12


@BOTH
@pytest.mark.parametrize("number", [1213, 3101])
def test_a_commit_that_loses_to_another_transaction_is_no_failure(
    result: Any, connection: Connection, monkeypatch: pytest.MonkeyPatch, reserve_jobs: bool, number: int
) -> None:
    """As where several servers write: only the commit shows that another one was first."""
    session = connection.session()
    kind = type(session)
    execute = kind.execute
    lost: list[str] = []

    def execute_and_lose(self: Any, text: str, params: Any) -> Any:
        if text == "COMMIT" and self is session and not lost and has_row():
            lost.append(text)
            execute(self, "ROLLBACK", None)
            raise from_number(number, "rolled back", text)
        return execute(self, text, params)

    def has_row() -> bool:
        rows = execute(session, f"SELECT 1 FROM {result.full_table_name}", None).rows
        return bool(rows)

    assert isinstance(from_number(number, "", ""), DeadlockError)
    result.jobs.refresh()
    monkeypatch.setattr(kind, "execute", execute_and_lose)
    done = result.populate(reserve_jobs=reserve_jobs, refresh=False)
    assert lost == ["COMMIT"]
    assert (done["success"], done["error_list"]) == (6, [])
    assert len(result) == 6


def test_a_key_that_another_populate_computes_in_conflict_with_ours_is_done(
    declare: Any, connection: Connection
) -> None:
    calls: list[dict[str, Any]] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key)
        with connection.clone() as other:
            rows = FreeTable.at(other, *self.table_id)
            rows.insert1(key, allow_direct_insert=True, skip_duplicates=True)
        raise DeadlockError("with the other one")

    done = declare(make=make).populate({"id": 1}, suppress_errors=True)
    assert (done["skip"], done["error_list"]) == (1, [])
    assert calls == [{"id": 1}]
