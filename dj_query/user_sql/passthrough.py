"""User SQL that the parser does not know: the tokens as written, inside one pair of brackets.

Nothing escapes the brackets: the scanner has refused comments, semicolons, queries, open quotes and
unbalanced brackets. Attributes are still checked and quoted, and strings written for the server; functions
and keywords are the server's to judge.
"""

from __future__ import annotations

from dj_query.user_sql.kinds import Piece
from dj_query.user_sql.names import unknown_attribute
from dj_query.user_sql.render import Renderer
from dj_query.user_sql.scan import Sort, Token
from dj_query.user_sql.words import OPERAND_WORDS

_BEFORE_OTHER_NAMES = ("::", "AS", "OVER", "COLLATE", "USING", "RETURNING")


def pass_through(tokens: list[Token], renderer: Renderer) -> Piece:
    """Render the tokens one by one."""
    text = ""
    previous: Token | None = None
    for token in tokens:
        # Glued as written, so that operators of the server's own stay whole.
        text += "" if token.is_glued or not text else " "
        match token.sort:
            case Sort.STRING:
                text += renderer.quote_string(token.value)
            case Sort.NAME:
                text += renderer.attribute(token.value).sql
            case _:
                if _is_name(token, previous):
                    raise unknown_attribute(token.value, renderer.attributes)
                text += token.value
        previous = token
    return Piece(f"({text})", "unknown")


def _is_name(token: Token, previous: Token | None) -> bool:
    """Say whether a word stands where only the name of an attribute could."""
    if token.sort is not Sort.WORD or not token.is_operand or token.value.upper() in OPERAND_WORDS:
        return False
    return previous is None or previous.value.upper() not in _BEFORE_OTHER_NAMES
