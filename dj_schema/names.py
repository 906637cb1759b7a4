"""Tiers, and how class names become table names and come back."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

from dj_schema.errors import DefinitionError

MAX_NAME_LENGTH = 64
_CAMEL = re.compile(r"[A-Z][A-Za-z0-9]*")
_BOUNDARY = re.compile(r"(?<!^)(?=[A-Z])")
SCHEMAS_OF_SERVERS = frozenset(
    {"information_schema", "pg_catalog", "pg_toast", "mysql", "performance_schema", "sys"}
)
_SCHEMA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_SNAKE = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*"


class Tier(Enum):
    """The role of a table; the value is the prefix of its name in the database."""

    MANUAL = ""
    LOOKUP = "#"
    IMPORTED = "_"
    COMPUTED = "__"
    PART = "part"
    JOBS = "~~"

    @property
    def is_auto_populated(self) -> bool:
        return self in (Tier.IMPORTED, Tier.COMPUTED)


_PATTERNS: tuple[tuple[Tier, re.Pattern[str]], ...] = (
    (Tier.JOBS, re.compile(r"~~(?P<name>.+)")),
    (Tier.PART, re.compile(rf"(?P<master>(?:#|_|__)?{_SNAKE})__(?P<name>{_SNAKE})")),
    (Tier.LOOKUP, re.compile(rf"#(?P<name>{_SNAKE})")),
    (Tier.COMPUTED, re.compile(rf"__(?P<name>{_SNAKE})")),
    (Tier.IMPORTED, re.compile(rf"_(?P<name>{_SNAKE})")),
    (Tier.MANUAL, re.compile(rf"(?P<name>{_SNAKE})")),
)


def check_schema_name(name: str) -> None:
    """See that a schema that is to be created has a name which every server and every program can hold.

    Raises
    ------
    DefinitionError
        Where it has not; schemas that are there already may be named as they are.
    """
    if not _SCHEMA_NAME.fullmatch(name):
        raise DefinitionError(
            f"{name!r} cannot name a schema.",
            expected="up to 63 letters, digits, underscores and hyphens, as in lab_ephys",
        )


def to_snake_case(class_name: str) -> str:
    """``ProcessedEMG`` becomes ``processed_e_m_g``: a word for each capital, as the peer has it."""
    if not _CAMEL.fullmatch(class_name):
        raise DefinitionError(
            f"Invalid table name: {class_name!r} cannot name a table.",
            expected="CamelCase letters and digits, as in ProcessedData",
        )
    return _BOUNDARY.sub("_", class_name).lower()


def to_camel_case(table_name: str) -> str:
    """``processed_data`` becomes ``ProcessedData``; prefixes of tiers are dropped."""
    return "".join(word.capitalize() for word in table_name.lstrip("#_~").split("_") if word)


def table_name_of(class_name: str, tier: Tier, master: str | None = None) -> str:
    """The table's name in the database.

    Raises
    ------
    DefinitionError
        Where the class name is not CamelCase or the result is longer than 64 characters.
    """
    snake = to_snake_case(class_name)
    name = f"{master}__{snake}" if tier is Tier.PART else tier.value + snake
    if len(name) > MAX_NAME_LENGTH:
        raise DefinitionError(
            f"Table name exceeds max length: {name!r} has {len(name)} characters.",
            expected=f"at most {MAX_NAME_LENGTH}: a shorter class name",
        )
    return name


@lru_cache(maxsize=4096)
def tier_of(table_name: str) -> Tier | None:
    """The tier that a name in the database tells, or None for a name that is not ours."""
    return next((tier for tier, pattern in _PATTERNS if pattern.fullmatch(table_name)), None)


@lru_cache(maxsize=4096)
def master_of(table_name: str) -> str | None:
    """The table name of a part's master, or None for a table that is no part."""
    match = _PATTERNS[1][1].fullmatch(table_name)
    return match["master"] if match else None


def class_name_of(table_name: str) -> str:
    """The class name that a table in the database gets when it is spawned."""
    master = master_of(table_name)
    return to_camel_case(table_name[len(master) + 2 :] if master else table_name)


def job_table_name(table_name: str) -> str:
    """The name of the job table of an auto-populated table: ``__segmentation`` has ``~~segmentation``."""
    return Tier.JOBS.value + table_name.lstrip("_")


def targets_of_jobs(table_name: str) -> tuple[str, ...]:
    """The names that the table of a job table may have; none for a table of another kind."""
    if not table_name.startswith(Tier.JOBS.value):
        return ()
    bare = table_name.removeprefix(Tier.JOBS.value)
    return (Tier.COMPUTED.value + bare, Tier.IMPORTED.value + bare)
