"""What is declared in the database: read once a schema, kept on the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dj_schema.catalog_entry import LINEAGE as LINEAGE
from dj_schema.catalog_entry import SchemaCatalog as SchemaCatalog
from dj_schema.catalog_reading import Reading
from dj_schema.errors import MissingTableError
from dj_schema.sql import Ident, Sql, sql
from dj_schema.table_info import TableInfo, TableName

if TYPE_CHECKING:
    from dj_schema.connection import Connection
    from dj_schema.dialects.base import Result


class Catalog:
    """The schemas read so far on one connection. Reading one costs the same whatever its number of tables.

    Of a schema in which tables are only declared, no more than the names is read.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._schemas: dict[str, SchemaCatalog] = {}
        self._listed: dict[str, dict[str, TableInfo | None]] = {}  # with those that were declared here
        self._comments: dict[str, dict[str, str]] = {}  # of what was listed, as long as nothing was declared

    def schema(self, name: str) -> SchemaCatalog:
        """Return what a schema holds, as it was when it was read; nothing for one that is not there."""
        found = self._schemas.get(name)
        if found is None:
            read = Reading(self).schema(name)
            found = read[name]
            self._schemas.update({n: entry for n, entry in read.items() if entry.tables})
            self._listed.pop(name, None)
        return found

    def _list(self, schema: str) -> dict[str, TableInfo | None]:
        listed = self._listed.get(schema)
        if listed is None:
            comments = self._connection.dialect.catalog.tables(self.execute, schema)
            listed = dict.fromkeys(comments)
            if listed:
                self._listed[schema], self._comments[schema] = listed, comments
        return listed

    def comments(self, schema: str) -> dict[str, str]:
        """Return the comments of the tables of a schema, for who reads all of it now."""
        found = self._comments.pop(schema, None)
        return found or self._connection.dialect.catalog.tables(self.execute, schema)

    def find(self, schema: str, table: str) -> TableInfo | None:
        """Return a table; None where there was none when the schema was last looked at."""
        if schema not in self._schemas:
            listed = self._list(schema)
            if table not in listed:
                return None
            declared_here = listed[table]
            if declared_here is not None:
                return declared_here
        return self.schema(schema).tables.get(table)

    def known(self, name: str) -> SchemaCatalog | None:
        """Return a schema that was read already."""
        return self._schemas.get(name)

    def table(self, schema: str, table: str) -> TableInfo:
        """Return a table, reading the schema again where it is not known yet.

        Raises
        ------
        MissingTableError
            Where the database has no such table.
        """
        found = self.find(schema, table)
        if found is None:
            self.forget(schema)
            found = self.find(schema, table)
        if found is None:
            raise MissingTableError(
                f"there is no table {table!r} in schema {schema!r}. Declare it first, or check its name "
                f"against schema.list_tables()."
            )
        return found

    def table_names(self, schema: str) -> list[str]:
        """Return the names in the order of their characters: servers differ in what they remember of age."""
        entry = self._schemas.get(schema)
        return sorted(self._list(schema) if entry is None else entry.tables)

    def add(self, info: TableInfo, lineage: dict[str, str]) -> None:
        """Take up a table that was declared just now, without asking the server what we told it."""
        entry = self._schemas.get(info.schema)
        if entry is None:
            self._listed[info.schema] = {**self._list(info.schema), info.name: info}
            self._comments.pop(info.schema, None)
            return
        entry.tables = {**entry.tables, info.name: info}
        entry.lineage = {**(entry.lineage or {}), **{(info.name, k): v for k, v in lineage.items()}}

    def forget(self, schema: str | None = None) -> None:
        if schema is None:
            self._schemas.clear()
            self._listed.clear()
            self._comments.clear()
        else:
            self._schemas.pop(schema, None)
            self._listed.pop(schema, None)
            self._comments.pop(schema, None)

    def remove(self, schema: str, table: str) -> None:
        """Take note that a table was dropped."""
        self._listed.pop(schema, None)
        self._comments.pop(schema, None)
        entry = self._schemas.get(schema)
        if entry is not None:
            entry.tables = {name: info for name, info in entry.tables.items() if name != table}
            if entry.lineage:
                entry.lineage = {key: v for key, v in entry.lineage.items() if key[0] != table}

    def execute(self, statement: Sql) -> Result:
        return self._connection.execute(statement, is_read=True)

    def recorded_lineage(self, schema: str) -> dict[tuple[str, str], str]:
        """Read the origins of attributes by table and attribute."""
        found = self.execute(
            sql("SELECT table_name, attribute_name, lineage FROM {}", Ident(schema, LINEAGE))
        )
        return {(table, attribute): origin for table, attribute, origin in found.rows}

    @property
    def connection(self) -> Connection:
        return self._connection

    def origin(self, table: TableName, attribute: str) -> str | None:
        """The recorded lineage of an attribute."""
        lineage = self.schema(table[0]).lineage
        return (lineage or {}).get((table[1], attribute))
