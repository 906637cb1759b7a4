"""User SQL as tokens: refuses what is not one expression, and marks names before the parser sees them.

The scanner is our own, so that what is refused does not depend on what a parser tolerates: sqlglot drops
comments, and reads ``date`` or ``count`` as a keyword where it is an attribute.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from dj_query.user_sql.literals import unescape
from dj_query.user_sql.words import CONSTANTS, INFIX, NOT_CALLS, PREFIX, QUERY_WORDS, UNITS
from dj_schema.errors import QuerySyntaxError


class Sort(Enum):
    """What a token is."""

    STRING = "string"  # value is the decoded text
    NUMBER = "number"
    NAME = "name"  # an attribute, or a name in backticks; value is the bare name
    WORD = "word"  # a keyword, or a name that is no attribute
    FUNCTION = "function"  # a word directly before an opening bracket
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `is_glued`: no space is before it; `is_operand`: a word where a value stands."""

    sort: Sort
    value: str
    is_glued: bool = False
    is_operand: bool = False


_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<string>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    | (?P<name>`(?:[^`]|``)+`)
    | (?P<hex>0x[0-9a-fA-F]+\b|[xX]'(?:[0-9a-fA-F]{2})*')
    | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w$]))
    | (?P<word>[^\W\d]\w*)
    | (?P<symbol><=>|->>|->|<<|>>|<=|>=|<>|!=|\|\||&&|::|@>|<@|[-+*/%<>=!~^&|(),.\[\]])""",
    re.VERBOSE | re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029]")
_HALF = re.compile(r"[\ud800-\udfff]")
_CLOSES = {")": "(", "]": "["}


def scan(text: str, attributes: Collection[str]) -> list[Token]:
    """Split one expression into tokens, attributes told from keywords by where they stand.

    Raises
    ------
    QuerySyntaxError
        The text is empty, or has a second statement, a comment, a query, a variable, an unbalanced
        bracket or an open quote.
    """
    tokens = _checked(text)
    if _top_level_commas(tokens):
        raise _refusal(text, "has a comma outside of brackets", "Give one expression at a time.")
    return _classify(text, tokens, attributes)


def scan_list(text: str, attributes: Collection[str]) -> list[list[Token]]:
    """Split a list of expressions, each as `scan` does."""
    tokens = _checked(text)
    bounds = [-1, *_top_level_commas(tokens), len(tokens)]
    parts = [tokens[start + 1 : end] for start, end in pairwise(bounds)]
    return [_classify(text, part, attributes) for part in parts]


def _checked(text: str) -> list[Token]:
    if not isinstance(text, str) or not text.strip():
        raise QuerySyntaxError('The SQL expression is empty. Write a condition such as "score > 5".')
    if found := _CONTROL.search(text):
        raise _refusal(
            text, f"has the control character {found.group()!r}", "Write it as an escape in a string."
        )
    if _HALF.search(text):
        raise _refusal(text, "has half of a surrogate pair", "Write the whole character.")
    tokens = _lex(text)
    _check_brackets(text, tokens)
    return tokens


def _top_level_commas(tokens: list[Token]) -> list[int]:
    depth, commas = 0, []
    for index, token in enumerate(tokens):
        if token.sort is Sort.SYMBOL:
            depth += (token.value in _CLOSES.values()) - (token.value in _CLOSES)
            if token.value == "," and not depth:
                commas.append(index)
    return commas


def _lex(text: str) -> list[Token]:
    tokens: list[Token] = []
    at, glued = 0, False
    while at < len(text):
        if text.startswith(("--", "#", "/*", "*/"), at):
            hint = "Remove it; for minus a negative number write a space between the signs."
            raise _refusal(text, f"has a comment at position {at}", hint)
        match = _TOKEN.match(text, at)
        if match is None:
            raise _refused_character(text, at)
        at = match.end()
        if match.lastgroup == "space":
            glued = False
            continue
        tokens.append(_token(match, glued))
        glued = True
    return tokens


def _token(match: re.Match[str], glued: bool) -> Token:
    raw = match.group()
    match match.lastgroup:
        case "string":
            return Token(Sort.STRING, unescape(raw[1:-1], raw[0]), glued)
        case "name":
            return Token(Sort.NAME, raw[1:-1].replace("``", "`"), glued)
        case "hex":
            return Token(Sort.NUMBER, "0x" + raw[2:].strip("'"), glued)
        case "number":
            return Token(Sort.NUMBER, raw, glued)
        case "word":
            return Token(Sort.WORD, raw, glued)
    return Token(Sort.SYMBOL, raw, glued)


