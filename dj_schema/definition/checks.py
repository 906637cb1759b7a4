"""The rules of a definition that need no database (table-declaration page, sections 3 to 10)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from dj_schema.definition.defaults import fit_default
from dj_schema.definition.index_columns import attribute_of, is_column
from dj_schema.definition.printer import print_item
from dj_schema.definition.spec import (
    AttributeSpec,
    ForeignKeySpec,
    IndexSpec,
    Item,
    Literal,
    Null,
    TableSpec,
)
from dj_schema.errors import DefinitionError
from dj_schema.names import MAX_NAME_LENGTH, Tier
from dj_schema.types import CodecType, CoreType

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_UNWRITABLE = re.compile(r"[\r\n\0]")

Fault = tuple[str, str]
"""What is wrong, and what would have been right."""


def check_spec(
    spec: TableSpec,
    *,
    is_part: bool = False,
    tier: Tier | None = None,
    allow_new_key_attributes: bool = False,
    allow_hidden: bool = False,
    max_name_length: int = MAX_NAME_LENGTH,
) -> None:
    """Check what a definition says, as far as that shows without other tables.

    Parameters
    ----------
    is_part
        Whether the table is a part; a `tier` of ``Tier.PART`` says the same.
    tier
        The tier of the table. A master of an auto-populated tier takes its key from its parents alone.
    allow_new_key_attributes
        The setting ``jobs.allow_new_pk_fields_in_computed_tables``.
    allow_hidden
        Whether names may start with an underscore: in specs that the system makes, never in a user's.
    max_name_length
        How many characters the server keeps of a name.

    Raises
    ------
    DefinitionError
        For the first rule that does not hold.
    """
    is_part = is_part or tier is Tier.PART
    key_comes_from_parents = tier is not None and tier.is_auto_populated and not is_part
    seen: set[object] = set()
    _raise_first(None, _table_faults(spec, is_part))
    for items, in_key in ((spec.primary, True), (spec.secondary, False)):
        for item in items:
            if isinstance(item, AttributeSpec):
                _raise_first(item, _attribute_faults(item, allow_hidden, max_name_length))
                if in_key:
                    _raise_first(item, _key_faults(item))
                    if key_comes_from_parents and not allow_new_key_attributes:
                        _raise_first(item, _new_key_faults(item, tier))
            elif isinstance(item, ForeignKeySpec):
                _raise_first(item, _foreign_key_faults(item, in_key, is_part, max_name_length))
            else:
                _raise_first(item, _index_faults(item))
            _raise_first(item, _repetition_faults(item, seen))


def check_indexes(spec: TableSpec, names: Collection[str]) -> None:
    """Check that the indexes are on attributes of the table.

    Parameters
    ----------
    names
        All attributes of the table, those of its foreign keys included.

    Raises
    ------
    DefinitionError
        For an index on an attribute that is not there.
    """
    for item in spec.primary + spec.secondary:
        for column in item.columns if isinstance(item, IndexSpec) else ():
            name = attribute_of(column)
            if name is not None and name not in names:
                message = f"the index is on {name!r}, which the table does not have."
                _raise_first(item, [(message, f"any of {', '.join(names)}")])


def _raise_first(item: Item | None, faults: Iterable[Fault]) -> None:
    for message, expected in faults:
        if item is None:
            raise DefinitionError(message, expected=expected)
        raise DefinitionError(message, line_number=item.line_number, line=print_item(item), expected=expected)


def _table_faults(spec: TableSpec, is_part: bool) -> Iterator[Fault]:
    yield from _comment_faults("the table", spec.comment)
    items = spec.primary + spec.secondary
    if not any(isinstance(item, AttributeSpec | ForeignKeySpec) for item in items):
        yield "the definition has no attributes.", "at least one line `name : type` or `-> Table`"
    if is_part and not any(isinstance(item, ForeignKeySpec) for item in items):
        yield "the part table does not reference its master.", "a line `-> master`"


def _comment_faults(owner: str, comment: str) -> Iterator[Fault]:
    if comment.startswith(":"):
        yield f"the comment of {owner} must not start with colon.", "a comment that starts with a word"
    if _UNWRITABLE.search(comment):
        yield f"the comment of {owner} has a line break or a NUL.", "a comment of one line"


def _attribute_faults(attribute: AttributeSpec, allow_hidden: bool, max_name_length: int) -> Iterator[Fault]:
    name = attribute.name
    if name.startswith("_") and not allow_hidden:
        yield (
            f"the attribute name {name!r} starts with an underscore, which marks columns of the system.",
            "a lowercase letter first",
        )
    if not _NAME.fullmatch(name.lstrip("_") if allow_hidden else name):
        yield f"{name!r} cannot name an attribute.", "lowercase letters, digits and underscores"
    if len(name) > max_name_length:
        yield f"the attribute name {name!r} has {len(name)} characters.", f"at most {max_name_length}"
    yield from _comment_faults(f"attribute {name!r}", attribute.comment)
    if _UNWRITABLE.search(str(attribute.type)):
        yield f"the type of {name!r} has a line break or a NUL.", "labels of one line"
    if isinstance(attribute.type, CoreType) and any(v.endswith(" ") for v in attribute.type.labels):
        yield f"a label of {name!r} ends in a space, which MySQL takes off.", "labels without one"
    if attribute.default is None:
        return
    try:
        fitted = fit_default(attribute.type, attribute.default)
    except DefinitionError as fault:
        reason = str(fault).removesuffix(f" Expected {fault.expected}.")
        yield f"attribute {name!r}: {reason}", fault.expected
        return
    if fitted != attribute.default:
        yield f"the default of {name!r} is {attribute.default}.", f"{fitted}, as {attribute.type} keeps it"
    if isinstance(fitted, Literal) and isinstance(fitted.value, str) and _UNWRITABLE.search(fitted.value):
        yield f"the default of {name!r} has a line break or a NUL.", "a string of one line"


def _key_faults(attribute: AttributeSpec) -> Iterator[Fault]:
    name, default = attribute.name, attribute.default
    if isinstance(default, Null):
        yield (
            f"Primary key attributes cannot be nullable, and {name!r} is.",
            "no default, or the attribute below `---`",
        )
    elif isinstance(default, Literal):
        yield (
            f"Primary key attributes cannot have a fixed default, and {name!r} has one.",
            "no default, CURRENT_TIMESTAMP, or the attribute below `---`",
        )
    if not isinstance(attribute.type, CodecType) and attribute.type.kind in ("bytes", "json"):
        yield (
            f"{attribute.type} cannot be in the primary key, and {name!r} is.",
            "a number, a string, a date or a uuid",
        )


def _new_key_faults(attribute: AttributeSpec, tier: Tier | None) -> Iterator[Fault]:
    tier_name = tier.name.lower() if tier else "computed"
    yield (
        f"the primary key of this {tier_name} table has an attribute of its own, {attribute.name!r}.",
        "foreign keys only above `---`; detail rows go into a part table, or set "
        "jobs.allow_new_pk_fields_in_computed_tables",
    )


def _foreign_key_faults(
    key: ForeignKeySpec, in_key: bool, is_part: bool, max_name_length: int
) -> Iterator[Fault]:
    if key.is_nullable and in_key:
        yield (
            f"Primary key attributes cannot be nullable, and those of {key.target} would be.",
            "`-> [nullable]` below `---`",
        )
    if key.target == "master" and not is_part:
        yield "`-> master` stands in a table that is no part.", "the class name of the parent"
    for name in (name for pair in key.renames for name in pair):
        if not _NAME.fullmatch(name) or len(name) > max_name_length:
            yield f"{name!r} cannot name an attribute.", f"a name of up to {max_name_length} characters"
    yield from _comment_faults(f"the reference to {key.target}", key.comment)


def _index_faults(index: IndexSpec) -> Iterator[Fault]:
    if not index.columns:
        yield "the index names no attributes.", "index(name, ...)"
    for column in index.columns:
        if not is_column(column) or _UNWRITABLE.search(column):
            yield f"{column!r} is no column of an index.", "an attribute, or an expression in brackets"
        if index.columns.count(column) > 1:
            yield f"the index has {column!r} twice.", "each attribute once"


def _repetition_faults(item: Item, seen: set[object]) -> Iterator[Fault]:
    """Names that a foreign key brings are not known here: `declare` compares those."""
    identity: object
    if isinstance(item, AttributeSpec):
        identity, what = item.name, f"the attribute {item.name!r}"
    elif isinstance(item, ForeignKeySpec):
        identity, what = (item.target, item.renames), f"the reference to {item.target}"
    else:
        identity, what = item.columns, "the index"
    if identity in seen:
        yield f"{what} is defined twice.", "each once"
    seen.add(identity)
