"""Schemas: bind classes to tables of a database, and look at what is there."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dj_query.alter import alter_class
from dj_query.binding import Binding
from dj_query.confirm import confirmed, row_counts
from dj_query.source import save_source
from dj_query.spawn import register_tier, spawn
from dj_query.table import FreeTable
from dj_query.tiers import Part
from dj_query.user_table import UserTable
from dj_schema.catalog_entry import LINEAGE
from dj_schema.declare import create_lineage_table
from dj_schema.errors import AccessError, DataJointError, IntegrityError, MissingTableError, QueryError
from dj_schema.graph.dependencies import load_dependencies
from dj_schema.lineage import rebuild_lineage
from dj_schema.names import SCHEMAS_OF_SERVERS, check_schema_name, class_name_of, master_of

if TYPE_CHECKING:
    from dj_schema.connection import Connection
    from dj_schema.dialects.base import Result
    from dj_schema.sql import Sql
    from dj_schema.table_info import TableInfo

__all__ = ["Schema", "register_tier", "spawn"]

log = logging.getLogger("datajoint.schema")
T = TypeVar("T", bound=type)


class Schema:
    """A schema of the database, and the decorator that declares classes in it.

    Parameters
    ----------
    schema_name : str, optional
        Without a name the schema is activated later, by `activate`.
    context : dict, optional
        Where foreign keys look for the classes that they name; by default the caller's names.
    connection : Connection
        The server.
    create_schema, create_tables : bool
        Whether to create what is not there.
    add_objects : dict, optional
        More names for foreign keys to find.
    """

    def __init__(
        self,
        schema_name: str | None = None,
        context: dict[str, Any] | None = None,
        *,
        connection: Connection | None = None,
        create_schema: bool = True,
        create_tables: bool | None = None,
        add_objects: dict[str, Any] | None = None,
    ) -> None:
        self._connection = connection
        self.database = schema_name
        self.context = context
        self.create_schema = create_schema
        self.create_tables = True if create_tables is None else create_tables
        self.add_objects: dict[str, Any] = dict(add_objects or {})
        self._waiting: list[tuple[type[UserTable], dict[str, Any]]] = []
        self._is_active = False
        if schema_name is not None:
            self.activate(schema_name)

    # -- activation --------------------------------------------------------------------------------

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            raise DataJointError("this schema has no connection yet; activate it.")
        return self._connection

    def is_activated(self) -> bool:
        return self._is_active

    def activate(
        self,
        schema_name: str | None = None,
        *,
        connection: Connection | None = None,
        create_schema: bool | None = None,
        create_tables: bool | None = None,
        add_objects: dict[str, Any] | None = None,
    ) -> None:
        """Tie the schema to the database, creating it where it is not there, and declare waiting classes.

        Raises
        ------
        DataJointError
            Where it is active under another name, or is missing and may not be created.
        """
        if self._is_active:
            if schema_name not in (None, self.database):
                raise DataJointError(
                    f"this schema is active as {self.database!r} and cannot become {schema_name!r}."
                )
            self._bind_waiting()
            return
        name = schema_name if schema_name is not None else self.database
        if not isinstance(name, str) or not name or not name.isprintable():
            raise DataJointError(f"a schema needs a name to be activated, not {name!r}.")
        if name.lower() in SCHEMAS_OF_SERVERS:
            raise DataJointError(f"schema {name!r} is the server's own; give yours another name.")
        self.database = schema_name or self.database
        self._connection = connection or self._connection
        self.create_schema = self.create_schema if create_schema is None else create_schema
        self.create_tables = self.create_tables if create_tables is None else create_tables
        self.add_objects.update(add_objects or {})
        self._open()
        self._is_active = True
        self._bind_waiting()

    def _bind_waiting(self) -> None:
        while self._waiting:
            Binding(self, *self._waiting[0]).bind()
            del self._waiting[0]  # one that fails waits on, and the error is seen again

    def _open(self) -> None:
        connection, name = self.connection, self.name
        connection.catalog.forget(name)
        if connection.catalog.table_names(name) or self.exists:
            return
        if not self.create_schema:
            raise DataJointError(f"there is no schema {name!r} on this server; check its name, or create it.")
        check_schema_name(name)
        try:
            connection.script(connection.dialect.ddl.create_schema(name))
        except AccessError as e:
            raise AccessError(
                f"the user {connection.user!r} may not create the schema {name!r}: {e}. "
                "Ask for the right, or name a schema that you may use.",
                code=e.code,
                statement=e.statement,
            ) from e
        except QueryError as e:
            if e.code not in connection.dialect.ddl.EXISTS_CODES:  # else another process was faster
                raise
        log.info("created schema %s", name)

    @property
    def name(self) -> str:
        """The name in the database.

        Raises
        ------
        DataJointError
            Where none was given yet.
        """
        if self.database is None:
            raise DataJointError("Schema must be activated: call schema.activate('name') first.")
        return self.database

    @property
    def exists(self) -> bool:
        """Whether the database has the schema."""
        return self.connection.dialect.catalog.schema_exists(self._execute, self.name)

    def _execute(self, statement: Sql) -> Result:
        return self.connection.execute(statement, is_read=True)

    def _require_active(self) -> None:
        if not self._is_active:
            raise DataJointError("Schema must be activated: call schema.activate('name') first.")

    # -- declaring ---------------------------------------------------------------------------------

    def __call__(self, cls: T, *, context: dict[str, Any] | None = None) -> T:
        """Declare a class, with its parts, as a table of this schema."""
        if not (isinstance(cls, type) and issubclass(cls, UserTable)):
            raise DataJointError(
                f"{cls!r} is no table class; derive it from dj.Manual, dj.Lookup, dj.Imported, ..."
            )
        if issubclass(cls, Part):
            raise DataJointError(
                f"the part {cls.__name__} is declared with its master; decorate the master alone."
            )
        names = context or self.context or _caller_names(sys._getframe(1))
        if self._is_active:
            Binding(self, cls, names).bind()
        else:
            self._waiting.append((cls, names))
        return cls

    def alter(self, table: UserTable, prompt: bool | None, names: Mapping[str, Any]) -> TableInfo:
        """Bring the table of a class up to its definition: what `Table.alter` does."""
        return alter_class(table, prompt, names)

    # -- what is there -----------------------------------------------------------------------------

    def list_tables(self) -> list[str]:
        """The names of the tables, in order of dependency, without job tables and other hidden ones."""
        self._require_active()
        self.connection.catalog.forget(self.name)  # others may have declared more
        names = [
            (self.name, t) for t in self.connection.catalog.table_names(self.name) if not t.startswith("~")
        ]
        return [name for _, name in load_dependencies(self.connection, [self.name]).in_order(names)]

    def get_table(self, name: str) -> FreeTable:
        """Return a table by its class name or its name in the database.

        Raises
        ------
        DataJointError
            Where there is none.
        """
        self._require_active()
        catalog = self.connection.catalog
        table = _table_named(name, catalog.table_names(self.name))
        if table is None:
            catalog.forget(self.name)  # another process may have declared it since
            table = _table_named(name, catalog.table_names(self.name))
        if table is None:
            raise MissingTableError(f"Table does not exist: {name!r} in schema {self.database!r}.")
        return FreeTable.at(self.connection, self.name, table)

    __getitem__ = get_table

    def __contains__(self, name: object) -> bool:
        self._require_active()
        tables = self.connection.dialect.catalog.tables(self._execute, self.name)  # as they are now
        return isinstance(name, str) and _table_named(name, sorted(tables)) is not None

    def __iter__(self) -> Iterator[FreeTable]:
        for name in self.list_tables():
            yield FreeTable.at(self.connection, self.name, name)

    def make_classes(self, into: dict[str, Any] | None = None) -> None:
        """Make a class for each table that `into` has none for; by default into the caller's names."""
        self._require_active()
        names = into if into is not None else sys._getframe(1).f_globals
        spawn(self, names)

    def spawn_missing_classes(self, context: dict[str, Any] | None = None) -> None:
        """Make a class for each table that the context has none for."""
        self._require_active()
        spawn(self, context if context is not None else sys._getframe(1).f_locals)

    def save(self, python_filename: str | Path | None = None) -> str:
        """Return the source of a module that declares all tables of this schema, and write it to a file.

        Raises
        ------
        DataJointError
            Where the file is there already.
        """
        self._require_active()
        return save_source(self, python_filename)

    def drop(self, prompt: bool | None = None) -> None:
        """Drop the schema with all its tables; without an error where it does not exist.

        Raises
        ------
        IntegrityError
            Where tables of other schemas refer to it: they would be left without parents.
        """
        connection, name = self.connection, self.name
        if self.exists:
            self._refuse_children_elsewhere()
            ask = connection.config.safemode if prompt is None else prompt
            counts = {t.table_id: len(t) for t in self} if ask else {}
            if ask and not confirmed(f"About to drop schema {name}", row_counts(counts)):
                return
            connection.script(connection.dialect.ddl.drop_schema(name))
        connection.catalog.forget()
        self._is_active = False

    def _refuse_children_elsewhere(self) -> None:
        found = self.connection.dialect.catalog.foreign_keys(self._execute, [self.name])
        children = sorted({".".join(fk.child) for fk in found if fk.child[0] != self.name})
        if children:
            raise IntegrityError(
                f"schema {self.name!r} cannot be dropped while tables of other schemas refer to it: "
                f"{', '.join(children)}. Drop those first."
            )

    # -- lineage -----------------------------------------------------------------------------------

    @property
    def lineage_table_exists(self) -> bool:
        return LINEAGE in self.connection.catalog.table_names(self.name)

    @property
    def lineage(self) -> dict[str, str]:
        """Origins by ``schema.table.attribute``."""
        known = self.connection.catalog.schema(self.name).lineage or {}
        return {
            f"{self.database}.{table}.{attribute}": origin for (table, attribute), origin in known.items()
        }

    def rebuild_lineage(self) -> None:
        """Derive the lineage of all tables anew from their primary and foreign keys, and record it.

        For a schema that was made without lineage. Schemas that it refers to come first. Classes that
        are bound already keep what they knew: start the program anew.
        """
        self._require_active()
        create_lineage_table(self.connection, self.name)
        rebuild_lineage(self.connection, self.name)

    def __repr__(self) -> str:
        return f"Schema({self.database!r})"


def _caller_names(frame: Any) -> dict[str, Any]:
    return {**frame.f_globals, **frame.f_locals}


def _table_named(name: str, tables: Iterable[str]) -> str | None:
    """Return the table of a name: as in the database, else of a class, else without its prefix."""
    ours = [t for t in tables if not t.startswith("~")]
    for matches in (
        lambda t: t == name,
        lambda t: _qualified_class_name(t) == name,
        lambda t: t.lstrip("#_") == name,
        lambda t: class_name_of(t) == name,
    ):
        if found := next(filter(matches, ours), None):
            return found
    return None


def _qualified_class_name(table: str) -> str:
    master = master_of(table)
    return f"{class_name_of(master)}.{class_name_of(table)}" if master else class_name_of(table)
