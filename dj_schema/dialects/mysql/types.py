"""How attributes are stored on MySQL and MariaDB, and how their values come back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from dj_schema.dialects.mysql.literals import string_literal
from dj_schema.errors import DefinitionError
from dj_schema.sql import Sql
from dj_schema.types import CodecType, CoreType, NativeType, TypeSpec

_CORE = {
    "int8": "tinyint",
    "uint8": "tinyint unsigned",
    "int16": "smallint",
    "uint16": "smallint unsigned",
    "int32": "int",
    "uint32": "int unsigned",
    "int64": "bigint",
    "uint64": "bigint unsigned",
    "float32": "float",
    "float64": "double",
    "bool": "tinyint",
    "date": "date",
    "json": "json",
    "uuid": "binary(16)",
    "bytes": "longblob",
}
_NATIVE = {
    "smallserial": "smallint auto_increment",
    "serial": "bigint unsigned auto_increment",
    "bigserial": "bigint unsigned auto_increment",
    "bytea": "longblob",
    "jsonb": "json",
    "smallblob": "blob",
}


def column_type(type_: TypeSpec, enum_type: Sql | None = None) -> Sql:
    """Return the type of a column."""
    if isinstance(type_, CodecType):
        raise DefinitionError(f"{type_} has no storage type of its own; resolve its chain first")
    if isinstance(type_, NativeType):
        return Sql((_NATIVE.get(type_.text, type_.text),))
    if type_.name == "enum":
        return Sql(("enum(" + ",".join(string_literal(label) for label in type_.labels) + ")",))
    if type_.name == "datetime" and not type_.args:
        return Sql(("datetime",))
    if type_.args:
        return Sql((f"{type_.name}({','.join(str(a) for a in type_.args)})",))
    return Sql((_CORE[type_.name],))


def decoder_of(type_: TypeSpec | None) -> Callable[[Any], Any] | None:
    """Return what makes the Python value of a stored one that is not NULL; None where the driver did."""
    if isinstance(type_, CoreType):
        return _DECODERS.get(type_.name)
    if isinstance(type_, NativeType) and type_.kind in ("bool", "json"):
        return _DECODERS[type_.kind]
    return None


def _uuid(value: bytes) -> UUID:
    return UUID(bytes=value)


_DECODERS: dict[str, Callable[[Any], Any]] = {"bool": bool, "uuid": _uuid, "json": json.loads}


def type_of_column(text: str) -> str:
    """Return the definition's word for a column that records no type: a native one, or a core one."""
    # MariaDB writes the width that a number is displayed with; tinyint(1) is a convention for bool.
    plain = re.sub(r"^((?:tiny|small|medium|big)?int)\((?!1\))\d+\)", r"\1", text)
    plain = re.sub(r"^numeric\b", "decimal", re.sub(r"^integer\b", "int", plain))
    return _SYNONYMS.get(plain, plain)


_SYNONYMS = {
    "year(4)": "year",
    "real": "double",
    "double precision": "double",
    "boolean": "tinyint(1)",
    "decimal": "decimal(10,0)",
}
"""Words that the server takes, and gives back as others."""


def without_counting(text: str) -> str:
    """Return the type of a column that refers to one which counts by itself."""
    return _NATIVE.get(text, text).replace("auto_increment", "").strip()
