"""Checking rows without sending them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dj_query.write.encode import encode_column
from dj_query.write.rows import as_mapping, batches
from dj_schema.errors import DataJointError

if TYPE_CHECKING:
    from dj_query.table import Table


@dataclass
class ValidationResult:
    """What `validate` found; true where all rows can be inserted as far as the client can tell.

    Attributes
    ----------
    errors : list of (row index, attribute or None, message)
    """

    rows_checked: int = 0
    errors: list[tuple[int, str | None, str]] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        return not self.errors

    def __bool__(self) -> bool:
        return self.is_valid

    def summary(self) -> str:
        """Return one line an error."""
        if self.is_valid:
            return f"{self.rows_checked} rows are valid"
        lines = (
            f"Row {i}, field {name!r}: {why}" if name else f"Row {i}: {why}" for i, name, why in self.errors
        )
        return "\n".join(lines)


def validate_rows(table: Table, rows: Any, ignore_extra_fields: bool) -> ValidationResult:
    """Check each value of each row; nothing is sent."""
    result = ValidationResult()
    for batch in batches(rows, table.heading, None):
        for row in batch.rows:
            _validate_row(table, row, ignore_extra_fields, result)
            result.rows_checked += 1
    return result


def _validate_row(table: Table, row: Any, ignore_extra: bool, result: ValidationResult) -> None:
    index = result.rows_checked
    heading = table.heading
    try:
        mapping = as_mapping(row, heading, table.full_table_name)
    except DataJointError as e:
        result.errors.append((index, None, str(e)))
        return
    if not ignore_extra:
        result.errors += [(index, n, "no such attribute") for n in mapping if n not in heading.by_name]
    has_nan = table.connection.dialect.flags.has_nan
    key = {k: mapping.get(k) for k in heading.primary_key}
    for name, attribute in heading.by_name.items():
        value = mapping.get(name)
        if value is None:
            if attribute.is_required:
                result.errors.append((index, name, "a value is required"))
            continue
        try:
            encode_column(attribute, [value], lambda: [key], has_nan)
        except DataJointError as e:
            result.errors.append((index, name, str(e).removeprefix("row 0: ")))
