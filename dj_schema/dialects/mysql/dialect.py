"""MySQL and MariaDB, put together: one dialect with the flags of each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dj_schema.dialects.base import Dialect, Flags, Session
from dj_schema.dialects.mysql import alter, catalog, ddl, driver, jobs, mariadb_rows, rows, types

if TYPE_CHECKING:
    from dj_schema.server_address import ConnectionSettings

MYSQL = Dialect(
    name="mysql",
    quote="`",
    default_port=3306,
    flags=Flags(
        has_copy=False,
        has_returning=False,
        has_transactional_ddl=False,
        has_nan=False,
        has_exact_texts=False,
        seconds_digits=0,
        has_cheap_savepoints=False,
        keeps_snapshot=True,
        transaction_verbs=frozenset(
            {
                "BEGIN",
                "START",
                "COMMIT",
                "ROLLBACK",
                "SAVEPOINT",
                "RELEASE",
                "XA",
                "CREATE",
                "ALTER",
                "DROP",
                "TRUNCATE",
                "RENAME",
                "LOCK",
                "UNLOCK",
                "GRANT",
                "REVOKE",
                "ANALYZE",
                "OPTIMIZE",
                "REPAIR",
                "FLUSH",
                "RESET",
            }
        ),
        deadlock_ends_transaction=True,
        has_expression_indexes=True,
        # not JSON, which is shown in another form than the server's
        arrow_kinds=frozenset(
            {"int", "float", "bool", "decimal", "string", "date", "datetime", "uuid", "bytes"}
        ),
        computed_arrow_kinds=frozenset({"int", "float", "bool"}),  # of others the server chooses the type
    ),
    types=types,
    ddl=ddl,
    alter=alter,
    catalog=catalog,
    rows=rows,
    jobs=jobs,
)
MARIADB = replace(
    MYSQL,
    name="mariadb",
    flags=replace(MYSQL.flags, has_expression_indexes=False),
    rows=mariadb_rows,
)


def open_session(settings: ConnectionSettings) -> tuple[Dialect, Session]:
    session = driver.connect(settings)
    return (MARIADB if session.is_mariadb else MYSQL), session
