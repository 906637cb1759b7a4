"""SQL as composed values: templates, identifiers and parameters.

A template is a literal of our own code; what fills its braces is another `Sql`, an `Ident` or a
`Param`, never a string. So a value cannot become SQL text by mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Ident:
    """A name, or a dotted path of names: ``Ident("lab", "session")``."""

    path: tuple[str, ...]

    def __init__(self, *path: str) -> None:
        object.__setattr__(self, "path", path)


@dataclass(frozen=True, slots=True)
class Param:
    """A value that travels beside the text."""

    value: Any


class Statement(NamedTuple):
    """What a driver gets: text with ``%s`` and the values for it."""

    text: str
    params: tuple[Any, ...]


Part = str | Ident | Param


class Sql:
    """A piece of SQL: an immutable run of text, identifiers and parameters."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self.parts = parts

    def __add__(self, other: Sql) -> Sql:
        return Sql(self.parts + other.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sql) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __repr__(self) -> str:
        return f"Sql({render(self, chr(34)).text!r})"


EMPTY = Sql(())


def sql(template: str, *fields: Sql | Ident | Param) -> Sql:
    """Fill the ``{}`` of a literal template, in order.

    The template is taken as it is, so a ``%`` in it must be doubled as for any driver.
    """
    pieces = _pieces(template)
    if len(pieces) != len(fields) + 1:
        raise ValueError(f"template {template!r} has {len(pieces) - 1} places for {len(fields)} fields")
    parts: list[Part] = [pieces[0]] if pieces[0] else []
    for i, part in enumerate(fields, 1):
        if isinstance(part, Sql):
            parts.extend(part.parts)
        elif isinstance(part, (Ident, Param)):
            parts.append(part)
        else:
            raise TypeError(f"{type(part).__name__} in SQL: wrap it as Ident or Param")
        if pieces[i]:
            parts.append(pieces[i])
    return Sql(tuple(parts))


@lru_cache(maxsize=1024)
def _pieces(template: str) -> list[str]:
    return template.split("{}")


def join(separator: str, pieces: Iterable[Sql | Ident | Param]) -> Sql:
    """Put pieces in a row with a literal separator between them."""
    parts: list[Part] = []
    for piece in pieces:
        if parts:
            parts.append(separator)
        if isinstance(piece, Sql):
            parts.extend(piece.parts)
        else:
            parts.append(piece)
    return Sql(tuple(parts))


def idents(names: Iterable[str]) -> Sql:
    """A comma-separated list of names."""
    return join(", ", map(Ident, names))


def select_list(columns: Iterable[Sql | Ident]) -> Sql:
    """What follows SELECT: columns, or a number where there is none."""
    return join(", ", columns) or Sql(("1",))


def params(values: Iterable[Any]) -> Sql:
    """A comma-separated list of parameters."""
    return join(", ", map(Param, values))


def one_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Sql:
    """The condition that columns, as a row, are one of these rows."""
    if len(names) == 1:
        return sql("{} IN ({})", Ident(names[0]), params(row[0] for row in rows))
    return sql("({}) IN ({})", idents(names), join(", ", (sql("({})", params(row)) for row in rows)))


def literal(value: str | int) -> Sql:
    """A constant in DDL, where servers take no parameters; escaped for standard-conforming strings.

    Only for comments, labels and defaults of definitions, never for data. MySQL sessions of ours
    run with NO_BACKSLASH_ESCAPES off, so backslashes are doubled by the MySQL dialect itself.
    """
    if isinstance(value, int):
        return Sql((str(int(value)),))
    return Sql(("'" + value.replace("'", "''").replace("%", "%%") + "'",))


def render(statement: Sql, quote: str) -> Statement:
    """Turn a composed statement into text and values for a driver."""
    out: list[str] = []
    values: list[Any] = []
    for part in statement.parts:
        if isinstance(part, str):
            out.append(part)
        elif isinstance(part, Ident):
            out.append(_quoted(part.path, quote))
        else:
            out.append("%s")
            values.append(part.value)
    return Statement("".join(out), tuple(values))


@lru_cache(maxsize=4096)
def _quoted(path: tuple[str, ...], quote: str) -> str:
    return quote_path(path, quote)


def quote_path(path: Sequence[str], quote: str) -> str:
    """Quote each name of a path for a server, safe for a ``%s`` paramstyle.

    Raises
    ------
    ValueError
        For a name with a null character, which no server can hold.
    """
    if any("\0" in name for name in path):
        raise ValueError("a name holds a null character")
    return ".".join(quote + n.replace(quote, quote * 2).replace("%", "%%") + quote for n in path)
