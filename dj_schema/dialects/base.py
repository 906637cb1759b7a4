"""The seam to a server: what every dialect provides. No server is named here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from dj_schema.sql import Ident, Sql

if TYPE_CHECKING:
    from dj_schema.catalog_rows import ColumnRow, ForeignKeyRow, IndexRow
    from dj_schema.definition.diff import TableChanges
    from dj_schema.definition.spec import Default
    from dj_schema.heading import Attribute
    from dj_schema.table_info import TableInfo
    from dj_schema.types import TypeSpec

Row = tuple[Any, ...]


class Result(NamedTuple):
    """What one statement gave back; the names of its columns only when they are asked for."""

    rows: list[Row]
    n_rows: int
    names: Callable[[], tuple[str, ...]] = tuple

    @property
    def columns(self) -> tuple[str, ...]:
        return self.names()


class Session(Protocol):
    """One open connection to a server. Not thread-safe; `Connection` sees to that."""

    id: int

    @property
    def in_transaction(self) -> bool:
        """Whether the server has a transaction open, by what it said last."""

    @property
    def is_failed(self) -> bool:
        """Whether a statement failed in the open transaction, and the server does nothing more in it."""

    @property
    def is_in_step(self) -> bool:
        """Whether it is open, and the next answer will be to the next statement: none is on its way."""

    @property
    def is_waiting(self) -> bool:
        """Whether a statement waits for its answer: who asks then is the handler of a signal."""

    def execute(self, text: str, params: Sequence[Any] | None) -> Result: ...

    def defer(self, text: str) -> None:
        """Send a statement that returns nothing and can hardly fail, now or together with the next one."""

    def script(self, texts: Sequence[str]) -> None:
        """Send statements without values."""

    def stream(
        self, text: str, params: Sequence[Any], batch_rows: int, in_transaction: bool
    ) -> Iterator[list[Row]]:
        """Yield batches; other statements may run on the session between two of them."""

    def fetch_arrow(self, text: str, params: Sequence[Any], in_transaction: bool) -> Any:
        """Return the rows of a SELECT as a pyarrow Table; None where that cannot be had."""

    def copy_in(self, text: str, columns: Sequence[Sequence[Any]]) -> int:
        """Send many rows, by column, in the server's fastest way; `text` is a COPY or a one-row INSERT."""

    def is_open(self) -> bool: ...

    def close(self) -> None: ...

    def abort(self) -> None:
        """Close, and have the server end what it is doing for this session, rather than when it is done."""

    def abandon(self) -> None:
        """Forget the socket without a word to the server: it belongs to a parent process."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What a server can do, and how its statements differ in form.

    Attributes
    ----------
    has_exact_texts : bool
        Texts that are equal are the same; a collation may fold case, and ignore spaces at the end.
    seconds_digits : int
        Digits of a second that a native type keeps which names none.
    has_cheap_savepoints : bool
        A savepoint is sent together with the next statement, and not waited for.
    keeps_snapshot : bool
        A transaction goes on reading what was there at its first read; only locks show what is there now.
    transaction_verbs : frozenset of str
        Statements that begin or end a transaction, or that the server commits it for.
    arrow_kinds, computed_arrow_kinds : frozenset of str
        Kinds of attributes, declared and computed, whose values `Session.fetch_arrow` gives as they are.
    """

    has_copy: bool
    has_returning: bool
    has_transactional_ddl: bool
    has_nan: bool
    has_exact_texts: bool
    seconds_digits: int
    has_cheap_savepoints: bool
    keeps_snapshot: bool
    transaction_verbs: frozenset[str]
    deadlock_ends_transaction: bool
    has_expression_indexes: bool
    arrow_kinds: frozenset[str]
    computed_arrow_kinds: frozenset[str]


Execute = Callable[[Sql], Result]


@dataclass(frozen=True, slots=True)
class IndexExpression:
    """A column of an index that is more than a name.

    Attributes
    ----------
    sql : Sql
        The expression as the server writes it.
    column_type : Sql or None
        Of the column that has to hold its values, on a server that indexes columns alone.
    """

    sql: Sql
    column_type: Sql | None = None


IndexColumn = Callable[["TableInfo", str], IndexExpression]
"""What turns a column of an index that is more than a name into the server's SQL."""


