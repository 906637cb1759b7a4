"""Changing a declared table on MySQL and MariaDB: one statement, which the server carries out or not."""

from __future__ import annotations

from collections.abc import Collection

from dj_schema.definition.diff import TableChanges
from dj_schema.dialects.base import Execute
from dj_schema.dialects.mysql.ddl import collations, column, table_comment
from dj_schema.sql import Ident, Sql, join, sql
from dj_schema.table_info import TableInfo


def lock_for_change(info: TableInfo) -> list[Sql]:
    """Nothing: there is no transaction that a lock could be part of."""
    return []


def alter_table(changes: TableChanges, without_values: Collection[str], execute: Execute) -> list[Sql]:
    """Return the one statement that changes a table."""
    table = changes.old.full_name
    texts = [(*table, c.old.name) for c in changes.changed if c.old.kind == c.new.kind == "string"]
    found = collations(texts, execute) if texts else {}
    clauses = [sql("DROP COLUMN {}", Ident(a.name)) for a in changes.dropped]
    for change in changes.changed:
        line = column(change.new, found.get((*table, change.old.name), ""))
        clauses.append(sql("CHANGE COLUMN {} {}", Ident(change.old.name), line))
    for attribute, previous in changes.added:
        place = sql("AFTER {}", Ident(previous)) if previous else sql("FIRST")
        clauses.append(sql("ADD COLUMN {} {}", column(attribute), place))
    if changes.comment is not None:
        clauses.append(sql("COMMENT={}", table_comment(changes.new)))
    return [sql("ALTER TABLE {} {}", Ident(*table), join(", ", clauses))] if clauses else []
