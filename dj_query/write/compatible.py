"""Whether the server can copy the attributes of a query into a table, the values unchanged."""

from __future__ import annotations

from collections.abc import Iterable

from dj_schema.errors import DataError
from dj_schema.heading import Attribute, Heading
from dj_schema.types import CoreType

# Kinds that every server turns into each other in an assignment, to the value that an insert of rows stores.
_TAKEN: dict[str, frozenset[str]] = {
    "float": frozenset({"int", "decimal"}),
    "decimal": frozenset({"int", "float"}),
    "string": frozenset({"int", "decimal", "date"}),
    "datetime": frozenset({"date"}),
}
_CAST = {
    "int": "cast({0} as signed)",
    "float": "cast({0} as double)",
    "decimal": "cast({0} as decimal(20,4))",
    "string": "cast({0} as char)",
    "date": "date({0})",
    "bool": "{0} <> 0",
}


def check_copy(source: Heading, target: Heading, names: Iterable[str], table: str) -> None:
    """Raise `DataError` where an attribute of a query is of a type that the table cannot take."""
    for name in names:
        given, taken = source.by_name[name], target.by_name[name]
        if why := _obstacle(given, taken):
            raise DataError(
                f"attribute {name!r} is {_named(given)} in the query and {_named(taken)} in {table}: {why}."
            )


def _named(attribute: Attribute) -> str:
    return str(attribute.type) if attribute.type is not None else f"computed ({attribute.kind})"


def _obstacle(given: Attribute, taken: Attribute) -> str | None:
    """Return what keeps the server from copying, and what to do; None where nothing does."""
    rows = "insert the rows of its to_dicts(), which are checked one by one"
    if given.kind == taken.kind and _digits(given) > _digits(taken):
        return f"digits of its seconds would be lost; {rows}"
    if given.type == taken.type:
        return None
    if given.decimal_digits and taken.decimal_digits and given.decimal_digits[1] > taken.decimal_digits[1]:
        rounded = "cast({} as decimal({},{}))".format(given.name, *taken.decimal_digits)
        return (
            f"digits after the point would be lost; round them by proj({given.name}={rounded!r}), or {rows}"
        )
    if given.is_codec or taken.is_codec:
        return f"they are stored in different forms; {rows}"
    if taken.is_enum:
        return f"the labels are not known to be the same; {rows}"
    if given.kind == taken.kind or "unknown" in (given.kind, taken.kind):
        return None
    if given.kind in _TAKEN.get(taken.kind, ()):
        return None
    if cast := _CAST.get(taken.kind):
        how = cast.format(given.name)
        return f"values would change without a word; cast it, as in proj({given.name}={how!r}), or {rows}"
    return f"values would change without a word; {rows}"


def _digits(attribute: Attribute) -> int:
    """Return the digits of seconds; none that is known of what is computed, native or no moment."""
    is_known = isinstance(attribute.storage, CoreType) and attribute.kind == "datetime"
    return attribute.seconds_digits if is_known else 0
