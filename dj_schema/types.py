"""The types of attributes: core, codec and native, as values.

What a server calls them is in `dialects/*/types.py`; how codecs resolve is in `codecs/chain.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from dj_schema.errors import DefinitionError

Kind = Literal[
    "bool",
    "int",
    "float",
    "decimal",
    "string",
    "date",
    "datetime",
    "time",
    "json",
    "bytes",
    "uuid",
    "unknown",
]

INTEGER_RANGES: dict[str, tuple[int, int]] = {
    f"{sign}int{bits}": ((-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if not sign else (0, 2**bits - 1))
    for bits in (8, 16, 32, 64)
    for sign in ("", "u")
}

_KIND_OF_CORE: dict[str, Kind] = {
    **dict.fromkeys(INTEGER_RANGES, "int"),
    "float32": "float",
    "float64": "float",
    "decimal": "decimal",
    "bool": "bool",
    "char": "string",
    "varchar": "string",
    "enum": "string",
    "date": "date",
    "datetime": "datetime",
    "json": "json",
    "uuid": "uuid",
    "bytes": "bytes",
}


@dataclass(frozen=True, slots=True)
class CoreType:
    """A type that means the same on every server.

    `args` holds the length of `char` and `varchar`, precision and scale of `decimal`, the digits of
    `datetime` where given, and the labels of `enum`.
    """

    name: str
    args: tuple[int | str, ...] = ()

    @property
    def kind(self) -> Kind:
        return _KIND_OF_CORE[self.name]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of an enum, in order."""
        return tuple(str(a) for a in self.args) if self.name == "enum" else ()

    def __str__(self) -> str:
        if not self.args:
            return self.name
        parts = (quote(a) if isinstance(a, str) else str(a) for a in self.args)
        return f"{self.name}({','.join(parts)})"


