"""Texts of keys that end in spaces, on a server that passes over those: what an insert refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dj_query.where import may_end_in_spaces
from dj_query.write.rows import RowGroup
from dj_schema.errors import DataError, IntegrityError
from dj_schema.sql import Ident, Param, sql

if TYPE_CHECKING:
    from dj_query.expression import QueryExpression
    from dj_query.table import Table


def padded_keys(table: Table) -> frozenset[str]:
    """The texts of its own in a table's key whose spaces at the end the server passes over."""
    if table.connection.dialect.flags.has_exact_texts:
        return frozenset()
    own = (a for a in table.heading.all if a.in_key and a.kind == "string" and not a.is_inherited)
    return frozenset(a.name for a in own if not a.is_enum)


def refuse_space_at_end(field: str, column: Sequence[Any], places: Sequence[int]) -> None:
    """Keys that differ in such spaces are one to MySQL: a delete of one takes the other."""
    for value, place in zip(column, places, strict=True):
        if value.endswith(" "):
            raise DataError(
                f"row {place}: {value!r:.80} ends in a space, and {field!r} is in the primary key, where the "
                "server takes no notice of spaces at the end. Insert it without (str.rstrip)."
            )


def refuse_other_parents(table: Table, group: RowGroup) -> None:
    """Raise where a row refers to a key that ends in a space and the parent's does not.

    To the server the two are one key; those of parents that other programs made may end so.
    """
    for edge in table.info.foreign_keys:
        parent = table.connection.catalog.table(*edge.parent).heading.by_name
        for child, name in edge.pairs:
            if parent[name].kind != "string" or child not in group.fields:
                continue
            column = group.columns[group.fields.index(child)]
            for value in {v for v in column if v is not None and v.endswith(" ")}:
                exact = sql(
                    "{} = {} AND CHAR_LENGTH({}) = {}",
                    Ident(name),
                    Param(value),
                    Ident(name),
                    Param(len(value)),
                )
                found = sql("SELECT EXISTS (SELECT 1 FROM {} WHERE {})", Ident(*edge.parent), exact)
                if not table.connection.execute(found, is_read=True).rows[0][0]:
                    raise IntegrityError(
                        f"row {group.places[column.index(value)]}: {table.full_table_name} refers to "
                        f"{'.'.join(edge.parent)}, which has no row with {name} = {value!r:.80}: spaces "
                        "at the end count. Insert the parent first, or take the spaces off (str.rstrip)."
                    )


def refuse_other_parents_of(table: Table, query: QueryExpression, fields: Sequence[str]) -> None:
    """Raise likewise for the rows of a query, but those whose texts are of some key already."""
    referring = {child for edge in table.info.foreign_keys for child, _ in edge.pairs}
    heading = query.heading.by_name
    texts = tuple(n for n in fields if n in referring and may_end_in_spaces(heading[n]))
    if texts and (rows := (query & [f"{name} LIKE '% '" for name in texts]).to_dicts()):
        columns = tuple([[row[name] for row in rows] for name in texts])
        refuse_other_parents(table, RowGroup(texts, columns, range(len(rows))))
