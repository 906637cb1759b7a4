"""Inserting: rows are checked and encoded whole, then sent in the fewest statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dj_query.compile import select_text
from dj_query.plan import narrowed_to
from dj_query.write.encode import encode_column
from dj_query.write.rows import RowGroup, batches, groups
from dj_schema.errors import DataJointError, DuplicateError, IntegrityError
from dj_schema.sql import EMPTY, Ident, Sql, idents, sql

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression
    from dj_query.table import Table

_BULK_ROWS = 50
_MAX_PARAMS = 30_000


def insert_rows(
    table: Table,
    rows: Any,
    *,
    replace: bool = False,
    skip_duplicates: bool = False,
    ignore_extra_fields: bool = False,
    chunk_size: int | None = None,
) -> None:
    """Insert rows; all of them or none, or each chunk so where `chunk_size` is given."""
    from dj_query.expression import QueryExpression

    if replace and skip_duplicates:
        raise DataJointError("replace and skip_duplicates exclude each other.")
    if isinstance(rows, type) and hasattr(rows, "definition"):
        rows = rows()
    if isinstance(rows, QueryExpression):
        _insert_query(table, rows, replace, skip_duplicates, ignore_extra_fields)
        return
    for batch in batches(rows, table.heading, chunk_size):
        found = groups(batch, table.heading, ignore_extra_fields, table.full_table_name)
        encoded = [_encoded(table, group) for group in found]
        _send(table, encoded, replace, skip_duplicates)


def _encoded(table: Table, group: RowGroup) -> RowGroup:
    heading = table.heading
    key_columns = [(f, c) for f, c in zip(group.fields, group.columns, strict=True) if heading.by_name[f].in_key]

    def keys() -> list[dict[str, Any]]:
        names = [f for f, _ in key_columns]
        if not names:
            return [{}] * group.n_rows
        return [dict(zip(names, row, strict=True)) for row in zip(*(c for _, c in key_columns), strict=True)]

    has_nan = table.connection.dialect.flags.has_nan
    columns = tuple(
        encode_column(heading.by_name[field], column, keys, has_nan)
        for field, column in zip(group.fields, group.columns, strict=True)
    )
    return RowGroup(group.fields, columns)


def _send(table: Table, found: Sequence[RowGroup], replace: bool, skip_duplicates: bool) -> None:
    if not found:
        return
    connection = table.connection
    try:
        if len(found) == 1 and found[0].n_rows == 1:
            _send_group(table, found[0], replace, skip_duplicates)
        else:
            with connection.atomic():
                for group in found:
                    _send_group(table, group, replace, skip_duplicates)
    except DuplicateError as e:
        raise DuplicateError(
            f"{e}. In {table.full_table_name} a row of this key is there; "
            "skip_duplicates=True keeps it, replace=True overwrites it.",
            code=e.code,
            statement=e.statement,
        ) from e
    except IntegrityError as e:
        raise IntegrityError(
            f"{e}. A row of {table.full_table_name} refers to a parent that is not there: insert the parent first.",
            code=e.code,
            statement=e.statement,
        ) from e


def _send_group(table: Table, group: RowGroup, replace: bool, skip_duplicates: bool) -> None:
    connection = table.connection
    rows = list(zip(*group.columns, strict=True))
    dialect = connection.dialect
    plain = not replace and not skip_duplicates
    if not group.fields:
        raise DataJointError(f"a row without any field cannot be inserted into {table.full_table_name}.")
    if len(rows) >= _BULK_ROWS and (plain or not dialect.flags.has_copy):
        text = dialect.rows.copy_text(table.database, table.table_name, group.fields)
        tail = EMPTY if plain else _on_duplicate(table, group.fields, replace)
        connection.copy_in(connection.render(text + tail).text, rows)
        return
    per_statement = max(1, _MAX_PARAMS // len(group.fields))
    for start in range(0, len(rows), per_statement):
        part = rows[start : start + per_statement]
        text = _values_text(table, group.fields, len(part), replace, skip_duplicates)
        connection.run(text, [v for row in part for v in row] if len(part) > 1 else part[0])


def _values_text(table: Table, fields: tuple[str, ...], n_rows: int, replace: bool, skip: bool) -> str:
    def make() -> str:
        row = "(" + ", ".join(["%s"] * len(fields)) + ")"
        places = Sql((", ".join([row] * n_rows),))
        name = Ident(table.database, table.table_name)
        statement = sql("INSERT INTO {} ({}) VALUES {}", name, idents(fields), places)
        if replace or skip:
            statement += _on_duplicate(table, fields, replace)
        return table.connection.render(statement).text

    text: str = table.heading.memo(("insert", fields, n_rows, replace, skip), make)
    return text


def _on_duplicate(table: Table, fields: Sequence[str], replace: bool) -> Sql:
    key = table.heading.key_columns
    update = [f for f in fields if f not in key] if replace else None
    return table.connection.dialect.rows.on_duplicate(key, update)


def _insert_query(
    table: Table, query: QueryExpression, replace: bool, skip_duplicates: bool, ignore_extra_fields: bool
) -> None:
    """INSERT ... SELECT: the rows never come here."""
    if query.connection is not table.connection:
        raise DataJointError("the query is on another connection; fetch its rows and insert them.")
    fields = [n for n in query.heading.names if n in table.heading.by_name]
    extra = [n for n in query.heading.names if n not in table.heading.by_name]
    if extra and not ignore_extra_fields:
        from dj_schema.heading import unknown_attribute

        raise unknown_attribute(extra[0], table.heading.names, of=table.full_table_name)
    missing = [a.name for a in table.heading.all if a.is_required and a.name not in fields]
    if missing:
        from dj_schema.errors import MissingAttributeError

        raise MissingAttributeError(f"the query lacks {missing}, which {table.full_table_name} needs.")
    select = select_text(narrowed_to(query.select, fields), table.connection.dialect)
    statement = sql("INSERT INTO {} ({}) {}", Ident(table.database, table.table_name), idents(fields), select)
    if replace or skip_duplicates:
        statement += _on_duplicate(table, fields, replace)
    table.connection.execute(statement)
