"""User SQL that the parser does not know: the tokens as written, inside one pair of brackets.

Nothing escapes the brackets: the scanner has refused comments, semicolons, queries, open quotes and
unbalanced brackets. Attributes are still quoted and strings still written for the server; every other name
must be a function or a keyword, which the server judges.
"""

from __future__ import annotations

from dj_query.user_sql.kinds import Piece
from dj_query.user_sql.names import unknown_attribute
from dj_query.user_sql.render import Renderer
from dj_query.user_sql.scan import Sort, Token


def pass_through(tokens: list[Token], renderer: Renderer) -> Piece:
    """Render the tokens one by one."""
    parts = []
    for token in tokens:
        match token.sort:
            case Sort.STRING:
                parts.append(renderer.quote_string(token.value))
            case Sort.NAME:
                parts.append(renderer.attribute(token.value).sql)
            case _:
                parts.append(token.value)
    return Piece("(" + " ".join(parts).replace(" (", "(").replace("( ", "(") + ")", "unknown")


__all__ = ["pass_through", "unknown_attribute"]
