"""A module whose tables are those of a schema that is there, without their source."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dj_query.schema import Schema
from dj_query.spawn import spawn
from dj_query.table import FreeTable

if TYPE_CHECKING:
    from dj_schema.connection import Connection


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
        super().__init__(str(module_name))  # what is no name is refused below
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

    def __iter__(self) -> Iterator[FreeTable]:
        """Yield the tables of the schema, parents before children."""
        return iter(self.__dict__["schema"])
