"""Inserting: rows are checked and encoded whole, then sent in the fewest statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from dj_query.compile import select_text
from dj_query.plan import narrowed_to
from dj_query.write.compatible import check_copy
from dj_query.write.encode import encode_column, is_stored_as_it_is
from dj_query.write.rows import RowGroup, batches, groups
from dj_query.write.spaces_at_end import (
    padded_keys,
    refuse_other_parents,
    refuse_other_parents_of,
    refuse_space_at_end,
)
from dj_schema.errors import (
    DataError,
    DataJointError,
    DuplicateError,
    IntegrityError,
    MissingTableError,
)
from dj_schema.sql import EMPTY, Ident, Param, Sql, idents, join, sql
from dj_schema.table_info import TableName
from dj_schema.waiting_rows import LaterInsert

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression
    from dj_query.make_scope import MakeScope
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
    scope: MakeScope | None = None,
) -> None:
    """Insert rows; all of them or none, or each chunk so where `chunk_size` is given."""
    from dj_query.expression import QueryExpression

    if replace and skip_duplicates:
        raise DataJointError("replace and skip_duplicates exclude each other.")
    if isinstance(rows, type) and hasattr(rows, "definition"):
        rows = rows()
    if isinstance(rows, QueryExpression):
        if scope is not None:
            scope.check_query(table.table_id, rows)
        n_rows = _insert_query(table, rows, replace, skip_duplicates, ignore_extra_fields)
        if scope is not None and n_rows:
            if skip_duplicates:
                scope.doubts(table.table_id)
            scope.saw(table.table_id, (), ())
        return
    for batch in batches(rows, table.heading, chunk_size):
        found = groups(batch, table.heading, ignore_extra_fields, table.full_table_name)
        encoded = [_encoded(table, group) for group in found]
        if scope is None:
            _send(table, encoded, replace, skip_duplicates)
            continue
        if skip_duplicates:
            scope.doubts(table.table_id)
        try:
            for group in encoded:
                scope.saw(table.table_id, group.fields, group.columns)
            _send(table, encoded, replace, skip_duplicates)
        except BaseException:
            scope.doubts(table.table_id)
            raise


def _encoded(table: Table, group: RowGroup) -> RowGroup:
    heading = table.heading.by_name

    def keys() -> list[dict[str, Any]]:
        key = [(f, c) for f, c in zip(group.fields, group.columns, strict=True) if heading[f].in_key]
        names = [f for f, _ in key]
        if not names:
            return [{}] * group.n_rows
        return [dict(zip(names, row, strict=True)) for row in zip(*(c for _, c in key), strict=True)]

    has_nan = table.connection.dialect.flags.has_nan
    is_ready = _ready_columns(table, group, has_nan)
    columns = tuple(
        [
            column if ready else encode_column(heading[field], column, keys, has_nan, group.places)
            for field, column, ready in zip(group.fields, group.columns, is_ready, strict=True)
        ]
    )
    padded = padded_keys(table)
    for field, column in zip(group.fields, columns, strict=True):
        if field in padded:
            refuse_space_at_end(field, column, group.places)
    if not table.connection.dialect.flags.has_exact_texts:
        refuse_other_parents(table, RowGroup(group.fields, columns, group.places))
    return RowGroup(group.fields, columns, group.places)


def _ready_columns(table: Table, group: RowGroup, has_nan: bool) -> Sequence[bool]:
    """Whether each column of a single row is seen at once to be stored as it is."""
    if group.n_rows != 1:
        return [False] * len(group.fields)
    heading = table.heading
    tests = heading.memo(
        ("is_stored_as_it_is", group.fields, has_nan),
        lambda: [is_stored_as_it_is(heading.by_name[field], has_nan) for field in group.fields],
    )
    return [test is not None and test(column[0]) for test, column in zip(tests, group.columns, strict=True)]


def _send(table: Table, found: Sequence[RowGroup], replace: bool, skip_duplicates: bool) -> None:
    if replace:
        found = _last_of_each_key(table, found)
    is_short = len(found) == 1 and found[0].n_rows < _BULK_ROWS and not replace
    if is_short and not skip_duplicates and _sent_later(table, found[0]):
        return
    with advice(table, replace):
        if is_short:
            _send_group(table, found[0], replace, skip_duplicates)
            return
        # inside a transaction a savepoint, so that of several statements none is left of a failure
        with table.connection.transaction:
            for group in found:
                _send_group(table, group, replace, skip_duplicates)


@contextmanager
def advice(table: Table, replace: bool) -> Iterator[None]:
    """Add to what the server refuses what to do about it."""
    try:
        yield
    except DuplicateError as e:
        advice = (
            "another row has these values in a unique index; change or delete it first."
            if replace
            else "a row of this key, or of these values in a unique index, is there; skip_duplicates=True "
            "keeps it, replace=True overwrites one of the same key."
        )
        raise DuplicateError(
            f"{str(e).rstrip('.')}. In {table.full_table_name} {advice}",
            code=e.code,
            statement=e.statement,
        ) from e
    except IntegrityError as e:
        raise IntegrityError(
            f"{str(e).rstrip('.')}. A row of {table.full_table_name} refers to a parent that is not there: "
            "insert the parent first.",
            code=e.code,
            statement=e.statement,
        ) from e
    except DataError as e:
        message = f"{str(e).rstrip('.')}. The server refused this value for {table.full_table_name}."
        raise DataError(message, code=e.code, statement=e.statement) from e


def _sent_later(table: Table, group: RowGroup) -> bool:
    """Leave rows to be sent with those of other jobs; False where they are to be sent now."""
    connection = table.connection
    if connection.transaction_state.waiting is None or not group.fields:
        return False
    if table.heading.memo("is_numbered", lambda: any(a.is_auto_increment for a in table.heading.all)):
        return False  # LAST_INSERT_ID() of many rows is that of the first
    insert = table.heading.memo(("later", group.fields), lambda: _later_insert(table, group.fields))
    return connection.insert_later(insert, list(zip(*group.columns, strict=True)))


def _later_insert(table: Table, fields: tuple[str, ...]) -> LaterInsert:
    text = table.connection.dialect.rows.copy_text(table.database, table.table_name, fields)
    ancestors, todo = set[TableName](), [table.info]
    while todo:
        for parent in {edge.parent for edge in todo.pop().foreign_keys} - ancestors:
            ancestors.add(parent)
            with suppress(MissingTableError):  # who may insert here need not see what lies further up
                todo.append(table.connection.catalog.table(*parent))
    return LaterInsert(table.table_id, table.connection.render(text).text, frozenset(ancestors))


def _last_of_each_key(table: Table, found: Sequence[RowGroup]) -> list[RowGroup]:
    """Leave out rows that a later row of the same key overwrites: one statement can write a row only once."""
    key = table.heading.key_columns
    last: dict[tuple[Any, ...], int] = {}
    for group in found:
        if all(k in group.fields for k in key):
            for row, place in zip(_keys_of(group, key), group.places, strict=True):
                last[row] = max(place, last.get(row, place))
    return [_only(group, key, last) for group in found]


def _keys_of(group: RowGroup, key: Sequence[str]) -> list[tuple[Any, ...]]:
    columns = [group.columns[group.fields.index(k)] for k in key]
    return list(zip(*columns, strict=True)) if columns else [()] * group.n_rows


def _only(group: RowGroup, key: Sequence[str], last: Mapping[tuple[Any, ...], int]) -> RowGroup:
    if not all(k in group.fields for k in key):
        return group
    pairs = zip(_keys_of(group, key), group.places, strict=True)
    kept = [i for i, (row, place) in enumerate(pairs) if last[row] == place]
    if len(kept) == group.n_rows:
        return group
    columns = tuple([[column[i] for i in kept] for column in group.columns])
    return RowGroup(group.fields, columns, [group.places[i] for i in kept])


def _send_group(table: Table, group: RowGroup, replace: bool, skip_duplicates: bool) -> None:
    if not group.n_rows:
        return
    connection = table.connection
    dialect = connection.dialect
    one_by_one = replace and any(index.is_unique for index in table.info.indexes)
    plain = not replace and not skip_duplicates
    can_copy = group.fields and not one_by_one and (plain or not dialect.flags.has_copy)
    if group.n_rows >= _BULK_ROWS and can_copy:
        text = dialect.rows.copy_text(table.database, table.table_name, group.fields)
        tail = EMPTY if plain else _on_duplicate(table, group.fields, replace)
        connection.copy_in(connection.render(text + tail).text, group.columns)
        return
    rows = list(zip(*group.columns, strict=True)) if group.fields else [()] * group.n_rows
    if one_by_one:
        _replace_one_by_one(table, group.fields, rows)
        return
    per_statement = max(1, _MAX_PARAMS // max(1, len(group.fields)))
    for start in range(0, len(rows), per_statement):
        part = rows[start : start + per_statement]
        text_ = _values_text(table, group.fields, len(part), replace, skip_duplicates)
        connection.run(text_, [v for row in part for v in row] if len(part) > 1 else part[0])


def _replace_one_by_one(table: Table, fields: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Overwrite the rows of these primary keys, insert the others.

    One statement for all would, on MySQL, overwrite a row of another key that has the same value in a
    unique index.
    """
    key = table.heading.key_columns
    reset = [c for c in _replaced(table, fields) if c not in fields]
    for row in rows:
        values = dict(zip(fields, row, strict=True))
        new = [sql("{} = {}", Ident(f), Param(v)) for f, v in values.items() if f not in key]
        sets = [*new, *(sql("{} = DEFAULT", Ident(c)) for c in reset)]
        where = join(" AND ", (sql("{} = {}", Ident(k), Param(values[k])) for k in key if k in values))
        is_there = False
        if sets and all(k in values for k in key):
            update = sql("UPDATE {} SET {} WHERE {}", Ident(*table.table_id), join(", ", sets), where)
            is_there = table.connection.execute(update).n_rows > 0
        if not is_there:
            table.connection.run(_values_text(table, fields, 1, False, not sets), row)


