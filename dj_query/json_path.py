"""Paths into JSON attributes, as users write them: ``car.headlights[0].side``, ``car.length:float``."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from dj_schema.errors import QuerySyntaxError
from dj_schema.json_text import json_path_text

_STEP = re.compile(r'\.(?:([^\W\d]\w*)|"((?:[^"\\\x00-\x1f]|\\["\\])+)")|\[([0-9]{1,9})\]')
_START = re.compile(r"([^\W\d]\w*)(?=[.\[])")
_TYPE = re.compile(r"\s*([A-Za-z][A-Za-z0-9]*)\s*(?:\(\s*([0-9]{1,3})\s*(?:,\s*([0-9]{1,3})\s*)?\))?\s*")
_TYPES = {
    "float": "DOUBLE", "double": "DOUBLE", "float32": "DOUBLE", "float64": "DOUBLE",
    "decimal": "DECIMAL", "numeric": "DECIMAL",
    "signed": "SIGNED", "int": "SIGNED", "integer": "SIGNED", "bigint": "SIGNED",
    "int8": "SIGNED", "int16": "SIGNED", "int32": "SIGNED", "int64": "SIGNED",
    "unsigned": "UNSIGNED", "uint8": "UNSIGNED", "uint16": "UNSIGNED", "uint32": "UNSIGNED",
    "uint64": "UNSIGNED", "bool": "UNSIGNED",
    "char": "CHAR", "varchar": "CHAR", "date": "DATE", "datetime": "DATETIME", "time": "TIME", "json": "JSON",
}  # fmt: skip
_TAKES_SIZES = frozenset({"DECIMAL", "CHAR"})


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A place inside a JSON attribute.

    Attributes
    ----------
    steps : tuple of str or int
        Names in objects, indexes in arrays.
    type_text : str or None
        The type that was asked for, as written.
    """

    name: str
    steps: tuple[str | int, ...]
    type_text: str | None = None

    @property
    def mysql_path(self) -> str:
        """The path as MySQL writes it, every name in quotes."""
        return json_path_text(self.steps)

    def as_sql(self) -> str:
        """Return the user SQL of the value: text where no type was asked for.

        Raises
        ------
        QuerySyntaxError
            For a type that values inside JSON cannot have.
        """
        path = self.mysql_path.replace("\\", "\\\\").replace("'", "''")
        if self.type_text is None:
            return f"JSON_VALUE(`{self.name}`, '{path}')"
        word, target = self._target()
        if target == "JSON":
            return f"JSON_EXTRACT(`{self.name}`, '{path}')"
        value = f"JSON_VALUE(`{self.name}`, '{path}' RETURNING {target})"
        return f"{value} = 1" if word == "bool" else value

    def _target(self) -> tuple[str, str]:
        match = _TYPE.fullmatch(self.type_text or "")
        word = match[1].lower() if match else ""
        target = _TYPES.get(word)
        if match is None or target is None or (match[2] and target not in _TAKES_SIZES):
            raise QuerySyntaxError(
                f"A value inside {self.name!r} cannot be of type {(self.type_text or '').strip()!r}. "
                f"Use one of {', '.join(_TYPES)}."
            )
        sizes = [size for size in match.groups()[1:] if size]
        return word, target + (f"({', '.join(sizes)})" if sizes else "")


def read_json_path(text: str, json_names: Container[str]) -> JsonPath | None:
    """Read a path into one of these attributes; None for a text that is no path into one.

    Raises
    ------
    QuerySyntaxError
        Where a path is begun and not understood.
    """
    start = _START.match(text)
    if start is None or start[1] not in json_names:
        return None
    steps: list[str | int] = []
    position = start.end()
    while step := _STEP.match(text, position):
        plain, quoted, index = step.groups()
        steps.append(
            int(index)
            if index is not None
            else plain
            if plain is not None
            else re.sub(r"\\(.)", r"\1", quoted)
        )
        position = step.end()
    rest = text[position:].strip()
    if not steps or (rest and not rest.startswith(":")):
        raise QuerySyntaxError(
            f"The path {text!r} into JSON is not understood from {text[position:]!r} on. Write it as "
            "car.lights[0].side, an unusual name in double quotes, and a type behind a colon."
        )
    return JsonPath(start[1], tuple(steps), rest[1:] if rest else None)
