"""What only a table can do, so that a query that is none says what to write instead."""

from __future__ import annotations

from typing import Any, NoReturn

from dj_schema.errors import NotATableError


class _OfTable:
    """A method that is there on a table alone: `hasattr` is False, and a call says why."""

    def __init__(self, instead: str) -> None:
        self._instead = instead

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, query: Any, owner: type) -> NoReturn:
        raise NotATableError(
            f"a {owner.__name__} has no {self._name}(): it is a query, not a table. {self._instead}"
        )


_ROWS_GO = "Restrict the table by it: `(Table & query).{}`."
_ROWS_COME = "Insert into a table; rows of a query as `Table.insert(query)`."
_STRUCTURE = "Call it on the table, or on its class."


class OfTables:
    """The methods of `Table` that change rows or structure, or tell of the latter; `Table` has them all."""

    delete: Any = _OfTable(_ROWS_GO.format("delete()"))
    delete_quick: Any = _OfTable(_ROWS_GO.format("delete_quick()"))
    update1: Any = _OfTable("Change one row of a table by its key: `Table.update1({**key, ...})`.")
    insert: Any = _OfTable(_ROWS_COME)
    insert1: Any = _OfTable(_ROWS_COME)
    insert_dataframe: Any = _OfTable(_ROWS_COME)
    validate: Any = _OfTable("Check rows against a table: `Table.validate(rows)`.")
    drop: Any = _OfTable(_STRUCTURE)
    drop_quick: Any = _OfTable(_STRUCTURE)
    alter: Any = _OfTable(_STRUCTURE)
    describe: Any = _OfTable(_STRUCTURE)
    parents: Any = _OfTable(_STRUCTURE)
    children: Any = _OfTable(_STRUCTURE)
    ancestors: Any = _OfTable(_STRUCTURE)
    descendants: Any = _OfTable(_STRUCTURE)
    parts: Any = _OfTable(_STRUCTURE)
