"""From classes to the tables that they declare: what foreign keys name, and a master with its parts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from dj_query.contents import fill
from dj_query.index_sql import index_column_for
from dj_query.table import Table
from dj_query.tiers import Lookup, Part
from dj_query.user_table import TableMeta, UserTable
from dj_schema.declare import declare_tables, drop_tables, table_info_of
from dj_schema.definition.grammar import parse_definition
from dj_schema.definition.spec import ForeignKeySpec
from dj_schema.errors import DefinitionError, MissingTableError
from dj_schema.names import Tier, class_name_of, table_name_of
from dj_schema.table_info import TableInfo, TableName

if TYPE_CHECKING:
    from dj_query.schema import Schema


class Binding:
    """A class and its parts on their way into a schema."""

    def __init__(self, schema: Schema, cls: type[UserTable], context: Mapping[str, Any]) -> None:
        self.schema = schema
        self.cls = cls
        self.names = {**context, **schema.add_objects, cls.__name__: cls}
        self.planned: dict[type[UserTable], TableInfo] = {}
        self.new: list[TableInfo] = []

    def bind(self) -> None:
        """Read all definitions, then declare what is missing, then attach the classes.

        So a part that cannot be declared leaves no master behind, and an error no class half bound.
        """
        cls, schema = self.cls, self.schema
        assert cls.tier is not None
        master = self._plan(cls, cls.tier, None, self.names)
        parts = _own_parts(cls)
        names = {**self.names, **{part.__name__: part for part in parts}, "master": cls}
        for part in parts:
            self._plan(part, Tier.PART, master, names)
        if self.new:
            connection = schema.connection
            declared = declare_tables(connection, self.new, index_column_for(connection.dialect))
            by_name = {info.name: info for info in declared}
            self.planned = {c: by_name.get(info.name, info) for c, info in self.planned.items()}
        for planned, info in self.planned.items():
            attach(planned, schema, info)
        for part in parts:
            part._master = cls
        if issubclass(cls, Lookup):
            self._fill(cls)

    def _fill(self, cls: type[Lookup]) -> None:
        """Insert the contents; where they do not fit, what was declared for them does not stay."""
        try:
            fill(cls(), cls().contents)
        except Exception:
            if self.new:
                drop_tables(self.schema.connection, [info.full_name for info in reversed(self.new)])
                for planned in self.planned:
                    planned._is_bound = False
            raise

    def _plan(
        self, cls: type[UserTable], tier: Tier, master: TableInfo | None, names: Mapping[str, Any]
    ) -> TableInfo:
        schema = self.schema
        connection = schema.connection
        name = table_name_of(cls.__name__, tier, master.name if master else None)
        limit = connection.dialect.ddl.MAX_NAME_LENGTH
        if len(name) > limit:
            raise DefinitionError(
                f"Table name exceeds max length: {name!r} has {len(name)} characters.",
                expected=f"at most {limit}: a shorter class name",
            )
        info = connection.catalog.find(schema.name, name)
        if info is None:
            info = self._new_info(cls, tier, name, names)
            self.new.append(info)
        self.planned[cls] = info
        return info

    def _new_info(self, cls: type[UserTable], tier: Tier, name: str, names: Mapping[str, Any]) -> TableInfo:
        schema = self.schema
        definition = definition_of(cls)
        if not schema.create_tables:
            raise MissingTableError(
                f"table {name!r} is not in schema {schema.name!r}, and create_tables is off here."
            )
        jobs = schema.connection.config.jobs
        return table_info_of(
            parse_definition(definition),
            (schema.name, name),
            tier,
            lambda fk: self._resolve(fk, names, cls),
            add_job_metadata=jobs.add_job_metadata,
            allow_new_key_attributes=jobs.allow_new_pk_fields_in_computed_tables,
            max_name_length=schema.connection.dialect.ddl.MAX_NAME_LENGTH,
        )

    def wanted(self) -> TableInfo:
        """Return the table that the class's definition describes now, whatever is declared.

        A foreign key whose class is not among the names is the declared one to a table of that name.
        """
        cls, declared = self.cls, self.cls._class_info
        if issubclass(cls, Part):
            siblings = {part.__name__: part for part in _own_parts(cls._master)}
            self.names.update({cls._master.__name__: cls._master, **siblings, "master": cls._master})

        def resolve(fk: ForeignKeySpec) -> TableInfo | None:
            try:
                return self._resolve(fk, self.names, cls)
            except DefinitionError:
                parent = _parent_named(fk.target, declared)
                if parent is None:
                    raise
                return self.schema.connection.catalog.table(*parent)

        assert cls.tier is not None
        spec = parse_definition(definition_of(cls))
        return table_info_of(
            spec,
            declared.full_name,
            cls.tier,
            resolve,
            allow_new_key_attributes=True,
            max_name_length=self.schema.connection.dialect.ddl.MAX_NAME_LENGTH,
        )

    def _resolve(
        self, fk: ForeignKeySpec, names: Mapping[str, Any], cls: type[UserTable]
    ) -> TableInfo | None:
        """Find what a foreign key names, as Python would; None for the class itself."""
        found = _found(fk.target, names)
        if found is cls:
            return None
        if isinstance(found, type) and issubclass(found, UserTable):
            if found in self.planned:
                return self.planned[found]
            if not type.__getattribute__(found, "_is_bound"):
                raise DefinitionError(
                    f"Foreign key reference {fk.target} could not be resolved: its class has no schema.",
                    line_number=fk.line_number,
                    line=f"-> {fk.target}",
                    expected="a class decorated by a schema, above this one",
                )
            return found._class_info
        if isinstance(found, Table):
            return found.info
        raise DefinitionError(
            f"Foreign key reference {fk.target} could not be resolved.",
            line_number=fk.line_number,
            line=f"-> {fk.target}",
            expected="a table class that is defined or imported where this one is",
        )


def _found(target: str, names: Mapping[str, Any]) -> Any:
    first, *rest = target.split(".")
    found = names.get(first)
    for name in rest:
        try:
            found = type.__getattribute__(found, name) if isinstance(found, type) else getattr(found, name)
        except AttributeError:
            return None
    return found


def _parent_named(target: str, declared: TableInfo) -> TableName | None:
    """Return the declared parent whose class name ends a dotted name, where there is just one."""
    found = {
        fk.parent for fk in declared.foreign_keys if class_name_of(fk.parent[1]) == target.split(".")[-1]
    }
    return found.pop() if len(found) == 1 else None


def definition_of(cls: type[UserTable]) -> str:
    """Return the text of a class's definition.

    Raises
    ------
    DefinitionError
        Where it is no string of the class.
    """
    definition = type.__getattribute__(cls, "definition")
    if isinstance(definition, property):
        raise DefinitionError(f"{cls.__name__}.definition is a property; it must be a string of the class.")
    if not isinstance(definition, str):
        raise DefinitionError(
            f"{cls.__name__} has no definition.", expected='a string, `definition = """..."""`'
        )
    return inspect.cleandoc(definition)


def _own_parts(cls: type[UserTable]) -> list[type[Part]]:
    """Return the parts in the order of the class's body; those of a base class as classes of their own.

    Raises
    ------
    DefinitionError
        For a part inside a part.
    """
    found: dict[str, type[Part]] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, type) and issubclass(value, Part):
                found[name] = value
    for name, part in found.items():
        if nested := [n for n, v in vars(part).items() if isinstance(v, type) and issubclass(v, Part)]:
            raise DefinitionError(
                f"{name} is a part and cannot have parts, as {nested[0]} would be.",
                expected=f"{nested[0]} beside {name}, with `-> {cls.__name__}.{name}`",
            )
        if name not in vars(cls):
            found[name] = cast("type[Part]", TableMeta(name, (part,), {"__module__": cls.__module__}))
            setattr(cls, name, found[name])
    return list(found.values())


def attach(cls: type[UserTable], schema: Schema, info: TableInfo) -> None:
    """Make a class stand for its table."""
    cls._schema = schema
    cls._class_info = info
    cls._is_bound = True
