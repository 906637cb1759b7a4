"""Text of a definition to its spec. What the text means together is in `checks.py`."""

from __future__ import annotations

import re

from dj_schema.definition.defaults import read_default
from dj_schema.definition.faults import explain_attribute, explain_foreign_key, explain_index
from dj_schema.definition.index_columns import read_columns
from dj_schema.definition.spec import AttributeSpec, ForeignKeySpec, IndexSpec, Item, TableSpec
from dj_schema.errors import DefinitionError
from dj_schema.types import QUOTED, parse_type

_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_HALF = re.compile("[\ud800-\udfff]")
_SEPARATOR = re.compile(r"(?:-{3,}|_{3,})\s*(?:#.*)?", re.S)
_COMMENT = r"(?:\#(?P<comment>.*))?"
_BARE = r"""[^'"#:=\s](?:[^'"#:=]*[^'"#:=\s])?"""
_ATTRIBUTE = re.compile(
    rf"""
    (?P<name>[a-z_][a-z0-9_]*)\s*
    (?:=\s*(?P<before>{QUOTED}|{_BARE})\s*)?
    :\s*(?P<type>[^'"\#=:()\s][^'"\#=:()]*(?:\((?:[^'"\#()]|{QUOTED})*+\)[^'"\#=:()]*)?)
    (?:=\s*(?P<after>{QUOTED}|{_BARE})\s*)?
    {_COMMENT}
    """,
    re.X | re.S,
)
_FOREIGN_KEY = re.compile(
    rf"""
    ->\s*(?:\[(?P<options>[^\]\#]*)\]\s*)?
    (?P<target>[A-Za-z_][A-Za-z0-9_]*(?:\.(?!proj\b)[A-Za-z_][A-Za-z0-9_]*)*)\s*
    (?P<projection>\.proj\s*\((?P<renames>[^()\#]*)\)\s*)?
    {_COMMENT}
    """,
    re.X | re.S,
)
_RENAME = re.compile(
    r"""\s*([a-z][a-z0-9_]*)\s*=\s*(['"]?)([a-z][a-z0-9_]*)\2\s*(?:,|$)""",
)
_INDEX = re.compile(r"(?P<unique>unique\s+)?index\s*(?=\()", re.I)
_OPTIONS = ("nullable", "unique")


def parse_definition(text: str) -> TableSpec:
    """Read a table definition.

    Raises
    ------
    DefinitionError
        With the number of the line, counted from the start of `text`, and what was expected there.
    """
    comment = ""
    primary: list[Item] = []
    secondary: list[Item] = []
    items = primary
    is_first = True
    for number, raw in enumerate(_LINE_BREAK.split(text), 1):
        line = raw.strip()
        if not line:
            continue
        if not line.isascii() and _HALF.search(line):
            raise DefinitionError(
                "half of a surrogate pair is no character.", line_number=number, line=line, expected="UTF-8"
            )
        if line[0] == "#":
            if is_first:
                comment = line[1:].strip()
        elif line[0] in "-_" and _SEPARATOR.fullmatch(line):
            if items is secondary:
                raise DefinitionError(
                    "the primary key has ended above.",
                    line_number=number,
                    line=line,
                    expected="one line `---` in a definition",
                )
            items = secondary
        else:
            items.append(_read_item(line, number))
        is_first = False
    return TableSpec(comment, tuple(primary), tuple(secondary))


def _read_item(line: str, number: int) -> Item:
    try:
        if line.startswith("->"):
            return _foreign_key(line, number)
        if index := _INDEX.match(line):
            return _index(line, number, index)
        return _attribute(line, number)
    except DefinitionError as fault:
        reason = str(fault).removesuffix(f" Expected {fault.expected}.")
        raise DefinitionError(reason, line_number=number, line=line, expected=fault.expected) from None


def _attribute(line: str, number: int) -> AttributeSpec:
    match = _ATTRIBUTE.fullmatch(line)
    if match is None:
        raise explain_attribute(line)
    name, before, type_text, after, comment = match.groups()
    if before and after:
        raise DefinitionError(
            f"the attribute {name!r} has two defaults.",
            expected="the default before the colon or after the type",
        )
    type_ = parse_type(type_text.strip())
    written = before or after
    return AttributeSpec(
        name,
        type_,
        read_default(type_, written) if written else None,
        comment.strip() if comment else "",
        number,
    )


def _foreign_key(line: str, number: int) -> ForeignKeySpec:
    match = _FOREIGN_KEY.fullmatch(line)
    if match is None:
        raise explain_foreign_key(line)
    options = _options(match["options"])
    return ForeignKeySpec(
        match["target"],
        _renames(match["renames"]) if match["projection"] else (),
        "nullable" in options,
        "unique" in options,
        (match["comment"] or "").strip(),
        number,
    )


def _options(text: str | None) -> list[str]:
    options = [option.strip().lower() for option in text.split(",")] if text and text.strip() else []
    for option in options:
        if option not in _OPTIONS or options.count(option) > 1:
            raise DefinitionError(
                f"the option {option!r} comes twice."
                if option in _OPTIONS
                else f"there is no option {option!r}.",
                expected="nullable, unique or both, separated by a comma",
            )
    return options


def _renames(text: str) -> tuple[tuple[str, str], ...]:
    text = text.strip()
    renames: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _RENAME.match(text, position)
        if match is None or match[1] in renames or match[3] in renames.values():
            raise DefinitionError(
                f"cannot read the new names in proj({text}).",
                expected="pairs new='old', no name twice; what is not named keeps its name",
            )
        renames[match[1]] = match[3]
        position = match.end()
    return tuple(renames.items())


def _index(line: str, number: int, head: re.Match[str]) -> IndexSpec:
    columns, end = read_columns(line, head.end())
    rest = line[end:].strip()
    if rest and not rest.startswith("#"):
        raise explain_index(rest)
    return IndexSpec(columns, head["unique"] is not None, number)
