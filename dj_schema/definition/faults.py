"""What is wrong with a line that does not read. Slow and thorough: it runs on mistakes alone."""

from __future__ import annotations

import re

from dj_schema.errors import DefinitionError
from dj_schema.types import QUOTED

_PART = re.compile(rf"{QUOTED}|[^'\"#]", re.S)
_FORM = "`name : type`, `name = default : type  # comment`, `-> Table`, `index(name)` or `---`"


def explain_attribute(line: str) -> DefinitionError:
    """Return the error for a line that is none of the forms that a definition has."""
    code = _before_comment(line)
    if open_quote := _open_quote(line, len(code)):
        return open_quote
    if re.match(r"[-_]+$", code) or code.startswith("-"):
        return DefinitionError("this is neither a separator nor a reference.", expected="`---` or `-> Table`")
    if re.match(r"(unique\s+)?index\b(?!\s*[=:])", code, re.I):
        return DefinitionError(
            "the index names no attributes.", expected="index(name, ...) or unique index(name, ...)"
        )
    left, colon, right = _split(code, ":")
    name, equals, default = _split(left, "=")
    if not colon:
        return DefinitionError("the line has no colon and no type.", expected=_FORM)
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name.strip()):
        return DefinitionError(
            f"{name.strip()!r} cannot name an attribute.",
            expected="a lowercase letter, then lowercase letters, digits and underscores",
        )
    type_, after, default_after = _split(right, "=")
    if not type_.strip():
        return DefinitionError(
            f"the attribute {name.strip()!r} has no type.", expected="a type after the colon"
        )
    for sign, text in ((equals, default), (after, default_after)):
        if sign and not text.strip():
            return DefinitionError(
                "there is nothing after the `=`.", expected="a default, such as null, 0 or ''"
            )
        if sign and not re.fullmatch(rf"\s*(?:{QUOTED}|[^'\"=:]+)\s*", text, re.S):
            return DefinitionError(
                f"{text.strip()!r} is no default.",
                expected="one quoted string, a number, true, false, null or CURRENT_TIMESTAMP",
            )
    if type_.count("(") != type_.count(")"):
        return DefinitionError(f"a bracket of {type_.strip()!r} stays open.", expected="as many `)` as `(`")
    return DefinitionError(f"Unsupported attribute type {type_.strip()!r}.", expected=_FORM)


def explain_foreign_key(line: str) -> DefinitionError:
    """Return the error for a line that starts with `->` and does not read."""
    code = _before_comment(line)
    if open_quote := _open_quote(line, len(code)):
        return open_quote
    rest = code[2:].strip()
    if rest.startswith("[") and "]" not in rest:
        return DefinitionError("the options stay open.", expected="`-> [nullable, unique] Table`")
    rest = re.sub(r"^\[[^\]]*\]", "", rest).strip()
    if not rest:
        return DefinitionError("the reference names no table.", expected="`-> Table`")
    if re.search(r"\.proj\b", rest):
        return DefinitionError(
            f"cannot read {rest!r}.", expected="`-> Table.proj(new='old')` and nothing after it"
        )
    return DefinitionError(
        f"{rest!r} cannot name a table.",
        expected="a class such as Session, lab.Session or Session.Trial, or master",
    )


def explain_index(rest: str) -> DefinitionError:
    """Return the error for what follows the brackets of an index."""
    return DefinitionError(
        f"{rest!r} follows the index.", expected="the end of the line, or a comment after `#`"
    )


def _before_comment(line: str) -> str:
    position = 0
    while part := _PART.match(line, position):
        position = part.end()
    return line[:position].rstrip() if line[position : position + 1] == "#" else line[:position]


def _open_quote(line: str, end: int) -> DefinitionError | None:
    rest = line[end:].lstrip()
    if rest[:1] not in ("'", '"'):
        return None
    return DefinitionError(
        f"the quote that opens {rest[:20]} is never closed.", expected=f"a closing {rest[0]}"
    )


def _split(text: str, sign: str) -> tuple[str, str, str]:
    """Partition at the first `sign` that is not within quotes."""
    position = 0
    while part := _PART.match(text, position):
        if part[0] == sign:
            return text[:position], sign, text[part.end() :]
        position = part.end()
    return text, "", ""
