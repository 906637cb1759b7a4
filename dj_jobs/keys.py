"""Which keys a table should have, and which it lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dj_query.compile import where_clause
from dj_query.where import Exists, Negated
from dj_schema.errors import DataJointError
from dj_schema.sql import Ident, sql

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression
    from dj_query.table import Table


def key_source_of(target: Any, restrictions: Sequence[Any]) -> QueryExpression:
    """Return the keys that a table should have, as a query with its job key as primary key.

    Raises
    ------
    DataJointError
        Where the key source lacks an attribute of the key, or is code that raises.
    """
    from dj_jobs.table import job_key
    from dj_query.expression import as_expression
    from dj_query.universal import U

    source = as_expression(_given_by(target), "use as key source")
    for restriction in restrictions:
        source = source & restriction
    key = job_key(target.info)
    if missing := [k for k in key if k not in source.heading.by_name]:
        raise DataJointError(
            f"the key_source of {target.full_table_name} lacks {missing}, which its primary key needs."
        )
    if set(source.primary_key) == set(key):
        keys: QueryExpression = source.proj()
        return keys
    keys = U(*key) & source
    return keys


def _given_by(target: Any) -> Any:
    """Return what the table's own code says; its errors are of one table, and are to hinder no other."""
    try:
        return target.key_source
    except DataJointError:
        raise
    except Exception as e:
        raise DataJointError(
            f"the key_source of {target.full_table_name} raised {type(e).__name__}: {e}"
        ) from e


def missing_keys(target: Any, restrictions: Sequence[Any]) -> QueryExpression:
    """Return the keys that a table should have and has not."""
    from dj_jobs.table import job_key

    names = tuple(job_key(target.info))
    return key_source_of(target, restrictions)._where(Negated(Exists(target.select, names)))


def is_wanted(target: Any, key: Mapping[str, Any]) -> bool:
    """Return whether a key is one that the table should have, by what the key source says now."""
    return bool(key_source_of(target, ()) & dict(key))


def is_there(table: Table, key: Mapping[str, Any]) -> bool:
    """Return whether the row of a key is there, now that whoever writes it has ended.

    Also where the snapshot of this transaction is older than the row; it is locked then.
    """
    if table & dict(key):
        return True
    if not (table.connection.in_transaction and table.connection.dialect.flags.keeps_snapshot):
        return False
    where = where_clause((table & dict(key)).select, table.connection.dialect)
    statement = sql("SELECT 1 FROM {}{} FOR UPDATE", Ident(*table.table_id), where)
    return bool(table.connection.execute(statement, is_read=True).rows)
