"""What a laboratory puts upon DataJoint: a mixin of helpers for every table, and merge tables.

The idioms are those of a large pipeline whose users derive their tables from such a mixin; the code is ours.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import datajoint as dj


class LabMixin:
    """Helpers that each table of the laboratory has."""

    @property
    def key_names(self: Any) -> list[str]:
        return list(self.heading.primary_key)

    def lacking(self: Any, key: dict[str, Any]) -> list[str]:
        """Return the parents that have no row for a key, which is why it cannot be inserted."""
        parents = self.parents(as_objects=True)
        return [parent.table_name for parent in parents if not (parent & key)]

    def upstream(self: Any, restriction: Any) -> Any:
        """Return the rows whose ancestors meet a restriction on attributes of theirs."""
        found = self
        for table in self.ancestors(as_objects=True):
            if table.full_table_name != self.full_table_name and set(restriction) <= set(table.heading.names):
                found = found & (table & restriction).proj()
        return found

    @classmethod
    def insert_default(cls: Any) -> None:
        cls().insert(cls.contents, skip_duplicates=True)


class Merge(dj.Manual):
    """A table whose rows stand for results of several pipelines: one part for each, one uuid for each row."""

    definition = """
    merge_id : uuid
    ---
    source : varchar(32)
    """

    @classmethod
    def sources(cls) -> dict[str, Any]:
        return {part.table_name.split("__")[-1]: part for part in cls().parts(as_objects=True)}

    @classmethod
    def merge_insert(cls, rows: Iterable[dict[str, Any]], source: str) -> list[uuid.UUID]:
        """Give each result of a source an id, together with the row of its part; results known are left."""
        part = cls.sources()[source]
        ids = []
        with cls().connection.transaction:
            for row in rows:
                key = {name: row[name] for name in part.heading.names if name != "merge_id"}
                if part & key:
                    continue
                ids.append(uuid.UUID(dj.hash.key_hash({**key, "source": source})))
                cls().insert1({"merge_id": ids[-1], "source": source})
                part.insert1({"merge_id": ids[-1], **key})
        return ids

    @classmethod
    def merge_get_part(cls, restriction: Any = True) -> Any:
        """Return the one part that holds the rows of a restriction."""
        names = set((cls() & restriction).to_arrays("source"))
        if len(names) != 1:
            raise ValueError(f"{len(names)} sources, not one")
        return cls.sources()[names.pop()] & (cls() & restriction).proj()

    @classmethod
    def merge_get_parent(cls, restriction: Any = True) -> Any:
        """Return the results themselves, in the table of the pipeline that they come from."""
        part = cls.merge_get_part(restriction)
        (parent,) = [t for t in part.parents(as_objects=True) if t.full_table_name != cls().full_table_name]
        return parent & part.proj(*parent.heading.primary_key)

    @classmethod
    def merge_delete_parent(cls, restriction: Any = True) -> None:
        """Delete the results, and with them the rows that stand for them."""
        parent = cls.merge_get_parent(restriction)
        results, ids = parent.keys(), (cls() & restriction).keys()  # the one query needs the other's rows
        table = dj.FreeTable(parent.connection, parent.full_table_name)
        with cls().connection.transaction:
            (cls() & ids).delete(transaction=False)
            (table & results).delete(transaction=False)
