"""A question to the user at the terminal, before something is destroyed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dj_schema.errors import DataJointError
from dj_schema.table_info import TableName


def confirmed(what: str, lines: Iterable[str]) -> bool:
    """Show what is about to happen and ask; only `yes` is a yes."""
    print(f"{what}:")  # noqa: T201 - a question to the user
    for line in lines:
        print(f"  {line}")  # noqa: T201
    try:
        return input("Proceed? [yes, No]: ").strip().lower() == "yes"
    except EOFError:
        raise DataJointError(
            "nobody is there to answer, and nothing was done; pass prompt=False to go on without a question."
        ) from None


def row_counts(counts: Mapping[TableName, int]) -> list[str]:
    """Return a line for each table and its number of rows."""
    return [f"{n} rows from {schema}.{name}" for (schema, name), n in counts.items()]
