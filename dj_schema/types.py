"""The types of attributes: core, codec and native, as values.

What a server calls them is in `dialects/*/types.py`; how codecs resolve is in `codecs/chain.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    **{name: "int" for name in INTEGER_RANGES},
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
        parts = ("'" + str(a).replace("'", "''") + "'" if isinstance(a, str) else str(a) for a in self.args)
        return f"{self.name}({','.join(parts)})"


@dataclass(frozen=True, slots=True)
class NativeType:
    """A type in the server's own words, passed through with a warning."""

    text: str

    @property
    def is_auto_increment(self) -> bool:
        return "auto_increment" in self.text.lower() or self.text.lower() == "serial"

    @property
    def kind(self) -> Kind:
        return kind_of_native(self.text)

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
_CODEC = re.compile(r"^<\s*([a-z][a-z0-9_]*)\s*(?:(@)\s*([A-Za-z0-9_.-]*)\s*)?>$", re.I)
_SIMPLE = re.compile(r"^([a-z][a-z0-9]*)\s*(?:\((.*)\))?$", re.I | re.S)
_LABEL = re.compile(r"""\s*(?:'((?:[^'\\]|''|\\.)*)'|"((?:[^"\\]|""|\\.)*)")\s*(,|$)""", re.S)
_FORBIDDEN = re.compile(
    r"\b(not\s+null|null|default|primary\s+key|unique|comment|character\s+set|charset|collate|references|check)\b",
    re.I,
)


def kind_of_native(text: str) -> Kind:
    """Return what the values of a native type are, `unknown` for a type that we do not know."""
    for pattern, kind in _NATIVE_KINDS:
        if re.match(pattern, text.strip(), re.I):
            return kind
    return "unknown"


def parse_type(text: str) -> TypeSpec:
    """Read a type as a definition writes it.

    Raises
    ------
    DefinitionError
        For an unknown type, wrong arguments, or an SQL modifier such as ``NOT NULL``.
    """
    text = text.strip()
    if codec := _CODEC.match(text):
        return CodecType(codec[1].lower(), codec[3] if codec[2] else None)
    if not text.lower().startswith("enum"):
        if bad := _FORBIDDEN.search(text):
            raise DefinitionError(
                f"the modifier {bad[0]!r} is not part of a type.",
                expected="the type alone; a default is written `name = value : type`, a comment `# text`",
            )
    if (simple := _SIMPLE.match(text)) and (core := _core(simple[1].lower(), simple[2])):
        return core
    if _NATIVE.match(text):
        return NativeType(" ".join(text.lower().split()))
    raise DefinitionError(
        f"unsupported attribute type {text!r}.",
        expected="a core type such as int32, float64, varchar(40), datetime or json, or a codec such as <blob>",
    )


def _core(name: str, args: str | None) -> CoreType | None:
    if name == "enum":
        return CoreType("enum", _labels(args))
    if name not in _KIND_OF_CORE:
        return None
    numbers = _numbers(args) if args is not None else ()
    if numbers is None:
        raise DefinitionError(f"the arguments of {name}({args}) are not numbers.", expected=f"{name} with digits")
    wrong: str | None = None
    if name in ("char", "varchar"):
        if len(numbers) != 1 or not 1 <= numbers[0] <= 65535:
            if name == "char" and args is None:
                numbers = (1,)
            else:
                wrong = f"{name}(n) with n from 1 to 65535"
    elif name == "decimal":
        if len(numbers) == 1:
            numbers = (numbers[0], 0)
        if len(numbers) != 2 or not (1 <= numbers[0] <= 65 and 0 <= numbers[1] <= min(30, numbers[0])):
            wrong = "decimal(p,s) with p up to 65 and s up to 30 and up to p"
    elif name == "datetime":
        if len(numbers) > 1 or (numbers and not 0 <= numbers[0] <= 6):
            wrong = "datetime or datetime(n) with n from 0 to 6"
    elif args is not None:
        wrong = f"{name} without arguments"
    if wrong:
        raise DefinitionError(f"{name}{f'({args})' if args is not None else ''} is no type.", expected=wrong)
    return CoreType(name, numbers)


def _numbers(args: str) -> tuple[int, ...] | None:
    parts = [p.strip() for p in args.split(",")]
    return tuple(int(p) for p in parts) if all(p.isdecimal() for p in parts) else None


def _labels(args: str | None) -> tuple[str, ...]:
    labels: list[str] = []
    position = 0
    text = args or ""
    more = True
    while more:
        match = _LABEL.match(text, position)
        if not match:
            raise DefinitionError(
                f"cannot read the labels of enum({text}).", expected="quoted labels, as in enum('left', 'right')"
            )
        single, double = match[1], match[2]
        label = single.replace("''", "'") if single is not None else double.replace('""', '"')
        labels.append(re.sub(r"\\(.)", r"\1", label))
        position = match.end()
        more = match[3] == ","
    if position != len(text) or len(set(labels)) != len(labels):
        raise DefinitionError(f"the labels of enum({text}) do not hold.", expected="distinct quoted labels")
    return tuple(labels)
