"""Schemas: bind classes to tables of a database, and look at what is there."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from dj_query.table import FreeTable, UserTable, _confirmed
from dj_query.tiers import Lookup, Manual, Part
from dj_schema.catalog import LINEAGE
from dj_schema.declare import create_lineage_table, declare_table, table_info_of
from dj_schema.definition.grammar import parse_definition
from dj_schema.definition.spec import ForeignKeySpec
from dj_schema.errors import AccessError, DataJointError, DefinitionError, MissingTableError
from dj_schema.graph.dependencies import load_dependencies
from dj_schema.names import Tier, class_name_of, table_name_of
from dj_schema.table_info import TableInfo

if TYPE_CHECKING:
    from dj_schema.connection import Connection

log = logging.getLogger("datajoint.schema")
T = TypeVar("T", bound=type)
_TIERS: dict[Tier, type[UserTable]] = {}


def register_tier(cls: type[UserTable]) -> None:
    """Say which class spawned tables of a tier get."""
    assert cls.tier is not None
    _TIERS[cls.tier] = cls


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
                raise DataJointError(f"this schema is active as {self.database!r} and cannot become {schema_name!r}.")
            return
        if not isinstance(schema_name or self.database, str):
            raise DataJointError("a schema needs a name to be activated.")
        self.database = schema_name or self.database
        self._connection = connection or self._connection
        self.create_schema = self.create_schema if create_schema is None else create_schema
        self.create_tables = self.create_tables if create_tables is None else create_tables
        self.add_objects.update(add_objects or {})
        self._open()
        self._is_active = True
        for cls, context in self._waiting:
            self._bind(cls, context)
        self._waiting.clear()

    def _open(self) -> None:
        connection, name = self.connection, self._name
        connection.catalog.forget(name)
        if connection.catalog.table_names(name) or self.exists:
            return
        if not self.create_schema:
            raise DataJointError(f"there is no schema {name!r} on this server; check its name, or create it.")
        try:
            connection.script(connection.dialect.ddl.create_schema(name))
        except AccessError as e:
            raise AccessError(
                f"the user {connection.user!r} may not create the schema {name!r}: {e} "
                "Ask for the right, or name a schema that you may use.",
                code=e.code,
                statement=e.statement,
            ) from e
        log.info("created schema %s", name)

    @property
    def _name(self) -> str:
        assert self.database is not None
        return self.database

    @property
    def exists(self) -> bool:
        """Whether the database has the schema."""
        connection = self.connection
        execute = lambda statement: connection.execute(statement, is_read=True)  # noqa: E731
        return connection.dialect.catalog.schema_exists(execute, self._name)

    def _require_active(self) -> None:
        if not self._is_active:
            raise DataJointError("Schema must be activated: call schema.activate('name') first.")

    # -- declaring ---------------------------------------------------------------------------------

    def __call__(self, cls: T, *, context: dict[str, Any] | None = None) -> T:
        """Declare a class, with its parts, as a table of this schema."""
        if not (isinstance(cls, type) and issubclass(cls, UserTable)):
            raise DataJointError(f"{cls!r} is no table class; derive it from dj.Manual, dj.Lookup, dj.Imported, ...")
        if issubclass(cls, Part):
            raise DataJointError(f"the part {cls.__name__} is declared with its master; decorate the master alone.")
        names = context or self.context or _caller_names(sys._getframe(1))
        if self._is_active:
            self._bind(cls, names)
        else:
            self._waiting.append((cls, names))
        return cls

    def _bind(self, cls: type[UserTable], context: Mapping[str, Any]) -> None:
        names = {**context, **self.add_objects, cls.__name__: cls}
        assert cls.tier is not None
        info = self._declare(cls, cls.tier, None, names)
        _attach(cls, self, info)
        for part in _parts_of(cls):
            part._master = cls
            part_names = {**names, "master": cls}
            _attach(part, self, self._declare(part, Tier.PART, info, part_names))
        if issubclass(cls, Lookup):
            _fill(cls)

    def _declare(
        self, cls: type[UserTable], tier: Tier, master: TableInfo | None, names: Mapping[str, Any]
    ) -> TableInfo:
        name = table_name_of(cls.__name__, tier, master.name if master else None)
        connection = self.connection
        limit = connection.dialect.ddl.MAX_NAME_LENGTH
        if len(name) > limit:
            raise DefinitionError(f"the table name {name!r} has {len(name)} characters.", expected=f"at most {limit}")
        known = connection.catalog.schema(self._name).tables.get(name)
        if known is not None:
            return known
        definition = _definition_of(cls)
        if not self.create_tables:
            raise MissingTableError(f"table {name!r} is not in schema {self._name!r}, and create_tables is off.")
        jobs = connection.config.jobs
        info = table_info_of(
            parse_definition(definition),
            (self._name, name),
            tier,
            lambda fk: _resolve(fk, names),
            add_job_metadata=jobs.add_job_metadata,
            allow_new_key_attributes=jobs.allow_new_pk_fields_in_computed_tables,
        )
        if LINEAGE not in connection.catalog.table_names(self._name):
            create_lineage_table(connection, self._name)
            connection.catalog.forget(self._name)
        return declare_table(connection, info)

    # -- what is there -----------------------------------------------------------------------------

    def list_tables(self) -> list[str]:
        """The names of the tables, in order of dependency, without job tables and other hidden ones."""
        self._require_active()
        return [name for schema, name in self._in_order() if schema == self.database]

    def _in_order(self) -> list[tuple[str, str]]:
        names = [(self._name, t) for t in self.connection.catalog.table_names(self._name) if not t.startswith("~")]
        return load_dependencies(self.connection, [self._name]).in_order(names)

    def get_table(self, name: str) -> FreeTable:
        """Return a table by its class name or its name in the database.

        Raises
        ------
        DataJointError
            Where there is none.
        """
        self._require_active()
        for table in self.connection.catalog.table_names(self._name):
            if not table.startswith("~") and name in (table, class_name_of(table), table.lstrip("#_")):
                return FreeTable.at(self.connection, self._name, table)
        raise MissingTableError(f"Table does not exist: {name!r} in schema {self.database!r}.")

    __getitem__ = get_table

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and bool(self.get_table(name) is not None)
        except MissingTableError:
            return False

    def __iter__(self) -> Iterator[FreeTable]:
        for name in self.list_tables():
            yield FreeTable.at(self.connection, self._name, name)

    def make_classes(self, into: dict[str, Any] | None = None) -> None:
        """Make a class for each table that `into` has none for; by default into the caller's names."""
        self._require_active()
        names = into if into is not None else sys._getframe(1).f_globals
        spawn(self, names)

    def spawn_missing_classes(self, context: dict[str, Any] | None = None) -> None:
        """Make a class for each table that the context has none for."""
        self._require_active()
        spawn(self, context if context is not None else sys._getframe(1).f_locals)

    def drop(self, prompt: bool | None = None) -> None:
        """Drop the schema with all its tables; without an error where it does not exist."""
        self._require_active()
        if not self.exists:
            return
        ask = self.connection.config.safemode if prompt is None else prompt
        if ask:
            counts = {t.table_id: len(t) for t in self}
            if not _confirmed(f"About to drop schema {self.database}", counts):
                return
        self.connection.script(self.connection.dialect.ddl.drop_schema(self._name))
        self.connection.catalog.forget()
        self._is_active = False

    # -- lineage -----------------------------------------------------------------------------------

    @property
    def lineage_table_exists(self) -> bool:
        return LINEAGE in self.connection.catalog.table_names(self._name)

    @property
    def lineage(self) -> dict[str, str]:
        """Origins by ``schema.table.attribute``."""
        known = self.connection.catalog.schema(self._name).lineage or {}
        return {f"{self.database}.{table}.{attribute}": origin for (table, attribute), origin in known.items()}

    def __repr__(self) -> str:
        return f"Schema({self.database!r})"


