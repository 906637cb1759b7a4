"""The base classes of tables that are filled by hand, and of parts."""

from __future__ import annotations

from typing import Any, ClassVar

from dj_query.user_table import UserTable
from dj_schema.names import Tier


class Manual(UserTable):
    """Rows that people or programs enter."""

    tier: ClassVar[Tier] = Tier.MANUAL


class Lookup(UserTable):
    """Facts and parameters that rarely change; `contents` are inserted when the table is declared."""

    tier: ClassVar[Tier] = Tier.LOOKUP
    contents: Any = ()


class Part(UserTable):
    """Rows that belong to a row of their master; declared inside the master's class."""

    tier: ClassVar[Tier] = Tier.PART
    _master: ClassVar[type[UserTable]]

    @property
    def master(self) -> type[UserTable]:
        """The class that this part belongs to."""
        return type(self)._master
