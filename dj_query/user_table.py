"""The classes that users write: one stands for the query of all rows of its table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar

from dj_query.table import Table
from dj_query.table_source import base_select
from dj_schema.errors import DataJointError

if TYPE_CHECKING:
    from dj_query.schema import Schema
    from dj_schema.heading import Heading
    from dj_schema.table_info import TableInfo


class TableMeta(type):
    """Lets a table class stand for the query of all its rows: ``Session & key``, ``Session.insert(rows)``."""

    _is_bound: bool

    def __getattribute__(cls, name: str) -> Any:
        # What an instance offers, a declared class offers too; private names and the class's own data stay.
        found = type.__getattribute__(cls, name)
        if name[0] == "_":
            return found
        if type.__getattribute__(cls, "_is_bound"):
            is_method = callable(found) and not isinstance(found, type) and not hasattr(found, "__self__")
            return getattr(cls(), name) if is_method or isinstance(found, property) else found
        if isinstance(found, FunctionType) and found.__module__.startswith("dj_query."):
            return _asking_for_a_table(cls, found)
        return found

    def __and__(cls, other: Any) -> Any:
        return cls() & other

    def __sub__(cls, other: Any) -> Any:
        return cls() - other

    def __mul__(cls, other: Any) -> Any:
        return cls() * other

    def __rmul__(cls, other: Any) -> Any:
        return other * cls()

    def __add__(cls, other: Any) -> Any:
        return cls() + other

    def __matmul__(cls, other: Any) -> Any:
        return cls() @ other

    def __xor__(cls, other: Any) -> Any:
        return cls() ^ other

    def __len__(cls) -> int:
        return len(cls())

    def __bool__(cls) -> bool:
        return True

    def __iter__(cls) -> Iterator[dict[str, Any]]:
        return iter(cls())

    def __contains__(cls, item: Any) -> bool:
        return item in cls()


def _asking_for_a_table(cls: type, method: FunctionType) -> Callable[..., Any]:
    """A method of a class without a schema: `super()` and the like may call it, with a table."""

    @wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], Table):
            return method(*args, **kwargs)
        return getattr(cls(), method.__name__)(*args, **kwargs)  # which tells what is missing

    return called


class UserTable(Table, metaclass=TableMeta):
    """Base of the classes that users write; a schema declares them."""

    _is_bound: ClassVar[bool] = False
    _schema: ClassVar[Schema]
    _class_info: ClassVar[TableInfo]
    definition: Any = None

    def __init__(self) -> None:
        cls, of_class = type(self), type.__getattribute__  # not the one above, which asks an instance
        if not of_class(cls, "_is_bound"):
            raise DataJointError(
                f"{cls.__name__} belongs to no schema. Decorate it with a schema: `@schema` before `class`. "
                "A schema that was made without a name must be activated: `schema.activate('name')`."
            )
        info: TableInfo = of_class(cls, "_class_info")
        self._connection = of_class(cls, "_schema").connection
        self._info = info
        self._heading = info.heading
        self._select = base_select(info)

    @property
    def heading(self) -> Heading:
        return self._heading

    def alter(self, prompt: bool | None = None, context: Mapping[str, Any] | None = None) -> None:
        frame = sys._getframe(1)
        names = {**frame.f_globals, **frame.f_locals, **(context or {})}
        self._info = type(self)._schema.alter(self, prompt, names)
        self._heading, self._select = self._info.heading, base_select(self._info)

    alter.__doc__ = Table.alter.__doc__