def _caller_names(frame: Any) -> dict[str, Any]:
    return {**frame.f_globals, **frame.f_locals}


def _definition_of(cls: type[UserTable]) -> str:
    definition = cls.__dict__.get("definition", type.__getattribute__(cls, "definition"))
    if isinstance(definition, property):
        raise DefinitionError(f"{cls.__name__}.definition is a property; it must be a string of the class.")
    if not isinstance(definition, str):
        raise DefinitionError(f"{cls.__name__} has no definition.", expected='a string, `definition = """..."""`')
    return inspect.cleandoc(definition)


def _parts_of(cls: type[UserTable]) -> list[type[Part]]:
    found = (type.__getattribute__(cls, name) for name in dir(cls) if name[0].isupper())
    return [c for c in found if isinstance(c, type) and issubclass(c, Part)]


def _attach(cls: type[UserTable], schema: Schema, info: TableInfo) -> None:
    cls._schema = schema
    cls._class_info = info
    cls._is_bound = True


def _fill(cls: type[Lookup]) -> None:
    contents = cls().contents
    rows = list(contents() if callable(contents) else contents)
    if rows:
        cls().insert(rows, skip_duplicates=True)


def _resolve(fk: ForeignKeySpec, names: Mapping[str, Any]) -> TableInfo:
    """Find what a foreign key names, as Python would."""
    first, *rest = fk.target.split(".")
    found = names.get(first)
    for name in rest:
        found = getattr(found, name, None) if not isinstance(found, type) else type.__getattribute__(found, name)
    if isinstance(found, type) and issubclass(found, UserTable):
        if not type.__getattribute__(found, "_is_bound"):
            raise DefinitionError(
                f"Foreign key reference {fk.target} could not be resolved: the class belongs to no schema.",
                line_number=fk.line_number,
                expected="a class decorated by a schema",
            )
        return found._class_info
    if isinstance(found, FreeTable):
        return found.info
    raise DefinitionError(
        f"Foreign key reference {fk.target} could not be resolved.",
        line_number=fk.line_number,
        expected="a table class that is defined or imported where this one is",
    )


