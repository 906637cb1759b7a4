"""Classes for the tables that a schema has already, without their source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dj_query.binding import attach
from dj_query.describe import describe
from dj_query.tiers import Lookup, Manual, Part
from dj_query.user_table import TableMeta, UserTable
from dj_schema.errors import DataJointError
from dj_schema.names import Tier, class_name_of
from dj_schema.table_info import TableInfo

if TYPE_CHECKING:
    from dj_query.schema import Schema

_TIERS: dict[Tier, type[UserTable]] = {}


def register_tier(cls: type[UserTable]) -> None:
    """Say which class spawned tables of a tier get."""
    assert cls.tier is not None
    _TIERS[cls.tier] = cls


for _tier in (Manual, Lookup, Part):
    register_tier(_tier)


def spawn(schema: Schema, into: dict[str, Any]) -> None:
    """Put a class for each table of a schema into a namespace, parts inside their masters.

    Names that are taken are left as they are, but a master of the source gets the parts that it lacks.
    """
    tables = schema.connection.catalog.schema(schema.name).tables
    masters: dict[str, type[UserTable]] = {}
    for name, info in tables.items():
        tier = info.tier
        if tier is None or tier in (Tier.JOBS, Tier.PART) or name.startswith("~"):
            continue
        class_name = class_name_of(name)
        if class_name not in into:
            into[class_name] = _spawned(schema, info, tier)
        known = into[class_name]
        if _stands_for(known, info):
            masters[name] = known
    for info in tables.values():
        master = masters.get(info.master[1]) if info.master else None
        part_name = class_name_of(info.name)
        if master is not None and part_name not in master.__dict__:
            part = _spawned(schema, info, Tier.PART)
            part._master = master  # type: ignore[attr-defined]
            setattr(master, part_name, part)


def _stands_for(known: object, info: TableInfo) -> bool:
    is_bound = isinstance(known, type) and issubclass(known, UserTable) and known._is_bound
    return is_bound and known._class_info.full_name == info.full_name  # type: ignore[attr-defined]


def _spawned(schema: Schema, info: TableInfo, tier: Tier) -> type[UserTable]:
    base = _TIERS.get(tier)
    if base is None:
        raise DataJointError(
            f"there is no class for the {tier.name.lower()} table {info.name!r} yet; import datajoint first."
        )
    body = {"definition": describe(schema.connection, info), "__module__": schema.name}
    cls: type[UserTable] = TableMeta(class_name_of(info.name), (base,), body)  # type: ignore[assignment]
    attach(cls, schema, info)
    return cls
