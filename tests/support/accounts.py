"""Accounts of a database server that may do less than the one that the tests use."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dj_schema.sql import Ident, Sql, sql
from tests.conftest import make_connection

if TYPE_CHECKING:
    from dj_schema.connection import Connection
    from dj_schema.settings import Config
    from tests.support.servers import ServerUnderTest

READING = ("SELECT",)
WORKING = ("SELECT", "INSERT", "UPDATE", "DELETE")
"""What a worker needs on all tables of a schema, those of its jobs among them."""


@contextmanager
def account(
    owner: Connection,
    server: ServerUnderTest,
    config: Config,
    schema: str,
    rights: tuple[str, ...],
    *,
    may_create: bool = False,
) -> Iterator[Connection]:
    """A connection of an account with some rights on the tables of a schema, and no others.

    On PostgreSQL these are the tables that the schema has now.

    Parameters
    ----------
    may_create : bool
        It may also make tables there.
    """
    name = f"djt_{os.getpid()}_{secrets.token_hex(3)}"
    is_postgres = owner.dialect.name == "postgresql"
    granted = Sql((", ".join((*rights, "CREATE") if may_create and not is_postgres else rights),))
    hosts = ("localhost", "%")
    if is_postgres:
        owner.query(f"CREATE ROLE {name} LOGIN PASSWORD 'abc'")
        of_schema = Sql(("USAGE, CREATE" if may_create else "USAGE",))
        owner.execute(sql("GRANT {} ON SCHEMA {} TO {}", of_schema, Ident(schema), Ident(name)))
        grant = sql("GRANT {} ON ALL TABLES IN SCHEMA {} TO {}", granted, Ident(schema), Ident(name))
        owner.execute(grant)
    for host in () if is_postgres else hosts:
        owner.query("CREATE USER %s@%s IDENTIFIED BY 'abc'", [name, host])
        owner.execute(sql("GRANT {} ON {}.* TO {}@{}", granted, Ident(schema), Ident(name), Ident(host)))
    try:
        with make_connection(server, config, user=name, password="abc") as opened:
            yield opened
    finally:
        if is_postgres:
            owner.query(f"DROP OWNED BY {name}")
            owner.query(f"DROP ROLE {name}")
        for host in () if is_postgres else hosts:
            owner.query("DROP USER %s@%s", [name, host])