def _check_brackets(text: str, tokens: list[Token]) -> None:
    opened: list[str] = []
    for token in tokens:
        if token.sort is not Sort.SYMBOL:
            continue
        if token.value in _CLOSES.values():
            opened.append(token.value)
        elif token.value in _CLOSES and (not opened or opened.pop() != _CLOSES[token.value]):
            raise _refusal(
                text, f"has an unbalanced bracket {token.value!r}", "Close each bracket that is opened."
            )
    if opened:
        raise _refusal(
            text, f"has an unbalanced bracket {opened[-1]!r}", "Close each bracket that is opened."
        )


def _classify(text: str, tokens: list[Token], attributes: Collection[str]) -> list[Token]:
    """Tell attributes, functions and keywords apart; join neighbouring strings as MySQL does."""
    out: list[Token] = []
    after_operand = False
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.sort is Sort.STRING and out and out[-1].sort is Sort.STRING:
            out[-1] = Token(Sort.STRING, out[-1].value + token.value, out[-1].is_glued)
            continue
        if (
            token.sort is Sort.STRING
            and token.is_glued
            and out[-1].sort in (Sort.WORD, Sort.FUNCTION, Sort.NAME)
        ):
            raise _refusal(
                text, f"has {out[-1].value!r} directly before a quote", "Write a space between them."
            )
        if token.sort is Sort.WORD:
            token = _word(text, token, following, out[-1] if out else None, after_operand, attributes)
        elif token.value == "." and token.sort is Sort.SYMBOL:
            raise _refusal(
                text,
                "has a name with a dot",
                "Name attributes alone: without a table, car->>'$.length' for JSON.",
            )
        out.append(token)
        after_operand = _ends_operand(token)
    return out


def _ends_operand(token: Token) -> bool:
    """Say whether an operand is complete after `token`: no attribute can follow it then."""
    upper = token.value.upper()
    match token.sort:
        case Sort.SYMBOL:
            return token.value in _CLOSES
        case Sort.FUNCTION:
            return False
        case Sort.WORD:
            return upper == "END" or upper not in NOT_CALLS
    return True


def _word(
    text: str,
    token: Token,
    following: Token | None,
    previous: Token | None,
    after_operand: bool,
    attributes: Collection[str],
) -> Token:
    upper = token.value.upper()
    called = following is not None and following.sort is Sort.SYMBOL and following.value == "("
    if not after_operand and token.value in attributes and not _is_keyword_here(upper, following, previous):
        return Token(Sort.NAME, token.value, token.is_glued)
    if upper in QUERY_WORDS:
        hint = "Restrict by a query expression instead: names in a query in text cannot be checked."
        raise _refusal(text, f"has {upper}, which belongs to a query of its own", hint)
    is_type = upper == "DECIMAL" or (previous is not None and previous.value.upper() in ("AS", "RETURNING"))
    sort = Sort.FUNCTION if called and upper not in NOT_CALLS and not is_type else Sort.WORD
    return Token(sort, token.value, token.is_glued, not after_operand)


def _is_keyword_here(upper: str, following: Token | None, previous: Token | None) -> bool:
    """Decide for a word that is also an attribute, at a place where an operand may stand."""
    if upper in CONSTANTS or (
        previous is not None and previous.sort is Sort.WORD and previous.value.upper() == "AS"
    ):
        return True
    if following is None or (previous is not None and previous.value.upper() == "INTERVAL"):
        return False
    if (
        upper in UNITS
        and following.value.upper() == "FROM"
        and previous is not None
        and previous.value == "("
    ):
        return True
    if following.sort is Sort.SYMBOL:
        return following.value == "(" or (upper in PREFIX and following.value in "-~!")
    return following.sort is not Sort.WORD or (
        upper in PREFIX and following.value.upper() not in INFIX - {"NOT"}
    )


def _refused_character(text: str, at: int) -> QuerySyntaxError:
    match text[at]:
        case ";":
            return _refusal(text, "has a semicolon: a second statement", "Give one expression.")
        case "'" | '"' | "`":
            return _refusal(
                text, f"opens a quote ({text[at]}) at position {at} and does not close it", "Close it."
            )
        case "@":
            hint = "Put its value into the text, or restrict by a dict."
            return _refusal(text, f"has a variable at position {at}", hint)
    return _refusal(text, f"has {text[at]!r} at position {at}, which no expression has", "Remove it.")


def _refusal(text: str, what: str, hint: str) -> QuerySyntaxError:
    return QuerySyntaxError(f"The SQL {text!r} {what}. {hint}")