def spawn(schema: Schema, into: dict[str, Any]) -> None:
    """Put a class for each table of a schema into a namespace, parts inside their masters."""
    tables = schema.connection.catalog.schema(schema._name).tables
    masters: dict[str, type[UserTable]] = {}
    for name, info in tables.items():
        tier = info.tier
        if tier is None or tier in (Tier.JOBS, Tier.PART) or name.startswith("~"):
            continue
        known = into.get(class_name_of(name))
        if isinstance(known, type) and issubclass(known, UserTable):
            masters[name] = known
            continue
        masters[name] = into[class_name_of(name)] = _spawned(schema, info, _TIERS[tier])
    for info in tables.values():
        master = masters.get(info.master[1]) if info.master else None
        part_name = class_name_of(info.name)
        if master is not None and part_name not in master.__dict__:
            part = _spawned(schema, info, _TIERS[Tier.PART])
            part._master = master  # type: ignore[attr-defined]
            setattr(master, part_name, part)


def _spawned(schema: Schema, info: TableInfo, base: type[UserTable]) -> type[UserTable]:
    from dj_query.describe import describe

    cls = type(base)(class_name_of(info.name), (base,), {"definition": describe(schema.connection, info)})
    _attach(cls, schema, info)
    return cls


class VirtualModule(ModuleType):
    """The tables of a schema as classes of a module, without their source."""

    def __init__(
        self,
        module_name: str,
        schema_name: str,
        *,
        create_schema: bool = False,
        create_tables: bool = False,
        connection: Connection | None = None,
        add_objects: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(module_name)
        schema = Schema(
            schema_name,
            connection=connection,
            create_schema=create_schema,
            create_tables=create_tables,
            add_objects=add_objects,
        )
        self.__dict__.update(add_objects or {})
        self.__dict__["schema"] = schema
        spawn(schema, self.__dict__)


for _tier in (Manual, Lookup, Part):
    register_tier(_tier)
