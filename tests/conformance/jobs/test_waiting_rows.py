"""Rows of short jobs that wait to be sent together are seen, refused and undone as if they had been sent."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from typing import Any

import pytest

from dj_jobs.events import Event, Events
from dj_jobs.options import Options
from dj_jobs.populate import reserved
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_schema.settings import Config
from tests.conformance.jobs.test_workers import states
from tests.conftest import make_connection
from tests.support.servers import ServerUnderTest

TOGETHER = {"group_commit_s": 60}


@pytest.fixture(autouse=True)
def _all_in_one_transaction(connection: Connection) -> Any:
    with connection.config.override(jobs=TOGETHER):
        yield


def with_unique_y(table: Any, connection: Connection) -> None:
    table.jobs.refresh()
    connection.query(f"ALTER TABLE {table.full_table_name} ADD UNIQUE (y)")


def ended(table: Any) -> tuple[dict[int, str], Counter[tuple[str, int]]]:
    """Run all jobs; return how each ended, and how often each end was told."""
    told: list[tuple[str, int]] = []
    events = Events(lambda event: told.append((event.kind, event.key["id"])) if event.key else None)
    outcomes = {o.key["id"]: o.result.value for o in reserved(table(), Options(suppress_errors=True), events)}
    return outcomes, Counter(pair for pair in told if pair[0] in ("succeeded", "empty", "failed"))


def test_a_row_that_is_refused_fails_its_own_job_alone(
    declare: Any, source: Any, connection: Connection
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        assert (source & key).fetch1("x") == 10 * key["id"]
        self.insert1({**key, "y": key["id"] if key["id"] != 4 else 2})

    table = declare(make=make)
    with_unique_y(table, connection)
    outcomes, told = ended(table)
    assert outcomes == {**dict.fromkeys(range(6), "success"), 4: "error"}
    assert told == {**{("succeeded", i): 1 for i in (0, 1, 2, 3, 5)}, ("failed", 4): 1}
    assert sorted(table.to_arrays("id").tolist()) == [0, 1, 2, 3, 5]
    assert states(table) == {"error": 1}
    assert (table.jobs & "id = 4").fetch1("error_message").startswith("DuplicateError")
    assert len(table.jobs.attempts({"id": 4})) == 1


def test_who_passes_over_the_error_of_another_job_loses_no_row(declare: Any, connection: Connection) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] == 3:
            try:
                len(self)  # whoever looks now meets what is wrong with the row of 2
            except DataJointError:
                seen.append(key["id"])
        self.insert1({**key, "y": key["id"] if key["id"] != 2 else 1})

    seen: list[int] = []
    table = declare(make=make)
    with_unique_y(table, connection)
    outcomes, told = ended(table)
    assert outcomes == {**dict.fromkeys(range(6), "success"), 2: "error"}
    assert set(told.values()) == {1}
    assert sorted(table.to_arrays("id").tolist()) == [0, 1, 3, 4, 5]
    assert seen in ([], [3])  # where savepoints cost nothing, or 2 was committed before 3 began


@pytest.mark.parametrize("how", ["own", "raw", "exists", "stream", "view", "join"])
def test_whatever_looks_for_the_rows_sees_them(
    declare: Any, source: Any, connection: Connection, how: str
) -> None:
    def look(self: Any) -> int:
        if how == "own":
            return len(self)
        if how == "raw":
            return int(connection.query(f"SELECT count(*) FROM {table.full_table_name}")[0][0])
        if how == "exists":
            return len((source & self).to_dicts())
        if how == "stream":
            return sum(1 for _ in self)
        if how == "view":
            return int(connection.query(f"SELECT count(*) FROM {view}")[0][0])
        return len((source * self).to_dicts())

    def make(self: Any, key: dict[str, Any]) -> None:
        assert (source & key).fetch1("x") == 10 * key["id"]
        counts.append(look(self))
        self.insert1(key)
        counts.append(look(self))

    counts: list[int] = []
    table = declare(make=make)
    table.jobs.refresh()
    quote = connection.dialect.quote
    view = f"{quote}{table.database}{quote}.{quote}seen{quote}"
    connection.query(f"CREATE VIEW {view} AS SELECT * FROM {table.full_table_name}")
    assert table.populate(reserve_jobs=True)["error_list"] == []
    assert counts == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]


def test_a_part_that_is_undone_takes_no_other_row_with_it(declare: Any, connection: Connection) -> None:
    class UndoneError(Exception):
        pass

    def make(self: Any, key: dict[str, Any]) -> None:
        if key["id"] % 2:
            self.insert1({**key, "y": 1})
            return
        try:
            with connection.transaction:
                self.insert1({**key, "y": 2})
                raise UndoneError
        except UndoneError:
            self.insert1({**key, "y": 3})

    table = declare(make=make)
    assert table.populate(reserve_jobs=True)["success"] == 6
    assert table.to_arrays("id", "y", order_by="id")[1].tolist() == [3, 1, 3, 1, 3, 1]


def test_masters_go_before_their_parts(dj: Any, declare: Any) -> None:
    class Item(dj.Part):  # type: ignore[name-defined,misc]
        definition = """
        -> master
        item : int16
        ---
        value : varchar(20)
        """

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "y": key["id"]})
        self.Item.insert({**key, "item": i, "value": f"a%s\\'{i}"} for i in range(3))

    table = declare(make=make, Item=Item)
    assert table.populate(reserve_jobs=True)["success"] == 6
    assert len(table.Item()) == 18
    assert (table.Item & {"id": 4, "item": 2}).fetch1("value") == "a%s\\'2"


def test_rows_that_are_many_or_large_are_sent_in_their_order(declare: Any, dj: Any) -> None:
    class Piece(dj.Part):  # type: ignore[name-defined,misc]
        definition = """
        -> master
        piece : int16
        ---
        data : <blob>
        """

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)
        if key["id"] == 1:
            self.Piece.insert({**key, "piece": i, "data": i} for i in range(200))
        else:
            self.Piece.insert1({**key, "piece": 0, "data": b"\\'%s\x00" * 700_000})

    table = declare(make=make, Piece=Piece)
    assert table.populate(reserve_jobs=True)["success"] == 6
    assert len(table.Piece()) == 205
    assert (table.Piece & "id = 5").fetch1("data") == b"\\'%s\x00" * 700_000


def test_jobs_insert_in_one_statement_where_each_would_be_a_wait(
    declare: Any, source: Any, connection: Connection
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "y": (source & key).fetch1("x")})

    source.insert({"id": i, "x": 10 * i} for i in range(6, 406))
    table = declare(make=make)
    table.populate(reserve_jobs=True, max_calls=6)  # what is done once
    batches: list[Event] = []  # of as many jobs as this machine computes in a quarter of a second
    before = connection.n_statements
    done = table.populate(
        reserve_jobs=True, on_event=lambda event: batches.append(event) if event.kind == "claimed" else None
    )
    assert done["success"] == 400
    per_job = 4 if connection.dialect.flags.has_cheap_savepoints else 1
    assert connection.n_statements - before <= 400 * per_job + 15 * len(batches)


def test_a_master_with_other_fields_goes_before_its_parts_too(declare: Any, dj: Any) -> None:
    class Item(dj.Part):  # type: ignore[name-defined,misc]
        definition = """
        -> master
        item : int16
        """

    def make(self: Any, key: dict[str, Any]) -> None:
        calls.append(key["id"])
        self.insert1({**key, "y": 1} if key["id"] % 2 else key)
        self.Item.insert1({**key, "item": 1})

    calls: list[int] = []
    table = declare(make=make, Item=Item)
    assert table.populate(reserve_jobs=True)["success"] == 6
    assert sorted(calls) == list(range(6))  # none was run again for a parent that was not there yet
    assert table.to_arrays("y", order_by="id").tolist() == [0, 1, 0, 1, 0, 1]


def test_a_number_that_the_server_gave_is_that_of_the_last_row(
    declare: Any, source: Any, connection: Connection, dj: Any
) -> None:
    if connection.dialect.name == "postgresql":
        pytest.skip("has no LAST_INSERT_ID()")

    @source._schema
    class Note(dj.Manual):  # type: ignore[name-defined,misc]
        definition = """
        note : bigint auto_increment
        ---
        about : int32
        """

    def make(self: Any, key: dict[str, Any]) -> None:
        Note.insert1({"about": key["id"]})
        number = connection.query("SELECT LAST_INSERT_ID()")[0][0] if key["id"] % 3 == 2 else 0
        self.insert1({**key, "y": number})

    table = declare(make=make)
    assert table.populate(reserve_jobs=True)["success"] == 6
    asked = table & "y > 0"
    assert {row["id"]: (Note & {"note": row["y"]}).fetch1("about") for row in asked} == {2: 2, 5: 5}


def test_a_worker_need_not_see_the_parents_of_its_parents(
    dj: Any, new_schema: Any, connection: Connection, server: ServerUnderTest, config: Config
) -> None:
    class Top(dj.Manual):  # type: ignore[name-defined,misc]
        definition = "top : int32"

    class Middle(dj.Manual):  # type: ignore[name-defined,misc]
        definition = "-> Top"

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1(key)

    members = {"definition": "-> Middle", "make": make, "__module__": __name__}
    above, between, below = new_schema(), new_schema(), new_schema()
    top = above(Top)
    middle = between(Middle, context={"Top": top})
    top.insert([i] for i in range(6))
    middle.insert([i] for i in range(6))
    below(type(dj.Computed)("Low", (dj.Computed,), members), context={"Middle": middle}).jobs.refresh()
    name = f"djt_{os.getpid()}_{secrets.token_hex(3)}"
    if connection.dialect.name == "postgresql":
        connection.query(f"CREATE ROLE {name} LOGIN PASSWORD 'abc'")
        for schema in (between, below):
            connection.query(f"GRANT USAGE ON SCHEMA {schema.database} TO {name}")
            connection.query(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema.database} TO {name}")
    else:
        connection.query(f"CREATE USER {name} IDENTIFIED BY 'abc'")
        connection.query(f"GRANT SELECT ON {between.database}.* TO {name}")
        connection.query(f"GRANT ALL ON {below.database}.* TO {name}")
    try:
        with make_connection(server, config, user=name, password="abc") as opened:
            seen = dj.Schema(between.database, connection=opened).get_table("middle")
            low = dj.Schema(below.database, connection=opened)(
                type(dj.Computed)("Low", (dj.Computed,), members), context={"Middle": seen}
            )
            assert low.populate(reserve_jobs=True)["error_list"] == []
            assert len(low) == 6
    finally:
        if connection.dialect.name == "postgresql":
            connection.query(f"DROP OWNED BY {name}")
        connection.query(f"DROP {'ROLE' if connection.dialect.name == 'postgresql' else 'USER'} {name}")
