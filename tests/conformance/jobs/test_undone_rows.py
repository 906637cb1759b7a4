"""Rows that a make has inserted and that are not there at its end are no output of it."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest

from dj_jobs.events import Events
from dj_jobs.options import Options
from dj_jobs.populate import direct, reserved
from dj_schema import errors
from dj_schema.connection import Connection
from tests.conformance.jobs.test_bad_make import BOTH, states


class UndoneError(Exception):
    pass


def undo(how: str, table: Any, key: dict[str, Any]) -> None:
    """Insert the row of a key, so that it is not there after that."""
    if how == "refused":
        with contextlib.suppress(errors.DuplicateError):
            table.insert1({**key, "y": 0})
    elif how == "many, refused":
        with contextlib.suppress(errors.DuplicateError):
            table.insert([{**key, "y": 0}, {**key, "y": 0}])
    elif how == "of another key":
        with contextlib.suppress(errors.ForeignKeyOfMakeError):
            table.insert([{**key, "y": 0}, {"id": key["id"] + 1}])
    elif how == "left out":
        table.insert1({**key, "y": 0}, skip_duplicates=True)
    elif how == "query, left out":
        table.insert(table._source.proj(y="x - x") & key, skip_duplicates=True)
    elif how == "rolled back":
        with contextlib.suppress(UndoneError), table.connection.transaction:
            table.insert1({**key, "y": 7})
            raise UndoneError
    else:
        table.insert1({**key, "y": 7})
        (table & key).delete_quick()


@BOTH
@pytest.mark.parametrize(
    "how",
    ["refused", "many, refused", "of another key", "left out", "query, left out", "rolled back", "deleted"],
)
def test_a_make_whose_row_is_not_there_at_its_end_has_no_output(
    declare: Any, source: Any, connection: Connection, reserve_jobs: bool, how: str
) -> None:
    """Told as done, its key would be computed again with each refresh."""

    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] % 2:
            undo(how, self, key)
        else:
            self.insert1({**key, "y": key["id"]})

    table = declare(make=make, _source=source)
    table.jobs.refresh()
    connection.query(f"ALTER TABLE {table.full_table_name} ADD UNIQUE (y)")
    run = reserved if reserve_jobs else direct
    outcomes = {o.key["id"]: o.result.value for o in run(table(), Options(), Events())}
    assert outcomes == {0: "success", 1: "empty", 2: "success", 3: "empty", 4: "success", 5: "empty"}
    assert sorted(table.to_arrays("id").tolist()) == [0, 2, 4]
    if reserve_jobs:
        assert states(table) == {"success": 3}
        assert table.jobs.refresh()["added"] == 0


@BOTH
def test_a_row_that_is_there_after_all_is_output(
    declare: Any, connection: Connection, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        with contextlib.suppress(UndoneError), connection.transaction:
            self.insert1({**key, "y": 1})
            raise UndoneError
        self.insert1({**key, "y": 2}, skip_duplicates=True)
        with contextlib.suppress(errors.DuplicateError):
            self.insert1({**key, "y": 3})

    table = declare(make=make)
    run = reserved if reserve_jobs else direct
    assert {o.result.value for o in run(table(), Options(), Events())} == {"success"}
    assert table.to_arrays("y").tolist() == [2] * 6
    if reserve_jobs:
        assert states(table) == {}


def test_rows_of_parts_and_other_tables_put_none_of_the_table_itself_in_doubt(
    declare: Any, connection: Connection, dj: Any
) -> None:
    class Part(dj.Part):  # type: ignore[name-defined,misc]
        definition = """
        -> master
        n : int32
        """

    n_statements: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key, skip_duplicates=None)
        self.Part.insert1({**key, "n": 1}, skip_duplicates=key["id"] % 2 == 0)
        n_statements.append(connection.n_statements)

    table = declare(make=make, Part=Part)
    list(direct(table(), Options(), Events()))
    assert len(table.Part) == 6
    steps = {after - before for before, after in itertools.pairwise(n_statements)}
    assert len(steps) == 1
