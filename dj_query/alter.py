"""Bring a declared table up to the definition of its class."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dj_query.binding import Binding, attach
from dj_query.confirm import confirmed
from dj_schema.alter import alter_table, changes_of
from dj_schema.errors import DataJointError

if TYPE_CHECKING:
    from dj_query.user_table import UserTable
    from dj_schema.table_info import TableInfo

log = logging.getLogger("datajoint.alter")


def alter_class(table: UserTable, prompt: bool | None, names: Mapping[str, Any]) -> TableInfo:
    """Alter the table of a class, after a yes; return the table as it is then.

    Parameters
    ----------
    names : mapping
        Where foreign keys look for classes, after the module of the class.
    """
    if table.is_restricted:
        raise DataJointError("a restricted table cannot be altered; alter the table class itself.")
    cls, schema = type(table), type(table)._schema
    connection = schema.connection
    connection.catalog.forget(schema.name)  # another process may have altered it
    declared = connection.catalog.table(*table.table_id)
    attach(cls, schema, declared)
    module = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
    changes = changes_of(connection, declared, Binding(schema, cls, {**module, **names}).wanted())
    ask = connection.config.safemode if prompt is None else prompt
    if not changes:
        log.info("%s is as its definition says: nothing to alter", table.full_table_name)
        return declared
    if ask and not confirmed(f"About to alter {table.full_table_name}", changes.lines()):
        return declared
    altered = alter_table(connection, changes)
    for line in changes.lines():
        log.info("altered %s: %s", table.full_table_name, line)
    attach(cls, schema, altered)
    wanted = changes.new.heading.names
    if altered.heading.names != wanted:
        log.warning(
            "the attributes of %s are in the order %s, not in that of the definition: what was there stays "
            "in place, and PostgreSQL puts what is new last. Insert rows as dicts, or define it so.",
            table.full_table_name,
            ", ".join(altered.heading.names),
        )
    return altered