@dataclass(frozen=True, slots=True)
class NativeType:
    """A type in the server's own words, passed through with a warning."""

    text: str

    @property
    def is_auto_increment(self) -> bool:
        return re.search(r"\bauto_increment\b|^(?:small|big)?serial$", self.text, re.I) is not None

    @property
    def kind(self) -> Kind:
        return kind_of_native(self.text)

    @property
    def is_uint64(self) -> bool:
        return re.match(r"bigint\b.*\bunsigned\b", self.text, re.I) is not None

    @property
    def decimal_digits(self) -> tuple[int, int] | None:
        """Precision and scale of a decimal; None where the type does not say them."""
        digits = re.search(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", self.text)
        return (int(digits[1]), int(digits[2] or 0)) if digits and self.kind == "decimal" else None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class CodecType:
    """`<name>`, `<name@>` (default store, `store == ""`) or `<name@store>`; `store is None` without `@`."""

    name: str
    store: str | None = None

    @property
    def is_external(self) -> bool:
        return self.store is not None

    @property
    def kind(self) -> Kind:
        return "bytes"

    def __str__(self) -> str:
        return f"<{self.name}>" if self.store is None else f"<{self.name}@{self.store}>"


TypeSpec = CoreType | NativeType | CodecType

_NATIVE_KINDS: tuple[tuple[str, Kind], ...] = (
    (r"tinyint\(1\)|bool(ean)?\b", "bool"),
    (r"(tiny|small|medium|big)?int(eger)?\b|int[248]\b|(small|big)?serial\b|year\b", "int"),
    (r"float|double|real", "float"),
    (r"decimal|numeric|dec\b|fixed\b", "decimal"),
    (r"(tiny|medium|long)?text|(n|national )?(var)?char|character|enum|set\b|citext", "string"),
    (r"datetime|timestamp", "datetime"),
    (r"date\b", "date"),
    (r"time", "time"),
    (r"jsonb?\b", "json"),
    (r"(tiny|small|medium|long)?blob|(var)?binary|bytea", "bytes"),
    (r"uuid", "uuid"),
)
_NATIVE = re.compile(
    r"""(?xi) ^(?:
      (?:tiny|small|medium|big)?int(?:eger)?(?:\s*\(\s*\d+\s*\))?(?:\s+(?:unsigned|signed))?(?:\s+zerofill)?(?:\s+auto_increment)?
    | (?:small|big)?serial
    | (?:float|double(?:\s+precision)?|real)(?:\s*\(\s*\d+\s*(?:,\s*\d+\s*)?\))?(?:\s+unsigned)?
    | numeric(?:\s*\(\s*\d+\s*(?:,\s*\d+\s*)?\))?
    | (?:tiny|medium|long)?text
    | (?:tiny|small|medium|long)?blob | bytea
    | (?:var)?binary\s*\(\s*\d+\s*\)
    | time(?:\s*\(\s*\d\s*\))? | timestamp(?:\s*\(\s*\d\s*\))? | year(?:\s*\(\s*4\s*\))?
    | boolean | jsonb | double\s+precision
    )$"""
)
_CODEC = re.compile(r"<\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*(?:(@)\s*([A-Za-z0-9_.-]*)\s*)?>")
_SIMPLE = re.compile(r"([a-z][a-z0-9]*)\s*(?:\((.*)\))?", re.I | re.S)
# Possessive, so that a run of quotes reads in one way only, and in linear time.
QUOTED = r"""(?:'(?:[^'\\]|''|\\.)*+'|"(?:[^"\\]|""|\\.)*+")"""
_LABEL = re.compile(rf"\s*({QUOTED})\s*(,|$)", re.S)
_ESCAPED = {"'": re.compile(r"""'(')|\\(['"\\])"""), '"': re.compile(r""""(")|\\(['"\\])""")}
_FORBIDDEN = re.compile(
    r"\b(not\s+null|null|default|primary\s+key|unique|comment|character\s+set|charset|collate|references|check)\b",
    re.I,
)
_IN_BRACKETS = re.compile(r"<?\s*(attach|blob|filepath|hash|npy|object)\s*(@\s*[\w.-]*)?\s*>?", re.I)


def quote(text: str) -> str:
    """Write a string as definitions do; `unquote` reads it back."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def unquote(text: str) -> str:
    """Read a quoted string.

    A quote is doubled or escaped, a backslash is escaped; before any other character a backslash is
    itself, so that a pattern or a path reads as it is written, whatever the server.
    """
    body = text[1:-1]
    return _ESCAPED[text[0]].sub(lambda m: m[1] or m[2], body) if text[0] in body or "\\" in body else body


def kind_of_native(text: str) -> Kind:
    """Return what the values of a native type are, `unknown` for a type that we do not know."""
    for pattern, kind in _NATIVE_KINDS:
        if re.match(pattern, text.strip(), re.I):
            return kind
    return "unknown"


@lru_cache(maxsize=1024)
def parse_type(text: str) -> TypeSpec:
    """Read a type as a definition writes it.

    Raises
    ------
    DefinitionError
        For an unknown type, wrong arguments, or an SQL modifier such as ``NOT NULL``.
    """
    text = text.strip()
    if codec := _CODEC.fullmatch(text):
        return CodecType(codec[1], codec[3] if codec[2] else None)
    if bad := _FORBIDDEN.search(re.sub(QUOTED, "''", text)):
        raise DefinitionError(
            f"the modifier {bad[0]!r} is not part of a type.",
            expected="the type alone; a default is written `name = value : type`, a comment `# text`",
        )
    if (simple := _SIMPLE.fullmatch(text)) and (core := _core(simple[1].lower(), simple[2])):
        return core
    if _NATIVE.match(text):
        return NativeType(" ".join(text.lower().split()))
    raise DefinitionError(f"Unsupported attribute type {text!r}.", expected=_closest_type(text))


def _closest_type(text: str) -> str:
    from difflib import get_close_matches  # only a mistake needs it

    if codec := _IN_BRACKETS.fullmatch(text):
        name = codec[1].lower()
        store = re.sub(r"\s", "", codec[2] or ("@" if name in ("filepath", "hash", "object") else ""))
        return f"a codec in angle brackets: <{name}{store}>"
    if text.startswith("<"):
        return "a codec as <name>, <name@> or <name@store>"
    word = re.split(r"[^A-Za-z0-9]", text.lower(), maxsplit=1)[0]
    if close := get_close_matches(word, [*_KIND_OF_CORE, "timestamp"], 1):
        return f"a type that exists, {close[0]} perhaps"
    return "a core type such as int32, float64, varchar(40), datetime or json, or a codec such as <blob>"


def _core(name: str, args: str | None) -> CoreType | None:
    if name == "enum":
        return CoreType("enum", _labels(args))
    if name not in _KIND_OF_CORE:
        return None
    numbers = _numbers(name, args) if args is not None else ()
    if name == "char" and args is None:
        numbers = (1,)
    if name == "decimal" and len(numbers) == 1:
        numbers = (numbers[0], 0)
    if not _fits(name, numbers):
        written = name if args is None else f"{name}({args})"
        raise DefinitionError(f"{written} is no type.", expected=_expected_arguments(name))
    return CoreType(name, numbers)


_ARGUMENTS = {
    "char": "char(n) with n from 1 to 65535",
    "varchar": "varchar(n) with n from 1 to 65535",
    "decimal": "decimal(p,s) with p up to 65 and s up to 30 and up to p",
    "datetime": "datetime or datetime(n) with n from 0 to 6",
}


def _expected_arguments(name: str) -> str:
    return _ARGUMENTS.get(name, f"{name} without arguments")


def _fits(name: str, args: tuple[int, ...]) -> bool:
    match name, args:
        case "char" | "varchar", (n,):
            return 1 <= n <= 65535
        case "decimal", (precision, scale):
            return 1 <= precision <= 65 and scale <= min(30, precision)
        case "datetime", (digits,):
            return digits <= 6
        case _:
            return not args and name not in ("varchar", "decimal")


def _numbers(name: str, args: str) -> tuple[int, ...]:
    parts = [p.strip() for p in args.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,9}", p) for p in parts):
        raise DefinitionError(
            f"the arguments of {name}({args}) are not numbers.",
            expected=_expected_arguments(name),
        )
    return tuple(map(int, parts))


def _labels(args: str | None) -> tuple[str, ...]:
    labels: list[str] = []
    text = (args or "").strip()
    position, more = 0, True
    while more:
        match = _LABEL.match(text, position)
        if not match:
            raise DefinitionError(
                f"cannot read the labels of enum({text}).",
                expected="quoted labels, as in enum('left', 'right')",
            )
        labels.append(unquote(match[1]))
        position, more = match.end(), match[2] == ","
    if len(set(labels)) != len(labels):
        raise DefinitionError(f"a label of enum({text}) comes twice.", expected="distinct labels")
    return tuple(labels)
