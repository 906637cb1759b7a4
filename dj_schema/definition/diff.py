"""The difference between a declared table and the one that its definition describes now.

What a declared table can take is of the page alter-tables: attributes below `---` and comments; not the
primary key, foreign keys and indexes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from dj_schema.definition.printer import print_item
from dj_schema.definition.spec import AttributeSpec, IndexSpec
from dj_schema.errors import NotAlterableError
from dj_schema.heading import Attribute
from dj_schema.table_info import ForeignKey, Index, TableInfo
from dj_schema.types import TypeSpec

SameType = Callable[[TypeSpec, TypeSpec], bool]
"""Whether a declared type is what a column of another declared type is read as."""

_ANEW = "Foreign keys are not altered: drop the table and those that depend on it, and declare them anew."
_MARK = re.compile(r"\{\s*([a-z][a-z0-9_]*)\s*\}")
_WORDS = re.compile(r"renamed from\s+(['\"`]?)([a-z][a-z0-9_]*)\1(?![a-z0-9_'\"`])", re.I)


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """An attribute that stays, under another name or as something else."""

    old: Attribute
    new: Attribute

    @property
    def is_renamed(self) -> bool:
        return self.old.name != self.new.name

    @property
    def changes_type(self) -> bool:
        return self.old.type != self.new.type


@dataclass(frozen=True, slots=True)
class TableChanges:
    """What makes one table of another.

    Attributes
    ----------
    added : tuple of (attribute, name before it)
        In the order of the definition; None for the first of all.
    comment : str or None
        The new comment of the table, None where it stays.
    """

    old: TableInfo
    new: TableInfo
    added: tuple[tuple[Attribute, str | None], ...]
    dropped: tuple[Attribute, ...]
    changed: tuple[AttributeChange, ...]
    comment: str | None

    def __bool__(self) -> bool:
        return bool(self.added or self.dropped or self.changed or self.comment is not None)

    def lines(self) -> list[str]:
        """The lines of the definition that go, after a minus, and those that come, after a plus."""
        found: list[str] = []
        if self.comment is not None:
            found += [f"- # {self.old.heading.comment}"] if self.old.heading.comment else []
            found += [f"+ # {self.comment}"] if self.comment else []
        found += [f"- {_line(a)}" for a in self.dropped]
        for change in self.changed:
            found += [f"- {_line(change.old)}", f"+ {_line(change.new)}"]
        return found + [f"+ {_line(a)}" for a, _ in self.added]


def table_changes(old: TableInfo, new: TableInfo, same_type: SameType) -> TableChanges:
    """Compare a table as it is declared with the one that is wanted.

    An attribute was renamed where the comment of the new one says so: ``{old_name}`` at its start, or
    ``Renamed from 'old_name'`` anywhere.

    Raises
    ------
    NotAlterableError
        For a change that a declared table cannot take.
    """
    title = f"{old.schema}.{old.name}"
    _same_key(title, old, new, same_type)
    _same_foreign_keys(title, old, new)
    now = {a.name: a for a in old.heading.attributes.values()}
    wanted = {a.name: a for a in new.heading.attributes.values()}
    renames = dict(_renames(title, now, wanted))
    _same_indexes(title, old, new, {before: name for name, before in renames.items()})
    added: list[tuple[Attribute, str | None]] = []
    changed: list[AttributeChange] = []
    previous: str | None = None
    referring = {child for fk in new.foreign_keys for child, _ in fk.pairs}
    for name, attribute in wanted.items():
        before = now.get(renames.get(name, name))
        if before is None:
            added.append((attribute, previous))
        elif not _equal(before, attribute, same_type):
            if name in referring:
                _only_the_comment(title, before, attribute, same_type)
            _same_counting(title, before, attribute)
            changed.append(AttributeChange(before, attribute))
        previous = name
    kept = wanted.keys() - renames.keys() | set(renames.values())
    comment = new.heading.comment if new.heading.comment != old.heading.comment else None
    return TableChanges(
        old, new, tuple(added), tuple(a for n, a in now.items() if n not in kept), tuple(changed), comment
    )


def _line(attribute: Attribute) -> str:
    assert attribute.type is not None
    return print_item(AttributeSpec(attribute.name, attribute.type, attribute.default, attribute.comment))


def _equal(old: Attribute, new: Attribute, same_type: SameType) -> bool:
    assert old.type is not None
    assert new.type is not None
    if new.is_inherited:  # type and comment are those of the parent, whatever the column holds
        return old.is_nullable == new.is_nullable and old.name == new.name
    mine = (old.name, old.is_nullable, old.default, old.comment)
    return mine == (new.name, new.is_nullable, new.default, new.comment) and same_type(old.type, new.type)


def _refuse(title: str, what: str, instead: str) -> NotAlterableError:
    return NotAlterableError(f"{title} cannot be altered so: {what}. {instead}")


def _same_key(title: str, old: TableInfo, new: TableInfo, same_type: SameType) -> None:
    before, after = ([a for a in info.heading.all if a.in_key and not a.is_hidden] for info in (old, new))
    if [a.name for a in before] == [a.name for a in after] and all(
        same_type(a.type, b.type) and a.default == b.default  # type: ignore[arg-type]
        for a, b in zip(before, after, strict=True)
    ):
        return
    was, is_now = (", ".join(map(_line, part)) or "nothing" for part in (before, after))
    raise _refuse(
        title,
        f"its primary key would change from ({was}) to ({is_now})",
        "Declare a new table, copy the rows, and drop the old one.",
    )


def _same_foreign_keys(title: str, old: TableInfo, new: TableInfo) -> None:
    before, after = ({_reference(fk, info) for fk in info.foreign_keys} for info in (old, new))
    for sign, references in (("lose", before - after), ("get", after - before)):
        for parent, pairs, is_nullable in sorted(references, key=repr):
            names = ", ".join(sorted(child for child, _ in pairs))
            null = "nullable " if is_nullable else ""
            raise _refuse(
                title,
                f"it would {sign} the {null}foreign key ({names}) to {'.'.join(parent)}",
                _ANEW,
            )


def _reference(fk: ForeignKey, info: TableInfo) -> tuple[tuple[str, str], frozenset[tuple[str, str]], bool]:
    nullable = any(info.heading.by_name[child].is_nullable for child, _ in fk.pairs)
    return fk.parent, frozenset(fk.pairs), nullable


def _same_indexes(title: str, old: TableInfo, new: TableInfo, new_names: Mapping[str, str]) -> None:
    before = {Index(tuple(new_names.get(c, c) for c in i.columns), i.is_unique) for i in old.indexes}
    after = set(new.indexes)
    for sign, indexes in (("lose", before - after), ("get", after - before)):
        for index in sorted(indexes, key=repr):
            line = print_item(IndexSpec(index.columns, index.is_unique))
            raise _refuse(
                title,
                f"it would {sign} `{line}`",
                "Indexes are not altered: declare a new table, copy the rows.",
            )


def _renames(
    title: str, now: Mapping[str, Attribute], wanted: Mapping[str, Attribute]
) -> Iterator[tuple[str, str]]:
    """Yield (new name, old name)."""
    taken: dict[str, str] = {}
    for name, attribute in wanted.items():
        mark = _MARK.match(attribute.comment)
        words = _WORDS.search(attribute.comment)
        before = mark[1] if mark else words[2] if words else None
        if name in now or before is None or attribute.is_inherited:
            continue
        is_there = before in now and before not in wanted
        if not is_there and mark is None:
            continue  # a word on the past, and no more to do about it
        if not is_there or before in taken:
            raise _refuse(
                title,
                f"the comment of {name!r} says that it was {before!r}, "
                + ("as does that of " + repr(taken[before]) if before in taken else
                   "which is still in the definition" if before in now else "which the table does not have"),
                "Name an attribute that the table has and the definition has no longer.",
            )  # fmt: skip
        if now[before].in_key or now[before].is_inherited:
            raise _refuse(
                title, f"{before!r} is part of a key and keeps its name", "Only other attributes are renamed."
            )
        taken[before] = name
        yield name, before


def _only_the_comment(title: str, old: Attribute, new: Attribute, same_type: SameType) -> None:
    assert old.type is not None
    assert new.type is not None
    if old.name != new.name or not same_type(old.type, new.type) or old.default != new.default:
        raise _refuse(
            title, f"{old.name!r} refers to another table and would change to `{_line(new)}`",
            _ANEW,
        )  # fmt: skip


def _same_counting(title: str, old: Attribute, new: Attribute) -> None:
    if old.is_auto_increment != new.is_auto_increment:
        raise _refuse(title, f"{old.name!r} would begin or stop to count by itself", "Declare a new table.")
