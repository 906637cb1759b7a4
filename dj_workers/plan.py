"""What a worker works on: the computed and imported tables of a module in the order of their dependencies."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from dj_jobs.autopopulate import AutoPopulate
from dj_jobs.limits import limits_of
from dj_jobs.make_form import check_make
from dj_jobs.wakeup import News
from dj_schema.errors import DataJointError, MakeError
from dj_schema.graph.dependencies import Dependencies, load_dependencies
from dj_schema.table_info import TableName

TableClass = type[AutoPopulate]


@dataclass(frozen=True)
class Plan:
    """Tables in the order in which they are worked on.

    Attributes
    ----------
    downstream : mapping
        For each table those of the plan that depend on it, directly or not; never itself.
    wakes : mapping
        For what workers tell each other of, on any table that the plan depends on, the tables of the plan
        that it may give work to.
    """

    tables: tuple[TableClass, ...]
    downstream: Mapping[str, frozenset[str]]
    wakes: Mapping[tuple[TableName, News], frozenset[str]]

    @property
    def names(self) -> frozenset[str]:
        """``schema.table`` of each."""
        return frozenset(map(name_of, self.tables))


def name_of(table: TableClass) -> str:
    """Return ``schema.table``."""
    return ".".join(table._class_info.full_name)


def tables_of(module: ModuleType) -> list[TableClass]:
    """Return the auto-populated classes that a module's names reach, and those of its submodules.

    A class counts wherever it is defined. Those without a schema are left out.
    """
    found: dict[TableName, TableClass] = {}
    for cls in _classes(module, {module.__name__}):
        found.setdefault(cls._class_info.full_name, cls)
    return list(found.values())


def _classes(module: ModuleType, seen: set[str]) -> Iterator[TableClass]:
    package = module.__name__ + "."
    for value in list(vars(module).values()):
        if isinstance(value, type) and issubclass(value, AutoPopulate):
            if type.__getattribute__(value, "_is_bound"):
                yield value
        elif isinstance(value, ModuleType) and value.__name__.startswith(package):
            if sys.modules.get(value.__name__) is not value or value.__name__ in seen:
                continue
            seen.add(value.__name__)
            yield from _classes(value, seen)


def plan_of(tables: Iterable[TableClass]) -> Plan:
    """Order tables, of any number of schemas on one server, so that each comes after those it depends on.

    Raises
    ------
    DataJointError
        Where they are on several servers, or depend on each other in a circle.
    """
    classes = {cls._class_info.full_name: cls for cls in tables}
    if not classes:
        return Plan((), {}, {})
    connections = {cls._schema.connection.settings: cls._schema.connection for cls in classes.values()}
    if len(connections) > 1:
        servers = ", ".join(sorted(settings.label for settings in connections))
        raise DataJointError(f"these tables are on several servers ({servers}); run a worker for each.")
    connection = next(iter(connections.values()))
    graph = load_dependencies(connection, {schema for schema, _ in classes})
    ordered = [name for name in graph.in_order() if name in classes]
    downstream = {
        ".".join(name): frozenset(".".join(d) for d in graph.descendants(name) if d in classes and d != name)
        for name in ordered
    }
    return Plan(tuple(classes[name] for name in ordered), downstream, _wakes(graph, classes))


def _wakes(
    graph: Dependencies, classes: Mapping[TableName, TableClass]
) -> dict[tuple[TableName, News], frozenset[str]]:
    wakes: dict[tuple[TableName, News], frozenset[str]] = {}
    for name in classes:
        wakes[name, News.JOBS] = frozenset({".".join(name)})
        wakes[(name[0], ""), News.WORKERS] = frozenset()
    for ancestor in {a for name in classes for a in graph.ancestors(name)}:
        found = {".".join(d) for d in graph.descendants(ancestor) if d in classes and d != ancestor}
        if ancestor in classes and limits_of(classes[ancestor]) is not None:
            found.add(".".join(ancestor))  # a job that ends makes room for another
        if found:
            wakes[ancestor, News.ROWS] = frozenset(found)
    return wakes


def chosen(tables: Sequence[TableClass], only: Sequence[str], exclude: Sequence[str]) -> list[TableClass]:
    """Return the tables that these names leave; a class, ``module.Class`` and ``schema.table`` are names.

    Raises
    ------
    DataJointError
        Where a name is not of these tables.
    """
    wanted = [find_table(tables, name) for name in only] or list(tables)
    unwanted = [find_table(tables, name) for name in exclude]
    return [table for table in wanted if table not in unwanted]


def find_table(tables: Sequence[TableClass], name: str) -> TableClass:
    """Return the table of a name.

    Raises
    ------
    DataJointError
        Where there is none, or more than one.
    """
    found = [cls for cls in tables if name in _names(cls)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataJointError(
            f"{name!r} may be {' or '.join(name_of(cls) for cls in found)}; write it as schema.table."
        )
    there = ", ".join(cls.__name__ for cls in tables) or "none"
    raise DataJointError(f"there is no computed or imported table {name!r} here; there are: {there}.")


def _names(cls: TableClass) -> set[str]:
    schema, table = cls._class_info.full_name
    in_python = {cls.__name__, cls.__qualname__, f"{cls.__module__}.{cls.__qualname__}"}
    return in_python | {table, f"{schema}.{table}"}


def check_makes(tables: Iterable[Any]) -> None:
    """Raise for a table that nothing can be computed for.

    Raises
    ------
    MakeError
        Says what is missing of which table.
    """
    for table in tables:
        try:
            check_make(table)
        except MakeError as e:
            raise MakeError(f"{e} Or leave the table out with --exclude {table.__name__}.") from e
