"""MODULE of the command line: a module, a file or a schema becomes tables, or an error that helps."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from dj_query.user_table import UserTable
from dj_query.virtual import VirtualModule
from dj_schema.connection import Connection
from dj_schema.errors import ConnectionRefusedByServerError, DataJointError, LostConnectionError
from dj_schema.server_address import connection_settings
from dj_schema.settings import Config
from dj_workers.cli.exit_codes import ModuleError, UsageMistakeError
from dj_workers.plan import TableClass, chosen, find_table, name_of, plan_of, tables_of
from dj_workers.steps import Step, steps_of

SCHEMA_PREFIX = "schema:"
WITHOUT_CODE = (
    "{} names tables, but not the code that computes them. "
    "Name the module or the file that defines their classes."
)
_PYTHON = sysconfig.get_path("stdlib")
_OURS = [
    Path(__file__).parents[2] / name
    for name in ("dj_schema", "dj_query", "dj_jobs", "dj_workers", "datajoint")
]
NOTHING_BUT_STEPS = "there are steps, which dj-worker run calls, but no computed or imported table."


@dataclass(frozen=True)
class Source:
    """What MODULE stands for.

    Attributes
    ----------
    tables : list
        In the order of their dependencies.
    has_code : bool
        False for a schema, whose tables have no make.
    steps : list of Step
        Functions that a worker calls now and then.
    """

    name: str
    tables: list[TableClass]
    has_code: bool
    steps: list[Step] = field(default_factory=list)

    def choose(self, only: Sequence[str], exclude: Sequence[str] = ()) -> list[TableClass]:
        """Return the tables of these names, in order; all where none is named."""
        try:
            picked = chosen(self.tables, only, exclude)
        except DataJointError as e:
            raise UsageMistakeError(str(e)) from e
        return [table for table in self.tables if table in picked]

    def table(self, name: str) -> TableClass:
        """Return one table."""
        try:
            return find_table(self.tables, name)
        except DataJointError as e:
            raise UsageMistakeError(str(e)) from e


def load(name: str, *, may_print: bool = False) -> Source:
    """Find what MODULE names.

    Parameters
    ----------
    may_print : bool
        Whether what the module prints while it is imported may come to stdout; else it comes to stderr, as
        stdout is for what the command was asked for.

    Raises
    ------
    ModuleError
        Where it cannot be imported, or has no computed or imported table.
    ConnectionRefusedByServerError
        Where its server cannot be reached.
    """
    if name.startswith(SCHEMA_PREFIX):
        module: ModuleType = _schema(name.removeprefix(SCHEMA_PREFIX))
    else:
        with nullcontext() if may_print else redirect_stdout(sys.stderr):
            module = _imported(name)
    tables = plan_of(tables_of(module)).tables
    steps = steps_of(module)
    if not tables and not steps:
        raise ModuleError(f"{name} has no computed or imported table{_why(module)}")
    return Source(name, list(tables), not name.startswith(SCHEMA_PREFIX), steps)


def load_all(names: Sequence[str], *, may_print: bool = False) -> Source:
    """Find what several MODULEs name together; each table and step once."""
    sources = [load(name, may_print=may_print) for name in names]
    classes = {name_of(cls): cls for source in sources for cls in reversed(source.tables)}
    steps = {step.name: step for source in sources for step in source.steps}
    return Source(
        " ".join(names),
        list(plan_of(classes.values()).tables),
        all(source.has_code for source in sources),
        list(steps.values()),
    )


def _why(module: ModuleType) -> str:
    unbound = [
        value.__name__
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, UserTable)
        and value.__module__ == module.__name__
        and not type.__getattribute__(value, "_is_bound")
    ]
    if unbound:
        return (
            f": {', '.join(unbound)} belong to no active schema. Name it in dj.Schema(...), or activate it."
        )
    return "; name the module whose classes a schema decorates."


def _schema(name: str) -> ModuleType:
    config = Config.load()
    connection = Connection(connection_settings(config), config)
    try:
        return VirtualModule(name, name, connection=connection)
    except (ConnectionRefusedByServerError, LostConnectionError):
        raise
    except DataJointError as e:
        raise UsageMistakeError(str(e)) from e


def _imported(name: str) -> ModuleType:
    if name.endswith(".py") or "/" in name:
        return _imported_from(Path(name))
    if not name or name.startswith("."):
        raise ModuleError(f"{name!r} names no module; write it as in an import, or as the path of a file.")
    return _import(name)


def _imported_from(path: Path) -> ModuleType:
    if not path.is_file():
        raise ModuleError(f"there is no file {path}.")
    if "." in path.stem:
        raise ModuleError(f"{path} cannot be imported with a dot in its name; give the file another name.")
    sys.path.insert(0, str(path.resolve().parent))
    module = _import(path.stem)
    found = getattr(module, "__file__", None)
    if found is None or not Path(found).samefile(path):
        other = found or "a part of Python"
        raise ModuleError(f"{path}: {other} is imported instead; give the file another name.")
    return module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except DataJointError as e:
        if isinstance(e, (ConnectionRefusedByServerError, LostConnectionError)):
            raise
        raise ModuleError(f"cannot import {name}: {_where(e)}{type(e).__name__}: {e}") from e
    except (Exception, SystemExit) as e:
        if isinstance(e, ModuleNotFoundError) and e.name in (name, name.partition(".")[0]):
            raise ModuleError(
                f"there is no module {name} here. Run dj-worker in the folder that has it, or name its file."
            ) from e
        raise ModuleError(f"cannot import {name}: {_where(e)}{type(e).__name__}: {e}") from e


def _where(error: BaseException) -> str:
    """The line of the user's code that failed: the last one outside of packages and Python itself."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        is_others = "site-packages" in path.parts or path.is_relative_to(_PYTHON)
        is_ours = any(path.is_relative_to(package) for package in _OURS)
        if not frame.filename.startswith("<") and not is_others and not is_ours:
            return f"{frame.filename}, line {frame.lineno}: "
    return ""