def _values_text(table: Table, fields: tuple[str, ...], n_rows: int, replace: bool, skip: bool) -> str:
    def make() -> str:
        row = "(" + (", ".join(["%s"] * len(fields)) or "DEFAULT") + ")"
        places = Sql((", ".join([row] * n_rows),))
        name = Ident(table.database, table.table_name)
        columns = idents(fields or (table.heading.all[0].name,))
        statement = sql("INSERT INTO {} ({}) VALUES {}", name, columns, places)
        if replace or skip:
            statement += _on_duplicate(table, fields, replace)
        return table.connection.render(statement).text

    if n_rows >= _BULK_ROWS:  # too many lengths, and too long, to be kept
        return make()
    text: str = table.heading.memo(("insert", fields, n_rows, replace, skip), make)
    return text


def _on_duplicate(table: Table, fields: Sequence[str], replace: bool) -> Sql:
    update = _replaced(table, fields) if replace else None
    return table.connection.dialect.rows.on_duplicate(table.table_id, table.heading.key_columns, update)


def _replaced(table: Table, fields: Sequence[str]) -> list[str]:
    """The columns that a row sets when it replaces another: all but its key, to defaults where not given."""
    return [
        a.name for a in table.heading.all if not a.in_key and (a.name in fields or not a.is_auto_increment)
    ]


