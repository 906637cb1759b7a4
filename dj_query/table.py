"""Tables: a class names one, an instance is the query of all its rows, and of fewer once restricted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from dj_query import relations
from dj_query.confirm import confirmed, row_counts
from dj_query.describe import describe
from dj_query.expression import QueryExpression
from dj_query.fetch import deprecated
from dj_query.make_scope import current_scope
from dj_query.table_source import base_select
from dj_query.write.delete import PartIntegrity, cascade_of, delete_own_rows
from dj_query.write.drop import drop_alone, drop_with_dependents
from dj_query.write.insert import insert_rows
from dj_query.write.update import update_row
from dj_query.write.validate import ValidationResult, validate_rows
from dj_schema.errors import DataJointError
from dj_schema.graph.dependencies import Dependencies, load_dependencies, settled
from dj_schema.names import Tier
from dj_schema.table_info import TableInfo, TableName

if TYPE_CHECKING:
    from dj_schema.connection import Connection

log = logging.getLogger("datajoint.table")


class Table(QueryExpression):
    """A table of the database, restricted or not."""

    tier: ClassVar[Tier | None] = None
    _info: TableInfo

    @property
    def info(self) -> TableInfo:
        return self._info

    @property
    def database(self) -> str:
        """The name of the schema."""
        return self.info.schema

    @property
    def table_name(self) -> str:
        """The table's name in the database, without the schema."""
        return self.info.name

    @property
    def table_id(self) -> TableName:
        return self.info.full_name

    @property
    def full_table_name(self) -> str:
        """Schema and table, quoted as the server wants it."""
        quote = self.connection.dialect.quote
        return f"{quote}{self.database}{quote}.{quote}{self.table_name}{quote}"

    @property
    def is_declared(self) -> bool:
        return self.table_name in self.connection.catalog.table_names(self.database)

    @property
    def is_restricted(self) -> bool:
        return self.select is not base_select(self.info)

    # -- writing -----------------------------------------------------------------------------------

    def insert(
        self,
        rows: Any,
        replace: bool = False,
        skip_duplicates: bool = False,
        ignore_extra_fields: bool = False,
        allow_direct_insert: bool | None = None,
        chunk_size: int | None = None,
    ) -> None:
        """Insert rows; all of them, or none where one does not fit.

        Parameters
        ----------
        rows : iterable of dicts, sequences or records; DataFrame; Arrow table; query; path of a CSV file
            Documents for `json` attributes are texts in CSV, Arrow and Polars; elsewhere a text is one.
        replace : bool
            Overwrite rows with the same primary key.
        skip_duplicates : bool
            Leave rows that are there as they are.
        ignore_extra_fields : bool
            Pass over fields that the table has not.
        allow_direct_insert : bool
            Insert into an auto-populated table outside of its `make`.
        chunk_size : int
            Commit after each so many rows; where a later chunk fails, the earlier ones stay.

        Raises
        ------
        DuplicateError, IntegrityError, DataError, MissingAttributeError, UnknownAttributeError
        """
        self._check_direct_insert(allow_direct_insert)
        if chunk_size is not None and self.connection.in_transaction:
            log.debug("chunks inside a transaction commit with it")
        insert_rows(
            self,
            rows,
            replace=replace,
            skip_duplicates=skip_duplicates,
            ignore_extra_fields=ignore_extra_fields,
            chunk_size=chunk_size,
            scope=current_scope.get(),
        )

    def insert1(self, row: Any, **kwargs: Any) -> None:
        """Insert one row; takes the options of `insert`."""
        self.insert([row], **kwargs)

    def insert_dataframe(self, df: Any, index_as_pk: bool | None = None, **insert_kwargs: Any) -> None:
        """Insert a pandas DataFrame, as `to_pandas` gives it or with a plain index.

        Parameters
        ----------
        index_as_pk : bool, optional
            True takes the index as the primary key, False leaves it out; by default it is the key where
            it has its names.
        **insert_kwargs
            The options of `insert`.

        Raises
        ------
        DataJointError
            Where the index has not the names of the primary key, and should be it.
        """
        from dj_query.write.dataframe import frame_of_rows

        self.insert(frame_of_rows(df, self.heading.primary_key, index_as_pk), **insert_kwargs)

    def _check_direct_insert(self, allow: bool | None) -> None:
        master = self.info.master
        owner = self.connection.catalog.find(*master) if master else self.info
        if owner is None or owner.tier is None or not owner.tier.is_auto_populated or allow:
            return
        scope = current_scope.get()
        if scope is None or self.table_id not in scope.tables:
            raise DataJointError(
                f"{self.full_table_name} is filled by make(), through populate(). "
                "To insert by hand all the same, pass allow_direct_insert=True."
            )

    def validate(self, rows: Any, *, ignore_extra_fields: bool = False) -> ValidationResult:
        """Check rows without inserting them; the database's own constraints are not asked."""
        return validate_rows(self, rows, ignore_extra_fields)

    def update1(self, row: dict[str, Any]) -> None:
        """Change attributes of one row, named by its whole primary key; None resets to the default.

        Raises
        ------
        DataJointError
            For a restricted table, an incomplete key, or a row that is not there.
        """
        update_row(self, row)

    def delete(
        self,
        transaction: bool = True,
        prompt: bool | None = None,
        part_integrity: PartIntegrity = "enforce",
        *,
        safemode: bool | None = None,
    ) -> int:
        """Delete these rows and all that depend on them.

        Parameters
        ----------
        transaction : bool
            Open a transaction; False inside one of your own.
        prompt : bool
            Show what goes and ask; by default as the setting `safemode` says.
        part_integrity : {"enforce", "ignore", "cascade"}
            What to do where parts would go without their master.
        safemode : bool
            The name that `prompt` had in earlier releases; deprecated.

        Returns
        -------
        int
            Rows deleted from this table.
        """
        if part_integrity not in ("enforce", "ignore", "cascade"):
            raise DataJointError(
                f"part_integrity is 'enforce', 'ignore' or 'cascade', not {part_integrity!r}."
            )
        if part_integrity == "enforce" and self.info.tier is Tier.PART:
            raise DataJointError(
                "Cannot delete from a Part directly. Delete from the master instead, or use "
                "part_integrity='ignore' to break integrity, or 'cascade' to delete the master too."
            )
        if safemode is not None:
            deprecated("delete(safemode=...)", "delete(prompt=...)")
            prompt = safemode if prompt is None else prompt
        ask = self.connection.config.safemode if prompt is None else prompt
        if not transaction and not self.connection.in_transaction and ask:
            raise DataJointError("delete(transaction=False) with a prompt needs an open transaction.")

        def delete() -> dict[TableName, int] | None:
            with self.connection.transaction if transaction else nullcontext():
                cascade = cascade_of(self, part_integrity)
                if ask and not confirmed("About to delete", row_counts(cascade.counts())):
                    return None
                return cascade.delete()

        # in a transaction MySQL goes on telling of tables that were there when it began
        deleted = settled(delete) if transaction else delete()
        if deleted is None:
            return 0
        for name, n in deleted.items():
            log.debug("deleted %d rows from %s", n, ".".join(name))
        return deleted[self.table_id]

    def delete_quick(self, get_count: bool = False) -> int | None:
        """Delete these rows alone; fails where others depend on them."""
        n = delete_own_rows(self)
        return n if get_count else None

    def drop(self, prompt: bool | None = None, part_integrity: str = "enforce") -> None:
        """Drop the table and all that depend on it, with their parts and job tables.

        Without an error where it is not there: another session may have dropped it.
        """
        drop_with_dependents(self, prompt, part_integrity)

    def drop_quick(self) -> None:
        """Drop this table alone, without a question; fails where others depend on it."""
        drop_alone(self)

    # -- structure ---------------------------------------------------------------------------------

    def describe(self, context: dict[str, Any] | None = None, printout: bool = False) -> str:
        """Return the definition that declares this table."""
        text = describe(self.connection, self.info)
        if printout:
            print(text)  # noqa: T201 - what was asked for
        return text

    def alter(self, prompt: bool | None = None, context: Mapping[str, Any] | None = None) -> None:
        """Change the declared table to what the class's definition says now; see docs/structure.md.

        What changes is shown, and asked for; nothing is lost without a yes.

        Parameters
        ----------
        prompt : bool
            Ask; by default as the setting `safemode` says.
        context : mapping, optional
            Where foreign keys look for the classes that they name, before the caller's names.

        Raises
        ------
        NotAlterableError
            For a change of the primary key, of foreign keys or of indexes.
        DataError, MissingAttributeError
            Where rows do not fit the new definition.
        """
        raise DataJointError(
            f"{self.full_table_name} has no class with a definition here; alter it through its class."
        )

    def parents(
        self, primary: bool | None = None, as_objects: bool = False, foreign_key_info: bool = False
    ) -> list[Any]:
        """The tables that this one refers to.

        Parameters
        ----------
        primary : bool, optional
            True for references that are all in the primary key, False for the others.
        as_objects : bool
            Tables rather than their full names.
        foreign_key_info : bool
            A pair for each foreign key: the table, and a dict with `primary`, `multi`, `aliased`, `attr_map`.
        """
        return settled(lambda: self._next("parents", primary, as_objects, foreign_key_info))

    def children(
        self, primary: bool | None = None, as_objects: bool = False, foreign_key_info: bool = False
    ) -> list[Any]:
        """The tables that refer to this one; takes the options of `parents`."""
        return settled(lambda: self._next("children", primary, as_objects, foreign_key_info))

    def _next(
        self,
        direction: Literal["parents", "children"],
        primary: bool | None,
        as_objects: bool,
        with_keys: bool,
    ) -> list[Any]:
        found = relations.references(self, direction, primary)
        if not with_keys:
            return self._named(dict.fromkeys(name for name, _ in found), as_objects)
        tables = self._named([name for name, _ in found], as_objects)
        return [(t, relations.foreign_key_info(self, fk)) for t, (_, fk) in zip(tables, found, strict=True)]

    def ancestors(self, as_objects: bool = False) -> list[Any]:
        """All that this table depends on, and itself, parents first."""
        return settled(lambda: self._named(self._dependencies().ancestors(self.table_id), as_objects))

    def descendants(self, as_objects: bool = False) -> list[Any]:
        """This table and all that depend on it, parents first."""
        return settled(lambda: self._named(self._dependencies().descendants(self.table_id), as_objects))

    def _dependencies(self) -> Dependencies:
        return load_dependencies(self.connection, [self.database])

    def _named(self, names: Iterable[TableName], as_objects: bool) -> list[Any]:
        tables = [FreeTable.at(self.connection, *name) for name in names]
        return tables if as_objects else [t.full_table_name for t in tables]

    def parts(self, as_objects: bool = False) -> list[Any]:
        """The part tables of this one."""
        tables = self.connection.catalog.schema(self.database).tables.values()
        found = [FreeTable.of_info(self.connection, i) for i in tables if i.master == self.table_id]
        return found if as_objects else [t.full_table_name for t in found]


class FreeTable(Table):
    """A table by its name in the database, without a class."""

    @classmethod
    def at(cls, connection: Connection, schema: str, table: str) -> FreeTable:
        """Return a table of a schema.

        Raises
        ------
        MissingTableError
            Where the database has no such table.
        """
        return cls.of_info(connection, connection.catalog.table(schema, table))

    @classmethod
    def of_info(cls, connection: Connection, info: TableInfo) -> Self:
        new = object.__new__(cls)
        new._connection, new._info = connection, info
        new._heading, new._select = info.heading, base_select(info)
        return new

    def __init__(self, connection: Connection, full_table_name: str) -> None:
        is_text = isinstance(full_table_name, str)
        parts = [p.strip('`"') for p in full_table_name.split(".")] if is_text else []
        if len(parts) != 2:
            raise DataJointError(f"{full_table_name!r} is no full table name; write schema.table.")
        self.__dict__.update(self.at(connection, *parts).__dict__)
