"""User SQL that the parser does not know: the tokens as written, inside one pair of brackets.

Nothing escapes the brackets: the scanner has refused comments, semicolons, queries, open quotes and
unbalanced brackets. Attributes are still quoted and strings still written for the server; every other name
must be a function or a keyword, which the server judges.
"""

from __future__ import annotations

from dj_query.user_sql.kinds import Piece
from dj_query.user_sql.render import Renderer
from dj_query.user_sql.scan import Sort, Token


def pass_through(tokens: list[Token], renderer: Renderer) -> Piece:
    """Render the tokens one by one."""
    text = ""
    for token in tokens:
        # Glued as written, so that operators of the server's own stay whole.
        text += "" if token.is_glued or not text else " "
        match token.sort:
            case Sort.STRING:
                text += renderer.quote_string(token.value)
            case Sort.NAME:
                text += renderer.attribute(token.value).sql
            case _:
                text += token.value
    return Piece(f"({text})", "unknown")
