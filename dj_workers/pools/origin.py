"""Where a child process finds a table class, and what it does so that the class is that of its parent."""

from __future__ import annotations

import ast
import importlib
import multiprocessing
import runpy
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dj_query.schema import Schema
from dj_query.user_table import UserTable
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError

MAIN = "__main__"
MAIN_OF_CHILD = "__mp_main__"  # the name that multiprocessing gives it, so that guards know it


@dataclass(frozen=True, slots=True)
class Origin:
    """The address of a class.

    Attributes
    ----------
    main_path : str or None
        The script that a child runs to have the module, for a class of the script itself.
    """

    module: str
    qualname: str
    main_path: str | None = None


def origin_of(cls: type) -> Origin | None:
    """Return where a new interpreter finds a class, or None where only a fork of this process has it.

    Raises
    ------
    DataJointError
        Where neither can be; says what to change.
    """
    module, qualname = cls.__module__, cls.__qualname__
    if module == MAIN_OF_CHILD or _is_a_child_that_imports():
        raise DataJointError(_UNGUARDED)
    if module != MAIN:
        if _found(sys.modules.get(module), qualname) is cls:
            return Origin(module, qualname)
        if can_fork():
            return None  # made in a function, or spawned into a namespace
        raise DataJointError(
            f"another process cannot find {module}.{qualname}; define the class at the top level of a "
            "module, or populate with processes=1."
        )
    path = getattr(sys.modules[MAIN], "__file__", None)
    if path and Path(path).is_file() and "<locals>" not in qualname and has_guard(Path(path).read_bytes()):
        return Origin(MAIN_OF_CHILD, qualname, str(Path(path).resolve()))
    if can_fork():
        return None
    if path is None:
        raise DataJointError(
            f"{qualname} is defined in an interactive session, where another process cannot find it. "
            "Move the class into a module and import it from there, or populate with processes=1."
        )
    raise DataJointError(_UNGUARDED)


_UNGUARDED = (
    "populate(processes=n) starts processes that run this script again to have its classes. "
    'Put what only the first process is to do below `if __name__ == "__main__":`, '
    "or move the classes into a module of their own."
)


def _is_a_child_that_imports() -> bool:
    """Whether this is a process of multiprocessing that has not got to its own work yet."""
    return bool(getattr(multiprocessing.current_process(), "_inheriting", False))


def can_fork() -> bool:
    """Whether to fork where nothing else works: not on macOS, whose libraries do not bear it."""
    return "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"


def has_guard(source: str | bytes) -> bool:
    """Whether a script has an ``if`` on ``__name__`` at its top level."""
    return any(
        isinstance(node, ast.If)
        and any(isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(node.test))
        for node in ast.parse(source).body
    )


# -- in the child ----------------------------------------------------------------------------------


def import_main(path: str) -> None:
    """Run the parent's script under another name, and let it stand for the main module from then on."""
    main = ModuleType(MAIN_OF_CHILD)
    main.__file__ = path
    main.__dict__.update(runpy.run_path(path, run_name=MAIN_OF_CHILD))
    sys.modules[MAIN] = sys.modules[MAIN_OF_CHILD] = main


def find(origin: Origin) -> type[UserTable]:
    """Import the class.

    Raises
    ------
    DataJointError
        Where it is not there.
    """
    module = sys.modules.get(origin.module) or importlib.import_module(origin.module)
    found = _found(module, origin.qualname)
    if not (isinstance(found, type) and issubclass(found, UserTable)):
        raise DataJointError(
            f"a worker process has imported {origin.module} and finds no table {origin.qualname} in it; "
            "define it at the top level of the module, whatever the process."
        )
    return found


def _found(module: ModuleType | None, qualname: str) -> Any:
    found: Any = module
    for name in qualname.split("."):
        if found is None:
            return None
        found = found.__dict__.get(name) if isinstance(found, type) else getattr(found, name, None)
    return found


ChildSetup = Callable[[Connection], None]
"""What a child calls with its parent's connection before it imports the modules of tables."""

Bound = dict[tuple[str, str], str]
"""The schema of each declared class, by module and name."""


def bound_classes() -> Bound:
    """Return what the classes of this process are declared in."""
    return {
        (MAIN_OF_CHILD if c.__module__ == MAIN else c.__module__, c.__qualname__): c._class_info.schema
        for c in _classes(UserTable)
        if _is_bound(c)
    }


def _classes(base: type[UserTable]) -> Iterator[type[UserTable]]:
    for cls in type.__subclasses__(base):
        yield cls
        yield from _classes(cls)


def _is_bound(cls: type[UserTable]) -> bool:
    return bool(type.__getattribute__(cls, "_is_bound")) and "_class_info" in cls.__dict__


def take_over(cls: type[UserTable], bound: Bound, given: Connection) -> Connection:
    """Have the classes of this process use the parent's server, with its settings.

    Schemas that the parent has activated by hand are activated here too.

    Returns
    -------
    Connection
        The one that they use from now on: `given`, or their own where it is to the same server.
    """
    own = cls._schema.connection if _is_bound(cls) else None
    chosen = own if own is not None and own.settings == given.settings else given
    chosen.config.__setstate__(given.config.__getstate__())
    for other in list(_classes(UserTable)):
        if _is_bound(other):
            if other._schema._connection is own:
                other._schema._connection = chosen
        elif name := bound.get((other.__module__, other.__qualname__)):
            _activate(other, name, chosen)
    if not _is_bound(cls):
        raise DataJointError(
            f"{cls.__module__}.{cls.__qualname__} belongs to no schema in a worker process. Keep its Schema "
            "in a variable of the module, or activate it there."
        )
    if own is not None and chosen is not own:
        own.close()
    return chosen


def _activate(cls: type[UserTable], schema_name: str, connection: Connection) -> None:
    for value in list(vars(sys.modules[cls.__module__]).values()):
        if isinstance(value, Schema) and any(waiting is cls for waiting, _ in value._waiting):
            value.activate(schema_name, connection=connection, create_schema=False, create_tables=False)
            return