def _insert_query(
    table: Table, query: QueryExpression, replace: bool, skip_duplicates: bool, ignore_extra_fields: bool
) -> int:
    """INSERT ... SELECT: the rows never come here; return how many there were."""
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
    check_copy(query.heading, table.heading, fields, table.full_table_name)
    padded = sorted(padded_keys(table).intersection(fields))
    if padded and query & [f"{name} LIKE '% '" for name in padded]:
        raise DataError(
            f"the query has a {' or '.join(padded)} that ends in a space, and it is in the primary key of "
            f"{table.full_table_name}, where the server takes no notice of spaces at the end. Insert it "
            f'without, as in proj({padded[0]}="rtrim({padded[0]})"), or without those rows.'
        )
    if not table.connection.dialect.flags.has_exact_texts:
        refuse_other_parents_of(table, query, fields)
    dialect, taken = table.connection.dialect, [table.heading.by_name[name] for name in fields]
    select = select_text(narrowed_to(query.select, fields), dialect)
    select = dialect.rows.copied(select, table.table_id, taken, table.connection.execute)
    statement = sql("INSERT INTO {} ({}) {}", Ident(table.database, table.table_name), idents(fields), select)
    if replace or skip_duplicates:
        statement += _on_duplicate(table, fields, replace)
    with advice(table, replace):
        return table.connection.execute(statement).n_rows
