"""A make that breaks its contract leaves the database as it was, and its job in the right state."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dj_schema import errors

BOTH = pytest.mark.parametrize("reserve_jobs", [False, True], ids=["direct", "reserved"])


PARTS = ("make_fetch", "make_compute", "make_insert")


def states(table: Any) -> dict[str, int]:
    return {name: n for name, n in table.jobs.progress().items() if n and name != "total"}


def failed(table: Any, reserve_jobs: bool, error: type[BaseException], match: str) -> None:
    """Populate one key: it fails with this error, no row is left, and the job says so."""
    with pytest.raises(error, match=match):
        table.populate({"id": 1}, reserve_jobs=reserve_jobs)
    assert len(table) == 0
    assert not table.connection.in_transaction
    if reserve_jobs:
        assert states(table) == {"error": 1}
        assert error.__name__ in table.jobs.errors.fetch1("error_message")


@BOTH
@pytest.mark.parametrize("form", ["dicts", "sequence", "array", "frame", "query"])
def test_another_keys_row_is_refused(
    declare: Any, source: Any, dj: Any, connection: Any, reserve_jobs: bool, form: str
) -> None:
    import numpy as np
    import pandas as pd

    def make(self: Any, key: dict[str, Any]) -> None:
        rows: dict[str, Any] = {
            "dicts": [{**key}, {"id": 2, "y": 1}],
            "sequence": [(2, 1)],
            "array": np.array([(2, 1)], dtype=[("id", "i4"), ("y", "i8")]),
            "frame": pd.DataFrame({"id": [2], "y": [1]}),
            "query": (source & "id = 2").proj(y="x"),
        }
        self.insert(rows[form])

    table = declare(make=make)
    failed(table, reserve_jobs, errors.ForeignKeyOfMakeError, "id")


@BOTH
@pytest.mark.parametrize("form", ["dicts", "query"])
def test_another_keys_part_is_refused(
    declare: Any, source: Any, dj: Any, reserve_jobs: bool, form: str
) -> None:
    class Part(dj.Part):  # type: ignore[name-defined,misc]
        definition = """
        -> master
        n : int32
        """

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        rows: Any = [{"id": 2, "n": 1}]
        if form == "query":
            rows = (source & "id = 0").proj(n="x")
        self.Part.insert(rows)

    table = declare(make=make, Part=Part)
    table.populate({"id": 2}, suppress_errors=True)
    table.insert([{"id": 0}, {"id": 2}], allow_direct_insert=True, skip_duplicates=True)
    with pytest.raises(errors.ForeignKeyOfMakeError):
        table.populate({"id": 1}, reserve_jobs=reserve_jobs)
    assert len(table & "id = 1") == 0
    assert len(table.Part & "id = 0") == 0


@BOTH
def test_a_row_of_the_key_by_a_query_is_kept(declare: Any, source: Any, reserve_jobs: bool) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert((source & key).proj(y="x"))

    table = declare(make=make)
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6
    assert table.to_arrays("y", order_by="id").tolist() == [0, 10, 20, 30, 40, 50]


@BOTH
def test_parts_are_inserted_with_their_master(declare: Any, dj: Any, reserve_jobs: bool) -> None:
    class Part(dj.Part):  # type: ignore[name-defined,misc]
        definition = """
        -> master
        n : int32
        """

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        self.Part.insert({**key, "n": n} for n in range(3))
        if key["id"] == 4:
            raise ValueError("late")

    table = declare(make=make, Part=Part)
    done = table.populate(reserve_jobs=reserve_jobs, suppress_errors=True)
    assert (done["success"], done["error"]) == (5, 1)
    assert (len(table), len(table.Part)) == (5, 15)
    assert len(table.Part & "id = 4") == 0


@BOTH
@pytest.mark.parametrize("call", ["start_transaction", "commit_transaction", "cancel_transaction"])
def test_the_transaction_of_make_is_its_own(
    declare: Any, connection: Any, reserve_jobs: bool, call: str
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        getattr(connection, call)()

    failed(declare(make=make), reserve_jobs, errors.TransactionError, "make")


@BOTH
@pytest.mark.parametrize(
    "statement",
    [
        "COMMIT",
        "rollback",
        "  begin",
        "START TRANSACTION",
        "-- now\ncommit",
        "/* x */ Rollback",
        "SAVEPOINT mine",
    ],
)
def test_sql_that_ends_the_transaction_of_make_is_refused_and_harms_no_other_key(
    declare: Any, connection: Any, reserve_jobs: bool, statement: str
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        if key["id"] == 2:
            connection.query(statement)

    table = declare(make=make)
    done = table.populate(reserve_jobs=reserve_jobs, suppress_errors=True)
    assert [key["id"] for key, _ in done["error_list"]] == [2]
    assert "TransactionError" in done["error_list"][0][1]
    assert len(table & "id = 2") == 0
    assert len(table) == done["success"]
    assert done["success"] >= 3
    if reserve_jobs:
        assert states(table) == {"error": 1}


def test_a_temporary_table_may_be_used_inside_make(declare: Any, connection: Any) -> None:
    is_postgres = connection.dialect.name == "postgresql"

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        if key["id"] == 2:
            name = "dj_scratch" if is_postgres else f"{self.database}.dj_scratch"
            connection.query(f"CREATE TEMPORARY TABLE {name} (a int)")
            connection.query(f"DROP TABLE {name}" if is_postgres else f"DROP TEMPORARY TABLE {name}")

    table = declare(make=make)
    done = table.populate(reserve_jobs=True, suppress_errors=True)
    assert (done["error"], len(table)) == (0, done["success"])
    assert states(table) == {}


@BOTH
def test_a_transaction_block_inside_make_is_a_savepoint(
    declare: Any, connection: Any, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        with contextlib.suppress(KeyError), connection.transaction:
            self.insert1({**key, "y": 1})
            raise KeyError
        with connection.transaction:
            self.insert1({**key, "y": 2})

    table = declare(make=make)
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6
    assert set(table.to_arrays("y").tolist()) == {2}


@BOTH
def test_populate_inside_make_is_refused(declare: Any, result: Any, reserve_jobs: bool) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        result.populate(key)
        self.insert1(key)

    failed(declare("Outer", make=make), reserve_jobs, errors.TransactionError, "populate")
    assert len(result) == 0


@BOTH
def test_a_table_declared_inside_make_leaves_nothing_half(
    declare: Any, source: Any, dj: Any, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)

        @source._schema
        class Late(dj.Manual):  # type: ignore[name-defined,misc]
            definition = "late : int32"

        raise ValueError("after the declaration")

    table = declare(make=make)
    done = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)
    assert done["error"] == 1
    assert len(table) == 0
    if reserve_jobs:
        assert states(table) == {"error": 1}


@BOTH
@pytest.mark.parametrize("what", ["table", "parent", "schema"])
def test_a_make_that_drops_tables_fails_and_harms_no_other_key(
    declare: Any, source: Any, reserve_jobs: bool, what: str
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        if key["id"] == 2:
            {"table": self, "parent": source, "schema": source._schema}[what].drop(prompt=False)

    table = declare(make=make)
    done = table.populate(reserve_jobs=reserve_jobs, suppress_errors=True, return_exception_objects=True)
    ((key, error),) = done["error_list"]
    assert (done["success"], key["id"]) == (5, 2)
    assert isinstance(error, errors.TransactionError)
    assert (len(source), len(table)) == (6, 5)
    assert len(table & {"id": 2}) == 0
    if reserve_jobs:
        assert states(table) == {"error": 1}


def is_duplicate(table: Any, key: dict[str, Any]) -> bool:
    try:
        table.insert1({**key, "y": 2})
    except errors.DuplicateError:
        return True
    return False


@BOTH
def test_a_database_error_that_make_passes_over_undoes_its_statement_alone(
    declare: Any, connection: Any, reserve_jobs: bool
) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        self.insert1({**key, "y": 1})
        with contextlib.suppress(errors.DataJointError):
            connection.query("SELECT * FROM no_such_table_here")
        assert is_duplicate(self, key)
        assert len(self & key) == 1

    table = declare(make=make)
    done = table.populate(reserve_jobs=reserve_jobs)
    assert (done["success"], done["error"]) == (6, 0)
    assert table.to_arrays("y").tolist() == [1] * 6
    # where PostgreSQL undoes all of a transaction, and where rows wait elsewhere, the first runs again
    assert sorted(set(calls)) == list(range(6))
    assert len(calls) <= 7


@BOTH
def test_a_database_error_that_make_passes_over_at_its_end_is_nobodys(
    declare: Any, connection: Any, reserve_jobs: bool
) -> None:
    """Not of the key that comes next, either, in the same transaction."""

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "y": 0})
        if key["id"] == 2:
            with contextlib.suppress(errors.DataJointError):
                connection.query("SELECT no_such_function()")

    table = declare(make=make)
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6
    assert len(table) == 6


@BOTH
def test_a_make_that_fails_after_an_error_that_it_passed_over_fails_for_its_own_reason(
    declare: Any, connection: Any, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        with contextlib.suppress(errors.DuplicateError):
            self.insert1(key)
        self.insert1({**key, "no_such_attribute": 1})

    table = declare(make=make)
    [(_, message)] = table.populate({"id": 1}, reserve_jobs=reserve_jobs, suppress_errors=True)["error_list"]
    assert "no_such_attribute" in message
    assert len(table) == 0


@BOTH
@pytest.mark.parametrize("verify", ["fingerprint", "lock"])
@pytest.mark.parametrize("is_generator", [False, True])
def test_long_makes_may_pass_over_an_error_too(
    declare: Any, connection: Any, is_generator: bool, verify: str, reserve_jobs: bool
) -> None:
    def insert(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "y": 1})
        assert is_duplicate(self, key)

    def make(self: Any, key: dict[str, Any]) -> Any:
        yield 0
        yield 0
        insert(self, key)

    parts = {
        "make_fetch": lambda self, key: 0,
        "make_compute": lambda self, key, fetched: 0,
        "make_insert": lambda self, key, computed: insert(self, key),
    }
    table = declare(**({"make": make} if is_generator else parts))
    with connection.config.override(jobs={"verify": verify}):
        assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6
    assert table.to_arrays("y").tolist() == [1] * 6


@BOTH
def test_a_part_that_fails_inside_a_savepoint_may_be_passed_over(
    declare: Any, connection: Any, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "y": 1})
        with pytest.raises(errors.DuplicateError), connection.transaction:
            self.insert1({**key, "y": 2})
        with connection.transaction, pytest.raises(errors.DuplicateError):
            self.insert1({**key, "y": 2})

    table = declare(make=make)
    assert table.populate(reserve_jobs=reserve_jobs)["success"] == 6


def by_method(self: Any) -> None:
    self.connection.close()


def by_block(self: Any) -> None:
    with self.connection as connection:
        connection.query("SELECT 1")


def by_reset(self: Any) -> None:
    import datajoint as dj

    dj.conn(reset=True)


def by_thread(self: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(self.connection.close).result()


@BOTH
@pytest.mark.parametrize(
    ("part", "close", "verify"),
    [
        *(("make", close, "fingerprint") for close in (by_method, by_block, by_reset, by_thread)),
        *((part, by_method, "fingerprint") for part in (*PARTS, "1", "2", "3")),
        *((part, by_method, "lock") for part in PARTS),
        *((part, by_thread, "fingerprint") for part in ("make_compute", "2")),
    ],
)
def test_a_make_that_closes_its_connection_fails_and_harms_no_other_key(
    declare: Any, part: str, close: Callable[[Any], None], verify: str, reserve_jobs: bool
) -> None:
    def at(self: Any, key: dict[str, Any], name: str) -> None:
        if key["id"] == 3 and name == part:
            close(self)

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        at(self, key, "make")

    def yielding(self: Any, key: dict[str, Any]) -> Iterator[None]:
        at(self, key, "1")
        yield
        at(self, key, "2")
        yield
        self.insert1(key)
        at(self, key, "3")

    def make_fetch(self: Any, key: dict[str, Any]) -> int:
        at(self, key, "make_fetch")
        return 1

    def make_compute(self: Any, key: dict[str, Any], x: int) -> int:
        at(self, key, "make_compute")
        return x

    def make_insert(self: Any, key: dict[str, Any], x: int) -> None:
        self.insert1({**key, "y": x})
        at(self, key, "make_insert")

    in_parts = dict(zip(PARTS, (make_fetch, make_compute, make_insert), strict=True))
    table = declare(**(in_parts if part in PARTS else {"make": make if part == "make" else yielding}))
    table.connection.config.jobs.verify = verify
    done = table.populate(reserve_jobs=reserve_jobs, suppress_errors=True, return_exception_objects=True)
    ((key, error),) = done["error_list"]
    assert (done["success"], key["id"]) == (5, 3)
    assert isinstance(error, errors.MakeError)
    assert "clone()" in str(error)
    assert len(table & {"id": 3}) == 0
    if reserve_jobs:
        assert states(table) == {"error": 1}
        assert "close" in table.jobs.errors.fetch1("error_stack")
    table.connection.close()  # no make runs any more
    assert table.connection.is_closed


def test_a_make_without_output_is_done_until_it_is_asked_for(declare: Any) -> None:
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])

    table = declare(make=make)
    assert table.populate(reserve_jobs=True)["success"] == 6
    assert states(table) == {"success": 6}
    assert table.populate(reserve_jobs=True)["success"] == 0
    assert len(table.jobs.completed) == 6
    assert table.jobs.refresh(retry_empty=True) == {"added": 0, "removed": 0, "orphaned": 0, "re_pended": 6}
    assert table.populate(reserve_jobs=True)["success"] == 6
    assert sorted(calls) == sorted([*range(6), *range(6)])


def test_an_empty_list_is_no_output(declare: Any) -> None:
    table = declare(make=lambda self, key: self.insert([]))
    table.populate(reserve_jobs=True)
    assert states(table) == {"success": 6}


@BOTH
def test_a_make_that_yields_unseen_is_refused(declare: Any, reserve_jobs: bool) -> None:
    def hidden(method: Any) -> Any:
        return lambda self, key: method(self, key)

    @hidden
    def make(self: Any, key: dict[str, Any]) -> Any:
        yield
        yield
        self.insert1(key)

    failed(declare(make=make), reserve_jobs, errors.MakeError, "generator")


@BOTH
def test_an_error_with_any_text_is_recorded(declare: Any, reserve_jobs: bool) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def make(self: Any, key: dict[str, Any]) -> None:
        raise [
            ValueError(""),
            ValueError("half of a pair \udcff, nul \0."),
            ValueError("\N{GRINNING FACE}" * 5000),
            Unspeakable(),
            ValueError("%s %d {} '\"`\\"),
            RecursionError(),
        ][key["id"]]

    table = declare(make=make)
    done = table.populate(reserve_jobs=reserve_jobs, suppress_errors=True)
    assert done["error"] == 6
    if reserve_jobs:
        messages = table.jobs.errors.to_arrays("error_message", order_by="id").tolist()
        assert messages[0] == "ValueError"
        assert messages[1] == "ValueError: half of a pair ?, nul ."
        assert len(messages[2]) == 2047
        assert messages[2].endswith("...truncated")
        assert messages[4] == "ValueError: %s %d {} '\"`\\"
        assert all(s.startswith("Traceback") for s in table.jobs.errors.to_arrays("error_stack"))


def test_an_interrupted_make_gives_its_key_back(declare: Any) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] == 2:
            raise KeyboardInterrupt
        self.insert1(key)

    table = declare(make=make)
    with pytest.raises(KeyboardInterrupt):
        table.populate(reserve_jobs=True)
    n = len(table)  # what shared a transaction with the one that was interrupted is undone with it
    assert states(table) == {"pending": 6 - n}
    assert table.jobs.to_arrays("_attempts").tolist() == [0] * (6 - n)


def test_what_is_held_is_given_back_while_the_error_is_still_looked_at(declare: Any) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] == 3:
            raise ValueError("three")
        self.insert1(key)

    table = declare(make=make)
    try:
        table.populate(reserve_jobs=True)
    except ValueError:
        assert states(table) == {"pending": 2, "error": 1}


def test_wrong_arguments_touch_no_job(declare: Any, connection: Any) -> None:
    def make(self: Any, key: dict[str, Any], scale: int = 1) -> None:
        self.insert1({**key, "y": scale})

    table = declare(make=make)
    with pytest.raises(errors.MakeError, match="size"):
        table.populate(reserve_jobs=True, make_kwargs={"size": 1})
    for wrong in ({"max_calls": -1}, {"max_calls": 1, "limit": 2}, {"processes": 0}):
        with pytest.raises(errors.DataJointError):
            table.populate(**wrong)
    with connection.transaction, pytest.raises(errors.TransactionError):
        table.populate()
    assert len(table.jobs) == 0
    assert table.populate(reserve_jobs=True, make_kwargs={"scale": 3})["success"] == 6
    assert set(table.to_arrays("y").tolist()) == {3}
