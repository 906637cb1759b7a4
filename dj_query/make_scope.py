"""What one call of `make` may insert: rows of its own key, into its table and the parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from dj_query.values import comparable, in_one_form
from dj_schema.errors import ForeignKeyOfMakeError
from dj_schema.table_info import TableName

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression
    from dj_query.table import Table


class MakeScope:
    """The table and the key of one call of `make`, and whether it inserted anything yet.

    Attributes
    ----------
    has_rows : bool
        It has inserted rows of the table itself.
    is_in_doubt : bool
        They need not be there: refused and passed over, left out as duplicates, or deleted since.
    """

    def __init__(self, master: Table, key: Mapping[str, Any]) -> None:
        self.master = master.table_id
        self.tables: set[TableName] = master.heading.memo("own_tables", lambda: _own_tables(master))
        attributes = self._attributes = master.heading.by_name
        self.raw_key = key
        self.key = {
            n: comparable(attributes[n], v) for n, v in key.items() if n in master.heading.primary_key
        }
        self.has_rows = self.is_in_doubt = False

    def doubts(self, table: TableName) -> None:
        """Take note that rows of a table need not be there."""
        self.is_in_doubt = self.is_in_doubt or table == self.master

    def saw(self, table: TableName, fields: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
        """Take note of rows that are about to be inserted.

        Raises
        ------
        ForeignKeyOfMakeError
            Where one belongs to another key.
        """
        if table not in self.tables:
            return
        for field, column in zip(fields, columns, strict=True):
            if field not in self.key:
                continue
            others = (v for v in column if v != self.key[field] and not self._is_of_key(field, v))
            for other in others:
                raise ForeignKeyOfMakeError(
                    f"make was called for {field}={self.key[field]!r} and inserts a row of {field}={other!r} "
                    f"into {'.'.join(table)}; insert rows of the given key only, as in {{**key, ...}}."
                )
        self.has_rows = self.has_rows or table == self.master

    def _is_of_key(self, field: str, value: Any) -> bool:
        """Whether a value is that of the key in another form: a time as the text that the server is sent."""
        attribute = self._attributes[field]
        own = in_one_form(attribute.kind, self.key[field])
        return value is not None and bool(own == in_one_form(attribute.kind, comparable(attribute, value)))

    def check_query(self, table: TableName, query: QueryExpression) -> None:
        """See that a query, whose rows go in without being seen here, gives rows of the key only.

        Raises
        ------
        ForeignKeyOfMakeError
            Where it gives one of another key.
        """
        if table not in self.tables:
            return
        own = {n: v for n, v in self.raw_key.items() if n in query.heading.names}
        for row in (query - own if own else query & False).to_dicts(limit=1):
            raise ForeignKeyOfMakeError(
                f"make was called for {own} and inserts a query with the row {row} into {'.'.join(table)}; "
                "insert rows of the given key only: restrict the query by key."
            )


def _own_tables(master: Table) -> set[TableName]:
    tables = master.connection.catalog.schema(master.database).tables.values()
    return {master.table_id, *(i.full_name for i in tables if i.master == master.table_id)}


current_scope: ContextVar[MakeScope | None] = ContextVar("make_scope", default=None)
"""The `make` that runs in this context, and may insert into its own table and its parts."""
