"""The servers of the tests are what their names say."""

from __future__ import annotations

import psycopg
import pymysql
import redis

from tests.support.servers import ServerUnderTest


def _version_of(server: ServerUnderTest) -> str:
    settings = server.settings
    login = {name: settings[name] for name in ("host", "port", "user", "password")}
    if settings["backend"] == "postgresql":
        with psycopg.connect(dbname=settings["database_name"], **login) as connection:
            row = connection.execute("SELECT version()").fetchone()
    else:
        with pymysql.connect(**login) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT version()")
            row = cursor.fetchone()
    assert row is not None
    return str(row[0])


def test_server_is_the_one_that_it_is_named_after(server: ServerUnderTest) -> None:
    version = _version_of(server)
    assert ("PostgreSQL" in version) == (server.name == "postgresql")
    assert ("MariaDB" in version) == (server.name == "mariadb")


def test_password_of_a_server_is_not_in_its_repr(server: ServerUnderTest) -> None:
    assert "password" not in repr(server)


def test_redis_answers(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping() is True
