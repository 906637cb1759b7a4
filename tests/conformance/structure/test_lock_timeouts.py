"""A lock that is not granted in time, on a server that then undoes the whole transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any, ClassVar

import pytest

from dj_schema import errors
from dj_schema.connection import Connection
from tests.conftest import make_connection
from tests.support.launch import Unavailable, launch
from tests.support.recipes import MariaDB
from tests.support.servers import RunFolder, ServerUnderTest, launched_settings


class _UndoesAll(MariaDB):
    extra_options: ClassVar[tuple[str, ...]] = ("--innodb-rollback-on-timeout",)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerUnderTest]:
    run = RunFolder.make()
    try:
        address = launch(_UndoesAll(), "mariadb", run.path)
        yield ServerUnderTest("mariadb", launched_settings(address))
    except Unavailable as error:
        pytest.skip(f"no mariadb: {error}")
    finally:
        run.close()


@pytest.fixture
def other(server: ServerUnderTest, config: Any) -> Iterator[Connection]:
    """Return a connection of somebody else, which keeps what it locks."""
    with make_connection(server, config) as other:
        yield other


@pytest.fixture
def number(dj: ModuleType, new_schema: Any, connection: Connection) -> Any:
    class Number(dj.Manual):  # type: ignore[name-defined,misc]
        definition = """
        k : int32
        ---
        n = 0 : int32
        """

    table = new_schema()(Number)
    table.insert([[0, 0]])
    connection.query("SET SESSION innodb_lock_wait_timeout = 1")
    return table


@pytest.mark.parametrize("form", ["one row", "many rows"])
def test_nothing_is_written_by_itself_after_a_lock_that_was_not_granted(
    number: Any, connection: Connection, other: Connection, form: str
) -> None:
    rows = [[k, 1] for k in range(1 if form == "one row" else 100)]

    def write() -> None:
        with connection.transaction:
            number.insert1([-1, 0])
            with contextlib.suppress(errors.LockTimeoutError):
                number.insert(rows)
            number.insert1([-2, 0])

    with other.transaction:
        other.query(f"UPDATE {number.full_table_name} SET n = 1 WHERE k = 0")
        with pytest.raises(errors.PassedOverDeadlockError, match="run the whole block again"):
            write()
    assert number.to_arrays("k").tolist() == [0]


@pytest.mark.parametrize("reserve_jobs", [False, True], ids=["direct", "reserved"])
def test_a_make_that_passes_over_it_is_run_again(
    dj: ModuleType, number: Any, connection: Connection, other: Connection, reserve_jobs: bool
) -> None:
    number.insert1([1, 0])
    calls: list[int] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["k"])
        self.insert1({**key, "n": 0})
        if len(calls) == 1:
            with other.transaction:
                other.query(f"UPDATE {number.full_table_name} SET n = 1 WHERE k = 1")
                with contextlib.suppress(errors.LockTimeoutError):
                    number.update1({"k": 1, "n": 2})
        self.update1({**key, "n": 3})

    members = {"definition": "-> Number\n---\nn : int32", "make": make, "__module__": __name__}
    table = number._schema(type(dj.Computed)("Low", (dj.Computed,), members), context={"Number": number})
    done = table.populate({"k": 0}, reserve_jobs=reserve_jobs, suppress_errors=True)
    assert (done["success"], done["error_list"]) == (1, [])
    assert table.to_arrays("n").tolist() == [3]
    assert calls == [0, 0]
