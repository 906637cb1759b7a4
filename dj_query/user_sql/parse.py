"""Tokens to a tree: sqlglot's MySQL grammar, with names, functions and strings kept apart from its own.

sqlglot gives many functions a class, and changes their arguments on the way. Functions therefore reach it
under a prefix that it does not know, and come out as plain calls with the arguments as written; only the few
with a grammar of their own (CAST, TRIM, ...) go in by name. Strings go in as numbered placeholders, so that
their text is decoded once, by us.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dj_query.user_sql.plain import parse_plain
from dj_query.user_sql.scan import Sort, Token

if TYPE_CHECKING:
    from sqlglot import exp

PREFIX = "dj_"
PLACEHOLDER = "~"
# Functions whose arguments have a grammar of their own.
_OWN_GRAMMAR = frozenset(
    {
        "CAST",
        "CONVERT",
        "EXTRACT",
        "TRIM",
        "GROUP_CONCAT",
        "SUBSTRING",
        "JSON_VALUE",
        "POSITION",
        "MATCH",
        "IF",
    }
)
# Words that are calls without brackets.
_BARE_CALLS = frozenset(
    {
        "CURRENT_DATE",
        "CURRENT_TIME",
        "CURRENT_TIMESTAMP",
        "LOCALTIME",
        "LOCALTIMESTAMP",
        "UTC_DATE",
        "UTC_TIME",
        "UTC_TIMESTAMP",
    }
)
_ARROWS = ("->", "->>")


def parse(tokens: list[Token]) -> exp.Expr | None:
    """Return the tree of one expression, or None where the parser does not know it."""
    plain = parse_plain(tokens, PREFIX, PLACEHOLDER)
    return cast("exp.Expr", plain) if plain is not None else parse_whole(tokens)


def parse_whole(tokens: list[Token]) -> exp.Expr | None:
    """Do the same for any expression, by sqlglot."""
    from sqlglot.dialects.mysql import MySQL
    from sqlglot.errors import ErrorLevel, SqlglotError

    text = " ".join(_for_parser(tokens))
    try:
        trees = MySQL().parse(text, error_level=ErrorLevel.RAISE)
    except SqlglotError:
        return None
    return trees[0] if len(trees) == 1 else None


def _for_parser(tokens: list[Token]) -> list[str]:
    out: list[str] = []
    n_strings = 0
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else None
        match token.sort:
            case Sort.STRING:
                text = f"'{PLACEHOLDER}{n_strings}'"
                n_strings += 1
                if (
                    len(out) > 1
                    and before is not None
                    and before.value in _ARROWS
                    and before.sort is Sort.SYMBOL
                ):
                    _join_arrow(out, text)
                else:
                    out.append(text)
            case Sort.NAME:
                out.append("`" + token.value.replace("`", "``") + "`")
            case Sort.FUNCTION if token.value.upper() not in _OWN_GRAMMAR:
                out.append(PREFIX + token.value)
            case Sort.WORD if token.value.upper() in _BARE_CALLS:
                out.append(PREFIX + token.value + "()")
            case _:
                out.append(token.value)
    return out


def _join_arrow(out: list[str], path: str) -> None:
    """Make a call of ``name -> path``: sqlglot takes that for a lambda where it is an argument."""
    arrow, name = out.pop(), out.pop()
    call = f"{PREFIX}JSON_EXTRACT({name}, {path})"
    out.append(call if arrow == "->" else f"{PREFIX}JSON_UNQUOTE({call})")