class Types(Protocol):
    """`types.py`: how attributes are stored, and how their values come back."""

    def column_type(self, type_: TypeSpec, enum_type: Sql | None) -> Sql:
        """Return the type of a column in the server's words."""

    def decoder_of(self, type_: TypeSpec | None) -> Callable[[Any], Any] | None: ...

    def without_counting(self, text: str) -> str:
        """Return the native type of a column that refers to one which counts by itself."""

    def type_of_column(self, text: str) -> str:
        """Return the definition's word for a column that records no type: a native one, or a core one."""


class Ddl(Protocol):
    """`ddl.py`: declaring and dropping. `EXISTS_CODES` are the errors for what is there already."""

    EXISTS_CODES: frozenset[str]
    MAX_NAME_LENGTH: int

    def create_schema(self, name: str) -> list[Sql]: ...

    def drop_schema(self, name: str) -> list[Sql]: ...

    def create_lineage_table(self, schema: str) -> list[Sql]: ...

    def create_tables(
        self, infos: Sequence[TableInfo], execute: Execute, index_column: IndexColumn
    ) -> list[list[Sql]]:
        """Return for each table of a schema what declares it; `execute` reads what is there already."""

    def drop_table(self, schema: str, table: str) -> list[Sql]: ...

    def column_comment(self, attribute: Attribute) -> str: ...

    def default_clause(self, default: Default | None, type_: TypeSpec | None) -> Sql: ...

    def add_column(self, schema: str, table: str, attribute: Attribute) -> list[Sql]: ...


class Alter(Protocol):
    """`alter.py`: changing a table that has rows."""

    def lock_for_change(self, info: TableInfo) -> list[Sql]:
        """Return what keeps others from a table until the transaction that changes it has ended."""

    def alter_table(
        self, changes: TableChanges, without_values: Collection[str], execute: Execute
    ) -> list[Sql]:
        """Return what changes a table; `without_values` are its attributes that are NULL in every row."""


class CatalogReader(Protocol):
    """`catalog.py`: the server's own description of what it holds."""

    def columns(self, execute: Execute, schema: str, table: str | None = None) -> list[ColumnRow]: ...

    def tables(self, execute: Execute, schema: str) -> dict[str, str]: ...

    def foreign_keys(self, execute: Execute, schemas: Sequence[str]) -> list[ForeignKeyRow]: ...

    def indexes(self, execute: Execute, schema: str) -> list[IndexRow]: ...

    def schemas(self, execute: Execute) -> list[str]: ...

    def schema_exists(self, execute: Execute, schema: str) -> bool: ...


class RowStatements(Protocol):
    """`rows.py`: the statements on rows that servers word differently."""

    def copy_text(self, schema: str, table: str, columns: Sequence[str]) -> Sql:
        """Return the text for `Session.copy_in`."""

    def on_duplicate(self, table: tuple[str, str], key: Sequence[str], update: Sequence[str] | None) -> Sql:
        """Return the clause that skips a duplicate (`update` is None) or overwrites these columns."""

    def copied(
        self, select: Sql, table: tuple[str, str], attributes: Sequence[Attribute], execute: Execute
    ) -> Sql:
        """Return a query as its rows go into a table: `attributes` are those of the table, in its order."""

    def single_float(self, column: Sql) -> Sql:
        """Return how a column of float32 is selected with all of its digits."""

    def null_of(self, attribute: Attribute) -> Sql:
        """Return the NULL that a union has for an attribute in the rows of a query without it."""

    def text_of(self, column: Ident) -> Sql:
        """Return a text or a label as what compares with either."""

    def json_equals(self, name: Ident, path: list[str | int], value: Any) -> Sql:
        """Return the condition that a document holds a value at a path."""

    def one_of_many(self, attributes: Sequence[Attribute], rows: Sequence[Row]) -> Sql:
        """Return the condition that attributes, as a row, are one of many rows, none of which has NULL."""

    def order_nulls(self, is_descending: bool) -> Sql:
        """Return what follows a term of ORDER BY, so that NULL counts as the smallest value."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """All of one server, by subject; each field is a module or a value."""

    name: str
    quote: str
    default_port: int
    flags: Flags
    types: Types
    ddl: Ddl
    alter: Alter
    catalog: CatalogReader
    rows: RowStatements
    jobs: Any
