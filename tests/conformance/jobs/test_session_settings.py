"""Settings of sessions that an administrator made, for a role or for the server."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from dj_jobs.rescue import rescue
from dj_schema.connection import Connection
from tests.conformance.jobs.test_workers import jobs_on
from tests.conftest import make_connection
from tests.support.servers import ServerUnderTest
from tests.support.sessions import wait_until_idle

if TYPE_CHECKING:
    from dj_query.schema import Schema
    from dj_schema.settings import Config

SETTINGS = {
    "postgresql": [
        {"DateStyle": "German"},
        {"standard_conforming_strings": "off"},
        {"default_transaction_isolation": "serializable"},
        {"default_transaction_isolation": "repeatable read"},
        {"search_path": ""},
        {"lock_timeout": "300"},
    ],
    "mysql": [
        {"completion_type": "CHAIN"},
        {"sql_safe_updates": "ON"},
        {"sql_select_limit": "3"},
        {"sql_mode": "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH"},
        {"autocommit": "OFF"},
        {"SESSION TRANSACTION ISOLATION LEVEL": "SERIALIZABLE"},
        {"SESSION TRANSACTION ISOLATION LEVEL": "READ UNCOMMITTED"},
        {"innodb_lock_wait_timeout": "1"},
    ],
}
N_KEYS = 30
TEXT = "it's \\' 100%"


@pytest.fixture(params=range(max(map(len, SETTINGS.values()))))
def settings(request: pytest.FixtureRequest, server: ServerUnderTest) -> dict[str, str]:
    backend = server.settings["backend"]
    if request.param >= len(SETTINGS[backend]):
        pytest.skip(f"there are {len(SETTINGS[backend])} settings for {backend}")
    return SETTINGS[backend][request.param]


@pytest.fixture
def settled(
    settings: dict[str, str],
    server: ServerUnderTest,
    config: Config,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Connection]:
    """A connection all of whose sessions, and those of its clones, begin with a setting."""
    begin = _as_role if connection.dialect.name == "postgresql" else _as_server
    with begin(connection, settings, monkeypatch) as user, make_connection(server, config, **user) as opened:
        yield opened


@contextmanager
def _as_role(
    connection: Connection, settings: dict[str, str], _: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    name = f"djt_{os.getpid()}_{secrets.token_hex(3)}"
    connection.query(f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD 'abc'")
    for setting, value in settings.items():
        connection.query(f"ALTER ROLE {name} SET {setting} = '{value}'")
    yield {"user": name, "password": "abc"}
    connection.query(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
    connection.query(f"DROP ROLE {name}")


@contextmanager
def _as_server(
    _: Connection, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """These servers have no settings of a role, and others use the server: the driver sets them at first."""
    log_in: Callable[[Any], None] = pymysql.Connection._request_authentication  # type: ignore[attr-defined]

    def log_in_and_set(driver: Any) -> None:
        log_in(driver)
        for name, value in settings.items():
            quoted = value if value.isdigit() or " " in name else f"'{value}'"
            driver.query(f"SET {name} {quoted}" if " " in name else f"SET {name} = {quoted}")

    with monkeypatch.context() as patch:
        patch.setattr(pymysql.Connection, "_request_authentication", log_in_and_set)
        yield {}


def test_jobs_are_computed_and_recorded_whatever_the_administrator_set(
    dj: Any, settled: Connection, new_schema_name: Callable[[], str]
) -> None:
    has_failed: list[dict[str, Any]] = []
    schema: Schema = dj.Schema(new_schema_name(), connection=settled)

    @schema
    class Source(dj.Manual):  # type: ignore[name-defined,misc]
        definition = f"""
        # {TEXT}
        name : varchar(20)    # {TEXT}
        """

    @schema
    class Result(dj.Computed):  # type: ignore[name-defined,misc]
        definition = """
        -> Source
        """

        def make(self, key: dict[str, Any]) -> None:
            if key["name"] == TEXT and not has_failed:
                has_failed.append(key)
                raise OSError(TEXT)
            self.insert1(key)

    Source.insert([{"name": TEXT}, *({"name": str(i)} for i in range(N_KEYS))])
    assert Source().heading.comment == TEXT
    assert Result.populate(reserve_jobs=True, suppress_errors=True)["success"] == N_KEYS
    first = Result.jobs.attempts({"name": TEXT})[0]
    assert (first.outcome, first.error) == ("error", f"OSError: {TEXT}")
    assert first.started is not None
    assert first.ended is not None
    assert first.started <= first.ended
    assert Result.jobs.retry() == 1
    assert Result.populate(reserve_jobs=True)["success"] == 1
    assert sorted(Result.keys(), key=str) == sorted(Source.keys(), key=str)
    assert len(Result.to_dicts()) == N_KEYS + 1
    Result.delete_quick()
    assert Result.populate()["success"] == N_KEYS + 1


IDLE = {"postgresql": {"idle_session_timeout": "1s"}, "mysql": {"wait_timeout": "1"}}


@pytest.fixture
def impatient(
    server: ServerUnderTest, config: Config, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connection]:
    """A connection to a server that ends sessions which are idle for a second."""
    begin = _as_role if connection.dialect.name == "postgresql" else _as_server
    idle = IDLE[server.settings["backend"]]
    with begin(connection, idle, monkeypatch) as user, make_connection(server, config, **user) as opened:
        yield opened


@pytest.mark.parametrize("reserve_jobs", [False, True], ids=["direct", "reserved"])
def test_a_server_that_ends_idle_sessions_ends_none_of_a_make(
    dj: Any,
    impatient: Connection,
    connection: Connection,
    new_schema_name: Callable[[], str],
    reserve_jobs: bool,
) -> None:
    """Nor does it look to others as if the worker had died, where its sessions are idle between renewals."""
    schema: Schema = dj.Schema(new_schema_name(), connection=impatient)
    calls: list[str] = []
    has_stayed: list[bool] = []
    n_rescued: list[int] = []

    @schema
    class Source(dj.Manual):  # type: ignore[name-defined,misc]
        definition = """
        name : varchar(20)
        """

    @schema
    class Plain(dj.Computed):  # type: ignore[name-defined,misc]
        definition = """
        -> Source
        """

        def make(self, key: dict[str, Any]) -> None:
            calls.append("plain")
            self.insert1(key)
            has_stayed.append(wait_until_idle(connection, impatient.connection_id, 2))

    @schema
    class Long(dj.Computed):  # type: ignore[name-defined,misc]
        definition = """
        -> Source
        """

        def make_fetch(self, key: dict[str, Any]) -> dict[str, Any]:
            return (Source & key).fetch1()  # type: ignore[no-any-return]

        def make_compute(self, key: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
            calls.append("long")
            sessions = [impatient.connection_id]
            while reserve_jobs and len(sessions) < 2:
                jobs = jobs_on(connection, self)
                renewing = jobs.proj("_lease_session").fetch1("_lease_session")
                sessions += [renewing] if renewing else []
            has_stayed.extend(wait_until_idle(connection, session, 2) for session in sessions)
            if reserve_jobs:
                with impatient.clone() as other:
                    n_rescued.append(rescue(jobs_on(other, self)))
            return row

        def make_insert(self, key: dict[str, Any], row: dict[str, Any]) -> None:
            self.insert1(row)

    Source.insert1(["one"])
    for table in (Plain, Long):
        assert table.populate(reserve_jobs=reserve_jobs)["success"] == 1
    assert calls == ["plain", "long"]
    assert all(has_stayed)
    assert not any(n_rescued)
