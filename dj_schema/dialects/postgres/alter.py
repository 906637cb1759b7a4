"""Changing a declared table on PostgreSQL: several statements, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dj_schema.definition.diff import AttributeChange, TableChanges
from dj_schema.dialects.base import Execute
from dj_schema.dialects.postgres.ddl import (
    EnumNames,
    column,
    column_comment,
    default_clause,
    enum_names,
    enum_types,
    stored_type,
)
from dj_schema.dialects.postgres.types import check_of
from dj_schema.heading import Attribute
from dj_schema.sql import EMPTY, Ident, Param, Sql, literal, sql
from dj_schema.table_info import TableInfo
from dj_schema.types import CoreType

# The constraints that keep one column in its range.
_CHECKS = """
SELECT a.attname, k.conname
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND k.conkey = ARRAY[a.attnum]
WHERE k.contype = 'c' AND n.nspname = {} AND c.relname = {}
"""


def lock_for_change(info: TableInfo) -> list[Sql]:
    """Return what keeps others from a table until the transaction that changes it has ended."""
    return [sql("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", Ident(*info.full_name))]


def alter_table(changes: TableChanges, without_values: Collection[str], execute: Execute) -> list[Sql]:
    """Return the statements that change a table."""
    schema, name = changes.old.full_name
    table = Ident(schema, name)
    coming = [change.new for change in changes.changed] + [a for a, _ in changes.added]
    enums = enum_names(schema, coming, execute)
    checks: dict[str, list[str]] = {}
    for column_name, constraint in execute(sql(_CHECKS, Param(schema), Param(name))).rows:
        checks.setdefault(column_name, []).append(constraint)
    statements = enum_types(schema, coming, enums)
    statements += [sql("ALTER TABLE {} DROP COLUMN {}", table, Ident(a.name)) for a in changes.dropped]
    for change in changes.changed:
        statements += _change(changes.old, change, enums, checks.get(change.old.name, []), without_values)
    for attribute, _ in changes.added:
        statements.append(sql("ALTER TABLE {} ADD COLUMN {}", table, column(schema, attribute, enums)))
        statements += _comment(changes.old, attribute)
    if changes.comment is not None:
        statements.append(sql("COMMENT ON TABLE {} IS {}", table, literal(changes.comment)))
    return statements


def _change(
    info: TableInfo,
    change: AttributeChange,
    enums: EnumNames,
    checks: Collection[str],
    without_values: Collection[str],
) -> Iterator[Sql]:
    old, new = change.old, change.new
    table, name = Ident(*info.full_name), Ident(new.name)
    if change.is_renamed:
        yield sql("ALTER TABLE {} RENAME COLUMN {} TO {}", table, Ident(old.name), name)
    if change.changes_type or old.default != new.default:
        yield sql("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", table, name)
    if change.changes_type:
        for check in checks:
            yield sql("ALTER TABLE {} DROP CONSTRAINT {}", table, Ident(check))
        type_ = stored_type(info.schema, new, enums)
        using = sql(" USING NULL") if old.name in without_values else _using(old, new, type_)
        yield sql("ALTER TABLE {} ALTER COLUMN {} TYPE {}{}", table, name, type_, using)
        assert new.storage is not None
        if check_clause := check_of(new.name, new.storage):
            yield sql("ALTER TABLE {} ADD{}", table, check_clause)
    if old.is_nullable != new.is_nullable:
        verb = sql("DROP" if new.is_nullable else "SET")
        yield sql("ALTER TABLE {} ALTER COLUMN {} {} NOT NULL", table, name, verb)
    if new.default is not None and (change.changes_type or old.default != new.default):
        default = default_clause(new.default, new.storage)
        yield sql("ALTER TABLE {} ALTER COLUMN {} SET{}", table, name, default)
    yield from _comment(info, new)


def _using(old: Attribute, new: Attribute, type_: Sql) -> Sql:
    """Return how values become those of the new type, where an assignment alone would not do."""
    name = Ident(new.name)
    if any(isinstance(a.storage, CoreType) and a.storage.labels for a in (old, new)):
        return sql(" USING {}::text::{}", name, type_)
    if "bool" in (old.kind, new.kind) and old.kind != new.kind:
        return sql(" USING {}::integer::{}", name, type_)
    return EMPTY


def _comment(info: TableInfo, attribute: Attribute) -> list[Sql]:
    comment = literal(column_comment(attribute))
    return [sql("COMMENT ON COLUMN {} IS {}", Ident(*info.full_name, attribute.name), comment)]
